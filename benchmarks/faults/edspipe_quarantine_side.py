"""How edspipe is called where documents that fail are set aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults import edspipe_side
from benchmarks.faults.edspipe_side import versions as versions
from benchmarks.faults.faults import Fault

HOW = 'as above, with `on_error="quarantine:PATH"`'


def run(fault: Fault, folder: Path, seed: int) -> Iterator[str]:
    """Yield the ids of the documents that come."""
    quarantine = folder / "quarantine.jsonl"
    return edspipe_side.run(fault, folder, seed, on_error=f"quarantine:{quarantine}")
