"""Whatever fails, the text of a note shows nowhere but in the outputs that are asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CANARY = "ZZCANARY"
SCRIPT = """
import json, os, signal, sys, tempfile, time
sys.modules["torch"] = None  # it takes seconds, and nothing here needs it
import edspipe
import edspipe.data

class Notes:
    def __call__(self):
        for i in range(60):
            yield {"note_id": f"n{i}", "note_text": f"ZZCANARY{i} fever"}

def fail(doc):
    if doc._.note_id == "n30":
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "exit":
            os._exit(9)
        if fault == "stuck":
            time.sleep(60)
        if fault == "value":
            int(doc.text)
        if fault == "two arguments":
            raise UnicodeDecodeError("utf-8", doc.text.encode(), 0, 1, doc.text)
        if fault == "system":
            sys.exit(doc.text)
    return {"note_id": doc._.note_id, "length": len(doc)}

def run():
    on_error = policy
    if policy == "quarantine":
        on_error = f"quarantine:{folder}/declared/quarantine.jsonl"
    docs = edspipe.data.from_iterable(Notes(), converter="omop").map(fail)
    docs = docs.set_processing(
        num_cpu_workers=workers, process_start_method="fork", on_error=on_error, timeout_s=1,
    )
    docs.write_json(f"{folder}/out.jsonl")

if __name__ == "__main__":
    list(edspipe.data.from_iterable([{"note_id": "a", "note_text": "b"}], converter="omop"))
    statuses = []
    for fault, workers, policy, folder in json.load(sys.stdin):
        if os.fork() == 0:  # what the script is without the imports, which take seconds
            os.environ["TMPDIR"] = f"{folder}/tmp"
            tempfile.tempdir = None
            for number in (1, 2):
                os.dup2(os.open(f"{folder}.{number}", os.O_CREAT | os.O_WRONLY), number)
            run()
            sys.exit()
        statuses.append(os.waitstatus_to_exitcode(os.wait()[1]))
    print(json.dumps(statuses))
"""
IN_WORKERS = ("kill", "exit", "stuck")
HERE = ("value", "two arguments", "system")


FAST = {("kill", 1, "quarantine"), ("value", 1, "raise"), ("two arguments", 0, "skip")}
EVERY = [(f, 1) for f in IN_WORKERS] + [(f, w) for f in HERE for w in (0, 1)]
CASES = [
    pytest.param(*case, marks=() if case in FAST else pytest.mark.slow)
    for case in [(f, w, policy) for f, w in EVERY for policy in ("raise", "skip", "quarantine")]
]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Any, ...], tuple[int, Path]]:
    """The status and the folder of each case that is asked for; messages lie beside the folder."""
    base = tmp_path_factory.mktemp("leaks")
    asked = {
        tuple(item.callspec.params[name] for name in ("fault", "workers", "policy"))
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    }
    folders = {case: base / "-".join(map(str, case)).replace(" ", "-") for case in sorted(asked)}
    for folder in folders.values():
        (folder / "tmp").mkdir(parents=True)
        (folder / "declared").mkdir()
    (base / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(base / "script.py")],
        input=json.dumps([(*case, str(folder)) for case, folder in folders.items()]),
        capture_output=True,
        text=True,
        timeout=60 + 10 * len(folders),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    return {case: (status, folders[case]) for case, status in zip(folders, statuses, strict=True)}


@pytest.mark.parametrize(("fault", "workers", "policy"), CASES)
def test_no_note_shows_in_messages_logs_ledgers_or_temporary_files(runs, fault, workers, policy):
    status, folder = runs[fault, workers, policy]
    stdout, stderr = (Path(f"{folder}.{number}").read_text() for number in (1, 2))
    assert (status == 0) == (policy != "raise"), stderr
    assert "n30" in stderr
    assert CANARY not in stdout + stderr
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "declared":
            assert CANARY.encode() not in path.read_bytes(), path
    if policy == "quarantine":
        assert CANARY in (folder / "declared" / "quarantine.jsonl").read_text()
