"""eds.elston_ellis."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.elston_ellis")
class ElstonEllis(KnownScore):
    """Finds the histological grade of breast cancer (Elston-Ellis, SBR), and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.elston_ellis", config={"lang": "fr"})
    doc = nlp("Carcinome de grade II d'Elston et Ellis. SBR 3.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("grade II d'Elston et Ellis", 2),
        ("SBR 3", 3),
    ]
    ```

    Values: 1 to 3, written as numbers or Roman numerals; others do not count. How a value is found,
    what is written and what is not read is said of all scores at `eds.score`. Names are those of
    `elston_ellis` in `edspipe/lang/<lang>/scores.yml`.

    Limits: the three parts of the grade (tubules, nuclei, mitoses) are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("elston_ellis", 1, 3, roman=True)
