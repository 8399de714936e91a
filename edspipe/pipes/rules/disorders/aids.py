"""eds.aids."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.aids")
class Aids(Disorder):
    """HIV infection and AIDS: mentions and their status.

    Finds infection with HIV, and AIDS, which is told by its name, by its stage or by a disease
    that defines it.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["aids"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `hiv` | infection with HIV |
    | 2 | `aids` | AIDS |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.aids", config={"lang": "en"})
    doc = nlp(
        "Known HIV infection. Admitted for AIDS with pneumocystis pneumonia. Uses hearing aids."
    )
    spans = doc.spans["aids"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("HIV", "hiv"),
        ("AIDS", "aids"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. A test for HIV without
    a result is no mention; a positive one is. The Charlson index counts AIDS, so take the spans
    of status 2 for it.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"aids"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `aids.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "aids"
