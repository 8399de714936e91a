"""eds.cerebrovascular_accident."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.cerebrovascular_accident")
class CerebrovascularAccident(Disorder):
    """Strokes: mentions and their status.

    Finds ischaemic and haemorrhagic strokes, transient ischaemic attacks, cerebral venous
    thrombosis.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["cerebrovascular_accident"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | a stroke, recent or old |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.cerebrovascular_accident", config={"lang": "en"})
    doc = nlp("Left MCA stroke in 2015, then a TIA. Stroke volume was normal.")
    spans = doc.spans["cerebrovascular_accident"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("MCA stroke", "present"),
        ("TIA", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Bleeding under the
    dura, or after an injury, does not count. Old strokes and recent ones have one status.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"cerebrovascular_accident"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `cerebrovascular_accident.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "cerebrovascular_accident"
