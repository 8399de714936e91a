"""Trials as rows: what was tried, and what came out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edspipe import atomic
from edspipe.tuning.space import Replay, Shown, Space, all_parameters, draw

SCORES, SPREAD, SECONDS, ERROR, NOTE = "scores", "spread", "seconds", "error", "note"
PLACE = "place"
"""Attributes that trials have in the database."""
STATES = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
KILLED = "its process ended"


@dataclass(frozen=True)
class TrialRow:
    """A trial.

    Attributes:
        number: Its number, from 0.
        state: `"completed"`, `"pruned"`, `"failed"` or `"running"`.
        parameters: What it tried, by name: values, and names of choices.
        score: The mean over its trainings; None if it was not completed.
        spread: The standard deviation between its trainings; None of one.
        scores: The score of each training that was finished, by seed.
        last_report: What was reported last of a trial that was pruned.
        seconds: How long it took; None if that is not known.
        note: Why it was pruned or failed.
    """

    number: int
    state: str
    parameters: dict[str, Shown] = field(default_factory=dict)
    score: float | None = None
    spread: float | None = None
    scores: dict[int, float] = field(default_factory=dict)
    last_report: float | None = None
    seconds: float | None = None
    note: str = ""


def to_row(space: Space, trial: Any) -> TrialRow:
    """Return a trial of Optuna as a row."""
    state = STATES.get(trial.state.name, trial.state.name.lower())
    attrs = trial.user_attrs
    reports = trial.intermediate_values
    note = str(attrs.get(ERROR) or attrs.get(NOTE) or "")
    return TrialRow(
        trial.number,
        state,
        _parameters(space, trial.params),
        trial.value if state == "completed" else None,
        attrs.get(SPREAD),
        {int(seed): score for seed, score in attrs.get(SCORES, {}).items()},
        reports[max(reports)] if reports else None,
        attrs.get(SECONDS),
        KILLED if state == "failed" and not note else note,
    )


def _parameters(space: Space, chosen: dict[str, Any]) -> dict[str, Shown]:
    try:
        return draw(space, Replay(chosen))
    except KeyError:  # it was killed while it chose
        return dict(chosen)


def write_table(path: Path, rows: Sequence[TrialRow], space: Space, seeds: Sequence[int]) -> None:
    """Write trials as a table; numbers have all their digits, what there is none of is empty.

    Args:
        path: The file.
        rows: The trials.
        space: What is searched: a column each.
        seeds: The seeds of trainings: a column each.
    """
    names = [parameter.name for parameter in all_parameters(space)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(
        ["number", "state", "score", "spread", "seconds"]
        + [f"score seed {seed}" for seed in seeds]
        + [*names, "note"]
    )
    for row in rows:
        writer.writerow(
            [row.number, row.state, _cell(row.score), _cell(row.spread)]
            + ["" if row.seconds is None else f"{row.seconds:.1f}"]
            + [_cell(row.scores.get(seed)) for seed in seeds]
            + [show(row.parameters[name]) if name in row.parameters else "" for name in names]
            + [" ".join(row.note.split())]
        )
    atomic.write_text(path, text.getvalue())


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def show(value: Shown, digits: int | None = None) -> str:
    """Return a value as configs write it.

    Args:
        value: The value.
        digits: Digits that a number is rounded to; None shows all.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and digits is not None:
        return f"{value:.{digits}g}"
    return str(value)
