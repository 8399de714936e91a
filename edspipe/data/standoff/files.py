"""Folders of standoff files: which documents there are, and each of them as a record.

A document is a `.txt` with a `.ann`, or with `.a1` and `.a2`, beside it; folders below are read
too, and its id is its path without the suffix. Names that begin with a dot are ignored, as is every
other suffix: a backup (`d.ann~`, `d.ann.bak`) is never read. Text is UTF-8, as it is: no newline is
translated, and a byte-order mark is a character.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from edspipe.atomic import MANIFEST, find_folder
from edspipe.data.safe_names import MAP_FILE, decode_path
from edspipe.data.standoff.parse import OnProblem, decode_utf8, parse_annotations, raise_problem
from edspipe.data.standoff.record import Record, build_record
from edspipe.data.standoff.report import ReadReport
from edspipe.errors import DataError

TXT = ".txt"
WHOLE, SPLIT = (".ann",), (".a1", ".a2")


class StandoffDocument(NamedTuple):
    """Where a document is: plain data, cheap to send to a worker."""

    note_id: str
    txt: str
    anns: tuple[str, ...]


def list_standoff_files(
    path: str | Path,
    *,
    suffixes: Sequence[str] | None = None,
    on_problem: OnProblem = raise_problem,
) -> list[StandoffDocument]:
    """List the documents of a folder, below it too, sorted by path.

    Args:
        path: A folder, or one `.txt`.
        suffixes: Suffixes of the annotation files, in order; None is `.ann`, or `.a1` and `.a2`.
        on_problem: Called with a `DataError` for each annotation file without a text, for two
            documents with one id, and for a document with both `.ann` and `.a1` or `.a2`. These
            are left out where it returns.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: The folder holds no document, or whatever `on_problem` raises.
    """
    wanted = _check_suffixes(suffixes)
    folder = Path(path)
    if folder.is_file():
        return [locate_document(folder, suffixes=suffixes)]
    folder = find_folder(folder)
    texts, annotations = _scan(folder, wanted, on_problem)
    for stem in sorted(annotations.keys() - texts):
        name = os.path.join(folder, stem + annotations[stem][0])
        on_problem(DataError(f"annotations without a text: expected a {TXT} beside it", file=name))
    if not texts and not annotations and not (folder / MANIFEST).exists():
        raise DataError(f"the folder holds no {TXT} file, so no document", file=folder)
    ids = read_map(folder)
    documents: dict[str, StandoffDocument] = {}
    for stem in sorted(texts):
        found = annotations.get(stem, [])
        document = _document(folder, stem, decode_path(stem, ids), found)
        problem = _ambiguous(document, suffixes) or _same_id(document, documents)
        if problem is None:
            documents[document.note_id] = document
        else:
            on_problem(problem)
    return list(documents.values())


def locate_document(
    txt: str | Path, *, suffixes: Sequence[str] | None = None, note_id: str | None = None
) -> StandoffDocument:
    """Find the annotation files of one text; its id is its name, unless `note_id` is given.

    Raises:
        DataError: The path does not end in `.txt`, or both `.ann` and `.a1` or `.a2` are there.
    """
    folder, name = os.path.split(txt)
    if not name.endswith(TXT):
        raise DataError(f"the text of a standoff document ends in {TXT}", file=txt)
    stem = name[: -len(TXT)]
    wanted = _check_suffixes(suffixes)
    found = [suffix for suffix in wanted if os.path.lexists(os.path.join(folder, stem + suffix))]
    document = _document(folder, stem, decode_path(stem) if note_id is None else note_id, found)
    problem = _ambiguous(document, suffixes)
    if problem is not None:
        raise problem
    return document


def read_record(
    document: StandoffDocument | str | Path,
    *,
    suffixes: Sequence[str] | None = None,
    strict: bool = False,
    on_problem: OnProblem = raise_problem,
    report: ReadReport | None = None,
) -> Record:
    """Read one document as a record.

    Args:
        document: A document from `list_standoff_files`, or the path of its `.txt`.
        suffixes: As there.
        strict: Whether a text without annotation files is an error.
        on_problem: Called with each bad line; where it returns, the line is left out.
        report: Where to count.

    Raises:
        DataError: The text cannot be read, or whatever `on_problem` raises.
    """
    if not isinstance(document, StandoffDocument):
        document = locate_document(document, suffixes=suffixes)
    text = decode_utf8(_read_bytes(document.txt), document.txt)
    if strict and not document.anns:
        raise DataError("text without annotations: expected a .ann beside it", file=document.txt)
    files = {name: _read_bytes(name) for name in document.anns}
    annotations = parse_annotations(files, text, on_problem=_counting(on_problem, report))
    if report is not None:
        kinds = Counter(map(type, annotations.items()))
        report.annotations.update({kind.__name__: number for kind, number in kinds.items()})
        report.unknown_lines += annotations.num_unknown
        report.skipped_lines += annotations.skipped + annotations.orphans
        report.txt_without_ann += not document.anns
    stem = len(document.txt) - len(TXT)
    return build_record(
        document.note_id, text, annotations, {name: name[stem:] for name in document.anns}
    )


def read_records(
    documents: Iterable[StandoffDocument],
    *,
    on_error: Literal["raise", "skip"] = "raise",
    strict: bool = False,
    report: ReadReport | None = None,
) -> Iterator[Record]:
    """Read documents one by one.

    Args:
        documents: What `list_standoff_files` found.
        on_error: `"raise"` stops at the first problem; `"skip"` leaves out bad lines, and documents
            whose text cannot be read.
        strict: Whether a text without annotation files is an error.
        report: Where to count what was left out, and why.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error is 'raise' or 'skip', got {on_error!r}")
    report = ReadReport() if report is None else report
    on_problem = raise_problem if on_error == "raise" else _ignore
    for document in documents:
        try:
            record = read_record(document, strict=strict, on_problem=on_problem, report=report)
        except DataError as error:
            if on_error == "raise":
                raise
            report.skipped_documents += 1
            report.reasons[_reason(error)] += 1
            continue
        report.documents += 1
        yield record


