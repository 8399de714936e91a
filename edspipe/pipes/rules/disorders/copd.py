"""eds.copd."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.copd")
class Copd(Disorder):
    """Chronic lung disease: mentions and their status.

    Finds COPD, chronic bronchitis, emphysema, and other chronic diseases of the lung: fibrosis,
    bronchiectasis, pneumoconiosis, severe or chronic asthma.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["copd"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | stable, or nothing said |
    | 2 | `severe` | GOLD 3 or 4, exacerbation, oxygen at home |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.gold`: the GOLD stage or group, `span._.fev1`: FEV1 in per cent, a number.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.copd", config={"lang": "en"})
    doc = nlp("COPD GOLD 2, FEV1 65 %. Now an exacerbation of COPD. Subcutaneous emphysema.")
    spans = doc.spans["copd"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("COPD", "present"),
        ("exacerbation of COPD", "severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Asthma alone does not
    count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"copd"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `copd.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "copd"
