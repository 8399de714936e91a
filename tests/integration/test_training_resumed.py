"""Trainings that are killed, told to end, or done by two processes: nothing is lost, or differs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from short_runs import losses_of
from support import tiny_encoder

import edspipe
from edspipe.training.checkpoint import find_checkpoint
from tests.training_forks import write_notes

ROOT = Path(__file__).parents[2]


def run_script(module: str, *words: Any, timeout_s: float = 3000) -> dict[str, Any]:
    """Run a script of the tests; return the JSON in its last line."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout.splitlines()[-1])


# ---- in forks of one script ------------------------------------------------------------------


@pytest.fixture(scope="module")
def came_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `tests.training_forks` found; where several workers test, the first one runs it.

    It is a process of its own: torch's threads do not outlive a fork, and this one may have some.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, result = shared / "training-forks", shared / "training-forks.json"
    with (shared / "training-forks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            found = run_script("tests.training_forks", folder, timeout_s=100)
            result.write_text(json.dumps(found))
    return {**json.loads(result.read_text()), "folder": folder}


def test_killed_and_resumed_every_bit_is_the_same(came_out: Any) -> None:
    found = came_out["killed"]
    assert found["statuses"].count(-signal.SIGKILL) == 3
    assert found["num_steps"] == 9
    assert found["same_losses"]
    assert found["same_weights"]


def test_the_gradient_of_two_processes_is_that_of_one(came_out: Any) -> None:
    """In fp32, where sums in another order differ by about 1e-7."""
    assert max(came_out["two"]["gradient_apart"]) < 1e-6
    losses = came_out["two"]["losses"]
    (together,), (alone,) = losses["same"], losses["alone"]
    assert float.fromhex(together[1]) == pytest.approx(float.fromhex(alone[1]), rel=1e-6)


@pytest.mark.parametrize("name", ["same", "two", "later"])
def test_two_processes_have_the_same_weights(came_out: Any, name: str) -> None:
    """Though each drew fresh weights of its own before the training."""
    first, second = (rank[name] for rank in came_out["two"]["ranks"])
    assert first == second


def test_two_processes_are_resumed_exactly(came_out: Any) -> None:
    two = came_out["two"]
    assert two["losses"]["later"] == two["losses"]["two"]
    assert len(two["losses"]["two"]) == 4
    assert two["ranks"][0]["later"] == two["ranks"][0]["two"]


def test_two_processes_drop_out_different_values(came_out: Any) -> None:
    assert [rank["seed"] for rank in came_out["two"]["ranks"]] == [42, 43]


def test_two_processes_know_the_same_scores(came_out: Any) -> None:
    first, second = (rank["scores"] for rank in came_out["two"]["ranks"])
    assert first == second
    assert "micro_f" in first["val"]


def test_a_signal_to_one_process_ends_both_after_the_same_step(came_out: Any) -> None:
    two = came_out["two"]
    assert [rank["ended"] for rank in two["ranks"]] == [[2, "interrupted"]] * 2
    assert two["ended"]["status"] == "interrupted"
    assert two["ended"]["last_step"] == 2
    assert two["losses"]["ended"] == two["losses"]["two"][:2]


def test_a_loss_that_is_nan_in_one_process_ends_both(came_out: Any) -> None:
    two = came_out["two"]
    for rank in two["ranks"]:
        assert rank["failed"].startswith("the loss is nan at step 2, before its update")
    assert two["failed"]["status"] == "failed"


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_the_command_with_a_model_and_a_checkpoint(
    came_out: Any, name: str, status: int
) -> None:
    found = came_out[name]
    assert found["status"] == status
    assert found["run"]["status"] == "interrupted"
    assert {"model-last", "model-best", "checkpoints", "metrics.jsonl"} <= set(found["files"])
    nlp = edspipe.load(came_out["folder"] / name / "model-last")
    assert nlp.pipes.ner.labels == ["A"]
    assert len(list(nlp.pipe(["Pas de fièvre."]))) == 1


def test_after_a_signal_it_goes_on_as_if_nothing_had_happened(came_out: Any) -> None:
    found = came_out["SIGTERM"]
    assert (found["resumed"], found["calm"]) == (0, 0)
    assert found["same_losses"]


# ---- longer ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("num_steps", "num_workers", "num_kills"), [(30, 0, 10), (30, 2, 10), (200, 0, 30)]
)
def test_many_kills_change_nothing(
    tmp_path: Path, num_steps: int, num_workers: int, num_kills: int
) -> None:
    found = run_script("tests.training_legs", tmp_path, num_steps, num_workers, 7, num_kills)
    assert found["num_kills"] == num_kills
    assert found["num_steps"] == num_steps
    assert found["same_losses"]
    assert found["same_weights"]


CONFIG = """\
nlp:
  "@core": pipeline
  lang: eds
  components:
    ner:
      "@factory": eds.ner_crf
      mode: joint
      dropout: 0.2
      target_span_getter: gold-ner
      embedding:
        "@factory": eds.transformer
        model: {folder}/encoder
        window: 32
        stride: 24
train:
  nlp: ${{nlp}}
  train_data_path: {folder}/notes
  val_data_path: {folder}/notes
  batch_size: 60
  max_steps: 12
  evaluate_every: 4 steps
  loggers: [jsonl]
  progress: false
  report: false
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config, its encoder and its notes."""
    tiny_encoder(tmp_path / "encoder")
    write_notes(tmp_path / "notes")
    (tmp_path / "config.yml").write_text(CONFIG.format(folder=tmp_path))
    return tmp_path / "config.yml"


def command(config: Path, name: str, *words: str) -> list[str]:
    """Return the words of `edspipe train`."""
    options = [f"--train.output_dir={config.parent / name}", *words]
    return [sys.executable, "-m", "edspipe", "train", f"--config={config}", *options]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_workers_and_hash_seeds_change_nothing(config: Path) -> None:
    variants = {
        "plain": ("0", "0"),
        "again": ("0", "0"),
        "hashes": ("0", "1"),
        "random-hashes": ("0", "random"),
        "one-worker": ("1", "random"),
        "two-workers": ("2", "random"),
    }
    outcomes = {}
    for name, (workers, hash_seed) in variants.items():
        words = command(config, name, f"--train.num_preprocessing_workers={workers}")
        subprocess.run(
            words, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, timeout=120
        )
        folder = config.parent / name
        weights = (folder / "model-last/pipes/ner/weights.safetensors").read_bytes()
        outcomes[name] = losses_of(folder), weights
    assert len(outcomes["plain"][0]) == 12
    assert [name for name in outcomes if outcomes[name] != outcomes["plain"]] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_spares_what_the_workers_do(
    config: Path, number: signal.Signals
) -> None:
    """As a terminal sends Ctrl-C: to the training and to its preprocessing workers."""
    workers = "--train.num_preprocessing_workers=2"
    process = subprocess.Popen(
        command(config, "run", workers, "--train.max_steps=5000"),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = config.parent / "run/metrics.jsonl"
    deadline = time.monotonic() + 90
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 128 + number, said[-3000:]
    assert "Traceback" not in said
    step = int(find_checkpoint(config.parent / "run").name.removeprefix("step-"))
    edspipe.load(config.parent / "run/model-last")
    length = f"--train.max_steps={step + 4}"
    subprocess.run(
        [sys.executable, "-m", "edspipe", "train", "--resume", str(config.parent / "run"), length],
        check=True,
        timeout=120,
    )
    subprocess.run(command(config, "calm", workers, length), check=True, timeout=120)
    assert losses_of(config.parent / "run") == losses_of(config.parent / "calm")
