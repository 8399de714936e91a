"""Where a run writes before its output is seen, and what a killed run leaves for the next one.

A hidden folder beside the target, `.NAME.edspipe-run-<random>`, locked while its run is alive:

    files/           what the sink writes
    ledger.jsonl     what became of each document; the receipt later
    ids.jsonl        the ids that were written
    commits.jsonl    how far the others are valid, and the position of the stream (last line)
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger

from edspipe import atomic
from edspipe.data.output.journal import Journal
from edspipe.data.output.ledger import Ledger, read_lines
from edspipe.data.paths import RECEIPT
from edspipe.errors import CheckpointError

FILES, LEDGER, IDS, COMMITS = "files", "ledger.jsonl", "ids.jsonl", "commits.jsonl"

LOCK_WAIT_S = 5.0
"""How long a resumed run waits for the lock: workers of a killed run may live on for a moment."""


@dataclass(frozen=True)
class Commit:
    """How far a run is safe.

    Attributes:
        records: Records written.
        statuses: Documents in the ledger, by status.
        carried: Those of them that an earlier run has read, whose output is added to.
        given_ids: How many records had no id, and got one.
        last_id: The number of the id that was given last.
        ledger_bytes: Valid bytes of the ledger.
        ids_bytes: Valid bytes of the ids.
        sink: The state of the sink.
        stream: The position of the stream.
    """

    records: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    carried: Mapping[str, int] = field(default_factory=dict)
    given_ids: int = 0
    last_id: int = 0
    ledger_bytes: int = 0
    ids_bytes: int = 0
    sink: Any = None
    stream: Any = None

    @property
    def documents(self) -> int:
        """How many documents the run has finished."""
        return sum(self.statuses.values()) - sum(self.carried.values())


class Staging:
    """The folder of a run that is alive.

    Args:
        path: The folder.
        lock: The descriptor of its lock, None where the disk has no locks.
        last: The commit to go on from; None for a new run.

    Attributes:
        files: Where the sink writes.
        last: The last commit.
    """

    def __init__(self, path: Path, lock: int | None, last: Commit | None = None) -> None:
        self.path = path
        self.files = path / FILES
        self.last = last
        self._lock = lock
        sizes = {LEDGER: None, IDS: None, COMMITS: None} if last is None else _sizes(path, last)
        with ExitStack() as stack:
            journals = {}
            for name, size in sizes.items():
                journals[name] = Journal(path / name, size)
                stack.callback(journals[name].abort)
            stack.pop_all()
        self.ledger = Ledger(journals[LEDGER], {} if last is None else last.statuses)
        self.ids, self._commits = journals[IDS], journals[COMMITS]

    def commit(self, commit: Commit) -> None:
        """Make what was written so far survive a kill and a loss of power."""
        if self.last is None:
            for folder in (self.files, self.path, self.path.parent):
                atomic.FS.fsync(folder)  # the names of the files, and that of the folder
        self.ledger.journal.sync()
        self.ids.sync()
        self._commits.add(json.dumps(asdict(commit)).encode("ascii"))
        self._commits.sync()
        self.last = commit

    @contextmanager
    def no_return(self, leaving: Path) -> Iterator[None]:
        """Around the moment in which files leave the folder: a kill in it cannot be resumed.

        Args:
            leaving: What leaves. What has its name after, if anything, is the version before.
        """
        number = leaving.stat().st_ino
        done = self.path / "committed.jsonl"
        atomic.FS.rename(self.path / COMMITS, done)
        last, self.last = self.last, None
        try:
            atomic.FS.fsync(self.path)
            yield
        except BaseException:
            if leaving.exists() and leaving.stat().st_ino == number:
                atomic.FS.rename(done, self.path / COMMITS)
                self.last = last
            raise

    def close_files(self) -> None:
        """Close the files of this folder; what does not fit on the disk is let go."""
        for journal in (self.ledger.journal, self.ids, self._commits):
            journal.abort()

    def release(self) -> None:
        """Open the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def open_staging(
    target: Path, run: Mapping[str, Any], *, resume: bool, keep: bool = True
) -> Iterator[Staging]:
    """Yield the folder of a run, new or left by a run that was broken off.

    It is deleted at the end. After an error it stays if documents are safe in it.

    Args:
        target: What will be replaced.
        run: What describes the run, as plain data.
        resume: Go on with the newest that fits. Otherwise those of dead runs are deleted.
        keep: Whether it may stay after an error.

    Raises:
        CheckpointError: What is there to resume belongs to another run, or is damaged, or the run
            that writes to it is alive.
    """
    run = json.loads(json.dumps(run))
    staging = _resume(target, run) if resume else None
    if staging is None:
        remove_unfinished(target)
        staging = _new(target, run)
    try:
        yield staging
    except BaseException:
        staging.close_files()
        _keep_or_discard(staging, target, keep)
        staging.release()
        raise
    staging.close_files()
    atomic.discard(staging.path)
    staging.release()
    remove_unfinished(target)


def _keep_or_discard(staging: Staging, target: Path, keep: bool) -> None:
    last = staging.last
    if keep and last is not None and (last.records or last.documents):
        logger.error(
            "{}: the run was broken off. {:,} documents ({:,} records) are safe in {}: run it "
            "again with resume=True (--resume) to go on, or with resume=False to begin again",
            *(target, last.documents, last.records, staging.path),
        )
    else:
        atomic.discard(staging.path)


