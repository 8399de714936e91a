"""eds.peptic_ulcer_disease."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.peptic_ulcer_disease")
class PepticUlcerDisease(Disorder):
    """Peptic ulcer: mentions and their status.

    Finds ulcers of stomach and duodenum.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["peptic_ulcer_disease"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | no complication said |
    | 2 | `complicated` | bleeding, perforation, stenosis |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.forrest`: the Forrest class.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.peptic_ulcer_disease", config={"lang": "en"})
    doc = nlp("Duodenal ulcer in 2010. Now a bleeding gastric ulcer. Venous leg ulcer.")
    spans = doc.spans["peptic_ulcer_disease"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Duodenal ulcer", "present"),
        ("bleeding gastric ulcer", "complicated"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. The word ulcer alone
    counts only where the stomach is spoken of.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"peptic_ulcer_disease"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `peptic_ulcer_disease.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "peptic_ulcer_disease"
