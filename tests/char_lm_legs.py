"""A pretraining in processes that are killed, and go on: run as a script, which forks them.

python -m tests.char_lm_legs FOLDER NUM_STEPS NUM_WORKERS SEED NUM_KILLS
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from edspipe.pretraining.char_lm import pretrain_char_lm
from edspipe.training.callbacks.callback import Callback
from edspipe.training.checkpoint import list_checkpoints
from edspipe.training.loggers.jsonl import JsonlLogger
from tests.support import TEXTS
from tests.training_legs import compare


def leg(folder: Path, num_steps: int, num_workers: int, kill: Callback | None) -> None:
    """Train from the beginning or from the last checkpoint, until the end or the kill."""
    torch.set_num_threads(1)
    pretrain_char_lm(
        [text * number for number in range(2, 7) for text in TEXTS],
        folder,
        val=list(TEXTS),
        hidden_size=8,
        dropout=0.2,
        window=10,
        columns=4,
        split_size=200,
        max_steps=num_steps,
        evaluate_every="7 steps",
        checkpoint_every="3 steps",
        num_preprocessing_workers=num_workers,
        callbacks=[] if kill is None else [kill],
        loggers=[JsonlLogger()],
        progress=False,
        report=False,
        **({"resume": folder} if list_checkpoints(folder) else {"overwrite": True}),
    )


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    compare(leg, where, *map(int, sys.argv[2:6]))
