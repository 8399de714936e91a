"""eds.hemiplegia."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.disorders.base import Disorder


@registry.factory.register("eds.hemiplegia")
class Hemiplegia(Disorder):
    """Hemiplegia, paraplegia, tetraplegia: mentions and their status.

    Finds palsies of a side, of the legs or of all limbs, cauda equina and locked-in syndromes,
    cerebral palsy.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["hemiplegia"]` |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    | status | in words | |
    |---|---|---|
    | 1 | `present` | present |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.hemiplegia", config={"lang": "en"})
    doc = nlp("Right hemiparesis after a stroke. Cerebral palsy. Hemiplegic migraine.")
    spans = doc.spans["hemiplegia"]
    assert [(span.text, span._.detailed_status) for span in spans] == [
        ("hemiparesis", "present"),
        ("Cerebral palsy", "present"),
    ]
    ```

    A mention is found whether it is negated or not, and whosever it is: `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe tell. `eds.disorders` finds several
    disorders in one pass.

    Limits: the status is that of the mention, read in its own sentence. A weakness without one
    of these words, a facial palsy and hemiplegic migraine do not count.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes `"hemiplegia"`.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group above.
        changes: Words to add or to take away, in the shape of `hemiplegia.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder = "hemiplegia"
