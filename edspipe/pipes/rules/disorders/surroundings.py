"""What stands around a term: words and signs of its own sentence."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
from spacy.attrs import SENT_START
from spacy.tokens import Doc

from edspipe.lang.choices import expand_choices
from edspipe.lang.schemas.disorders import Cues
from edspipe.matching.folding import fold
from edspipe.matching.text_view import UNIT, TextView

IS_START = 1
_UNIT = re.compile(UNIT)

Place = tuple[int, int]
"""The first unit (word or sign), and the one behind the last."""


class Phrases:
    """A few phrases, looked for in short stretches of a text.

    Args:
        cues: The phrases.
        but: Phrases that are passed over as a whole.
    """

    def __init__(self, cues: Iterable[str], but: Iterable[str]) -> None:
        counts = {units_of(term): False for one in but for term in expand_choices(one)}
        counts = {units_of(term): True for one in cues for term in expand_choices(one)} | counts
        self._by_first: dict[str, list[tuple[tuple[str, ...], bool]]] = {}
        for units in sorted(counts, key=len, reverse=True):
            self._by_first.setdefault(units[0], []).append((units, counts[units]))
        self.is_empty = True not in counts.values()

    def stand_in(self, words: Sequence[str], start: int, end: int) -> bool:
        """Tell whether one of the phrases stands in a stretch of units."""
        place = start
        while place < end:
            width = 1
            for units, counts in self._by_first.get(words[place], ()):
                behind = place + len(units)
                if behind <= end and tuple(words[place:behind]) == units:
                    if counts:
                        return True
                    width = len(units)
                    break
            place += width
        return False


def units_of(term: str) -> tuple[str, ...]:
    """Return the words and signs of a term, folded."""
    return tuple(_UNIT.findall(fold(term, "NORM")))


class Surroundings:
    """The words and signs of a Doc, and its sentences if it has any.

    Args:
        doc: The Doc.
    """

    def __init__(self, doc: Doc) -> None:
        self.view = TextView.of(doc)
        self.words = self.view.units.words
        self._starts = self.view.units.starts.tolist()
        self._ends = self.view.units.ends.tolist()
        self._sentences = self._sentence_starts(doc)

    def _sentence_starts(self, doc: Doc) -> list[int]:
        if not doc.has_annotation("SENT_START"):
            return [0]
        firsts = np.flatnonzero(doc.to_array(SENT_START) == IS_START)
        starts = self.view.offsets.starts[firsts].tolist()
        units = [bisect_left(self._starts, self.view.norm(start, start)[0]) for start in starts]
        return units if units[:1] == [0] else [0, *units]

    def place_of(self, start_char: int, end_char: int) -> Place:
        """Return the units that touch characters of the raw text."""
        start, end = self.view.norm(start_char, end_char)
        return bisect_right(self._ends, start), bisect_left(self._starts, end)

    def before(self, place: Place, num_words: int) -> Place:
        """Return the units before a place, in its sentence."""
        sentence = self._sentences[bisect_right(self._sentences, place[0]) - 1]
        return max(sentence, place[0] - num_words), place[0]

    def after(self, place: Place, num_words: int) -> Place:
        """Return the units behind a place, in its sentence."""
        following = bisect_left(self._sentences, place[1])
        last = self._sentences[following : following + 1] or [len(self.words)]
        return place[1], min(last[0], place[1] + num_words)

    def chars(self, place: Place) -> tuple[int, int]:
        """Return the characters of the view from the first unit to the last."""
        if place[0] >= place[1]:
            return 0, 0
        return self._starts[place[0]], self._ends[place[1] - 1]


class Around:
    """Words around a term, ready to be looked for.

    Args:
        cues: The words.
    """

    def __init__(self, cues: Cues) -> None:
        self.num_words = cues.words
        self.before = Phrases([*cues.before, *cues.around], cues.but)
        self.after = Phrases([*cues.after, *cues.around], cues.but)

    def holds(self, text: Surroundings, place: Place) -> bool:
        """Tell whether some of them stand around a place."""
        if not self.before.is_empty and self.before.stand_in(
            text.words, *text.before(place, self.num_words)
        ):
            return True
        return not self.after.is_empty and self.after.stand_in(
            text.words, *text.after(place, self.num_words)
        )
