"""Ids of what is written: each record has one, and no two have the same."""

from __future__ import annotations

from typing import Any

from edspipe.errors import DataError


class UniqueIds:
    """Gives ids to records that have none, and refuses an id that came before.

    Args:
        key: The key of the id in a record.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._seen: set[str] = set()
        self._next = 1

    def add(self, record: Any) -> Any:
        """Return the record, with an id.

        Raises:
            DataError: The id came before.
        """
        if not isinstance(record, dict):
            return record
        ident = record.get(self.key)
        if ident is None:
            ident = self._fresh()
            record = {**record, self.key: ident}
        elif str(ident) in self._seen:
            raise DataError(
                "two records have this id; give each document an id of its own (doc._.note_id)",
                id=str(ident),
            )
        self._seen.add(str(ident))
        return record

    def _fresh(self) -> str:
        while True:
            ident = f"doc-{self._next:06d}"
            self._next += 1
            if ident not in self._seen:
                return ident
