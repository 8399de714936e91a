"""eds.mmse."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.mmse")
class Mmse(KnownScore):
    """Finds the mini-mental state examination, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.mmse", config={"lang": "fr"})
    doc = nlp("MMSE à 24/30, puis 21/30 au MMS.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("MMSE à 24/30", 24),
        ("21/30 au MMS", 21),
    ]
    ```

    Values: 0 to 30; others do not count. How a value is found, what is written and what is not read
    is said of all scores at `eds.score`. Names are those of `mmse` in
    `edspipe/lang/<lang>/scores.yml`.

    Limits: other highest values ("20/25", where items could not be asked) are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("mmse", 0, 30)
