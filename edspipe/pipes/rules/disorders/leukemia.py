"""eds.leukemia."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.leukemia")
class Leukemia(Disorder):
    """Leukaemia: mentions and their status.

    Finds acute and chronic leukaemias, and myeloproliferative neoplasms.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["leukemia"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | present, or in remission |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.leukemia", config={"lang": "en"})
    doc = nlp("Acute myeloid leukemia in remission. CLL since 2012. Leukemoid reaction.")
    spans = doc.spans["leukemia"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Acute myeloid leukemia", "present"),
        ("CLL", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Short forms that are
    also words, such as ALL, count only in capitals and near words of haematology.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"leukemia"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `leukemia.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "leukemia"
