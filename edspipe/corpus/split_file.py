r"""Files that keep a split for good: `note_id` and `side`, with a tab between, a document a line.

Lines stand in the order of the ids, so that the order of documents does not show. Ids with tabs,
line breaks or quotes stand in quotes, as in any table that csv programs write.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from edspipe.atomic import write_text
from edspipe.errors import DataError
from edspipe.stream.shares import SIDES

HEADER = ["note_id", "side"]
SHOWN_IDS = 5


def write_split(path: str | Path, sides: Mapping[str, str]) -> None:
    """Write which document is on which side; a file that says the same is left as it is.

    Raises:
        DataError: The file exists and says something else.
    """
    file = Path(path)
    if file.exists():
        kept = read_split(file)
        if kept != dict(sides):
            changed = sorted(i for i in {*kept, *sides} if kept.get(i) != sides.get(i))
            raise DataError(
                f"the file exists, and another split is in it: {name_some(changed, 'document')} "
                "differ; keep to it with from_file=, or choose another name",
                file=file,
            )
        return
    rows = [
        "\t".join(HEADER),
        *(f"{_cell(ident)}\t{side}" for ident, side in sorted(sides.items())),
    ]
    write_text(file, "\n".join(rows) + "\n")


def read_split(path: str | Path) -> dict[str, str]:
    """Return the side of each document, by id.

    Raises:
        DataError: The file is no such table, names an unknown side, or an id twice.
    """
    sides: dict[str, str] = {}
    with Path(path).open(encoding="utf-8-sig", newline="") as handle:
        rows = csv.reader(handle, delimiter="\t")
        try:
            header = next(rows, [])
            if header != HEADER:
                expected = " and ".join(HEADER)
                raise DataError(f"expected the columns {expected}", file=path, line=1)
            for row in filter(None, rows):  # none of the blank lines
                ident, side = _checked(row, path, rows.line_num)
                if ident in sides:
                    raise DataError(
                        "this document stands on two lines", file=path, line=rows.line_num, id=ident
                    )
                sides[ident] = side
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(
                f"expected a table in UTF-8: {type(error).__name__}", file=path, line=rows.line_num
            ) from None
    return sides


def _cell(ident: str) -> str:
    """Write an id; Python's own writer leaves a carriage return without quotes."""
    if not any(mark in ident for mark in '\t\r\n"'):
        return ident
    return '"' + ident.replace('"', '""') + '"'


def _checked(row: list[str], path: str | Path, line: int) -> tuple[str, str]:
    if len(row) != len(HEADER):
        raise DataError(
            f"expected {len(HEADER)} cells with a tab between, got {len(row)}", file=path, line=line
        )
    if row[1] not in SIDES:
        known = ", ".join(SIDES)
        raise DataError(
            f"expected a side ({known}), got {row[1]!r}", file=path, line=line, id=row[0]
        )
    return row[0], row[1]


def name_some(ids: Iterable[str | None], what: str) -> str:
    """Say how many there are, and name the first: `3 documents (a, b, c)`."""
    found = list(ids)
    more = ", ..." if len(found) > SHOWN_IDS else ""
    shown = ", ".join("without id" if ident is None else ident for ident in found[:SHOWN_IDS])
    return f"{len(found):,} {what}{'' if len(found) == 1 else 's'} ({shown}{more})"
