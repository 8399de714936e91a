"""Numbers that stand in tables."""

from __future__ import annotations

from spacy.tokens import Doc

from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.quantities.finder import Cell
from edspipe.pipes.rules.quantities.lexicon import Lexicon


def read_cells(doc: Doc, view: TextView, lexicon: Lexicon) -> dict[int, Cell]:
    """Return the numbers that stand alone in cells of tables, by their character in the view."""
    cells: dict[int, Cell] = {}
    for span in doc.spans.get("tables", ()):
        table = span._.table
        if table is None:
            continue
        for row in table.cells:
            _read_row(row, view, lexicon, span.start_char, cells)
    return cells


def _read_row(
    row: list[tuple[int, int]],
    view: TextView,
    lexicon: Lexicon,
    offset: int,
    cells: dict[int, Cell],
) -> None:
    places = [view.norm(offset + start, offset + end) for start, end in row]
    texts = [view.text[start:end].strip() for start, end in places]
    if not texts or not texts[0] or texts[0][:1].isdigit():
        return
    raw = [view.raw_text[offset + start : offset + end].strip() for start, end in row]
    unit = next((raw[k] for k in range(1, len(raw)) if _is_unit(raw[k], lexicon)), "")
    for (start, end), text in zip(places[1:], texts[1:], strict=True):
        number = lexicon.number.search(view.text, start, end)
        if number is not None and not text[: number.start() - start].strip(" <>≤≥=~+-\t"):
            cells[number.start()] = Cell(texts[0], unit)


def _is_unit(text: str, lexicon: Lexicon) -> bool:
    return bool(text) and not text.isdigit() and lexicon.units.parse(text) is not None
