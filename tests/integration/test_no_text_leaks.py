"""Whatever fails, the text of a note shows nowhere but in the outputs that are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "ZZCANARY"
SCRIPT = """
import os, signal, sys, time
import edspipe
from edspipe.stream.stream import Stream

fault, policy, workers, folder = sys.argv[1:]

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

if __name__ == "__main__":
    if policy == "quarantine":
        policy = f"quarantine:{folder}/declared/quarantine.jsonl"
    docs = edspipe.data.from_iterable(Notes(), converter="omop").map(fail)
    docs = docs.set_processing(
        num_cpu_workers=int(workers), process_start_method="fork", on_error=policy, timeout_s=1,
    )
    docs.write_json(f"{folder}/out.jsonl")
"""
IN_WORKERS = ("kill", "exit", "stuck")
HERE = ("value", "two arguments", "system")


FAST = {("kill", 1, "quarantine"), ("value", 1, "raise"), ("two arguments", 0, "skip")}
EVERY = [(f, 1) for f in IN_WORKERS] + [(f, w) for f in HERE for w in (0, 1)]
CASES = [
    pytest.param(*case, marks=() if case in FAST else pytest.mark.slow)
    for case in [(f, w, policy) for f, w in EVERY for policy in ("raise", "skip", "quarantine")]
]


@pytest.mark.parametrize(("fault", "workers", "policy"), CASES)
def test_no_note_shows_in_messages_logs_ledgers_or_temporary_files(
    fault, workers, policy, tmp_path
):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    folder = tmp_path / "run"
    (folder / "tmp").mkdir(parents=True)
    (folder / "declared").mkdir()
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(script), fault, policy, str(workers), str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": root, "TMPDIR": str(folder / "tmp")},
    )
    assert (done.returncode == 0) == (policy != "raise"), done.stderr
    assert "n30" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "declared":
            assert CANARY.encode() not in path.read_bytes(), path
    if policy == "quarantine":
        assert CANARY in (folder / "declared" / "quarantine.jsonl").read_text()
