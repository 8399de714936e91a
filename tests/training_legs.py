"""A training in processes that are killed, and go on: run as a script, which forks them.

    python -m tests.training_legs FOLDER NUM_STEPS NUM_WORKERS SEED NUM_KILLS

Python and torch are imported once; every leg of the training is a fork, so that a kill costs
nothing but the steps that are done again. It prints one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from edspipe import atomic
from edspipe.filesystem import FileSystem
from edspipe.training.callbacks.callback import Callback
from edspipe.training.checkpoint import list_checkpoints
from edspipe.training.data import TrainingData
from edspipe.training.loggers.jsonl import JsonlLogger
from edspipe.training.trainer import train
from tests.support import TEXTS, gold_docs, tiny_encoder, tiny_pipeline


class KillAtStep(Callback):
    """Ends the process in the middle of a training."""

    def __init__(self, step: int, hook: str) -> None:
        self.step, self.hook = step, hook

    def before_step(self, run: Any) -> None:
        if self.hook == "before_step" and run.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_step(self, run: Any) -> None:
        if self.hook == "on_step" and run.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingFileSystem:
    """Ends the process at one of its operations."""

    def __init__(self, number: int) -> None:
        self._real, self._left = FileSystem(), number

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._real, name)


class KillInSave(Callback):
    """Ends the process at an operation of what is saved after a step."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def before_step(self, run: Any) -> None:
        if run.step == self.step:
            atomic.FS = KillingFileSystem(self.number)  # type: ignore[assignment]


def leg(folder: Path, num_steps: int, num_workers: int, kill: Callback | None, **more: Any) -> None:
    """Train from the beginning or from the last checkpoint, until the end or the kill."""
    torch.set_num_threads(1)
    nlp = tiny_pipeline(folder.parent / "encoder", labels=None, dropout=0.2)
    docs = gold_docs(nlp, TEXTS * 4)
    for number, doc in enumerate(docs):
        doc._.note_id = f"note-{number}"
    train(
        nlp,
        TrainingData(docs, batch_size="3 docs", sub_batch_size="2 splits"),
        docs[:3],
        output_dir=folder,
        max_steps=num_steps,
        evaluate_every="7 steps",
        checkpoint_every="3 steps",
        num_preprocessing_workers=num_workers,
        callbacks=[] if kill is None else [kill],
        loggers=[JsonlLogger()],
        progress=False,
        report=False,
        ci=None,
        **({"resume": folder} if list_checkpoints(folder) else {"overwrite": True}),
        **more,
    )


def fork(function: Any, *args: Any) -> int:
    """Run a function in a fork; return its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*args)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def outcome(folder: Path) -> dict[str, Any]:
    """Return the loss of every step in hexadecimal, and the sha256 of the final weights."""
    losses: list[list[Any]] = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["split"] == "train" and "loss" in record:
            losses.append([record["step"], record["loss"].hex(), record["grad_norm"].hex()])
    digest = hashlib.sha256()
    for model in ("model-last", "model-best"):
        for file in sorted((folder / model).rglob("*.safetensors")):
            digest.update(file.read_bytes())
    return {"losses": losses, "weights": digest.hexdigest()}


def draw_kill(rng: random.Random, num_steps: int) -> Callback:
    """Draw where a leg ends: before a step, after one, or in one of the saves after it."""
    step = rng.randrange(1, num_steps + 1)
    if rng.random() < 0.4:
        return KillInSave(step, rng.randrange(1, 120))
    return KillAtStep(step, rng.choice(["before_step", "on_step"]))


def main(folder: Path, num_steps: int, num_workers: int, seed: int, num_kills: int) -> None:
    """Train a recogniser once in peace, once with kills, and compare."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_encoder(folder / "encoder")
    compare(leg, folder, num_steps, num_workers, seed, num_kills)


def compare(
    leg: Any, folder: Path, num_steps: int, num_workers: int, seed: int, num_kills: int
) -> None:
    """Do a training once in peace, once with kills, and print what differs."""
    if fork(leg, folder / "calm", num_steps, num_workers, None):
        raise SystemExit("the calm training failed")
    rng = random.Random(seed)
    kills, statuses = 0, []
    while kills < num_kills:
        status = fork(leg, folder / "killed", num_steps, num_workers, draw_kill(rng, num_steps))
        statuses.append(status)
        if status == -signal.SIGKILL:
            kills += 1
        elif status == 0:  # it was done before the kill came: begin again
            for checkpoint in list_checkpoints(folder / "killed"):
                atomic.discard(checkpoint)
        else:
            raise SystemExit(f"a leg ended with {status}")
    while (status := fork(leg, folder / "killed", num_steps, num_workers, None)) != 0:
        raise SystemExit(f"the last leg ended with {status}")
    calm, killed = outcome(folder / "calm"), outcome(folder / "killed")
    print(
        json.dumps(
            {
                "num_kills": kills,
                "num_steps": len(calm["losses"]),
                "same_losses": calm["losses"] == killed["losses"],
                "same_weights": calm["weights"] == killed["weights"],
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:6]))
