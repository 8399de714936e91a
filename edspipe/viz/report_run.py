"""Parts of the report about the run: what it was, its data, and its slowest steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edspipe.viz.evaluation import mapping, number
from edspipe.viz.html import EMPTY, Html, bar, join, table, tag
from edspipe.viz.run_files import RunFiles
from edspipe.viz.series import TRAIN, Series

MAX_IDS = 12
"""Document ids of a slow step that are listed."""

NUM_HASH_CHARS = 12

STOPPED = {
    "max_steps": "all steps done",
    "max_epochs": "all epochs done",
    "early_stopping": "stopped early",
}


def run_line(run: RunFiles) -> str:
    """Return what the run was, in one line: how it ended, how long it was, and on what."""
    step = run.metrics.last_step()
    epochs = run.metrics.series(TRAIN, "epoch").finite()
    seconds = _seconds(run.metrics.series(TRAIN, "time_s").finite())
    stopped = str(run.info.get("stopped_by") or "")
    status = str(run.info.get("status") or "")
    parts = [
        f"{status} ({STOPPED.get(stopped, stopped)})" if status and stopped else status,
        "" if step is None else f"{step:,.0f} {run.metrics.unit}{'' if step == 1 else 's'}",
        f"{epochs.values[-1]:.1f} epochs" if len(epochs) else "",
        _duration(seconds) if seconds else "",
        str(run.info.get("device") or ""),
        str(run.info.get("precision") or ""),
        "" if run.info.get("seed") is None else f"seed {run.info['seed']}",
    ]
    return ", ".join(part for part in parts if part)


def best_line(run: RunFiles) -> str:
    """Return which step was best and which model was evaluated, as far as is known."""
    best, evaluated = run.best(), run.info.get("evaluated")
    parts = []
    if best is not None:
        name = best.monitor or "the monitored score"
        parts.append(f"Best {run.metrics.unit}: {best.step:,.0f}, with {name} {best.value:.4g}.")
    if evaluated and run.evaluations:
        parts.append(f"Scores below are those of {evaluated}.")
    return " ".join(parts)


def _seconds(times: Series) -> float:
    """Return the seconds of all parts of a run: the clock begins anew where one was resumed."""
    if not len(times):
        return 0.0
    ends = times.values[:-1][np.diff(times.values) < 0]
    return float(ends.sum() + times.values[-1])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def details_table(run: RunFiles) -> Html:
    """Return versions and settings."""
    versions = mapping(run.info.get("versions"))
    keys = ("status", "stopped_by", "evaluated", "device", "precision", "seed")
    rows = [[key, str(run.info[key])] for key in keys if run.info.get(key) is not None]
    rows += [[f"version of {name}", str(version)] for name, version in versions.items()]
    return table(["", ""], rows) if rows else EMPTY


# Data


def data_part(run: RunFiles) -> Html:
    """Return documents and words of each data set, and labels side by side."""
    sets = {name: mapping(part) for name, part in mapping(run.info.get("data")).items()}
    sets = {name: part for name, part in sets.items() if part}
    if not sets:
        return EMPTY
    header = ["", "documents", "words", "words of a document: least, median, most", "fingerprint"]
    rows = [
        [
            name,
            _count(part.get("num_docs")),
            _count(part.get("num_words")),
            _lengths(mapping(part.get("length_words"))),
            str(part.get("sha256") or "–")[:NUM_HASH_CHARS],
        ]
        for name, part in sets.items()
    ]
    return join([table(header, rows), _labels_table(sets)])


def _count(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _lengths(lengths: Mapping[str, Any]) -> str:
    found = [number(lengths.get(key)) for key in ("min", "median", "max")]
    return ", ".join("–" if value is None else f"{value:,.0f}" for value in found)


def _labels_table(sets: Mapping[str, Mapping[str, Any]]) -> Html:
    """Return a row a label, with its number and its share in each set."""
    counts = {name: mapping(part.get("labels")) for name, part in sets.items()}
    counts = {name: labels for name, labels in counts.items() if labels}
    totals = {name: sum(number(v) or 0 for v in labels.values()) for name, labels in counts.items()}
    labels = sorted(
        {label for found in counts.values() for label in found},
        key=lambda label: [-(number(found.get(label)) or 0) for found in counts.values()],
    )
    if not labels:
        return EMPTY
    rows = []
    for label in labels:
        cells = [_share(number(counts[name].get(label)) or 0, totals[name]) for name in counts]
        rows.append([label, *(cell for pair in cells for cell in pair)])
    header = ["label", *(text for name in counts for text in (name, f"share of {name}"))]
    absent = [label for label in labels if not number(next(iter(counts.values())).get(label))]
    note = f"Never seen in {next(iter(counts))}: {', '.join(absent)}." if absent else ""
    return join([tag("p", tag("b", note)) if note else "", table(header, rows)])


def _share(count: float, total: float) -> tuple[object, Html]:
    share = count / total if total else 0.0
    return int(count), bar(f"{share:.1%}", share)


# Speed


def speed_part(run: RunFiles) -> Html:
    """Return how fast the run was, and its slowest steps."""
    seconds = run.metrics.series(TRAIN, "step_s").finite()
    words = run.metrics.series(TRAIN, "num_words").finite()
    about = EMPTY
    if len(seconds):
        text = f"Half of the steps took {np.median(seconds.values):.3g} s or less"
        if len(words) and seconds.values.sum() > 0:
            both = np.isin(words.steps, seconds.steps)
            rate = words.values[both].sum() / seconds.values.sum()
            text += f"; {rate:,.0f} words a second on average"
        about = tag("p", f"{text}.")
    header = ["step", "seconds", "documents", "words", "ids of the documents"]
    slowest = sorted(run.slowest, key=lambda row: -(number(row.get("step_s")) or 0.0))
    longest = max((number(row.get("step_s")) or 0.0 for row in slowest), default=0.0)
    rows = [_slow_step(row, longest) for row in slowest]
    return join([about, table(header, rows) if rows else ""])


def _slow_step(row: Mapping[str, Any], longest: float) -> list[object]:
    ids = [str(doc_id) for doc_id in row.get("doc_ids") or []]
    more = f" and {len(ids) - MAX_IDS:,} more" if len(ids) > MAX_IDS else ""
    seconds = number(row.get("step_s")) or 0.0
    return [
        _count(row.get("step")),
        bar(f"{seconds:.2f}", seconds / longest if longest else 0.0),
        _count(row.get("num_docs")),
        _count(row.get("num_words")),
        ", ".join(ids[:MAX_IDS]) + more,
    ]
