"""Terms over lists of words: the cues of a qualifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from edspipe.pipes.rules.qualifiers.frame import cut_term

Value = TypeVar("Value")
_VALUE = ""
"""Key of a term's value in its last node: no word is empty."""


class Terms(Generic[Value]):
    """Terms with a value each, in a tree by their words.

    Args:
        entries: Terms and values; of equal terms, the last counts.
    """

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        self.root: dict[str, Any] = {}
        for term, value in entries:
            node = self.root
            for word in cut_term(term):
                node = node.setdefault(word, {})
            node[_VALUE] = value

    def match_at(self, words: Sequence[str], place: int) -> tuple[int, Value] | None:
        """Return the word behind the longest term that begins at a place, and its value."""
        node = self.root.get(words[place])
        found = None
        while node is not None:
            place += 1
            if _VALUE in node:
                found = place, node[_VALUE]
            node = node.get(words[place]) if place < len(words) else None
        return found

    def shortest_at(self, words: Sequence[str], place: int) -> tuple[int, Value] | None:
        """Return the word behind the shortest term that begins at a place, and its value."""
        node = self.root.get(words[place])
        while node is not None:
            place += 1
            if _VALUE in node:
                return place, node[_VALUE]
            node = node.get(words[place]) if place < len(words) else None
        return None

    def find(self, words: Sequence[str]) -> list[tuple[int, int, Value]]:
        """Return first word, end and value of all terms, longest first; none overlap."""
        root = self.root
        found, done = [], 0
        for place in [i for i, word in enumerate(words) if word in root]:
            if place >= done:
                match = self.match_at(words, place)
                if match is not None:
                    done = match[0]
                    found.append((place, *match))
        return found
