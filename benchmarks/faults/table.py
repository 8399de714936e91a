"""Measurements as a page: a table a group of faults, a column a tool, a cell a few words.

Every cell is made from measurements. Runs that ended alike are told together, with the longest
time and the range of the counts.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any

from benchmarks.faults.faults import (
    DATA,
    FAULTS,
    NUM_DOCS,
    NUM_WORKERS,
    Fault,
)
from benchmarks.faults.measure import GONE_S, LEFT_S, LIMIT_S, Result

TITLES = {
    "edspipe": "edspipe",
    "edspipe-quarantine": 'edspipe, `on_error="quarantine:…"`',
    "edsnlp": "EDS-NLP",
    "spacy": "spaCy",
    "dataloader": "PyTorch DataLoader",
}

INTRODUCTION = f"""# Fault matrix

What happens to a run when something goes wrong, measured from outside: {NUM_DOCS} documents,
{NUM_WORKERS} workers, and a fault on one document or around the run. A script writes this page,
cells included. The [measurements](fault_matrix.json) lie beside it.

The other tools are called through their public interface, with default settings but for those
shown. They were made for other ends too, and a newer version may do better: run it again.
"""

HOW_TO_READ = f"""## How to read a cell

- Seconds from the fault to what the caller sees: an error, or the normal end of the run. A run in
  which neither came within {LIMIT_S:g} s hangs. Where the main process ends, seconds until nothing
  of the run is left.
- The error that the caller gets, and whether its message names the document.
- How many documents came before an error; after a normal end, how many are lost. Documents that
  are set aside are told apart.
- How many processes besides the main one are left {LEFT_S:g} s after the end of the run, or after
  Ctrl-C on a run that hangs, and when the last one is gone if that is within {GONE_S:g} s.
  Temporary files and shared memory are told where any are left.

Where runs of a fault ended differently, the cell says how often. Times are the longest.
"""

AGAIN = """## Run it again

```bash
python -m venv peers && peers/bin/pip install "edsnlp[ml]==0.23.0"
python -m benchmarks.faults --peer-python peers/bin/python \\
    --keep docs/fault_matrix.json --out docs/fault_matrix.md
```

