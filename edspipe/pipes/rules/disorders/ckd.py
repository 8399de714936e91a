"""eds.ckd."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.ckd")
class Ckd(Disorder):
    """Chronic kidney disease: mentions and their status.

    Finds chronic kidney disease and its causes, dialysis, transplants of a kidney.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["ckd"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | stages 1 to 3, or no stage |
    | 2 | `severe` | stages 4 and 5, dialysis, transplant |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.stage`: the stage, `span._.gfr`: the filtration rate, a number.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.ckd", config={"lang": "en"})
    doc = nlp("CKD stage 3, eGFR 42. Later end-stage renal disease. Acute kidney injury in May.")
    spans = doc.spans["ckd"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("CKD", "present"),
        ("end-stage renal disease", "severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Acute kidney injury
    does not count. The status does not follow from `gfr`.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"ckd"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `ckd.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "ckd"
