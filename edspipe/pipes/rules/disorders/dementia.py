"""eds.dementia."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.dementia")
class Dementia(Disorder):
    """Dementia: mentions and their status.

    Finds Alzheimer's disease, vascular and other dementias, major neurocognitive disorders.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["dementia"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | no stage said |
    | 2 | `severe` | severe, advanced, or an MMSE of one digit |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.mmse`: the score, a number.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.dementia", config={"lang": "en"})
    doc = nlp("Alzheimer's disease, MMSE 21/30. Her sister has severe dementia. Pseudodementia.")
    spans = doc.spans["dementia"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Alzheimer's disease", "present"),
        ("dementia", "severe"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Mild cognitive
    impairment and delirium do not count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"dementia"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `dementia.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "dementia"
