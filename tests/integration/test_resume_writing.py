"""Runs that are killed at any moment, and go on; and runs of many documents, in little memory."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import edspipe
from edspipe.data import audit, write_json, write_standoff
from edspipe.data.output import writing as output
from edspipe.stream.stream import Stream

DOCS_A_KILL = 60
NLP = edspipe.blank("eds")


class Documents:
    """So many Docs, made anew each time."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self) -> Iterator[Any]:
        for number in range(self.number):
            doc = NLP.make_doc(f"Note {number}: toux.")
            doc._.note_id = f"s{number % 3}/n{number}"
            yield doc


def is_kept(doc: Any) -> bool:
    return not doc._.note_id.endswith("7")


def fail_sometimes(doc: Any) -> Any:
    if doc._.note_id.endswith("13"):
        raise ValueError
    return doc


def stream_of(number: int, workers: int) -> Stream:
    stream = Stream.from_items(Documents(number)).filter(is_kept).map(fail_sometimes)
    return stream.set_processing(
        on_error="skip", num_cpu_workers=workers, process_start_method="fork"
    )


WRITERS: dict[str, Callable[..., Any]] = {
    "notes.jsonl": lambda stream, target, **options: write_json(
        stream, target, converter="omop", **options
    ),
    "notes": write_standoff,
}


def start(action: Callable[[], Any]) -> int:
    """Run an action in a forked child; return its pid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded": a test runner is
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def bytes_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("kills", [10, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "workers"), [("notes.jsonl", 0), ("notes", 0), ("notes.jsonl", 2)]
)
def test_a_run_that_is_killed_again_and_again_leaves_what_a_calm_one_does(
    tmp_path, monkeypatch, name, workers, kills
):
    monkeypatch.setattr(output, "COMMIT_EVERY_S", 0.005)
    monkeypatch.setattr(output, "MAX_COMMIT_SHARE", 0.5)
    write, stream = WRITERS[name], stream_of(DOCS_A_KILL * kills, workers)
    calm, target = tmp_path / "calm" / name, tmp_path / "killed" / name
    began = time.monotonic()
    expected = write(stream, calm)
    took_s = time.monotonic() - began
    rng = random.Random(kills)
    num_killed = 0
    while num_killed < kills and not target.exists():
        pid = start(lambda: write(stream, target, resume=True))
        time.sleep(rng.uniform(0.5, 1.5) * took_s / kills)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        num_killed += 1
    if not target.exists():
        assert write(stream, target, resume=True) == expected
    assert num_killed >= 1  # how many more is up to the clock
    assert expected.read == DOCS_A_KILL * kills
    assert expected.skipped > 0
    assert bytes_below(target.parent) == bytes_below(calm.parent)
    assert audit(target).ok


def test_what_a_killed_run_leaves_is_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "COMMIT_EVERY_S", 0.0)

    def stop_itself(doc: Any) -> Any:
        if doc._.note_id == "s0/n30":
            os.kill(os.getpid(), signal.SIGKILL)
        return doc

    stream = Stream.from_items(Documents(100)).map(stop_itself)
    pid = start(lambda: write_standoff(stream, tmp_path / "notes"))
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".notes.edspipe-run-")


MEMORY = """
import json, sys
sys.modules["torch"] = None  # it takes seconds, and nothing here needs it
import psutil
import edspipe.data
from edspipe.stream.stream import Stream

target, num_docs, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rss = []

def records():
    me = psutil.Process()
    for number in range(num_docs):
        if number % step == 0:
            rss.append(me.memory_info().rss)
        yield {"note_id": f"note-{number}", "text": f"Toux {number}.", "entities": []}
    rss.append(me.memory_info().rss)

if target.endswith(".jsonl"):
    stream = Stream.from_items(records).filter(lambda record: record["note_id"][-1] != "7")
    edspipe.data.write_json(stream, target)
else:
    from edspipe.data.output.writing import write_records
    from edspipe.data.standoff.writer import StandoffSink, render_files
    write_records(Stream.from_items(records).map(render_files), target, StandoffSink(), stage="w")
rss.append(psutil.Process().memory_info().rss)
print(json.dumps(rss))
"""
MAX_SLOPE_BYTES = 1e6
"""More memory for 10,000 documents more."""


@pytest.mark.parametrize(
    ("name", "num_docs"),
    [
        ("notes.jsonl", 30_000),
        pytest.param("notes.jsonl", 200_000, marks=pytest.mark.slow),
        pytest.param("notes", 200_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_memory_does_not_grow_with_the_number_of_documents(tmp_path, name, num_docs):
    step = num_docs // 30
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / name), str(num_docs), str(step)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rss = json.loads(done.stdout)
    warm = len(rss) // 3
    slope = (rss[-1] - rss[warm]) / (num_docs - warm * step) * 10_000
    assert slope < MAX_SLOPE_BYTES
    assert audit(tmp_path / name).ok


def test_no_file_stays_open(tmp_path):
    before = psutil.Process().num_fds()
    for number in range(3):
        write_standoff(Documents(9), tmp_path / str(number))
        write_json(Documents(9), tmp_path / f"{number}.jsonl", converter="omop")
    assert psutil.Process().num_fds() <= before
