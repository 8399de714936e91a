"""eds.score: a score of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.folding import fold
from edspipe.pipes.rules.matcher import listed
from edspipe.pipes.rules.scores.base import GROUP, ScoreWriter
from edspipe.pipes.rules.scores.finder import ScoreFinder
from edspipe.pipes.rules.scores.kind import ScoreKind
from edspipe.types import SpanSetter


@registry.factory.register("eds.score")
class Score(ScoreWriter):
    """Finds a score of your own by its names, and reads its value.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        "eds.score",
        config={"score_name": "nihss", "terms": "NIHSS", "highest": 42, "lang": "fr"},
    )
    doc = nlp("NIHSS à l'entrée : 12/42. NIHSS à J2 : 4. NIHSS à 60.")
    found = [(span.text, span._.score_name, span._.score_value) for span in doc.spans["scores"]]
    assert found == [("NIHSS à l'entrée : 12/42", "nihss", 12), ("NIHSS à J2 : 4", "nihss", 4)]
    ```

    Behind a name, words and signs that link it to its value are passed over ("est coté à", ":"),
    and so is the moment ("J2", "24 h", a date); then a value must follow. A value may stand before
    the name too, behind a word such as "stade" ("stade III de la NYHA") or with the highest value
    ("24/30 au MMSE"). Values out of the range do not count, nor do numbers with a unit.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["scores"]`, with the score's name as label; `span._.score_name`, |
    | | `span._.score_value` (a float), of a range ("0-1") `span._.score_value_max`; |
    | | `span._.score_class`, the value that is a text (see `values`) |

    Limits: a value with a comparator ("< 8") is not read, nor are numbers in words; a score without
    a value makes no span. The words around values are those of `edspipe/lang/<lang>/scores.yml`.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        score_name: The name of the score: the label of its spans.
        terms: One name, or several, as it is written in notes.
        regex: One pattern of names, or several.
        lowest: The lowest value.
        highest: The highest value.
        decimals: Whether values have decimals.
        roman: Whether values are written in Roman numerals too.
        values: Values that are words: what is written -> what it is, a number or a text.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: The score has no name, its range is empty, there is no such language, or the
            changes do not fit.
        ValueError: A pattern is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "score",
        *,
        score_name: str,
        terms: str | list[str] | None = None,
        regex: str | list[str] | None = None,
        lowest: float = 0,
        highest: float,
        decimals: bool = False,
        roman: bool = False,
        values: dict[str, float | str] | None = None,
        lang: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
        span_setter: SpanSetter = GROUP,
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        names = [re.escape(fold(term, "NORM")) for term in listed(terms or ())]
        names += listed(regex or ())
        if not names:
            raise ConfigError("eds.score: expected terms or regex, the score's names; got none")
        if lowest > highest:
            raise ConfigError(
                f"eds.score: expected lowest <= highest; got {lowest:g} and {highest:g}"
            )
        kind = ScoreKind(
            score_name,
            lowest,
            highest,
            decimals=decimals,
            roman=roman,
            letters={fold(word, "NORM"): value for word, value in (values or {}).items()},
        )
        words = load_words("scores", choose_lang(lang, nlp, "eds.score"), changes)
        self.finder = ScoreFinder(kind, names, words)
