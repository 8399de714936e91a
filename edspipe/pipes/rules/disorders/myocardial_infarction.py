"""eds.myocardial_infarction."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.myocardial_infarction")
class MyocardialInfarction(Disorder):
    """Myocardial infarction: mentions and their status.

    Finds infarctions of the heart, acute coronary syndromes, ischaemic heart disease.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["myocardial_infarction"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | recent or old |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.myocardial_infarction", config={"lang": "en"})
    doc = nlp("NSTEMI in 2019. Previous anterior myocardial infarction. Cerebral infarction.")
    spans = doc.spans["myocardial_infarction"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("NSTEMI", "present"),
        ("anterior myocardial infarction", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Stable angina does not
    count, nor do infarctions of other organs.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"myocardial_infarction"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `myocardial_infarction.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "myocardial_infarction"
