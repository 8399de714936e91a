"""eds.solid_tumor."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.solid_tumor")
class SolidTumor(Disorder):
    """Malignant solid tumours: mentions and their status.

    Finds cancers of organs, sarcomas, melanoma, malignant tumours of the brain, metastases.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["solid_tumor"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `localized` | no metastasis said |
    | 2 | `metastatic` | with metastases |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.tnm_code`: the TNM code, as it is written, `span._.stage`: the stage.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.solid_tumor", config={"lang": "en"})
    doc = nlp(
        "Lung adenocarcinoma T2N1M0. Breast cancer with bone metastases. Basal cell carcinoma."
    )
    spans = doc.spans["solid_tumor"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("adenocarcinoma", "localized"),
        ("Breast cancer", "metastatic"),
        ("bone metastases", "metastatic"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Cancers in situ, basal
    cell carcinoma, benign tumours and Kaposi's sarcoma (see `eds.aids`) do not count. `eds.tnm`
    reads TNM codes in full.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"solid_tumor"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `solid_tumor.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "solid_tumor"
