"""eds.diabetes."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.diabetes")
class Diabetes(Disorder):
    """Diabetes mellitus: mentions and their status.

    Finds diabetes mellitus of all types, and its complications.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["diabetes"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | no complication of an organ in the sentence |
    | 2 | `complicated` | with a complication: eyes, kidneys, nerves, feet, ketoacidosis |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.hba1c`: in per cent, a number.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.diabetes", config={"lang": "en"})
    doc = nlp("Type 2 diabetes, HbA1c 7.2 %. Diabetic retinopathy. No diabetes insipidus.")
    spans = doc.spans["diabetes"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Type 2 diabetes", "present"),
        ("Diabetic retinopathy", "complicated"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Diabetes insipidus,
    prediabetes and diabetes of pregnancy do not count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"diabetes"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `diabetes.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "diabetes"
