"""Numbers in words: what is one number, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edspipe.lang.schemas.dates import DateWords
from edspipe.pipes.rules.dates.lexicon import split_term

HUNDRED, THOUSAND = 100, 1000
TENS = range(20, 100, 10)


@dataclass(frozen=True)
class Item:
    """A number word of a run.

    Attributes:
        value: Its number.
        word: The word.
        join: What joins it to the word before: "and", or nothing.
    """

    value: int
    word: str
    join: str = ""


END = Item(-1, "")


class SpokenNumbers:
    """Reads rows of number words that are one number, and nothing else.

    A number is tens and units, hundreds before them, thousands and millions before these. "Two
    fifty" and "ten twenty" are none: a wrong dose is worse than none.

    Args:
        words: The `dates.yml` of a language. Its parts tell which words join tens to units
            (`tens_join`) and what is behind hundreds or thousands (`hundred_join`), which hundred
            may be multiplied (`hundred_times`), and, where one counts in scores, the word for it
            (`score`: "quatre-vingt-dix").
    """

    def __init__(self, words: DateWords) -> None:
        self.cardinals = _flat(words.cardinals)
        self.articles = self._part(words, "indefinite")
        self.tens_join = self._part(words, "tens_join")
        self.hundred_join = self._part(words, "hundred_join")
        self.hundred_times = self._part(words, "hundred_times")
        self.score = self._part(words, "score")
        self.points = self._part(words, "spoken_point")
        self.points_between = self._part(words, "spoken_point_between")
        self.joins = self.tens_join | self.hundred_join
        self.run_joins = self.joins | (self._part(words, "range") - {"-"})

    def _part(self, words: DateWords, name: str) -> frozenset[str]:
        return frozenset(" ".join(split_term(term)) for term in words.parts.get(name, []))

    def goes_on(self, before: Sequence[str]) -> bool:
        """Tell whether the words before a number are the beginning of it: "zero point", "two"."""
        words = [word for word in before[-3:] if word != "-"]
        last = words[-1] if words else ""
        if last in self.points or last.isdigit() or self._is_number(last):
            return True
        # "cero con cinco": "con" is a point only behind a number, or behind what is not known.
        number = words[-2] if len(words) > 1 else ""
        return last in self.points_between and (number.isdigit() or number in self.cardinals)

    def _is_number(self, word: str) -> bool:
        return word in self.cardinals and word not in self.articles

    def read(self, words: Sequence[str]) -> int | None:
        """Return the number that words say, or None where they are not one number."""
        items = self._items(words)
        if not items:
            return None
        total, least, place = 0, 0, 0
        while place < len(items):
            if place and items[place].join and items[place].join not in self.hundred_join:
                return None
            value, end = self._below_thousand(items, place)
            scale = _at(items, end)
            if scale.value < THOUSAND or scale.join:
                return total + value if end == len(items) and end > place else None
            if least and scale.value >= least:
                return None
            total += (value if end > place else 1) * scale.value
            least, place = scale.value, end + 1
        return total

    def _items(self, words: Sequence[str]) -> list[Item]:
        """Return the number words with what joins them; nothing where other words stand there."""
        items: list[Item] = []
        join = ""
        for word in words:
            if word in self.cardinals:
                items.append(Item(self.cardinals[word], word, join))
                join = ""
            elif word in self.joins and items and not join:
                join = word
            elif word != "-":
                return []
        return [] if join else items

    def _below_thousand(self, items: Sequence[Item], place: int) -> tuple[int, int]:
        """Return a number below a thousand, and the place behind it."""
        value, end = self._below_hundred(items, place)
        first = _at(items, end)
        if end > place:
            multiplies = first.word in self.hundred_times and not first.join
            if not multiplies or (value > 9 and value % 10 == 0):
                return value, end
            value *= HUNDRED
        elif HUNDRED <= first.value < THOUSAND:
            value = first.value
        else:
            return 0, place
        end += 1
        if not _at(items, end).join or _at(items, end).join in self.hundred_join:
            rest, end = self._below_hundred(items, end)
            value += rest
        return value, end

    def _below_hundred(self, items: Sequence[Item], place: int) -> tuple[int, int]:
        """Return a number below a hundred, and the place behind it."""
        value, second = _at(items, place).value, _at(items, place + 1)
        if not 0 < value < HUNDRED:
            return 0, place
        place += 1
        if value == 4 and second.word in self.score and not second.join:
            value, place, second = 80, place + 1, _at(items, place + 1)
        if second.join and second.join not in self.tens_join:
            return value, place
        if value in TENS and 0 < second.value < 10:
            return value + second.value, place + 1
        if self.score and value in (60, 80) and 10 <= second.value <= 16:
            value, place, second = value + second.value, place + 1, _at(items, place + 1)
        if self.score and value in (10, 70, 90) and 7 <= second.value <= 9 and not second.join:
            return value + second.value, place + 1
        return value, place


def _at(items: Sequence[Item], place: int) -> Item:
    return items[place] if place < len(items) else END


def _flat(cardinals: Mapping[str, int]) -> dict[str, int]:
    return {" ".join(split_term(term)): value for term, value in cardinals.items()}
