"""eds.performance_status."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.performance_status")
class PerformanceStatus(KnownScore):
    """Finds the performance status of ECOG and the WHO, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.performance_status", config={"lang": "fr"})
    doc = nlp("Patient OMS 1. ECOG-PS : 0-1.")
    found = [(s.text, s._.score_value, s._.score_value_max) for s in doc.spans["scores"]]
    assert found == [
        ("OMS 1", 1, None),
        ("ECOG-PS : 0-1", 0, 1),
    ]
    ```

    Values: 0 to 5; others do not count. How a value is found, what is written and what is not read
    is said of all scores at `eds.score`. Names are those of `performance_status` in
    `edspipe/lang/<lang>/scores.yml`.

    Limits: Karnofsky's index is another: see `eds.score`. "PS 5" is also a pressure support of a
    ventilator.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("performance_status", 0, 5)
