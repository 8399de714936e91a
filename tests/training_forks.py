"""Trainings in two processes, and trainings told to end: run as a script, which forks them.

    PYTHONPATH=tests python -m tests.training_forks FOLDER

Python and torch are imported once. It prints one line of JSON: what came out of each scenario. What
two processes share is set in their environment as `torchrun` sets it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from edspipe.cli.main import main as edspipe_main
from edspipe.errors import TrainingError
from edspipe.training.data import TrainingData
from tests import training_legs
from tests.short_runs import (
    Watch,
    losses_of,
    not_forced_to_disk,
    train_shortly,
    unequal_docs,
    without_dropout,
)
from tests.support import TEXTS, tiny_encoder, tiny_pipeline
from tests.training_legs import fork

NUM_PROCESSES = 2


# ---- two processes ---------------------------------------------------------------------------


def train_here(folder: Path, name: str, *, dropout: bool, seed: int = 0, **settings: Any) -> Any:
    """Train in this process, with weights above the encoder that depend on a seed."""
    nlp = tiny_pipeline(folder / "encoder", labels=None, seed=seed, dropout=0.2)
    if not dropout:
        without_dropout(nlp)
    docs = unequal_docs(nlp, 7, with_empty=True)
    data = TrainingData(docs, batch_size="5 docs", sub_batch_size="2 splits")  # type: ignore[arg-type]
    options = {"max_steps": 4, "evaluate_every": 2, "checkpoint_every": 2, "keep_checkpoints": None}
    result = train_shortly(nlp, data, folder / name, docs[:2], **{**options, **settings})
    return nlp, result


def digest(nlp: Any) -> str:
    """Return one SHA-256 for all weights."""
    found = hashlib.sha256()
    for parameter in nlp.parameters():
        found.update(parameter.detach().numpy().tobytes())
    return found.hexdigest()


def gradient(nlp: Any) -> list[float]:
    """Return all gradients as one list."""
    return torch.cat([p.grad.flatten() for p in nlp.parameters() if p.grad is not None]).tolist()


def rank_of_two(folder: Path, rank: int, port: int) -> None:
    """Be one of two processes, in one training after the other."""
    os.environ.update(
        TORCHELASTIC_RUN_ID="test",
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(NUM_PROCESSES),
        LOCAL_WORLD_SIZE=str(NUM_PROCESSES),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        OMP_NUM_THREADS="1",
    )
    found: dict[str, Any] = {}
    nlp, _ = train_here(folder, "same", dropout=False, seed=rank, max_steps=1, grad_max_norm=None)
    found["same"], found["gradient"] = digest(nlp), gradient(nlp)
    nlp, result = train_here(folder, "two", dropout=True)
    found["two"], found["scores"] = digest(nlp), result.scores
    found["seed"] = torch.initial_seed()
    checkpoint = folder / "two/checkpoints/step-00000002"
    nlp, _ = train_here(folder, "later", dropout=True, resume=checkpoint)
    found["later"] = digest(nlp)

    def end(run: Any) -> None:
        if run.step == 2 and run.processes.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    _, result = train_here(
        folder, "ended", dropout=True, max_steps=9, callbacks=[Watch(before_step=end)]
    )
    found["ended"] = [result.step, result.stopped_by]

    def poison(run: Any) -> None:
        if run.step == 2 and run.processes.rank == 1:
            torch.nn.init.constant_(run.nlp.pipes.ner.classifier.bias, torch.nan)

    try:
        train_here(folder, "failed", dropout=True, callbacks=[Watch(before_step=poison)])
    except TrainingError as error:
        found["failed"] = str(error)
    (folder / f"rank-{rank}.json").write_text(json.dumps(found))


def two_processes(folder: Path) -> dict[str, Any]:
    """Train in two processes, and the same in one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = [start(rank_of_two, folder, rank, port) for rank in range(NUM_PROCESSES)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if any(statuses):
        raise SystemExit(f"the two processes ended with {statuses}")
    nlp, _ = train_here(folder, "alone", dropout=False, max_steps=1, grad_max_norm=None)
    alone = torch.tensor(gradient(nlp)).double()
    ranks = [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]
    together = [torch.tensor(rank.pop("gradient")).double() for rank in ranks]
    return {
        "ranks": ranks,
        "gradient_apart": [float((one - alone).norm() / alone.norm()) for one in together],
        "losses": {
            name: losses_of(folder / name) for name in ("same", "alone", "two", "later", "ended")
        },
        "ended": json.loads((folder / "ended/run.json").read_text()),
        "failed": json.loads((folder / "failed/run.json").read_text()),
    }


# ---- told to end -----------------------------------------------------------------------------


def write_notes(folder: Path) -> None:
    """Write a few annotated notes, as brat does."""
    folder.mkdir()
    for number in range(6):
        text = TEXTS[number % 3]
        (folder / f"n{number}.txt").write_text(text)
        first = text.split()[number % 4]
        start_char = text.index(first)
        line = f"T1\tA {start_char} {start_char + len(first)}\t{first}\n"
        (folder / f"n{number}.ann").write_text(line)


CONFIG = """\
nlp:
  "@core": pipeline
  lang: eds
  components:
    ner:
      "@factory": eds.ner_crf
      mode: joint
      target_span_getter: gold-ner
      embedding:
        "@factory": eds.transformer
        model: {folder}/encoder
        window: 32
        stride: 24
train:
  nlp: ${{nlp}}
  train_data_path: {folder}/notes
  batch_size: 60
  max_steps: 3000
  checkpoint_every: 1000 steps
  loggers: [jsonl]
  progress: false
  report: false
"""


def cli(*words: str) -> None:
    """Run the command `edspipe` and end as it says."""
    sys.stdout.flush()
    os._exit(edspipe_main(list(words)))


def told_to_end(folder: Path, number: signal.Signals) -> dict[str, Any]:
    """Send a signal to `edspipe train`; then go on for two steps, and compare."""
    run, calm = folder / number.name, folder / f"{number.name}-calm"
    config = str(folder / "config.yml")
    pid = start(cli, "train", "--config", config, f"--train.output_dir={run}")
    metrics = run / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < 2:
        time.sleep(0.002)
    os.kill(pid, number)
    found: dict[str, Any] = {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}
    found["run"] = json.loads((run / "run.json").read_text())
    found["files"] = sorted(path.name for path in run.iterdir())
    length = f"--train.max_steps={found['run']['last_step'] + 2}"
    if number == signal.SIGTERM:
        found["resumed"] = fork(cli, "train", "--resume", str(run), length)
        found["calm"] = fork(cli, "train", "--config", config, length, f"--train.output_dir={calm}")
        found["same_losses"] = losses_of(run) == losses_of(calm)
    return found


def start(function: Callable[..., Any], *args: Any) -> int:
    """Start a fork that runs a function; return its number."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*args)
            status = 0
        except BaseException:
            logger.exception("a fork failed")
        finally:
            os._exit(status)
    return pid


def killed(folder: Path) -> dict[str, Any]:
    """Kill a training three times, and compare; see `tests.training_legs`."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        training_legs.main(folder, 9, 0, 1, 3)
    return json.loads(out.getvalue())


def fork_trainings(folder: Path) -> dict[str, Any]:
    """Run all scenarios."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_encoder(folder / "encoder")
    write_notes(folder / "notes")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder))
    with not_forced_to_disk():
        return {
            "two": two_processes(folder),
            "SIGTERM": told_to_end(folder, signal.SIGTERM),
            "SIGINT": told_to_end(folder, signal.SIGINT),
            "killed": killed(folder / "legs"),
        }


def main(folder: Path) -> None:
    """Run all scenarios, and print what they found."""
    torch.set_num_threads(1)
    print(json.dumps(fork_trainings(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
