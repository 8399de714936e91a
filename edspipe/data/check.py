"""A corpus, checked before it is used: every bad line at once, as `file:line:id: message`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edspipe.data.standoff.files import list_standoff_files, read_record
from edspipe.data.standoff.report import ReadReport
from edspipe.errors import DataError


@dataclass
class CorpusReport:
    """What a check found.

    Attributes:
        problems: Every bad line and every unreadable file, by file and line.
        counts: What was read besides.
    """

    problems: list[DataError] = field(default_factory=list)
    counts: ReadReport = field(default_factory=ReadReport)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        files = len({problem.file for problem in self.problems})
        counts = self.counts
        summary = [
            f"{counts.documents} documents",
            f"{counts.annotations.total()} annotations",
            f"{len(self.problems)} problems in {files} files",
            f"{counts.unknown_lines} lines of no known kind",
            f"{counts.txt_without_ann} texts without annotations",
        ]
        return "\n".join([*map(str, self.problems), ", ".join(summary)])


def check_corpus(path: str | Path, *, suffixes: Sequence[str] | None = None) -> CorpusReport:
    """Read a whole folder of standoff files, and never stop at a problem.

    Args:
        path: The folder, or one `.txt`.
        suffixes: Suffixes of the annotation files; None is `.ann`, or `.a1` and `.a2`.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    found = CorpusReport()
    problems = found.problems
    try:
        documents = list_standoff_files(path, suffixes=suffixes, on_problem=problems.append)
    except DataError as error:
        documents = []
        problems.append(error)
    for document in documents:
        try:
            read_record(document, on_problem=problems.append, report=found.counts)
        except DataError as error:
            problems.append(error)
            found.counts.skipped_documents += 1
        else:
            found.counts.documents += 1
    problems.sort(key=lambda problem: (problem.file or "", problem.line or 0))
    return found
