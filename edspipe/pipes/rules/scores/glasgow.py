"""eds.glasgow."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind

_PARTS = r"[eyo] ?[1-4][ ,-]{0,2}v ?[1-5][ ,-]{0,2}m ?[1-6]"
"""Eyes, verbal, motor: the first letter differs by language."""


@registry.factory.register("eds.glasgow")
class Glasgow(KnownScore):
    """Finds the Glasgow coma scale, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.glasgow", config={"lang": "fr"})
    doc = nlp("Score de Glasgow à 15. GCS : Y2V3M5.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("Score de Glasgow à 15", 15),
        ("GCS : Y2V3M5", 10),
    ]
    ```

    Values: 3 to 15; a value in parts ("E4V5M6", "Y4V5M6") is their sum; others do not count. How a
    value is found, what is written and what is not read is said of all scores at `eds.score`. Names
    are those of `glasgow` in `edspipe/lang/<lang>/scores.yml`.

    Limits: a part that cannot be tested ("V1t", "VT") makes the parts unreadable. The Glasgow
    outcome scale and the Glasgow-Blatchford score are others and are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("glasgow", 3, 15, parts=_PARTS, suffix="t?")
