"""eds.liver_disease."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.liver_disease")
class LiverDisease(Disorder):
    """Liver disease: mentions and their status.

    Finds hepatitis, fatty liver, cirrhosis and what follows it.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["liver_disease"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `mild` | no cirrhosis said |
    | 2 | `moderate_to_severe` | cirrhosis, portal hypertension, liver failure, transplant |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.child_pugh`: class and score, `span._.meld`: the MELD score, a number.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.liver_disease", config={"lang": "en"})
    doc = nlp("Chronic hepatitis C. Cirrhosis Child-Pugh B8. Hepatitis A in 1990.")
    spans = doc.spans["liver_disease"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Chronic hepatitis C", "mild"),
        ("Cirrhosis", "moderate_to_severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Hepatitis A and E,
    vaccines and negative serologies do not count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"liver_disease"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `liver_disease.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "liver_disease"
