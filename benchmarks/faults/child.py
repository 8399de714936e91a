"""The process that meets one fault with one tool: python -m benchmarks.faults.child TOOL FAULT ...

It calls the tool as a user would, and logs what the caller sees. When the run is over it waits for
its standard input to close, so that what is left of the run can be counted while it still lives.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.faults.events import log
from benchmarks.faults.faults import BY_NAME, LEAVE_AT, Fault, NotOffered, documents

SIDES = {
    "edspipe": "edspipe_side",
    "edspipe-quarantine": "edspipe_quarantine_side",
    "edsnlp": "edsnlp_side",
    "spacy": "spacy_side",
    "dataloader": "torch_side",
}
NUM_OLD = 50
DISK_BYTES = 50_000
"""Room for the old documents, not for the new ones."""
CRLF_TEXT = "Compte rendu.\r\nMotif :\r\ndiabete severe.\r\n"
MENTION = "diabete"
OPEN: list[Any] = []
"""Iterators that stay open until the interpreter ends."""


@contextmanager
def _outcome(folder: Path) -> Iterator[None]:
    """Log how the run ends for the caller."""
    try:
        yield
    except NotOffered as error:
        log(folder, "not_offered", message=str(error))
    except BaseException as error:
        log(folder, "error", type=type(error).__name__, message=str(error)[:5000])
    else:
        log(folder, "end")


def meet_documents(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    with _outcome(folder):
        for ident in side.run(fault, folder, seed):
            log(folder, "doc", id=ident)


def meet_leave(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    with _outcome(folder):
        for count, ident in enumerate(side.run(fault, folder, seed), start=1):
            log(folder, "doc", id=ident)
            if count == LEAVE_AT:
                log(folder, "fault")
                break


def meet_end_open(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    OPEN.append(side.run(fault, folder, seed))
    for _ in range(LEAVE_AT):
        log(folder, "doc", id=next(OPEN[0]))
    log(folder, "fault")


def meet_signal(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    for ident in side.run(fault, folder, seed):
        log(folder, "doc", id=ident)


def meet_disk(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    """Write a dataset, then a larger one in its place, with room for the first one only."""
    place = folder / "out"
    place.mkdir()
    with _outcome(folder):
        path = side.write_dataset(place, documents(NUM_OLD))
        before, readable_before = _tree(place), _read(side, path)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, hard))
        log(folder, "fault")
        try:
            side.write_dataset(place, documents())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            after = _tree(place)
            log(
                folder,
                "facts",
                intact=before.items() <= after.items(),
                readable_before=readable_before,
                readable=_read(side, path),
                extra_files=len(after.keys() - before.keys()),
            )


def _read(side: Any, path: Path) -> int | str:
    """The number of documents that can be read, or the type of the error."""
    try:
        return len(side.read_dataset(path))
    except Exception as error:
        return type(error).__name__


def _tree(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def meet_traversal(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    """Write documents with ids that point out of the output folder."""
    place = folder / "out"
    notes = place / "deep" / "notes"
    notes.parent.mkdir(parents=True)
    (place / "absolute").mkdir()
    with _outcome(folder):
        try:
            for name in ("../../outside", str(place / "absolute" / "file")):
                side.write_standoff(notes / str(len(name)), name)
        finally:
            outside = [name for name in _tree(place) if not name.startswith("deep/notes/")]
            log(folder, "facts", outside=len(outside))


def meet_crlf(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    """Read a brat document whose lines end in CRLF."""
    corpus = folder / "out"
    corpus.mkdir()
    begin = CRLF_TEXT.index(MENTION)
    (corpus / "note.txt").write_bytes(CRLF_TEXT.encode())
    span = f"T1\tdisease {begin} {begin + len(MENTION)}\t{MENTION}\n"
    (corpus / "note.ann").write_bytes(span.encode())
    with _outcome(folder):
        log(folder, "facts", expected=MENTION, read=side.read_standoff(corpus))


def meet_batches(side: Any, fault: Fault, folder: Path, seed: int) -> None:
    """Hash the batches of ids, as a set and in their order."""
    with _outcome(folder):
        sets, orders = [], []
        for workers in (0, 1, 2):
            batches = [",".join(batch) for batch in side.batches(workers)]
            sets.append(_hash(sorted(batches)))
            orders.append(_hash(batches))
        log(folder, "facts", sets=sets, orders=orders)


def _hash(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


SCENARIOS: dict[str, Callable[[Any, Fault, Path, int], None]] = {
    "documents": meet_documents,
    "leave": meet_leave,
    "end_open": meet_end_open,
    "signal": meet_signal,
    "disk": meet_disk,
    "traversal": meet_traversal,
    "crlf": meet_crlf,
    "batches": meet_batches,
}


def load_side(tool: str) -> Any:
    """Import what calls a tool."""
    return importlib.import_module(f"benchmarks.faults.{SIDES[tool]}")


def main(tool: str, fault_name: str, folder: str, seed: str) -> None:
    # a shell ignores it for what it starts in the background, and so would all of us
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fault = BY_NAME[fault_name]
    side = load_side(tool)
    log(folder, "start", versions=side.versions(), how=side.HOW)
    SCENARIOS[fault.kind](side, fault, Path(folder), int(seed))
    if fault.kind not in ("end_open", "signal"):
        gc.collect()  # what only a cycle keeps alive is not held against a tool
        log(folder, "settled")
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
