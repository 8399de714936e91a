"""eds.tables: tables in plain text, to rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import SPAN_TABLE, span_attributes, span_key
from edspipe.doc.span_access import parse_groups, set_spans
from edspipe.errors import ConfigError
from edspipe.matching.text_view import TextView
from edspipe.optional import require
from edspipe.types import SpanSetter

NAME = "eds.tables"
LABEL = "table"
ATTRIBUTE = "table"
SEPARATORS = ("|", "¦", "\t")
MAX_COLUMNS = 64

Cells = list[tuple[int, int]]
"""The cells of a line. *Each:* (start, end)"""

_LINE = re.compile(r"[^\n]+")
_RULE = re.compile(r"[\s|¦+:=_-]*")
_WIDE_CELL = re.compile(r"[^\s](?:[ ]?[^\s])*+")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        rows: The texts of its cells, row by row.
        cells: Where they stand in the table's span, row by row. *Each:* (start, end)
    """

    rows: list[list[str]]
    cells: list[Cells]

    def to_pandas(self, header: bool = False) -> Any:
        """Return a `pandas.DataFrame`.

        Args:
            header: Whether the first row names the columns.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = require("pandas", "pandas", "Table.to_pandas")
        rows = self.rows[1:] if header else self.rows
        return pandas.DataFrame(rows, columns=self.rows[0] if header else None)


@dataclass(frozen=True)
class _Row:
    """A line that may be one of a table: its cells, and what they are separated by."""

    start: int
    end: int
    separator: str
    cells: Cells


@registry.factory.register("eds.tables")
class Tables:
    """Finds tables in plain text, and gives their rows.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.tables())
    doc = nlp("Biologie\\nSodium | 135 | mmol/L\\nPotassium | 4,1 | mmol/L\\nFin")
    doc.spans["tables"][0]._.table.rows
    # [['Sodium', '135', 'mmol/L'], ['Potassium', '4,1', 'mmol/L']]
    ```

    A table is a run of lines with equally many cells, which `|`, `¦` or tabs separate, or two or
    more blanks where the cells stand below each other. Rulers (`---|---`) are no rows. It reads
    the text and writes `doc.spans["tables"]` (label `table`), of which `span._.table` is a `Table`:
    its `rows`, the places of the `cells`, and `to_pandas()`. `eds.quantities` reads the rows.

    Limits: a cell stands on one line; a row with more or fewer cells than the one before begins
    another table.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        min_rows: The least number of rows of a table with separators.
        min_aligned: The same for one that only blanks separate; None finds no such tables.
        span_setter: Where the spans go; groups that it names are emptied of this label first.

    Raises:
        ConfigError: A table could have no row.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "tables",
        *,
        min_rows: int = 2,
        min_aligned: int | None = 3,
        span_setter: SpanSetter = "tables",
    ) -> None:
        for argument, value in (("min_rows", min_rows), ("min_aligned", min_aligned)):
            if value is not None and value < 1:
                raise ConfigError(f"{NAME}: {argument}: expected 1 or more; got {value}")
        self.name = name
        self.min_rows = min_rows
        self.min_aligned = min_aligned
        self.span_setter = span_setter

    def __call__(self, doc: Doc) -> Doc:
        """Find the tables of a Doc."""
        view = TextView.of(doc, "TEXT")
        spans = []
        for rows in self.find(view.text):
            place = view.tokens(rows[0][0][0], rows[-1][-1][1])
            if place is None:
                continue
            span = Span(doc, *place, label=LABEL)
            offset = span.start_char
            cells = [[(s - offset, e - offset) for s, e in _raw(view, row)] for row in rows]
            _write(doc, span, cells)
            spans.append(span)
        empty_groups(doc, self.span_setter, frozenset((LABEL,)))
        set_spans(doc, spans, self.span_setter)
        return doc

    def find(self, text: str) -> list[list[Cells]]:
        """Return the cells of each table of a text, row by row."""
        if not any(sign in text for sign in (*SEPARATORS, "  ")):
            return []
        tables: list[list[Cells]] = []
        run: list[_Row] = []
        for row in self._rows(text):
            if row is not None and run and not _goes_on(run[-1], row):
                self._close(run, tables)
                run = []
            if row is None:
                self._close(run, tables)
                run = []
            else:
                run.append(row)
        self._close(run, tables)
        return tables

    def _rows(self, text: str) -> Iterator[_Row | None]:
        """Yield each line that has cells, and None for what ends a table."""
        behind = 0
        for match in _LINE.finditer(text):
            start, end = match.span()
            if start > behind + 1:
                yield None
            behind = end
            line = match[0]
            if _RULE.fullmatch(line):
                if not line.strip():
                    yield None
                continue
            yield self._row(line, start, end)

    def _row(self, line: str, start: int, end: int) -> _Row | None:
        for separator in SEPARATORS:
            if separator in line.strip():
                cells = _split(line, separator, start)
                return _Row(start, end, separator, cells) if 1 < len(cells) <= MAX_COLUMNS else None
        if self.min_aligned is None or "  " not in line.strip():
            return None
        cells = [(start + m.start(), start + m.end()) for m in _WIDE_CELL.finditer(line)]
        return _Row(start, end, " ", cells) if 1 < len(cells) <= MAX_COLUMNS else None

    def _close(self, run: list[_Row], tables: list[list[Cells]]) -> None:
        if not run:
            return
        least = self.min_aligned if run[0].separator == " " else self.min_rows
        if least is not None and len(run) >= least:
            tables.append([row.cells for row in run])


def _split(line: str, separator: str, offset: int) -> Cells:
    """Return the cells of a line; a separator at its ends separates nothing."""
    cells: Cells = []
    place = 0
    pieces = line.split(separator)
    for number, piece in enumerate(pieces):
        stripped = piece.strip()
        start = place + (len(piece) - len(piece.lstrip()) if stripped else 0)
        inner = 0 < number < len(pieces) - 1
        if stripped or inner:
            cells.append((offset + start, offset + start + len(stripped)))
        place += len(piece) + 1
    return cells


def _goes_on(above: _Row, below: _Row) -> bool:
    if above.separator != below.separator or len(above.cells) != len(below.cells):
        return False
    if above.separator != " ":
        return True
    # Columns that begin, or end (numbers), at the same place of their lines.
    return all(
        up[0] - above.start == down[0] - below.start or up[1] - above.start == down[1] - below.start
        for up, down in zip(above.cells[1:], below.cells[1:], strict=True)
    )


def _raw(view: TextView, row: Cells) -> Cells:
    return [view.raw(start, end) for start, end in row]


def _write(doc: Doc, span: Span, cells: list[Cells]) -> None:
    plain = [[list(cell) for cell in row] for row in cells]
    doc.user_data.setdefault(SPAN_TABLE, {}).setdefault(span_key(span), {})[ATTRIBUTE] = plain


def declare_table() -> None:
    """Make `span._.table` exist: a `Table`, or None. What is kept are the places of its cells."""
    if Span.has_extension(ATTRIBUTE):
        return

    def get(span: Span) -> Table | None:
        stored = span_attributes(span).get(ATTRIBUTE)
        if stored is None:
            return None
        text = span.text
        cells = [[(start, end) for start, end in row] for row in stored]
        return Table([[text[start:end] for start, end in row] for row in cells], cells)

    def set_(span: Span, value: Table | list[Cells] | None) -> None:
        _write(span.doc, span, value.cells if isinstance(value, Table) else value or [])

    Span.set_extension(ATTRIBUTE, getter=get, setter=set_)


def empty_groups(doc: Doc, setter: SpanSetter, labels: frozenset[str]) -> None:
    """Take the spans that a pipe made before out of the groups that it writes."""
    if callable(setter):
        return
    for group in parse_groups(setter):
        if group == "ents":
            doc.ents = tuple(span for span in doc.ents if span.label_ not in labels)
        elif group in doc.spans:
            doc.spans[group] = [span for span in doc.spans[group] if span.label_ not in labels]


declare_table()
