"""A search that is killed in the middle of a training, and goes on: run as a script, which forks.

    python -m tests.tuning_training_legs FOLDER

It prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from edspipe.config.files import read_config
from edspipe.demo import write_corpus
from edspipe.training.callbacks.callback import Callback
from edspipe.tuning import objectives
from edspipe.tuning.objectives import train_config
from edspipe.tuning.tuner import tune
from tests.support import tiny_encoder
from tests.tuning_legs import start, summary, table, wait

NUM_TRIALS = 12


class KillAtStep(Callback):
    """Ends the process in the middle of a training."""

    def on_step(self, run: Any) -> None:
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def search_config(folder: Path, config: dict[str, Any], kill_at: int | None = None) -> None:
    """Search with a config, until the end or the kill."""
    torch.set_num_threads(1)
    train = objectives.train
    count = 0

    def train_or_die(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == kill_at:
            kwargs["callbacks"] = [*kwargs["callbacks"], KillAtStep()]
        return train(*args, **kwargs)

    objectives.train = train_or_die  # type: ignore[assignment]
    tune(config, output_dir=folder, progress=False)


def best_again(file: Path, folder: Path) -> None:
    """Train with the best config."""
    torch.set_num_threads(1)
    config = read_config(file)
    config["train"]["output_dir"] = str(folder)
    train_config(config, lambda block: {**block, "progress": False, "loggers": ["jsonl"]})


def training(folder: Path) -> dict[str, Any]:
    """Kill a search in the middle of a training, resume it, and train with the best config."""
    write_corpus(folder / "corpus", num_train=4, num_dev=2)
    ner = {
        "@factory": "eds.ner_crf",
        "target_span_getter": "gold-ner",
        "window": 10,
        "embedding": {
            "@factory": "eds.transformer",
            "model": str(tiny_encoder(folder / "encoder")),
        },
    }
    config = {
        "nlp": {"@core": "pipeline", "lang": "eds", "components": {"ner": ner}},
        "train": {
            "nlp": "${ nlp }",
            "train_data_path": str(folder / "corpus/train"),
            "val_data_path": str(folder / "corpus/dev"),
            "batch_size": "2 docs",
            "max_steps": 6,
            "evaluate_every": 2,
            "report": False,
            "ci": None,
        },
        "tune": {
            "n_trials": NUM_TRIALS,
            "objective": "val/loss",
            "space": {
                "train.lr": {"log_uniform": [1e-4, 1e-1]},
                "nlp.components.ner.dropout": {"choice": [0.0, 0.2]},
            },
        },
    }
    out = folder / "out"
    statuses = wait(start(search_config, out, config, 5))
    before = table(out)
    statuses += wait(start(search_config, out, config))
    after = table(out)
    statuses += wait(start(best_again, out / "best.yml", folder / "again"))
    losses = [
        record["loss"]
        for record in map(json.loads, (folder / "again/metrics.jsonl").read_text().splitlines())
        if record["split"] == "val"
    ]
    scores = [float(row["score"]) for row in after if row["score"]]
    return {
        "statuses": statuses,
        "kept": after[: len(before)] == before,
        "num_before": len(before),
        "best": min(scores),
        "again": losses[-1],
        "num_weights": len(list(out.glob("trials/*/*/model-*"))),
        **summary(out),
    }


if __name__ == "__main__":
    print(json.dumps(training(Path(sys.argv[1]))))
