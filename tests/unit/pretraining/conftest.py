"""What the tests of pretraining share: small texts, and settings that make it quick."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from short_runs import QUIET, not_forced_to_disk

from edspipe.pretraining.char_lm import pretrain_char_lm

WORDS = ("le", "patient", "a", "une", "toux", "depuis", "hier", "sans", "fièvre", "ni", "douleur")
SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "embedding_size": 4,
    "window": 10,
    "columns": 3,
    "split_size": 200,
    **{key: value for key, value in QUIET.items() if key != "ci"},
}


def sentences(number: int, seed: int) -> str:
    """Return invented lines of eight words."""
    rng = Random(seed)
    return "".join(" ".join(rng.choices(WORDS, k=8)) + ".\n" for _ in range(number))


def write_texts(folder: Path, num_files: int = 3) -> Path:
    """Write a folder of texts."""
    (folder / "train").mkdir(parents=True)
    for number in range(num_files):
        (folder / f"train/{number}.txt").write_text(sentences(6, number), encoding="utf-8")
    for number, name in enumerate(("valid", "test"), 90):
        (folder / f"{name}.txt").write_text(sentences(3, number), encoding="utf-8")
    return folder


def pretrain(texts: Any, folder: Path, **options: Any) -> Any:
    """Train a very small model for 12 steps."""
    length = {} if "max_epochs" in options else {"max_steps": 12}
    return pretrain_char_lm(texts, folder, **{**SMALL, **length, **options})


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with not_forced_to_disk():
        yield


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of texts; only to be read."""
    return write_texts(tmp_path_factory.mktemp("char_lm") / "texts")


@pytest.fixture(scope="session")
def calm(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that nothing stopped, with a checkpoint each 3 steps; only to be read."""
    with not_forced_to_disk():
        return pretrain(
            texts,
            tmp_path_factory.mktemp("char_lm") / "run",
            evaluate_every=3,
            keep_checkpoints=None,
        )