`--keep` adds to the measurements that are there: `--tools edspipe edspipe-quarantine` measures
edspipe alone, and keeps the other columns. `--faults kill exit` measures these two rows.
"""


def render(results: dict[str, Any]) -> str:
    """Return the page.

    Args:
        results: For each tool, its versions, and the runs of each fault.
    """
    tools = [tool for tool in TITLES if tool in results]
    parts = [INTRODUCTION, _about_tools(tools, results), HOW_TO_READ]
    for group in dict.fromkeys(fault.group for fault in FAULTS):
        rows = [fault for fault in FAULTS if fault.group == group]
        rows = [row for row in rows if any(row.name in results[tool]["runs"] for tool in tools)]
        if rows:
            parts.append(f"## {group}\n\n{_table(rows, tools, results)}")
    return "\n".join([*parts, AGAIN])


def _about_tools(tools: list[str], results: dict[str, Any]) -> str:
    lines = ["| Tool | Versions | Call | Measured |", "|---|---|---|---|"]
    for tool in tools:
        column = results[tool]
        versions = ", ".join(f"{key} {value}" for key, value in column["versions"].items())
        times = _range([len(runs) for runs in column["runs"].values()])
        where = f"{column['date']}, {times} runs of a fault, {column['machine']}"
        lines.append(f"| {TITLES[tool]} | {versions} | {column['how']} | {where} |")
    return "\n".join(lines) + "\n"


def _table(rows: list[Fault], tools: list[str], results: dict[str, Any]) -> str:
    lines = ["| Fault | " + " | ".join(TITLES[tool] for tool in tools) + " |"]
    lines.append("|---" * (len(tools) + 1) + "|")
    for fault in rows:
        cells = [_cell(fault, results[tool]["runs"].get(fault.name)) for tool in tools]
        lines.append(f"| {fault.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(fault: Fault, runs: list[Result] | None) -> str:
    if not runs:
        return ""
    groups: dict[str, list[Result]] = {}
    for run in runs:
        groups.setdefault(_kind_of_end(fault, run), []).append(run)
    if len(groups) == 1:
        return _describe(fault, runs)
    told = sorted(groups.values(), key=len, reverse=True)
    return "<br>".join(f"{len(g)} of {len(runs)}: {_describe(fault, g)}" for g in told)


def _kind_of_end(fault: Fault, run: Result) -> str:
    """Return what has to be equal for two runs to be told together: all words but numbers."""
    return re.sub(r"(< )?\d+(\.\d+)?", "#", _describe(fault, [run]))


def _describe(fault: Fault, runs: list[Result]) -> str:
    first = runs[0]
    if first["outcome"] == "not_offered":
        return f"({first['message']})"
    if fault.group == DATA and first["facts"] is not None:
        parts = [_error(first), FACTS[fault.name](first["facts"])]
    else:
        parts = [_when(first, runs), _outcome(fault, first), _documents(fault, first, runs)]
        parts += [_left(first, runs)]
    return "; ".join(part for part in [*parts, _files(runs)] if part)


def _when(first: Result, runs: list[Result]) -> str:
    if first["outcome"] == "hang":
        return f"> {first['limit_s']:g} s"
    key = "left_gone_s" if first["outcome"] == "ended" else "seconds"
    if first.get(key) is None or (first["outcome"] == "ended" and first["left"]):
        return ""
    seconds = max(run[key] for run in runs)
    return f"{seconds:.2f} s" if seconds >= 0.01 else "< 0.01 s"


def _outcome(fault: Fault, run: Result) -> str:
    if run["outcome"] == "hang":
        return "hangs"
    if run["outcome"] == "error":
        return _error(run)
    if run["outcome"] == "end":
        return "returns" if fault.kind == "leave" else "ends normally"
    code = run["exit_code"]
    if code is None:
        return "main process goes on"
    if code < 0:
        return f"main process ended by {signal.Signals(-code).name}"
    return f"main process ended with code {code}"


def _error(run: Result) -> str:
    if run["outcome"] != "error":
        return ""
    named = {True: ", names the document", False: ", document not named"}
    return f"`{run['type']}`" + named.get(run.get("names_document"), "")  # type: ignore[arg-type]


def _documents(fault: Fault, first: Result, runs: list[Result]) -> str:
    if fault.kind != "documents":
        return ""
    counts = [run["delivered"] for run in runs]
    parts = []
    if first["outcome"] == "end":
        lost = [NUM_DOCS - count for count in counts]
        for key in ("quarantined", "skipped"):
            aside = [run["counts"].get(key, 0) for run in runs]
            lost = [one - other for one, other in zip(lost, aside, strict=True)]
            parts += [f"{_range(aside)} {key}"] if max(aside) else []
        parts.append(f"{_range(lost)} lost" + (_in_silence(first) if max(lost) else ""))
    else:
        parts.append(f"{_range(counts)} of {NUM_DOCS} came")
    doubled = [run["doubled"] for run in runs]
    if max(doubled):
        parts.append(f"{_range(doubled)} doubled")
    return ", ".join(parts)


def _in_silence(run: Result) -> str:
    return ", no error" + (" (a traceback is printed)" if run["prints_traceback"] else "")


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _left(first: Result, runs: list[Result]) -> str:
    key = max(("left", "left_running"), key=lambda key: first.get(key, 0))
    left = f"{_range([run[key] for run in runs])} left"
    left += " after Ctrl-C" if first["outcome"] == "hang" else ""
    gone = [run[f"{key}_gone_s"] for run in runs if run.get(f"{key}_gone_s") is not None]
    if first[key] and len(gone) == len(runs):
        left += f", none after {max(gone):.1f} s"
    is_main_left = first["exit_code"] is None and first["outcome"] != "ended"
    return left + (", main process not ended" if is_main_left else "")


def _files(runs: list[Result]) -> str:
    temporary = max(run["temporary_files"] for run in runs)
    shared = max(run["shared_memory"] for run in runs)
    parts = [f"{temporary} in the folder for temporary files"] if temporary else []
    parts += [f"{shared} in shared memory"] if shared else []
    return ", ".join(parts)


def _disk(facts: Result) -> str:
    if facts["intact"]:
        extra = facts["extra_files"]
        return "earlier dataset intact" + (f", {extra} partial files beside it" if extra else "")
    readable = facts["readable"]
    if isinstance(readable, str):
        return f"earlier dataset gone, what is there cannot be read (`{readable}`)"
    return f"earlier dataset gone, {readable} of {NUM_DOCS} new documents are there"


def _traversal(facts: Result) -> str:
    return f"{facts['outside']} files outside the output folder"


def _crlf(facts: Result) -> str:
    read = ", ".join(facts["read"])
    if read == facts["expected"]:
        return "the span is right"
    return f'reads "{read}" for "{facts["expected"]}"'


def _batches(facts: Result) -> str:
    for name, hashes in (("batches", facts["sets"]), ("order of batches", facts["orders"])):
        odd = [str(n) for n, one in enumerate(hashes) if one != hashes[0]]
        if odd:
            return f"other {name} with {' and '.join(odd)} workers"
    return "the same batches, in the same order"


FACTS: dict[str, Callable[[Result], str]] = {
    "disk": _disk,
    "traversal": _traversal,
    "crlf": _crlf,
    "batches": _batches,
}
