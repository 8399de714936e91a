"""jsonl: an object for each step and split, in `metrics.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from edspipe.config.registry import registry
from edspipe.training.loggers.line_file import LineFileLogger
from edspipe.training.records import Record

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@registry.loggers.register("jsonl")
class JsonlLogger(LineFileLogger):
    """Writes a line for each step and split: `{"step": 20, "split": "train", "loss": 0.31}`.

    Names come in the order in which they were logged; numbers have all their digits, and what is
    not finite is null.

    Args:
        file: The file, below the folder of the run.
    """

    def __init__(self, file: str = "metrics.jsonl") -> None:
        super().__init__(file)

    def to_lines(self, records: Sequence[Record]) -> Iterable[str]:
        """Return an object for each step and split."""
        rows: dict[tuple[int, str], dict[str, Any]] = {}
        for record in records:
            place = record.step, record.split
            if place not in rows:
                rows[place] = {"step": record.step, "split": record.split}
            value = record.value
            rows[place][record.name] = value if math.isfinite(value) else None
        return [_encode(row) + "\n" for row in rows.values()]

    def step_of(self, line: str) -> int:
        """Return the step of a line."""
        return int(json.loads(line)["step"])
