"""What the tests of trainings share, and what makes these short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from short_runs import data_of, not_forced_to_disk, train_shortly, unequal_docs
from support import tiny_pipeline

import edspipe
from edspipe.training import step


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Force nothing to the disk: no test here is about a loss of power. And collect no garbage
    where memory runs out: in a process full of tests that takes longer than a training."""
    with not_forced_to_disk(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "gc", SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(scope="session")
def nlps(encoder_dir: Path) -> Callable[..., edspipe.Pipeline]:
    """Builds tiny pipelines with dropout: `nlps(labels=..., seed=..., ...)`."""
    return lambda **options: tiny_pipeline(encoder_dir, **{"dropout": 0.2, **options})


@pytest.fixture(scope="session")
def finished(nlps: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of 6 steps with a validation and a checkpoint each 3; only to be read."""
    nlp = nlps(labels=None)
    docs = unequal_docs(nlp, 3)
    with not_forced_to_disk():
        return train_shortly(
            nlp,
            data_of(nlp, 7, sub_batch_size="2 splits"),
            tmp_path_factory.mktemp("trainer") / "run",
            docs,
            test_data=docs[:2],
            max_steps=6,
            evaluate_every=3,
            checkpoint_every=3,
            keep_checkpoints=None,
            lr=3e-3,
        )