def read_map(folder: Path) -> dict[str, str]:
    """Return the map file of a folder, path to id; empty where there is none.

    Raises:
        DataError: It is damaged.
    """
    path = folder / MAP_FILE
    if not path.is_file():
        return {}
    try:
        ids = json.loads(path.read_bytes())["ids"]
        if all(isinstance(part, str) for pair in ids.items() for part in pair):
            return ids
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise DataError('damaged: expected {"ids": {path: id}}; write the folder again', file=path)


def _scan(
    folder: Path, suffixes: Sequence[str], on_problem: OnProblem
) -> tuple[set[str], dict[str, list[str]]]:
    """Return the stems of the texts, and the suffixes of the annotation files by stem."""
    texts: set[str] = set()
    annotations: dict[str, list[str]] = {}
    for prefix, name in _walk(folder):
        suffix = next((one for one in (TXT, *suffixes) if name.endswith(one)), None)
        if suffix is None:
            continue
        stem = prefix + name[: -len(suffix)]
        if not stem.isascii() and _is_undecodable(stem):
            shown = os.fsencode(folder / prefix / name).decode("utf-8", "backslashreplace")
            on_problem(DataError("the name of the file is not UTF-8: rename it", file=shown))
        elif suffix == TXT:
            texts.add(stem)
        else:
            annotations.setdefault(stem, []).append(suffix)
    for found in annotations.values():
        found.sort(key=list(suffixes).index)
    return texts, annotations


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (path of its folder with a final `/`, name) of every file that is not hidden."""
    seen = {os.path.realpath(folder)}
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(folder, prefix)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    yield prefix, entry.name
                    continue
                # links to folders are followed, but none twice: they may form a ring
                real = os.path.realpath(entry.path) if entry.is_symlink() else None
                if real is None or real not in seen:
                    seen.add(real or os.path.realpath(entry.path))
                    pending.append(f"{prefix}{entry.name}/")


def _document(
    folder: str | Path, stem: str, note_id: str, suffixes: Iterable[str]
) -> StandoffDocument:
    base = os.path.join(folder, stem)
    return StandoffDocument(note_id, base + TXT, tuple(base + suffix for suffix in suffixes))


def _check_suffixes(suffixes: Sequence[str] | None) -> Sequence[str]:
    if suffixes is None:
        return (*WHOLE, *SPLIT)
    if isinstance(suffixes, str) or TXT in suffixes or not all(s[:1] == "." for s in suffixes):
        raise ValueError(f"suffixes is a list like ['.a1', '.a2'], without '{TXT}'")
    return suffixes


def _ambiguous(document: StandoffDocument, suffixes: Sequence[str] | None) -> DataError | None:
    whole = [name for name in document.anns if name.endswith(WHOLE)]
    if suffixes is not None or not whole or len(whole) == len(document.anns):
        return None
    return DataError(
        "the document has a .ann, and a .a1 or .a2 too: say which to read with suffixes=",
        file=document.txt,
    )


def _same_id(
    document: StandoffDocument, documents: dict[str, StandoffDocument]
) -> DataError | None:
    other = documents.get(document.note_id)
    if other is None:
        return None
    return DataError(f"has the same id as {other.txt}: rename one of them", file=document.txt)


def _is_undecodable(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as handle:
            return handle.read()
    except OSError as error:
        message = f"cannot be read: {error.strerror or type(error).__name__}"
        raise DataError(message, file=path) from None


def _counting(on_problem: OnProblem, report: ReadReport | None) -> OnProblem:
    if report is None:
        return on_problem
    reasons: Counter[str] = report.reasons

    def count(problem: DataError) -> None:
        on_problem(problem)
        reasons[_reason(problem)] += 1

    return count


def _reason(problem: DataError) -> str:
    """Return the message without its numbers and its cure, to count by."""
    return re.sub(r"[0-9]+", "N", re.split(r"[:;,]", problem.message)[0])


def _ignore(problem: DataError) -> None:
    pass
