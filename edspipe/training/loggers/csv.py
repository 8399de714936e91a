"""csv: a row for each number, in `metrics.csv`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from edspipe.config.registry import registry
from edspipe.training.loggers.line_file import LineFileLogger
from edspipe.training.records import Record


@registry.loggers.register("csv")
class CsvLogger(LineFileLogger):
    """Writes a row for each number: `20,train,loss,0.31`, under `step,split,name,value`.

    Rows come in the order in which they were logged; numbers have all their digits, and what is not
    finite is left empty. Line breaks in names are written as blanks.

    Args:
        file: The file, below the folder of the run.
    """

    header = "step,split,name,value\n"

    def __init__(self, file: str = "metrics.csv") -> None:
        super().__init__(file)

    def to_lines(self, records: Sequence[Record]) -> Iterable[str]:
        """Return the rows, as one text."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            (
                record.step,
                record.split,
                " ".join(record.name.splitlines()),
                repr(record.value) if math.isfinite(record.value) else "",
            )
            for record in records
        )
        return (text.getvalue(),)

    def step_of(self, line: str) -> int:
        """Return the step of a row."""
        step, _, _, _ = next(csv.reader([line]))
        return int(step)
