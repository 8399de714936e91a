"""eds.alcohol."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.alcohol")
class Alcohol(Disorder):
    """Use of alcohol: mentions and their status.

    Finds what a note says of drinking: alcohol, dependence, abstinence.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["alcohol"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 0 | `none` | does not drink |
    | 1 | `active` | drinks |
    | 2 | `former` | drank, and has stopped |

    Values that stand near a mention are read, and `span._.assigned` holds them by name:
    `span._.quantity`: how much, as it is written: `3 beers per day`.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.alcohol", config={"lang": "en"})
    doc = nlp("Alcohol: 3 beers per day. Father was a recovering alcoholic.")
    spans = doc.spans["alcohol"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("Alcohol", "active"),
        ("recovering alcoholic", "former"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. Moderate drinking and
    dependence have one status. Alcohol that disinfects is no mention.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"alcohol"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `alcohol.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "alcohol"
