"""The books of a run: what became of each document that was read.

A document is an item of the source. On its way it may become several items (a generator), or join
others in a batch; its entry is closed when the last part of it has come out or was left out. Ops
write into the books; those in a worker write `Notes`, which the main process enters when it takes
the result. So every document has one entry, and the balance
`read = done + filtered + skipped + quarantined` holds at the end of a run, or the run fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from loguru import logger

from edspipe.errors import EdspipeError
from edspipe.stream.hooks import Identity
from edspipe.stream.markers import Item, Place
from edspipe.stream.quarantine import Quarantine

STATUSES = ("filtered", "done", "skipped", "quarantined")
"""What becomes of a document, from the weakest: a document of which a part failed has failed."""
_RANK = {status: rank for rank, status in enumerate(STATUSES)}

MAX_ENTRIES = 10_000
"""Closed entries that are kept until somebody drains them, where there is somebody to take them."""

MAX_WARNINGS = 20
"""Left-out documents that are logged one by one; the rest is counted."""


class Failure(NamedTuple):
    """Why a document was left out.

    Attributes:
        stage: The op.
        error: The name of the error's type.
        message: A message without clinical text.
        document: The document as plain data, for a quarantine; None where it has no such form.
    """

    stage: str
    error: str
    message: str
    document: Any = None


class Entry(NamedTuple):
    """A document and what became of it; no text."""

    id: str | None
    source: str | None
    sha256: str | None
    status: str
    attempts: int = 1
    error: str | None = None


class Books(Protocol):
    """Where ops write what they do to items, other than one in, one out."""

    def branch(self, item: Item, parts: int) -> None:
        """An item became so many."""

    def drop(self, item: Item, status: str, failure: Failure | None = None) -> None:
        """An item goes no further."""

    def identify(self, item: Item, identity: Identity) -> None:
        """More is known about a document than when it was read."""

    def retried(self, item: Item, attempts: int) -> None:
        """An item took so many attempts."""


Note = tuple[str, tuple[Place, ...], Any, Any]


class Notes:
    """What ops wrote in a worker, to be entered by the main process.

    Attributes:
        notes: `(method, places, argument, argument)`, in order.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def branch(self, item: Item, parts: int) -> None:
        self.notes.append(("branch", item.places, parts, None))

    def drop(self, item: Item, status: str, failure: Failure | None = None) -> None:
        self.notes.append(("drop", item.places, status, failure))

    def identify(self, item: Item, identity: Identity) -> None:
        self.notes.append(("identify", item.places, identity, None))

    def retried(self, item: Item, attempts: int) -> None:
        self.notes.append(("retried", item.places, attempts, None))


@dataclass(slots=True)
class _Open:
    """A document in work: how many parts of it are on their way, and what became of the others."""

    identity: Identity
    parts: int = 1
    rank: int = 0
    attempts: int = 1
    error: str | None = None


