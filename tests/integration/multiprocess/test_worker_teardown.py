"""However a run ends, nothing is left: no process, no thread, no descriptor, no file, no noise."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path

import psutil
import pytest
from leftovers import is_alive, our_workers, resources, slow, until
from worker_streams import endless, numbers, on_workers, slowly

METHODS = ["fork", "forkserver", slow("spawn")]


def endless_later(x):
    return endless(x) if x > 20 else x


@pytest.fixture
def _as_before():
    """What a run uses is given back. (A fork server, once started, stays until main ends.)"""
    list(on_workers(numbers(1).map(abs), 1, "forkserver"))
    gc.collect()
    before = resources()
    yield
    gc.collect()
    assert until(lambda: resources() == before)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(
    ("method", "prefetch"),
    [("fork", 0), ("forkserver", 2), slow("fork", 2), slow("forkserver", 0), slow("spawn", 0)],
)
@pytest.mark.parametrize("way", ["close", "del", "break", "error", "end"])
def test_workers_end_with_the_iterator(way, method, prefetch):
    stream = on_workers(numbers(300).map(abs), 2, method, prefetch=prefetch)
    iterator = iter(stream)
    next(iterator)
    assert len(our_workers()) == 2
    start = time.monotonic()
    if way == "close":
        iterator.close()
        iterator.close()
    elif way == "del":
        del iterator
    elif way == "break":
        for _ in iterator:
            break
        del iterator
    elif way == "error":
        with pytest.raises(KeyError), iterator:
            raise KeyError
    else:
        assert len(list(iterator)) == 299
    assert time.monotonic() - start < 2
    assert our_workers() == []


@pytest.mark.parametrize("prefetch", [0, 2])
def test_workers_in_the_middle_of_something_end_too(prefetch):
    iterator = iter(on_workers(numbers().map(endless_later), prefetch=prefetch))
    next(iterator)
    start = time.monotonic()
    iterator.close()
    assert time.monotonic() - start < 2
    assert our_workers() == []


def test_a_worker_that_refuses_to_end_is_killed():
    def stubborn(x):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return endless_later(x)

    iterator = iter(on_workers(numbers().map(stubborn), 1))
    next(iterator)
    start = time.monotonic()
    iterator.close()
    assert time.monotonic() - start < 2
    assert our_workers() == []


def test_a_worker_that_is_stopped_is_killed_at_the_end():
    iterator = iter(on_workers(numbers(2000).map(slowly)))
    next(iterator)
    our_workers()[0].suspend()
    start = time.monotonic()
    iterator.close()
    assert time.monotonic() - start < 2
    assert our_workers() == []


def test_handlers_of_the_main_process_do_not_run_in_workers(tmp_path):
    old = signal.signal(signal.SIGTERM, lambda *_: (tmp_path / f"{os.getpid()}").touch())
    try:
        iterator = iter(on_workers(numbers().map(endless_later)))
        next(iterator)
        iterator.close()
    finally:
        signal.signal(signal.SIGTERM, old)
    assert list(tmp_path.iterdir()) == []


def test_a_forked_copy_of_the_iterator_does_not_end_the_workers():
    iterator = iter(on_workers(numbers(1000).map(abs)))
    next(iterator)
    pid = os.fork()
    if pid == 0:
        iterator.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(iterator)) == 999


def test_a_stream_without_ops_for_workers_starts_none():
    iterator = iter(on_workers(numbers().batchify(3)))
    next(iterator)
    assert our_workers() == []


def test_nothing_of_a_run_is_kept_in_memory():
    stream = on_workers(numbers().map(abs))
    iterator = iter(stream)
    list(iterator)
    reference = weakref.ref(iterator._executor)
    del iterator
    gc.collect()
    assert reference() is None


# ---- the end of the main process ---------------------------------------------------------------

SCRIPT = """
import os, re, sys, time
from edspipe.stream.stream import Stream

def slow(x):
    time.sleep(0.02)
    return os.getpid()

def stuck(x):
    if x == 40:
        print(os.getpid(), flush=True)
        re.match("(a+)+$", "a" * 60 + "b")
    return slow(x)

def main():
    _, method, op, prefetch, ending = sys.argv
    stream = Stream.from_items(list(range(10_000))).map({"slow": slow, "stuck": stuck}[op])
    stream = stream.set_processing(num_cpu_workers=2, process_start_method=method)
    global iterator
    iterator = iter(stream.set_processing(prefetch=int(prefetch)))
    seen = set()
    for pid in iterator:
        if pid not in seen and op == "slow":
            print(pid, flush=True)
        seen.add(pid)
        if len(seen) == 2 and ending == "exit":
            sys.exit(3)
        if len(seen) == 2 and ending == "error":
            1 / 0
