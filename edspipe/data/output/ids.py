"""Ids of what is written: each record has one, and no two have the same.

A million ids take about ten megabytes: what is kept in memory of an id is a 64-bit number. Two ids
may share a number (of a million ids hardly ever), so a hit is looked up among the ids themselves,
which a run keeps in a file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from json.encoder import encode_basestring_ascii
from typing import Any, Protocol

import numpy as np

from edspipe.errors import DataError

_MAX_RECENT = 4096
"""Numbers that are kept in a set, at about 100 bytes each, before they are sorted into an array."""


class HashSet:
    """A set of signed 64-bit numbers, 8 bytes each: sorted arrays, of which few are about as large.

    Numbers come in batches, as looking for a thousand of them takes little more than for one.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(map(len, self._arrays))

    def find(self, numbers: Collection[int]) -> list[int]:
        """Return those of the numbers that are in the set."""
        wanted = np.fromiter(numbers, dtype=np.int64, count=len(numbers))
        found: list[int] = []
        for array in self._arrays:
            places = np.minimum(array.searchsorted(wanted), len(array) - 1)
            found += wanted[array[places] == wanted].tolist()
        return found

    def add(self, numbers: Collection[int]) -> None:
        """Add numbers."""
        array = np.fromiter(numbers, dtype=np.int64, count=len(numbers))
        while self._arrays and len(self._arrays[-1]) <= len(array):
            array = np.concatenate([array, self._arrays.pop()])
        if len(array):
            array.sort()
            self._arrays.append(array)


class Lines(Protocol):
    """Where ids are kept, e.g. a `Journal`."""

    def add(self, line: bytes) -> None: ...
    def lines(self) -> Iterable[bytes]: ...


class _InMemory:
    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> None:
        self._lines.append(line)

    def lines(self) -> Iterable[bytes]:
        return self._lines


class UniqueIds:
    """Gives ids to records that have none, and refuses an id that came before.

    Args:
        key: The key of the id in a record; None takes records as they are.
        kept: Where the ids are kept; those that are there already count as seen. None keeps them
            in memory.

    Attributes:
        count: Records so far.
        given: Records that had no id, and got one.
        last: The number of the id that was given last.
    """

    def __init__(self, key: str | None, kept: Lines | None = None) -> None:
        self.key = key
        self.count = self.given = self.last = 0
        self._kept: Lines = _InMemory() if kept is None else kept
        self._hashes = HashSet()
        self._recent: set[int] = set()
        for line in self._kept.lines():
            self._recent.add(hash(line))
            if len(self._recent) >= _MAX_RECENT:
                self._retire_recent()

    def add(self, record: Any) -> Any:
        """Return the record, with an id.

        A record without one gets `doc-000001` and so on, by its place in the order. An id that
        came long before may be noticed only some thousand records later, or by `settle`.

        Raises:
            DataError: An id came twice.
        """
        self.count += 1
        if self.key is None or not isinstance(record, dict):
            return record
        ident = record.get(self.key)
        if ident is None:
            ident = self._fresh()
            record = {**record, self.key: ident}
        self._add(_line(ident))
        return record

    def take(self, ident: str) -> None:
        """Take an id that is there already, e.g. in the file that is added to.

        Raises:
            DataError: An id came twice.
        """
        self._add(_line(ident))

    def settle(self) -> None:
        """Make sure that all ids so far are different.

        Raises:
            DataError: An id came twice.
        """
        found = self._hashes.find(self._recent)
        if found:
            self._refuse_twins(set(found))
        self._retire_recent()

    def _add(self, line: bytes) -> None:
        number = hash(line)
        is_suspect = number in self._recent
        self._recent.add(number)
        self._kept.add(line)
        if is_suspect:
            self._refuse_twins({number})
        if len(self._recent) >= _MAX_RECENT:
            self.settle()

    def _retire_recent(self) -> None:
        self._hashes.add(self._recent)
        self._recent = set()

    def _refuse_twins(self, numbers: set[int]) -> None:
        """Look whether ids that share a number are the same."""
        lines = Counter(line for line in self._kept.lines() if hash(line) in numbers)
        twins = [line for line, count in lines.items() if count > 1]
        if twins:
            raise DataError(
                "two records have this id; give each document an id of its own (doc._.note_id)",
                id=json.loads(twins[0]),
            )

    def _has(self, line: bytes) -> bool:
        number = hash(line)
        is_suspect = number in self._recent or self._hashes.find([number])
        return bool(is_suspect) and any(line == other for other in self._kept.lines())

    def _fresh(self) -> str:
        while True:
            self.last = max(self.last + 1, self.count)
            ident = f"doc-{self.last:06d}"
            if not self._has(_line(ident)):
                self.given += 1
                return ident


def _line(ident: Any) -> bytes:
    # in ASCII and quotes: an id may hold newlines and lone surrogates
    return encode_basestring_ascii(str(ident)).encode("ascii")
