"""Damaged files end in an error that names them: a short run of `benchmarks/fuzz`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import __main__ as command
from benchmarks.fuzz import running
from benchmarks.fuzz import targets as all_targets
from edspipe.errors import DataError

NAMES = ["ann", "txt", "jsonl", "csv", "conll", "markup", "docbin", "config"]
running.MAX_SECONDS = 5.0  # tests may share the processor
running.MAX_RSS_MB = 1 << 20  # the memory of the tests before this one is no finding


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {name: all_targets.make_target(name, tmp_path_factory.mktemp(name)) for name in NAMES}


def test_all_targets_are_fuzzed():
    assert list(all_targets.MAKERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_changed_files_are_read_or_refused(targets, name):
    findings = running.fuzz(targets[name], seconds=1.0, seed=1)
    assert findings.problems == {}
    assert findings.runs > len(targets[name].seeds)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(targets, name, data):
    assert running.run_one(targets[name], data, running.Findings()) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_changed_files_are_read_or_refused_for_a_minute(targets, name):
    assert running.fuzz(targets[name], seconds=60.0, seed=int(time.time())).problems == {}


# ---- the fuzzer finds what there is to find ----------------------------------------------------


def target_that(run: Any) -> Any:
    return all_targets.Target(run, [b"seed"], [b"word"], DataError)


def fail(data: bytes) -> None:
    raise KeyError(len(data))


def refuse(data: bytes) -> None:
    raise DataError(f"bad at character {len(data)}")


def work(data: bytes) -> None:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass


def test_another_exception_is_a_finding_and_its_input_is_kept(tmp_path):
    findings = running.fuzz(target_that(fail), 10, 0, out=tmp_path / "out", max_runs=5)
    (path,) = {Path(where) for problem, where in findings.problems.items() if "(4)" in problem}
    assert path.read_bytes() == b"seed"


def test_an_error_of_ours_is_none():
    findings = running.fuzz(target_that(refuse), 10, 0, max_runs=20)
    assert (findings.runs, findings.problems) == (20, {})
    assert findings.kinds == {"DataError: bad at character ?": 20}


def test_a_slow_call_is_a_finding(monkeypatch):
    monkeypatch.setattr(running, "MAX_SECONDS", 0.01)
    findings = running.fuzz(target_that(work), 10, 0, max_runs=1)
    assert list(findings.problems) == ["more than 0.01 s"]


def test_a_call_without_an_end_is_a_finding(monkeypatch):
    monkeypatch.setattr(running, "HANG_SECONDS", 0.05)
    findings = running.fuzz(target_that(lambda data: time.sleep(5)), 10, 0, max_runs=1)
    assert list(findings.problems) == ["no end after 0.05 s"]


def test_much_memory_is_a_finding(monkeypatch):
    monkeypatch.setattr(running, "MAX_RSS_MB", 1)
    findings = running.fuzz(target_that(len), 10, 0, max_runs=1)
    assert list(findings.problems) == ["more than 1 MB"]


@pytest.mark.parametrize(("run", "status"), [(len, 0), (fail, 1)])
def test_the_exit_status_says_whether_there_was_a_finding(
    monkeypatch, capsys, tmp_path, run, status
):
    makers = {"x": lambda folder: target_that(run)}
    monkeypatch.setattr(command, "MAKERS", makers)
    monkeypatch.setattr(all_targets, "MAKERS", makers)
    arguments = ["benchmarks.fuzz", "--minutes", "0.0005", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(command.logger, "remove", lambda: None)
    assert command.main() == status
    assert ("FOUND  KeyError" in capsys.readouterr().out) == bool(status)
