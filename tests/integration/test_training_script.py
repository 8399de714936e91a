"""train.py as a user runs it: from a config, with overrides, the same each time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import edspipe
from edspipe.demo.corpus import write_corpus

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, num_train=10, num_dev=4)
    return folder


def words(corpus: Path, encoder: Path, out: Path, *more: str) -> list[str]:
    """Return the script and its arguments."""
    return [
        str(ROOT / "train.py"),
        f"--config={ROOT / 'configs' / 'demo.yml'}",
        f"--nlp.components.ner.embedding.embedding.model={encoder}",
        f"--train_data_path={corpus / 'train'}",
        f"--val_data_path={corpus / 'dev'}",
        f"--output_dir={out}",
        "--max_steps=3",
        "--evaluate_every=2",
        "--batch_size=256",
        *more,
    ]


def run_there(arguments: list[str]) -> tuple[int, str, str]:
    """Run the script in a process of its own; return its status and what it said."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, text=True, capture_output=True, timeout=110
    )
    return done.returncode, done.stdout, done.stderr


def run_here(arguments: list[str]) -> str:
    """Run the script in this process, which has another hash seed; return what it said."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_path(arguments[0], run_name="__main__")
    return said.getvalue()


def fingerprint(model: Path) -> dict[str, str]:
    files = sorted(model.rglob("*.safetensors"))
    assert len(files) == 3
    return {
        file.relative_to(model).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


@pytest.fixture(scope="module")
def runs(corpus, encoder_dir, tmp_path_factory):
    """Three runs: one seed here and in a process with a worker, and another seed."""
    out = tmp_path_factory.mktemp("runs")

    def script(name: str, *more: str) -> list[str]:
        return words(corpus, encoder_dir, out / name, *more)

    outputs = {"first": run_here(script("first", "--seed", "43"))}
    worker = script("worker", "--seed", "43", "--num_preprocessing_workers=1")
    status, stdout, stderr = run_there(worker)
    assert status == 0, stderr
    outputs["worker"] = stdout + stderr
    window = "--nlp.components.ner.embedding.embedding.window=64"
    outputs["other"] = run_here(script("other", "--seed", "44", window))
    return out, outputs


def test_one_seed_gives_one_model_whatever_the_hash_seed_and_the_workers(runs):
    out, _ = runs
    assert fingerprint(out / "first") == fingerprint(out / "worker")
    assert fingerprint(out / "first") != fingerprint(out / "other")


@pytest.mark.parametrize("name", ["first", "worker"])
def test_loss_and_scores_are_printed_as_it_goes(runs, name):
    _, outputs = runs
    lines = [line for line in outputs[name].splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in lines] == ["2", "3"]
    assert all("loss" in line and "F1" in line for line in lines)
    assert "micro" in outputs[name]
    assert "training: 100%" in outputs[name]


def test_overrides_reach_the_saved_config(runs):
    out, _ = runs
    config = edspipe.load(out / "other").config
    assert config["nlp"]["components"]["ner"]["embedding"]["embedding"]["window"] == 64


@pytest.mark.slow
def test_an_unknown_override_names_the_nearest(corpus, encoder_dir, tmp_path):
    status, _, stderr = run_there(
        words(corpus, encoder_dir, tmp_path, "--nlp.components.ner.windw=3")
    )
    assert status == 1
    assert "Did you mean 'window'?" in stderr
    assert "Traceback" not in stderr
