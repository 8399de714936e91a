"""eds.ccmu."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.ccmu")
class Ccmu(KnownScore):
    """Finds the CCMU, a French classification of patients in emergency rooms, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.ccmu", config={"lang": "fr"})
    doc = nlp("CCMU 3 ; hier CCMU P.")
    first, second = doc.spans["scores"]
    assert (first.text, first._.score_value) == ("CCMU 3", 3)
    assert (second.text, second._.score_value, second._.score_class) == ("CCMU P", None, "P")
    ```

    Values: 1 to 5, and in `score_class` the letters P (psychiatric) and D (dead on arrival).
    How a value is found, what is written and what is not read is said of all scores at `eds.score`.
    Names are those of `ccmu` in `edspipe/lang/<lang>/scores.yml`.

    Limits: "1" and "1P" are not told apart: the letter behind a number makes it unreadable.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("ccmu", 1, 5, roman=True, letters={"p": "P", "d": "D"})
