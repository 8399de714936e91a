"""train.py as a user runs it: from a config, with overrides, the same each time."""

from __future__ import annotations

import hashlib
import os
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


def start(
    corpus: Path, encoder: Path, out: Path, *more: str, hash_seed: str = "0"
) -> subprocess.Popen[str]:
    command = [
        sys.executable,
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
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def fingerprint(model: Path) -> dict[str, str]:
    files = sorted(model.rglob("*.safetensors"))
    assert len(files) == 3
    return {
        file.relative_to(model).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


@pytest.fixture(scope="module")
def runs(corpus, encoder_dir, tmp_path_factory):
    """Three runs: one seed alone and with a worker and another hash seed, and another seed."""
    out = tmp_path_factory.mktemp("runs")
    variants = {
        "first": (["--seed", "43"], "0"),
        "worker": (["--seed", "43", "--num_preprocessing_workers=1"], "random"),
        "other": (["--seed", "44", "--nlp.components.ner.embedding.embedding.window=64"], "0"),
    }
    outputs = {}
    names = list(variants)
    for pair in (names[:2], names[2:]):  # two at a time
        processes = {
            name: start(
                corpus, encoder_dir, out / name, *variants[name][0], hash_seed=variants[name][1]
            )
            for name in pair
        }
        for name, process in processes.items():
            stdout, stderr = process.communicate(timeout=110)
            assert process.returncode == 0, stderr
            outputs[name] = stdout + stderr
    return out, outputs


def test_one_seed_gives_one_model_whatever_the_hash_seed_and_the_workers(runs):
    out, _ = runs
    assert fingerprint(out / "first") == fingerprint(out / "worker")
    assert fingerprint(out / "first") != fingerprint(out / "other")


def test_loss_and_scores_are_printed_as_it_goes(runs):
    _, outputs = runs
    lines = [line for line in outputs["first"].splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in lines] == ["2", "3"]
    assert all("loss" in line and "F1" in line for line in lines)
    assert "micro" in outputs["first"]
    assert "training: 100%" in outputs["first"]


def test_overrides_reach_the_saved_config(runs):
    out, _ = runs
    config = edspipe.load(out / "other").config
    assert config["nlp"]["components"]["ner"]["embedding"]["embedding"]["window"] == 64


@pytest.mark.slow
def test_an_unknown_override_names_the_nearest(corpus, encoder_dir, tmp_path):
    process = start(corpus, encoder_dir, tmp_path, "--nlp.components.ner.windw=3")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Did you mean 'window'?" in stderr
    assert "Traceback" not in stderr
