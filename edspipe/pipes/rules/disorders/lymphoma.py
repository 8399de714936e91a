"""eds.lymphoma."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.lymphoma")
class Lymphoma(Disorder):
    """Lymphoma: mentions and their status.

    Finds Hodgkin's and other lymphomas, myeloma, Waldenström's disease.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["lymphoma"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | present, or in remission |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.lymphoma", config={"lang": "en"})
    doc = nlp("Diffuse large B-cell lymphoma treated by R-CHOP. Multiple myeloma. Pseudolymphoma.")
    spans = doc.spans["lymphoma"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Diffuse large B-cell lymphoma", "present"),
        ("Multiple myeloma", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Short forms such as MM
    count only near words of haematology.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"lymphoma"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `lymphoma.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "lymphoma"
