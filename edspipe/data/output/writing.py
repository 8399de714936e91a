"""Outputs: what is written appears whole, goes on after a kill, and comes with a receipt.

    with iter(stream) as iterator:
        for record in iterator: check its id, sink.write(record)     now and then: commit
    check the balance, list the files, put all in place

A *sink* knows one format: it writes records into a folder, and says at each commit how to go on
from there. All else is here, once for all formats.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from edspipe.data.output.fingerprint import describe_run
from edspipe.data.output.ids import UniqueIds
from edspipe.data.output.ledger import BALANCED
from edspipe.data.output.placing import FilePlace, FolderPlace
from edspipe.data.output.remote import staged_for_upload
from edspipe.data.output.staging import Commit, Staging, open_staging
from edspipe.data.paths import is_remote
from edspipe.errors import EdspipeError
from edspipe.filesystem import explaining_no_room
from edspipe.stream.account import Entry, RunReport
from edspipe.stream.stream import Stream

COMMIT_EVERY_S = 5.0
"""What a kill costs at most, in seconds of work."""
MAX_COMMIT_SHARE = 0.1
"""Of the time, at most, that goes into commits: a slow disk has fewer of them."""
ENTER_EVERY_RECORDS = 1000
"""Records after which closed documents are entered in the ledger: until then they are in memory,
at about 0.5 kB each."""


class Sink(Protocol):
    """How one format is written.

    A sink may have `counts`, a dict of numbers that the report of the run will show too. Its
    public attributes that are plain data are its settings: a resumed run must have the same. It
    makes, cuts and deletes files through `atomic.FS`, which tests let fail.

    Attributes:
        is_folder: Whether the target is a folder of files, or one file.
    """

    is_folder: bool

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on.

        Args:
            folder: Where to write: what is in it at the end is the output. A sink of one file
                writes `folder / "data"`. What is needed to go on, and no part of the output, may
                be put beside it, in `folder.parent`, which is deleted at the end.
            old: The target to take over first (`overwrite="append"`), else None.
            state: None, or what `commit` returned last in a run that was broken off: whatever was
                written after it is undone. What was taken over by then is there already.
        """

    def write(self, record: Any) -> None:
        """Write a record."""

    def commit(self) -> Any:
        """Hand all that was written to the system; return plain JSON data to go on from."""

    def close(self) -> None:
        """Finish the files (footers, the end of an array), and close them."""

    def abort(self) -> None:
        """Close the files; may be called at any moment, more than once."""

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of what was taken over; called after `open`."""


def write_records(
    stream: Stream,
    target: str | Path,
    sink: Sink,
    *,
    stage: str,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    id_key: str | None = "note_id",
) -> RunReport:
    """Run a stream and write its records; the output appears when it is whole.

    Args:
        stream: The stream; its items are records.
        target: A file or a folder, as the sink says; also an address that fsspec knows.
        sink: The format.
        stage: The name of the writer, e.g. `"write_json"`.
        overwrite: False refuses a target that exists (a folder that is not empty), True replaces
            it whole, `"append"` adds to it.
        resume: Go on with a run that was broken off, if there is one: nothing is written twice.
        receipt: Leave a receipt, `edspipe.receipt` in a folder or `NAME.receipt` beside a file.
        id_key: The key of the id in a record. Records without an id get one.

    Returns:
        What was counted.

    Raises:
        FileExistsError: The target exists, and `overwrite` is False. Nothing was run then.
        DataError: Two records have the same id.
        CheckpointError: What is there to resume belongs to another run.
        EdspipeError: Documents were lost: the balance of the run does not hold.
        ValueError: `overwrite` is none of its values, or a remote target cannot be resumed.
        OSError: The disk is full; the message names the target and the space left.
    """
    if overwrite not in (True, False, "append"):
        raise ValueError(f"overwrite is True, False or 'append', got {overwrite!r}")
    run = describe_run(stream, sink, stage, id_key)
    stream = stream.set_processing(ends_in_writer=True, prefetch=0)
    if not is_remote(target):
        return _write(stream, Path(target).absolute(), sink, run, overwrite, resume, receipt)
    with staged_for_upload(str(target), sink.is_folder, overwrite, resume) as local:
        local_overwrite = "append" if overwrite == "append" else False
        return _write(stream, local, sink, run, local_overwrite, None, receipt)


def _write(
    stream: Stream,
    target: Path,
    sink: Sink,
    run: dict[str, Any],
    overwrite: bool | str,
    resume: bool | None,
    receipt: bool,
) -> RunReport:
    """Write a local target; with `resume=None` nothing stays after an error."""
    place = FolderPlace(target) if sink.is_folder else FilePlace(target)
    place.check(overwrite)
    old = target if overwrite == "append" and target.exists() else None
    run = {**run, "added_to": None if old is None else _stamp(old)}
    staged = open_staging(target, run, resume=bool(resume), keep=resume is not None)
    with explaining_no_room(target), staged as staging, iter(stream) as iterator:
        writer = _Writer(staging, place, sink, iterator, run["id_key"])
        try:
            writer.begin(old)
            writer.write_all()
            sink.close()
        except BaseException:
            sink.abort()
            raise
        writer.check_balance()
        files_at = staging.ledger.finish(place.list_files(staging), writer.records)
        place.put(staging, overwrite, receipt, files_at)
        iterator.run.counts.update({"generated_ids": writer.given_ids})
        iterator.run.counts.update(getattr(sink, "counts", {}))
        return iterator.report


def _stamp(old: Path) -> list[int]:
    """Return what tells whether a target has changed since a run began to add to it."""
    stat = old.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


class _Writer:
    """Takes records out of a stream into a sink, and keeps the books.

    Attributes:
        records: Records written so far, those of an output that is added to left out.
        given_ids: Those of them that had no id.
    """

    def __init__(
        self,
        staging: Staging,
        place: FilePlace | FolderPlace,
        sink: Sink,
        iterator: Any,
        id_key: str | None,
    ) -> None:
        self._staging = staging
        self._place = place
        self._sink = sink
        self._iterator = iterator
        self._account = iterator.run.account
        self._account.keeps_entries = True
        self._account.spill = self._enter_all
        self._has_position: bool = iterator.run.settings.ordered
        self._ledger = staging.ledger
        self._closed: deque[Entry] = deque()
        self._carried: Counter[str] = Counter()
        self._ids = UniqueIds(id_key, staging.ids)
        self._commit_at = time.monotonic() + COMMIT_EVERY_S

    @property
    def records(self) -> int:
        return self._ids.count

    @property
    def given_ids(self) -> int:
        return self._ids.given

    def begin(self, old: Path | None) -> None:
        """Open the sink, and go to where the run was broken off, if it was."""
        last = self._staging.last
        if last is not None:
            self._sink.open(self._staging.files, old, last.sink)
            self._ids.count, self._ids.given = last.records, last.given_ids
            self._ids.last = last.last_id
            self._carried.update(last.carried)
            self._iterator.set_state(last.stream)
            return
        self._sink.open(self._staging.files, old, None)
        if old is not None:
            for ident in self._sink.old_ids():
                self._ids.take(ident)
            if self._place.receipt.is_file():
                self._ledger.carry_over(self._place.receipt)
                self._carried.update(self._ledger.statuses)

    def write_all(self) -> None:
        """Write all records there are."""
        for record in self._iterator:
            self._sink.write(self._ids.add(record))
            if self.records % ENTER_EVERY_RECORDS == 0:
                self._enter(self._position())
            if time.monotonic() >= self._commit_at:
                self._commit()
        if self._staging.last is not None:  # what follows may take long too
            self._commit()
        self._ids.settle()
        self._enter(None)

    def _commit(self) -> None:
        began = time.monotonic()
        self._ids.settle()
        position = self._position()
        self._enter(position)
        if position is not None:
            state = self._sink.commit()
            self._place.sync(self._staging)
            self._staging.commit(
                Commit(
                    records=self.records,
                    statuses=dict(self._ledger.statuses),
                    carried=dict(self._carried),
                    given_ids=self._ids.given,
                    last_id=self._ids.last,
                    ledger_bytes=self._ledger.journal.size,
                    ids_bytes=self._staging.ids.size,
                    sink=state,
                    stream=position,
                )
            )
        now = time.monotonic()
        self._commit_at = now + max(COMMIT_EVERY_S, (now - began) / MAX_COMMIT_SHARE)

    def _position(self) -> Any:
        return self._iterator.get_state() if self._has_position else None

    def _enter(self, position: Any) -> None:
        """Enter the documents that were closed up to a position; None enters all.

        The stream may be ahead of what was taken out of it, and so may its books.
        """
        self._closed.extend(self._account.drain())
        number = len(self._closed)
        if position is not None:
            entered = self._ledger.documents - self._carried.total()
            number = min(number, sum(position["totals"].values()) - entered)
        self._ledger.add([self._closed.popleft() for _ in range(number)])

    def _enter_all(self, entries: list[Entry]) -> None:
        """Enter documents that were closed while the next record is waited for."""
        self._ledger.add([*self._closed, *entries])
        self._closed.clear()

    def check_balance(self) -> None:
        """Refuse an output in which documents are missing.

        Raises:
            EdspipeError: What was read is not what was entered, or not what the stream counted.
        """
        report = self._iterator.report
        counted = {status: getattr(report, status) for status in BALANCED}
        entered = self._ledger.statuses - self._carried
        if report.read != sum(counted.values()) or +entered != +Counter(counted):
            raise EdspipeError(
                f"{self._place.target}: the balance does not hold, so nothing was put in place. "
                f"Expected {report.read} documents read to be the sum of {_show(counted)}; the "
                f"ledger holds {_show(entered)}. This is an error of edspipe: please report it"
            )


def _show(counts: Any) -> str:
    return ", ".join(f"{status} {counts.get(status, 0)}" for status in BALANCED)