def remove_unfinished(target: Path) -> None:
    """Delete what broken-off runs left; those that are alive are not touched."""
    for path, lock in _claim_all(target, wait_s=0.0):
        last = read_last_commit(path)
        if last is not None and last.documents:
            logger.warning(
                "{} is deleted: a run that was broken off left it, with {:,} documents. To go on "
                "with such a run, pass resume=True (--resume)",
                *(path, last.documents),
            )
        atomic.discard(path)
        _unlock(lock)


def read_last_commit(path: Path) -> Commit | None:
    """Return the last commit in the folder of a run, None where there is none."""
    commits = path / COMMITS
    last = None
    has_ledger = (path / LEDGER).is_file() or (path / FILES / RECEIPT).is_file()
    if commits.is_file() and has_ledger:
        for line in read_lines(commits):
            last = line
    return None if last is None else Commit(**last)


def _new(target: Path, run: Mapping[str, Any]) -> Staging:
    atomic.make_parents(target.parent)
    atomic.remove_leftovers(target)
    # it has its name once it is locked: other runs delete what has the name and no lock
    unnamed = target.parent / f".{target.name}.edspipe-{os.getpid()}-{secrets.token_hex(4)}"
    path = target.parent / f".{target.name}.edspipe-run-{secrets.token_hex(4)}"
    atomic.FS.mkdir(unnamed, 0o700)
    lock = None
    try:
        lock = _lock(unnamed)
        atomic.FS.mkdir(unnamed / FILES)
        atomic.FS.rename(unnamed, path)
        staging = Staging(path, lock)
        staging.ledger.begin(target.name, run)
    except BaseException:
        for leftover in (unnamed, path):
            atomic.discard(leftover)
        _unlock(lock)
        raise
    return staging


def _resume(target: Path, run: Mapping[str, Any]) -> Staging | None:
    """Return the newest folder that fits, None where there is nothing to resume.

    Raises:
        CheckpointError: There are some, and none fits, or it is damaged, or it is in use.
    """
    claimed = _claim_all(target, wait_s=LOCK_WAIT_S)
    found = [(path, lock, last) for path, lock in claimed if (last := read_last_commit(path))]
    found.sort(key=lambda one: (one[0] / COMMITS).stat().st_mtime_ns, reverse=True)
    chosen = None
    try:
        if not found:
            _refuse_in_use(target, claimed)
            return None
        misfits = []
        for path, lock, last in found:
            differences = list(_differences(_description(path), run))
            if not differences:
                _undo_finish(path)
                chosen = Staging(path, lock, last)
                said = "{}: goes on after {:,} documents, which a run that was broken off left"
                logger.info(said, target, last.documents)
                return chosen
            misfits.append(f"{path} holds {last.documents} documents of another run: ")
            misfits[-1] += "; ".join(differences)
        raise CheckpointError(
            f"{target}: nothing fits to resume. {'. '.join(misfits)}. Run it as it was, or pass "
            "resume=False to begin again"
        )
    finally:
        for path, lock in claimed:
            if chosen is None or path != chosen.path:
                _unlock(lock)


def _refuse_in_use(target: Path, claimed: list[tuple[Path, int | None]]) -> None:
    free = [path for path, _ in claimed]
    in_use = [path for path in _unfinished(target) if path not in free]
    if in_use:
        raise CheckpointError(
            f"{target}: {in_use[0]} is in use, a run that writes there is alive. Wait until it "
            "has ended, or end it"
        )


def _description(path: Path) -> Any:
    ledger = path / LEDGER
    receipt = path / FILES / RECEIPT
    lines = read_lines(ledger if ledger.exists() else receipt)
    return next(lines, {}).get("run")


def _differences(then: Any, now: Any, name: str = "") -> Iterator[str]:
    """Say in what two descriptions differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            yield from _differences(then.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif then != now:
        yield f"{name or 'description'} was {then!r}, and is {now!r}"


def _undo_finish(path: Path) -> None:
    """Bring a folder back that was being finished when its run was killed."""
    receipt, ledger = path / FILES / RECEIPT, path / LEDGER
    if receipt.exists() and not ledger.exists():
        atomic.FS.rename(receipt, ledger)
    if os.path.lexists(path / FILES / atomic.MANIFEST):
        atomic.FS.unlink(path / FILES / atomic.MANIFEST)


def _unfinished(target: Path) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(target.name)}\.edspipe-run-[0-9a-f]+")
    names = os.listdir(target.parent) if target.parent.is_dir() else []
    return [target.parent / name for name in sorted(names) if pattern.fullmatch(name)]


def _claim_all(target: Path, wait_s: float) -> list[tuple[Path, int | None]]:
    """Lock the folders of all runs that are dead."""
    claimed = []
    for path in _unfinished(target):
        with suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(path, wait_s)
            if path.exists():  # whoever had the lock may have deleted it
                claimed.append((path, lock))
            else:
                _unlock(lock)
    return claimed


def _lock(path: Path, wait_s: float = 0.0) -> int | None:
    """Lock a folder; None where the disk has no locks.

    Raises:
        BlockingIOError: Somebody else holds the lock.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return atomic.lock(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        except FileNotFoundError:
            raise
        except OSError:
            return None


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _sizes(path: Path, last: Commit) -> dict[str, int | None]:
    """Return how many bytes of the files are valid; a last commit that was cut is not."""
    with open(path / COMMITS, "rb") as handle:
        whole = sum(len(line) for line in handle if line.endswith(b"\n"))
    return {LEDGER: last.ledger_bytes, IDS: last.ids_bytes, COMMITS: whole}
