"""eds.sofa."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.sofa")
class Sofa(KnownScore):
    """Finds the SOFA score (sequential organ failure assessment), and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sofa", config={"lang": "fr"})
    doc = nlp("SOFA (J2) : 8, SOFA max à 11/24.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("SOFA (J2) : 8", 8),
        ("SOFA max à 11/24", 11),
    ]
    ```

    Values: 0 to 24; others do not count. How a value is found, what is written and what is not read
    is said of all scores at `eds.score`. Names are those of `sofa` in
    `edspipe/lang/<lang>/scores.yml`.

    Limits: the day it was taken ("J2") is passed over, and not read; the scores of single organs
    are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("sofa", 0, 24)
