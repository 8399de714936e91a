"""read_metrics: the metrics files of edspipe, and those that Flair's trainer writes."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from edspipe.errors import DataError
from edspipe.viz.series import TEST, TRAIN, VAL, WEIGHTS, Metrics

JSONL, CSV, LOSS_TABLE, WEIGHT_TABLE = "jsonl", "csv", "loss table", "weight table"
RATE_TABLE = "learning-rate table"

KNOWN = (
    "Expected a metrics.jsonl or metrics.csv (columns step, split, name, value), a "
    "learning_rate.tsv (columns step, lr, loss), or a loss.tsv or weights.txt as Flair writes them"
)

LOSS_COLUMNS = {
    "LEARNING_RATE": (TRAIN, "lr"),
    "LOSS": (TRAIN, "loss"),
    "BAD_EPOCHS": (TRAIN, "bad_epochs"),
}
"""Columns of a loss.tsv that don't begin with the name of a split."""

SPLITS = {"TRAIN": TRAIN, "DEV": VAL, "TEST": TEST}
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf")
ABSENT = ("_", "", "-")


def kind_of(file: str | Path) -> str:
    """Return what a file of numbers is, by its suffix and its first line.

    Raises:
        DataError: It is nothing that is known.
        FileNotFoundError: There is no such file.
    """
    file = Path(file)
    with file.open(encoding="utf-8", errors="replace") as lines:
        first = next((line.strip() for line in lines if line.strip()), "")
    if file.suffix == ".jsonl" or first.startswith("{"):
        return JSONL
    if file.suffix == ".csv":
        return CSV
    columns = first.split("\t")
    if columns[0].upper() == "EPOCH":
        return LOSS_TABLE
    if columns[:3] == ["step", "lr", "loss"]:
        return RATE_TABLE
    if len(columns) >= 4 and NUMBER.fullmatch(columns[0]):
        return WEIGHT_TABLE
    raise DataError(f"{KNOWN}; the first line is none of their headers", file, 1)


def read_metrics(file: str | Path) -> Metrics:
    """Read what a training recorded.

    A last line that is cut short, as in a run that goes on or was killed, is left out.

    Args:
        file: `metrics.jsonl` or `metrics.csv` of a run, or a `loss.tsv` or `weights.txt` as Flair's
            trainer writes them.

    Raises:
        DataError: The file is something else, or a line is wrong.
        FileNotFoundError: There is no such file.
    """
    file = Path(file)
    kind = kind_of(file)
    if kind == RATE_TABLE:
        cure = "It is a table of a learning-rate finder: read it with read_learning_rates"
        raise DataError(f"expected recorded metrics. {cure}", file)
    readers = {JSONL: _read_jsonl, CSV: _read_csv, LOSS_TABLE: _read_losses}
    return readers.get(kind, _read_weights)(file)


def numbered_lines(file: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield the lines of a text that hold something.

    Yields:
        The number, from 1; the line without its end; and whether its end was there.
    """
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line.rstrip("\r\n"), line.endswith("\n")


def _read_jsonl(file: Path) -> Metrics:
    metrics = Metrics()
    for number, line, complete in numbered_lines(file):
        try:
            row = json.loads(line)
        except ValueError:
            if not complete:
                break
            raise DataError("expected a JSON object, found something else", file, number) from None
        _add_row(metrics, row, file, number)
    return metrics


def _add_row(metrics: Metrics, row: Any, file: Path, number: int) -> None:
    if not isinstance(row, dict) or not _is_step(row.get("step")) or "split" not in row:
        text = 'expected an object with "step" (a number) and "split", as edspipe train writes'
        raise DataError(text, file, number)
    for name, value in row.items():
        if name not in ("step", "split"):
            metrics.add(row["step"], str(row["split"]), name, value)


def _is_step(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < float("inf")


def _read_csv(file: Path) -> Metrics:
    metrics = Metrics()
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = {"step", "split", "name", "value"} - set(rows.fieldnames or ())
        if missing:
            text = f"expected the columns step, split, name, value; missing: {sorted(missing)}"
            raise DataError(text, file, 1)
        for row in rows:
            step, number = _step(row["step"]), rows.line_num
            if step is None or row["value"] is None:
                if next(rows, None) is None:
                    break
                raise DataError("expected four cells, with a number as step", file, number)
            metrics.add(step, row["split"], row["name"], _number(row["value"]))
    return metrics


def _read_losses(file: Path) -> Metrics:
    """Read a table with a header and a row an epoch; `_` stands for what is absent."""
    metrics = Metrics(unit="epoch")
    columns: list[str] = []
    for number, line, _ in numbered_lines(file):
        cells = line.split("\t")
        if cells[0].upper() == "EPOCH":  # again after a run that went on
            columns = [cell.strip().upper() for cell in cells]
            continue
        epoch = _step(cells[0])
        if epoch is None:
            raise DataError("expected the number of an epoch in the first cell", file, number)
        for column, cell in zip(columns[1:], cells[1:], strict=False):
            split, name = _name_of(column)
            if name and cell.strip() not in ABSENT:
                metrics.add(epoch, split, name, _number(cell))
    return metrics


def _name_of(column: str) -> tuple[str, str]:
    """Return split and name of a column, e.g. `DEV_F1`; no name for what is no metric."""
    if column in LOSS_COLUMNS:
        return LOSS_COLUMNS[column]
    split, _, name = column.partition("_")
    return (SPLITS[split], name.lower()) if split in SPLITS else ("", "")


def _read_weights(file: Path) -> Metrics:
    """Read lines that begin with an iteration and end with parameter, position and value."""
    rows: dict[str, list[tuple[float, float | None]]] = {}
    for number, line, complete in numbered_lines(file):
        cells = line.split("\t")
        step = _step(cells[0])
        if len(cells) < 4 or step is None:
            if not complete:
                break
            text = "expected an iteration, ..., a parameter, a position and a value, parted by tabs"
            raise DataError(text, file, number)
        name, position, value = (cell.strip() for cell in cells[-3:])
        rows.setdefault(f"{name}[{position.strip('[]()')}]", []).append((step, _number(value)))
    counted_anew = any(b <= a for p in rows.values() for (a, _), (b, _) in pairwise(p))
    metrics = Metrics(unit="record" if counted_anew else "iteration")
    for weight, points in rows.items():
        steps: Sequence[float] = [step for step, _ in points]
        if counted_anew:  # in each epoch
            steps = range(1, len(points) + 1)
        for step, (_, found) in zip(steps, points, strict=True):
            metrics.add(step, WEIGHTS, weight, found)
    return metrics


def _step(text: str | None) -> float | None:
    """Return a cell that is a finite number and nothing else, or None."""
    found = NUMBER.fullmatch(text.strip().lower()) if text else None
    number = math.nan if found is None else float(found[0])
    return number if math.isfinite(number) else None


def _number(text: str | None) -> float | None:
    """Return the first number of a text, e.g. of `tensor(0.5)`; None if there is none."""
    found = NUMBER.search(text.lower()) if text else None
    return None if found is None else float(found[0])
