"""eds.charlson."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.scores.base import KnownScore
from edspipe.pipes.rules.scores.kind import ScoreKind


@registry.factory.register("eds.charlson")
class Charlson(KnownScore):
    """Finds the Charlson comorbidity index, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.charlson", config={"lang": "fr"})
    doc = nlp("Indice de Charlson ajusté à l'âge : 7.")
    assert [(span.text, span._.score_value) for span in doc.spans["scores"]] == [
        ("Indice de Charlson ajusté à l'âge : 7", 7),
    ]
    ```

    Values: 0 to 42: the 19 conditions sum up to 37, and age adds at most 5; others do not count.
    How a value is found, what is written and what is not read is said of all scores at `eds.score`.
    Names are those of `charlson` in `edspipe/lang/<lang>/scores.yml`.

    Limits: it is read where it is written, and not computed from the patient's disorders.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind = ScoreKind("charlson", 0, 42)
