"""eds.gemsa."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.gemsa")
class Gemsa(KnownScore):
    """Finds the GEMSA, a French classification of visits to emergency rooms, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.gemsa", config={"lang": "fr"})
    doc = nlp("CCMU 2, GEMSA 4.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("GEMSA 4", 4),
    ]
    ```

    Values: 1 to 6; others do not count. How a value is found, what is written and what is not read
    is said of all scores at `eds.score`. Names are those of `gemsa` in
    `edspipe/lang/<lang>/scores.yml`.

    Limits: the words of a group ("sortant non convoqué") are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("gemsa", 1, 6, roman=True)