@dataclass
class Account:
    """The books of the main process.

    Attributes:
        totals: Closed documents by status.
        quarantine: Where left-out documents are written, if anywhere.
        keeps_entries: Whether closed entries are kept until they are drained.
        spill: Takes entries when there are many of them, e.g. while a filter lets nothing through.
        muted: Whether a restored run is finding its place again: what is closed meanwhile was
            counted before.
    """

    quarantine: Quarantine | None = None
    totals: Counter[str] = field(default_factory=Counter)
    keeps_entries: bool = False
    spill: Callable[[list[Entry]], None] | None = None
    muted: bool = False
    _open: dict[tuple[int, int], _Open] = field(default_factory=dict)
    _closed: list[Entry] = field(default_factory=list)
    _warnings: int = 0

    @property
    def keeps_ids(self) -> bool:
        """Whether somebody will read who the documents were."""
        return self.keeps_entries or self.quarantine is not None

    @property
    def num_open(self) -> int:
        """Documents that are read and not closed."""
        return len(self._open)

    def read(self, item: Item, identity: Identity) -> None:
        """A document was read."""
        self._open[item.epoch, item.source_index] = _Open(identity)

    def deliver(self, item: Item) -> None:
        """An item came out."""
        for place in item.members or (item[1:4],):
            self._close_part(place, "done")

    def branch(self, item: Item, parts: int) -> None:
        for place in item.places:
            if parts == 0:
                self._close_part(place, "filtered")
            elif (document := self._open.get(place[:2])) is not None:
                document.parts += parts - 1

    def drop(self, item: Item, status: str, failure: Failure | None = None) -> None:
        if failure is not None and not self.muted:
            self._tell(item.places, status, failure)
        for place in item.places:
            self._close_part(place, status, failure)

    def identify(self, item: Item, identity: Identity) -> None:
        for place in item.places:
            document = self._open.get(place[:2])
            if document is not None:
                document.identity = document.identity.updated(identity)

    def retried(self, item: Item, attempts: int) -> None:
        for place in item.places:
            document = self._open.get(place[:2])
            if document is not None:
                document.attempts = max(document.attempts, attempts)

    def enter(self, notes: Sequence[Note]) -> None:
        """Enter what ops wrote in a worker."""
        for method, places, *arguments in notes:
            item = Item(None, 0, 0, members=places)
            given = [argument for argument in arguments if argument is not None]
            getattr(self, method)(item, *given)

    def _close_part(self, place: Place, status: str, failure: Failure | None = None) -> None:
        key = place[:2]
        document = self._open.get(key)
        if document is None:
            return
        document.parts -= 1
        document.rank = max(document.rank, _RANK[status])
        if failure is not None:
            document.error = failure.error
        if document.parts == 0:
            del self._open[key]
            self._close(document)

    def _close(self, document: _Open) -> None:
        if self.muted:
            return
        status = STATUSES[document.rank]
        self.totals[status] += 1
        if self.keeps_entries:
            identity, attempts, error = document.identity, document.attempts, document.error
            self._closed.append(Entry(*identity, status, attempts, error))
            if self.spill is not None and len(self._closed) >= MAX_ENTRIES:
                self.spill(self.drain())

    def _tell(self, places: Sequence[Place], status: str, failure: Failure) -> None:
        self._warnings += 1
        if self._warnings <= MAX_WARNINGS:
            logger.warning("{}: {}", status, failure.message)
        if self._warnings == MAX_WARNINGS:
            logger.warning("further documents that are left out are only counted")
        if status == "quarantined" and self.quarantine is not None:
            known = [self._open.get(place[:2]) for place in places]
            pairs = zip(places, known, strict=True)
            self.quarantine.add(
                [(place, document) for place, document in pairs if document is not None], failure
            )

    def drain(self) -> list[Entry]:
        """Return the entries that were closed since the last call."""
        number = len(self._closed)  # another thread may be adding to them
        entries = self._closed[:number]
        del self._closed[:number]
        return entries

    def abandon(self) -> None:
        """Forget what is open: it was read ahead, and the stream ended by its own `take`."""
        self._open.clear()

    def check(self) -> None:
        """Refuse to end while documents are open.

        Raises:
            EdspipeError: Documents were lost. Nothing that ops or workers do should lead to this.
        """
        if not self._open:
            return
        ids = [document.identity.id or f"item {key[1]}" for key, document in self._open.items()]
        raise EdspipeError(
            f"{len(ids)} documents were read and never came out, nor were left out: "
            f"{', '.join(ids[:5])}{' ...' if len(ids) > 5 else ''}. This is an error of edspipe: "
            "the output is not complete"
        )


class RunReport(Mapping[str, int]):
    """What became of the documents of a run, and what was counted besides.

    As a mapping it holds what is not zero.

    Attributes:
        read: Documents read.
        done: Those that came out.
        filtered: Those that a filter (or a generator that yields nothing) took out.
        skipped: Those left out under `on_error="skip"`.
        quarantined: Those left out under `on_error="quarantine:..."`.
        delivered: Items that came out: batches, or parts of documents.
        others: Further counts, e.g. `snapped`, `restarts`.
    """

    def __init__(self, totals: Mapping[str, int], others: Mapping[str, int], num_open: int) -> None:
        self.done = totals.get("done", 0)
        self.filtered = totals.get("filtered", 0)
        self.skipped = totals.get("skipped", 0)
        self.quarantined = totals.get("quarantined", 0)
        self.read = sum(totals.values()) + num_open
        self.delivered = others.get("delivered", 0)
        self.others = {k: v for k, v in sorted(others.items()) if v and k != "delivered"}
        names = ("read", "done", "filtered", "skipped", "quarantined", "delivered")
        self._counts = {k: getattr(self, k) for k in names if getattr(self, k)} | self.others

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def __iter__(self) -> Any:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def balanced(self) -> bool:
        """Whether every document that was read is accounted for."""
        return self.read == self.done + self.filtered + self.skipped + self.quarantined

    def __str__(self) -> str:
        return ", ".join(f"{name} {number:,}" for name, number in self._counts.items())

    def __repr__(self) -> str:
        return f"RunReport({self})"
