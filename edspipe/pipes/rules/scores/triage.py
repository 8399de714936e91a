"""eds.triage."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.triage")
class Triage(KnownScore):
    """Finds the level of triage in emergency rooms (ESI, CTAS, FRENCH ...), and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.triage", config={"lang": "en"})
    doc = nlp("Triage level 3. ESI: 2.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("Triage level 3", 3),
        ("ESI: 2", 2),
    ]
    ```

    Values: 1 to 5; the letter of "3A" is passed over; others do not count. How a value is found,
    what is written and what is not read is said of all scores at `eds.score`. Names are those of
    `triage` in `edspipe/lang/<lang>/scores.yml`.

    Limits: which scale it is is not said, and colours (Manchester) are not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("triage", 1, 5, roman=True, suffix="[ab]?")
