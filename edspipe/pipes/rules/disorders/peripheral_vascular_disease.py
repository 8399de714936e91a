"""eds.peripheral_vascular_disease."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.peripheral_vascular_disease")
class PeripheralVascularDisease(Disorder):
    """Peripheral vascular disease: mentions and their status.

    Finds diseases of the arteries of the limbs, aneurysm and dissection of the aorta, bypasses.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["peripheral_vascular_disease"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | no severity said |
    | 2 | `severe` | critical ischaemia, gangrene, amputation, rupture |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.stage`: Fontaine's or Rutherford's (French: Leriche's) stage, `span._.diameter_cm`:
    of an aneurysm, a number, `diameter_mm` in French.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.peripheral_vascular_disease", config={"lang": "en"})
    doc = nlp(
        "PAD with intermittent claudication. Critical limb ischemia. Neurogenic claudication."
    )
    spans = doc.spans["peripheral_vascular_disease"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("PAD", "present"),
        ("intermittent claudication", "present"),
        ("Critical limb ischemia", "severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Coronary and
    intracranial arteries and arteritis of other causes do not count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"peripheral_vascular_disease"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `peripheral_vascular_disease.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "peripheral_vascular_disease"
