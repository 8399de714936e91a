"""eds.tobacco."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.tobacco")
class Tobacco(Disorder):
    """Use of tobacco: mentions and their status.

    Finds what a note says of smoking.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["tobacco"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 0 | `never` | does not smoke |
    | 1 | `active` | smokes |
    | 2 | `former` | smoked, and has stopped |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.pack_years`: a number, `span._.quantity`: how much, as it is written: `1 pack per
    day`.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.tobacco", config={"lang": "en"})
    doc = nlp("Ex-smoker, 30 pack-years. Non-smoker. Smoking cessation clinic.")
    spans = doc.spans["tobacco"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Ex-smoker", "former"),
        ("Non-smoker", "never"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Passive smoking has
    status 0.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"tobacco"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `tobacco.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "tobacco"