"""
GUARDED = SCRIPT + "\nif __name__ == '__main__':\n    main()\n"


def start_script(
    folder: Path, method: str, *, op="slow", prefetch=0, ending="", script=GUARDED
) -> subprocess.Popen:
    # the name of a socket has at most 107 characters, and that of a test's folder may have as many
    short = tempfile.mkdtemp(prefix="e")
    atexit.register(shutil.rmtree, short, ignore_errors=True)
    (folder / "tmp").symlink_to(short)
    path = folder / "script.py"
    path.write_text(script)
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path), method, op, str(prefetch), ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, "TMPDIR": short},
        start_new_session=True,
    )


def family(script: subprocess.Popen) -> list[int]:
    return [child.pid for child in psutil.Process(script.pid).children(recursive=True)]


def are_gone(pids: list[int], within_s: float) -> bool:
    return until(lambda: not any(is_alive(pid) for pid in pids), within_s)


@pytest.mark.parametrize(
    ("method", "number"),
    [
        ("fork", signal.SIGKILL),
        ("forkserver", signal.SIGKILL),
        slow("forkserver", signal.SIGTERM),
        slow("fork", signal.SIGTERM),
        slow("fork", signal.SIGHUP),
        slow("forkserver", signal.SIGHUP),
        *(slow("spawn", number) for number in (signal.SIGKILL, signal.SIGTERM)),
    ],
)
def test_nothing_outlives_a_main_process_that_is_killed(tmp_path, method, number):
    shared = resources()[2]
    script = start_script(tmp_path, method)
    for _ in range(2):
        script.stdout.readline()
    children = family(script)
    script.send_signal(number)
    _, errors = script.communicate(timeout=10)
    assert are_gone(children, within_s=5)
    assert script.returncode == -number
    assert errors == ""
    assert list((tmp_path / "tmp").iterdir()) == []
    assert resources()[2] == shared


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow
def test_a_worker_that_is_stuck_in_c_does_not_outlive_main_either(tmp_path, method):
    script = start_script(tmp_path, method, op="stuck")
    script.stdout.readline()
    children = family(script)
    script.kill()
    script.communicate(timeout=10)
    assert are_gone(children, within_s=5)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_whole_group_that_is_terminated_leaves_nothing(tmp_path):
    script = start_script(tmp_path, "forkserver")
    for _ in range(2):
        script.stdout.readline()
    children = family(script)
    os.killpg(script.pid, signal.SIGTERM)
    script.communicate(timeout=10)
    assert are_gone(children, within_s=5)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("method", "prefetch"),
    [("fork", 0), ("forkserver", 2), slow("forkserver", 0), slow("spawn", 2)],
)
def test_ctrl_c_ends_everything_with_one_traceback(tmp_path, method, prefetch):
    script = start_script(tmp_path, method, prefetch=prefetch)
    for _ in range(2):
        script.stdout.readline()
    children = family(script)
    start = time.monotonic()
    os.killpg(script.pid, signal.SIGINT)
    _, errors = script.communicate(timeout=10)
    assert time.monotonic() - start < 4
    assert are_gone(children, within_s=2)
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("method", "ending", "prefetch"),
    [
        ("fork", "error", 2),
        slow("forkserver", "exit", 0),
        ("forkserver", "exit", 2),
        slow("fork", "exit", 0),
        slow("forkserver", "error", 0),
        slow("spawn", "exit", 2),
    ],
)
def test_an_interpreter_that_ends_in_mid_run_ends_in_peace(tmp_path, method, ending, prefetch):
    script = start_script(tmp_path, method, ending=ending, prefetch=prefetch)
    for _ in range(2):
        script.stdout.readline()
    _, errors = script.communicate(timeout=10)
    if ending == "exit":
        assert (errors, script.returncode) == ("", 3)
    else:
        assert errors.count("Traceback") == 1
        assert errors.endswith("ZeroDivisionError: division by zero\n")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("method", ["forkserver", slow("spawn")])
def test_a_script_without_a_main_guard_gets_an_error_that_says_so(tmp_path, method):
    script = start_script(tmp_path, method, script=SCRIPT + "\nmain()\n")
    _, errors = script.communicate(timeout=30)
    assert "before it was ready" in errors
    assert "if __name__ == '__main__':" in errors
    assert script.returncode == 1
    assert list((tmp_path / "tmp").iterdir()) == []
