"""eds.connective_tissue_disease."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.connective_tissue_disease")
class ConnectiveTissueDisease(Disorder):
    """Connective tissue diseases: mentions and their status.

    Finds lupus, rheumatoid arthritis, scleroderma, myositis, Sjögren's syndrome, vasculitis.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["connective_tissue_disease"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | present |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.connective_tissue_disease", config={"lang": "en"})
    doc = nlp("Rheumatoid arthritis on methotrexate, and Sjögren's syndrome. Lupus anticoagulant.")
    spans = doc.spans["connective_tissue_disease"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Rheumatoid arthritis", "present"),
        ("Sjögren's syndrome", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Short forms such as RA
    count only near words of rheumatology, and not where oxygen is spoken of (room air).

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"connective_tissue_disease"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `connective_tissue_disease.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "connective_tissue_disease"
