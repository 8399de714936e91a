"""A training that logs to MLflow, killed and resumed: run as a script, which forks it.

    PYTHONPATH=tests python -m tests.tracked_trainings FOLDER

It prints one line of JSON: how the legs ended, and what is in the store.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from edspipe.serving.register import register
from edspipe.training.checkpoint import list_checkpoints
from edspipe.training.loggers.mlflow import MlflowLogger
from edspipe.training.loggers.tensorboard import TensorboardLogger
from tests.short_runs import Watch, not_forced_to_disk, train_shortly
from tests.small_classifiers import canary_docs, has_canary, runs_of, tiny_classifier
from tests.support import tiny_encoder
from tests.training_legs import fork


def leg(folder: Path, uri: str, kill_at: int | None) -> None:
    """Train from the beginning or from the last checkpoint, until the end or the kill."""
    torch.set_num_threads(1)
    nlp = tiny_classifier(folder / "encoder")
    docs = canary_docs(nlp, 6)

    def kill(run: Any) -> None:
        if run.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    run = folder / "run"
    said: dict[str, Any] = {"experiment": "killed", "tags": {"team": "x"}, "description": "d"}
    train_shortly(
        nlp,
        docs,
        run,
        docs[:2],
        max_steps=6,
        evaluate_every=1,
        checkpoint_every=2,
        loggers=[
            "csv",
            MlflowLogger(tracking_uri=uri, **said),
            TensorboardLogger(save_dir=folder / "curves", **said),
        ],
        callbacks=[] if kill_at is None else [Watch(on_step=kill)],
        **({"resume": run} if list_checkpoints(run) else {}),
    )


def last_leg(folder: Path, uri: str) -> None:
    """Train to the end, and register what came out, twice."""
    leg(folder, uri, None)
    for _ in range(2):
        register(folder / "run", name="notes", alias="champion")


def main(folder: Path) -> None:
    """Kill a training with SIGKILL after its third step, go on, register, and look."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_encoder(folder / "encoder")
    uri = f"sqlite:///{folder}/mlflow.db"
    with not_forced_to_disk():
        statuses = [fork(leg, folder, uri, 3), fork(last_leg, folder, uri)]
    runs = runs_of(uri)
    print(
        json.dumps(
            {
                "statuses": statuses,
                "runs": [[run.info.status, run.data.tags["team"]] for run in runs],
                "canaries": has_canary(folder),
                "events": len(list((folder / "curves/killed/run").iterdir())),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
