"""Importing is light, and rules need no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edspipe

ROOT = Path(edspipe.__file__).parents[1]
MAX_SECONDS = 0.3
"""For `import edspipe` on a slow machine; it takes about 0.01."""


def run(code: str) -> Any:
    """Run code in a fresh interpreter; return what it prints, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


IMPORT = """
import json, sys, time
start = time.perf_counter()
import edspipe
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(name.partition(".")[0] for name in sys.modules)]))
"""


@pytest.fixture(scope="module")
def imported() -> list[Any]:
    """Seconds and modules of three imports."""
    return [run(IMPORT) for _ in range(3)]


def test_importing_is_quick(imported: list[Any]) -> None:
    assert min(seconds for seconds, _ in imported) < MAX_SECONDS


@pytest.mark.parametrize("module", ["torch", "spacy", "transformers", "numpy", "pyarrow", "confit"])
def test_importing_loads_nothing_heavy(imported: list[Any], module: str) -> None:
    assert module not in imported[0][1]


WITHOUT_TORCH = """
import json, pickle, sys, tempfile
for name in ("torch", "transformers", "torchcrf", "accelerate"):
    sys.modules[name] = None
import edspipe
import edspipe.pipes as eds
nlp = edspipe.blank("eds")
nlp.add_pipe("eds.sentences")
nlp.add_pipe(eds.sentences(punct_chars=["|"]), name="mine")
nlp.add_pipe("sentencizer")
nlp.select_pipes(enable="sentences")
found = {"one": [s.text for s in nlp("Pas de fièvre. Toux.").sents]}
found["many"] = [len(list(doc.sents)) for doc in nlp.pipe(["A. B.", "C."])]
split = edspipe.data.from_iterable([nlp.make_doc("a\\n\\nb")]).map(eds.split(regex="\\n\\n"))
found["split"] = [doc.text.strip() for doc in split]
with tempfile.TemporaryDirectory() as folder:
    nlp.to_disk(folder + "/m")
    loaded = edspipe.load(folder + "/m")
found["loaded"] = [s.text for s in loaded("Pas de fièvre. Toux.").sents]
found["printed"] = str(loaded)
found["pickled"] = pickle.loads(pickle.dumps(nlp)).pipe_names
print(json.dumps(found))
"""


def test_rules_work_without_torch() -> None:
    found = run(WITHOUT_TORCH)
    assert found["one"] == found["loaded"] == ["Pas de fièvre.", "Toux."]
    assert found["many"] == [2, 1]
    assert found["split"] == ["a", "b"]
    assert found["pickled"] == ["sentences"]
    assert found["printed"].endswith("0 parameters in all (shared ones once)")
