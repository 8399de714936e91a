"""The audit of an output: is it what its receipt says, and was every document accounted for?"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edspipe.atomic import MANIFEST, find_folder
from edspipe.data.output.ids import HashSet
from edspipe.data.output.ledger import BALANCED, FORMAT, OutputFile, balance_of, read_lines
from edspipe.data.paths import RECEIPT

MAX_LISTED = 1000
"""Faults and left-out documents that a report holds; more of them are only counted."""
_BATCH = 1000
_CURE = "write the output again, or take it from a copy"


@dataclass(frozen=True)
class LeftOut:
    """A document that is not in the output.

    Attributes:
        id: Its id, None where it has none.
        source: Where it was read.
        status: `"skipped"` or `"quarantined"`.
        error: The type of the error.
    """

    id: str | None
    source: str | None
    status: str
    error: str | None

    def __str__(self) -> str:
        name = self.source if self.id is None else self.id
        return f"{self.status}: {name or 'a document without an id'} ({self.error or 'no error'})"


@dataclass
class AuditReport:
    """What an audit found.

    Attributes:
        path: The output.
        faults: What is wrong, each with the file; the first thousand.
        balance: Documents read, and what became of them, as the receipt's lines say.
        records: Records of the output.
        files: Files that were checked.
        left_out: Documents that were skipped or quarantined; the first thousand.
    """

    path: Path
    faults: list[str] = field(default_factory=list)
    balance: dict[str, int] = field(default_factory=dict)
    records: int = 0
    files: int = 0
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def fault(self, message: str) -> None:
        """Note what is wrong."""
        if len(self.faults) < MAX_LISTED:
            self.faults.append(message)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {number:,}" for name, number in self.balance.items())
        failed = sum(self.balance.get(status, 0) for status in ("skipped", "quarantined"))
        lines = [*self.faults, *map(str, self.left_out)]
        if failed > len(self.left_out):
            lines.append(f"... and {failed - len(self.left_out):,} more documents left out")
        verdict = "complete" if self.ok else "NOT as its receipt says"
        lines.append(f"{self.path}: {verdict}; {counts}; records {self.records:,}")
        return "\n".join(lines)


def audit(path: str | Path) -> AuditReport:
    """Check an output against its receipt: every byte of it, the balance, each document once.

    Like a manifest a receipt shows damage, not forgery: whoever can change the output can write
    another receipt.

    Args:
        path: A file or a folder that a writer of edspipe made, with `receipt=True`.

    Raises:
        FileNotFoundError: There is no such output.
    """
    path = Path(path)
    path = path if path.is_file() else find_folder(path)
    receipt = path / RECEIPT if path.is_dir() else path.with_name(f"{path.name}.receipt")
    report = AuditReport(path)
    if not receipt.is_file():
        report.fault(
            f"{receipt}: missing, so nothing is known of {path}. Writers leave it beside the "
            "output (receipt=True): copy it too"
        )
        return report
    _Audit(path, receipt, report).run()
    return report


class _Audit:
    def __init__(self, path: Path, receipt: Path, report: AuditReport) -> None:
        self.path, self.receipt, self.report = path, receipt, report
        self.statuses: Counter[str] = Counter()
        self.end: dict[str, Any] | None = None
        self.known = HashSet()  # of the files that are listed
        self.seen = HashSet()  # of the documents that are done

    def run(self) -> None:
        """Read the receipt once, line by line, and look at each file that it lists."""
        lines = read_lines(self.receipt)
        head = next(lines, {})
        if head.get("edspipe") != "receipt" or head.get("format") != FORMAT:
            self.report.fault(
                f"{self.receipt}: not a receipt of format {FORMAT}: it is damaged, or a newer "
                f"edspipe wrote it; {_CURE}"
            )
            return
        suspects: set[str] = set()
        for batch in _batches(lines):
            try:
                suspects |= self._look_at(batch)
            except (KeyError, TypeError):
                self.report.fault(f"{self.receipt}: a line is not as expected: damaged; {_CURE}")
        self._name_twins(suspects)
        self.report.balance = balance_of(self.statuses)
        self._check_end()
        self._look_for_others()

    def _look_at(self, lines: list[dict[str, Any]]) -> set[str]:
        """Take some lines; return the keys of documents that may have come before."""
        keys: dict[int, str] = {}
        suspects = set()
        for line in lines:
            if "status" in line:
                self._count(line)
                key = _key(line)
                if key is not None and keys.setdefault(hash(key), key) is not key:
                    suspects.add(key)
            elif "file" in line:
                self._check_file(OutputFile(line["file"], line["size"], line["sha256"]))
            elif "end" in line:
                self.end = line
        suspects |= {keys[number] for number in self.seen.find(keys)}
        self.seen.add(keys)
        return suspects

    def _count(self, line: dict[str, Any]) -> None:
        status = line["status"]
        self.statuses[status] += 1
        if status not in BALANCED:
            self.report.fault(f"{self.receipt}: unknown status {status!r}: damaged; {_CURE}")
        if status in ("skipped", "quarantined") and len(self.report.left_out) < MAX_LISTED:
            left_out = LeftOut(line["id"], line["source"], status, line["error"])
            self.report.left_out.append(left_out)

    def _check_file(self, file: OutputFile) -> None:
        self.report.files += 1
        self.known.add([hash(file.name)])
        # the name of a single file may have been changed, with that of its receipt
        path = self.path / file.name if self.path.is_dir() else self.path
        if not path.is_file() or path.is_symlink():
            self.report.fault(f"{path}: missing, or no plain file; {_CURE}")
            return
        size = path.stat().st_size
        if size != file.size:
            self.report.fault(f"{path}: expected {file.size} bytes, found {size}; {_CURE}")
        elif _sha256(path) != file.sha256:
            text = "its bytes are not those that were written (another sha256)"
            self.report.fault(f"{path}: {text}; {_CURE}")

    def _name_twins(self, suspects: set[str]) -> None:
        """Look again at documents that may have come twice: this time by id, not by hash."""
        if not suspects:
            return
        found = Counter(key for line in read_lines(self.receipt) if (key := _key(line)) in suspects)
        for key, number in sorted(found.items(), key=str):
            if number > 1:
                name = key.replace("\0", " of ") if key else key
                self.report.fault(f"{self.receipt}: {name} is done {number} times, not once")

    def _check_end(self) -> None:
        """Check the last line: is the receipt whole, do its lines add up to its balance?"""
        end = self.end
        if end is None:
            self.report.fault(f"{self.receipt}: cut, its last line is missing; {_CURE}")
            return
        if _sha256_without_end(self.receipt) != end.get("sha256"):
            self.report.fault(f"{self.receipt}: its lines are not those that were written; {_CURE}")
        self.report.records = end.get("records", 0)
        said, found = end["end"], self.report.balance
        if said != found or said.get("read") != sum(said.get(name, 0) for name in BALANCED):
            self.report.fault(f"{self.receipt}: unbalanced: says {said}, its lines say {found}")
        if end.get("files") != self.report.files:
            text = f"says {end.get('files')} files, lists {self.report.files}"
            self.report.fault(f"{self.receipt}: {text}; {_CURE}")

    def _look_for_others(self) -> None:
        """Look for files that the receipt does not list."""
        if not self.path.is_dir():
            return
        for folder, _, names in os.walk(self.path):
            prefix = os.path.relpath(folder, self.path)
            paths = {name if prefix == "." else f"{prefix}/{name}" for name in names}
            numbers = {hash(path): path for path in paths - {RECEIPT, MANIFEST}}
            for number in self.known.find(numbers):
                numbers.pop(number, None)
            for name in sorted(numbers.values()):
                text = "not listed in the receipt. Move it away, or write the output again"
                self.report.fault(f"{self.path / name}: {text}")


def _key(line: dict[str, Any]) -> str | None:
    """Return what a document that is done must be the only one to have."""
    if line.get("status") != "done" or line["id"] is None:
        return None
    return line["id"] if line["source"] is None else f"{line['id']}\0{line['source']}"


def _batches(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sha256_without_end(receipt: Path) -> str:
    digest = hashlib.sha256()
    last = b""
    with open(receipt, "rb") as handle:
        for line in handle:
            digest.update(last)
            last = line
    return digest.hexdigest()
