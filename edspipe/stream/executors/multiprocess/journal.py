"""Books for what is read ahead.

A stage reads ahead of what it hands out, and so runs the stages before it ahead too. What they do
to documents enters the books only when its turn comes: then the books are those of the position
that a state tells, and a run that goes on from there counts nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edspipe.stream.account import Account, Entry, Failure, Note
from edspipe.stream.hooks import Identity
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Run


class Journal(Account):
    """Takes the place of books, and writes down what is to be entered later.

    Args:
        account: The books; those who only look see them.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(account.quarantine, account.totals, account.keeps_entries)
        self.muted = account.muted
        self._account = account
        self._lines: list[tuple[Any, ...]] = []
        self._counts: Counter[str] = Counter()

    @property
    def num_open(self) -> int:
        return self._account.num_open

    def drain(self) -> list[Entry]:
        return self._account.drain()

    def read(self, item: Item, identity: Identity) -> None:
        self._lines.append(("read", _without_value(item), identity))

    def deliver(self, item: Item) -> None:
        self._lines.append(("deliver", _without_value(item)))

    def branch(self, item: Item, parts: int) -> None:
        self._lines.append(("branch", _without_value(item), parts))

    def drop(self, item: Item, status: str, failure: Failure | None = None) -> None:
        self._lines.append(("drop", _without_value(item), status, failure))

    def identify(self, item: Item, identity: Identity) -> None:
        self._lines.append(("identify", _without_value(item), identity))

    def retried(self, item: Item, attempts: int) -> None:
        self._lines.append(("retried", _without_value(item), attempts))

    def enter(self, notes: Sequence[Note]) -> None:
        self._lines.append(("enter", notes))

    def replay(self, run: Run) -> None:
        """Enter everything into the books that the run has now, once."""
        lines, self._lines = self._lines, []
        account = run.account
        for method, *arguments in lines:
            getattr(account, method)(*arguments)
        run.counts.update(self._counts)
        self._counts = Counter()


def _without_value(item: Item) -> Item:
    return Item(None, *item[1:])


@contextmanager
def journal_of(run: Run) -> Iterator[Journal]:
    """Have what happens inside written into a journal."""
    account, before = run.account, run.counts.copy()
    run.books = journal = Journal(account)
    try:
        yield journal
    finally:
        run.books = account
        journal._counts = run.counts - before
        run.counts.subtract(journal._counts)
