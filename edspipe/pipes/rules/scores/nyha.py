"""eds.nyha."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.nyha")
class Nyha(KnownScore):
    """Finds the NYHA class of heart failure, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.nyha", config={"lang": "fr"})
    doc = nlp("Dyspnée stade III de la NYHA, puis NYHA II-III.")
    found = [(s.text, s._.score_value, s._.score_value_max) for s in doc.spans["scores"]]
    assert found == [
        ("Dyspnée stade III de la NYHA", 3, None),
        ("NYHA II-III", 2, 3),
    ]
    ```

    Values: 1 to 4, written as numbers or Roman numerals; others do not count. How a value is found,
    what is written and what is not read is said of all scores at `eds.score`. Names are those of
    `nyha` in `edspipe/lang/<lang>/scores.yml`.

    Limits: classes with a letter ("IIIb") are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("nyha", 1, 4, roman=True)
