"""Random standoff documents, valid by construction, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from edspipe.data.output.writing import write_records
from edspipe.data.standoff.files import StandoffDocument, list_standoff_files
from edspipe.data.standoff.format import mention_of
from edspipe.data.standoff.writer import StandoffSink, render_files
from edspipe.stream.account import RunReport
from edspipe.stream.stream import Stream

# Line ends of every kind, a byte-order mark, NUL, an emoji of several characters, a combining mark,
# a joiner, right-to-left letters with their mark: everything that moves offsets elsewhere.
PIECES = [
    *("fièvre", "abc", "12", " ", "  ", "\t", ".", "-", "\n", "\r\n", "\r", "\ufeff", "\u2028"),
    *("\u0085", "\x00", "\x0b", "\U0001f44d\U0001f3fd", "👩\u200d⚕\ufe0f", "e\u0301", "\u200d"),
    *("\u200fשלום", "مرحبا", "\u00ad", "\xa0", "𝒜"),
]
WORDS = st.sampled_from(["DISO", "Drug", "Négation", "a-b", "get", "class", "x_1", "_p", "µ"])
VALUES = st.none() | st.sampled_from(["POS", "NEG", "a b", "0", "True", "é", "x:y"])
LINES = st.text(alphabet=st.sampled_from("ab é\t\r\u2028\x00#"), max_size=8)
UNKNOWN = st.sampled_from(["", " ", "// x", "Hello", "%%", "\u2028T1\tX 0 1\tx", "x\r"])

texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@st.composite
def fragments(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """One to three fragments that do not overlap."""
    count = draw(st.integers(1, 3 if length > 6 else 1))
    cuts = st.lists(st.integers(0, length), min_size=2 * count, max_size=2 * count, unique=True)
    points = sorted(draw(cuts))
    return list(zip(points[::2], points[1::2], strict=True))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    """A text and its annotations, as the contents of a .txt and a .ann."""
    text = draw(texts)
    lines = []
    entities = []
    for number in range(1, draw(st.integers(0, 8)) + 1 if text else 1):
        spans = draw(fragments(len(text)))
        said = ";".join(f"{begin} {end}" for begin, end in spans)
        lines.append(f"T{number}\t{draw(WORDS)} {said}\t{mention_of(text, tuple(spans))}")
        entities.append(f"T{number}")
    ids = list(entities)
    for number in range(1, draw(st.integers(0, 12)) + 1 if entities else 1):
        kind = draw(st.sampled_from("AMN#RE*"))
        target = draw(st.sampled_from(ids))
        other = draw(st.sampled_from(ids))
        line = {
            "A": f"A{number}\t{draw(WORDS)} {target}",
            "M": f"M{number}\tNegation {target}",
            "N": f"N{number}\tReference {target} MeSH:{draw(st.sampled_from(['D1', 'C 2:3']))}",
            "#": f"#{number}\tAnnotatorNotes {target}\t{draw(LINES)}",
            "R": f"R{number}\tOf Arg1:{target} Arg2:{other}",
            "E": f"E{number}\tDose:{draw(st.sampled_from(entities))} Drug:{target}",
            "*": f"*\tEquiv {target} {other}",
        }[kind]
        value = draw(VALUES)
        if kind in "AM" and value is not None:
            line += f" {value}"
        if kind == "N":
            line += draw(st.sampled_from(["", "\t", "\tname"]))
        lines.append(line)
        if kind != "*":
            ids.append(f"{kind}{number}")
    lines.extend(draw(st.lists(UNKNOWN, max_size=3)))
    lines = draw(st.permutations(lines))
    end = "" if lines and lines[-1] and draw(st.booleans()) else "\n"
    return text, "\n".join(lines) + end if lines else ""


def write_files(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files by relative path, below a new folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return folder


def only_document(folder: Path) -> StandoffDocument:
    """Return the one document of a folder."""
    (document,) = list_standoff_files(folder)
    return document


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but its manifest and its receipt."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "edspipe.receipt")
    }


def write_folder(folder: Path, records: Iterable[dict[str, Any]], **options: Any) -> RunReport:
    """Write standoff records, as `write_standoff` does with Docs."""
    stream = Stream.from_items(records).map(render_files)
    return write_records(stream, folder, StandoffSink(), stage="write_standoff", **options)
