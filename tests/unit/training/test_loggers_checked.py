"""What is wrong with where a logger writes to is said before any document is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from short_runs import train_shortly, unequal_docs

import edspipe
from edspipe.errors import ConfigError
from edspipe.training.records import RunInfo


class Unreachable:
    """A logger whose server is gone."""

    def __init__(self) -> None:
        self.asked: list[RunInfo] = []

    def check(self, info: RunInfo) -> None:
        self.asked.append(info)
        raise ConfigError("tracking_uri: the server does not answer")

    def start(self, info: RunInfo) -> None: ...

    def write(self, records: Any) -> None: ...

    def close(self, status: str) -> None: ...


class Counted:
    """Documents that count how often they are asked for."""

    def __init__(self, docs: list[Any]) -> None:
        self.docs, self.count = docs, 0

    def __iter__(self) -> Iterator[Any]:
        self.count += 1
        return iter(self.docs)


def test_a_logger_that_cannot_write_ends_the_training_before_documents_are_read(
    tmp_path: Path, tiny_nlp: edspipe.Pipeline
) -> None:
    docs = Counted(unequal_docs(tiny_nlp, 3))
    logger = Unreachable()
    stream = edspipe.data.from_iterable(docs)
    with pytest.raises(ConfigError, match="the server does not answer"):
        train_shortly(tiny_nlp, stream, tmp_path / "run", loggers=[logger])
    assert docs.count == 0
    assert not (tmp_path / "run").exists()
    assert logger.asked[0].output_dir == str(tmp_path / "run")


def test_loggers_without_a_check_are_taken(tmp_path: Path, tiny_nlp: edspipe.Pipeline) -> None:
    docs = unequal_docs(tiny_nlp, 3)
    finished = train_shortly(tiny_nlp, docs, tmp_path / "run", max_steps=1)
    assert finished.step == 1
