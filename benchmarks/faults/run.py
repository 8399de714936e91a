"""The command line: which tool meets which fault, and where the measurements go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.child import SIDES
from benchmarks.faults.faults import BY_NAME, FAULTS, Fault
from benchmarks.faults.measure import LIMIT_S, Result, measure
from benchmarks.faults.table import render

OURS = ("edspipe", "edspipe-quarantine")


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, keep it, and write the page."""
    args = _parser().parse_args(arguments)
    results: dict[str, Any] = {}
    if args.keep and args.keep.exists():
        results = json.loads(args.keep.read_text(encoding="utf-8"))
    for tool in args.tools or _tools(args):
        python = sys.executable if tool in OURS else args.peer_python
        if python is None:
            sys.exit(f"{tool} needs --peer-python: an interpreter in whose environment it is")
        for fault in FAULTS:
            if fault.name in (args.faults or BY_NAME) and meets(tool, fault):
                _measure_fault(tool, python, fault, args, results)
                _keep(results, args.keep)
    page = render(results)
    if args.out:
        args.out.write_text(page, encoding="utf-8")
    else:
        print(page)
    return 0


def meets(tool: str, fault: Fault) -> bool:
    """Whether a tool is measured with a fault; setting documents aside often changes nothing."""
    return tool != "edspipe-quarantine" or fault.quarantine


def _keep(results: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        text = json.dumps(results, indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--peer-python", help="interpreter with EDS-NLP, spaCy and PyTorch")
    parser.add_argument("--tools", nargs="+", choices=list(SIDES), help="default: all there are")
    parser.add_argument("--faults", nargs="+", choices=list(BY_NAME), help="default: all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each fault")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds until a run hangs")
    parser.add_argument("--keep", type=Path, help="JSON file of measurements, to add to")
    parser.add_argument("--out", type=Path, help="Markdown file; default: print the page")
    return parser


def _tools(args: argparse.Namespace) -> list[str]:
    return list(SIDES) if args.peer_python else list(OURS)


def _measure_fault(
    tool: str, python: str, fault: Fault, args: argparse.Namespace, results: dict[str, Any]
) -> None:
    column = results.setdefault(tool, {"runs": {}})
    runs = []
    for repeat in range(args.repeats):
        run = measure(python, tool, fault.name, repeat, args.limit)
        _take_start(run, column)
        print(tool, fault.name, _summary(run), file=sys.stderr, flush=True)
        runs.append(run)
    column["runs"][fault.name] = runs
    column |= {"date": time.strftime("%Y-%m-%d"), "machine": _machine()}


def _take_start(run: Result, column: dict[str, Any]) -> None:
    """Keep what a tool said of itself once a column."""
    start = run.pop("start")
    if start is not None:
        column |= {"versions": start["versions"], "how": start["how"]}


def _summary(run: Result) -> str:
    seconds = f"{run['seconds']:.2f} s " if "seconds" in run else ""
    return f"{seconds}{run['outcome']} {run.get('type', '')} {run['delivered']} docs"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        model = f"{names[0]}, {len(names)} cores" if names else model
    load = os.getloadavg()[1]
    return f"{model}, load {load:.1f}; {platform.system()} {platform.release()}"
