"""eds.congestive_heart_failure."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.congestive_heart_failure")
class CongestiveHeartFailure(Disorder):
    """Heart failure: mentions and their status.

    Finds failure of the left or right ventricle, cardiomyopathies, pulmonary oedema.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["congestive_heart_failure"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | stable, or nothing said |
    | 2 | `severe` | NYHA III or IV, decompensated, end-stage, shock, transplant |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.ejection_fraction`: in per cent, a number, `span._.nyha`: the NYHA class.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.congestive_heart_failure", config={"lang": "en"})
    doc = nlp("Chronic heart failure, LVEF 35 %, NYHA II. Admitted for acute pulmonary edema.")
    spans = doc.spans["congestive_heart_failure"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Chronic heart failure", "present"),
        ("acute pulmonary edema", "severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Short forms such as HF
    count only near words of cardiology.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"congestive_heart_failure"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `congestive_heart_failure.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "congestive_heart_failure"
