"""What all tests share. Heavy things are built once a session, and lent as copies."""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before anything imports tokenizers
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from loguru import logger
from support import tiny_encoder, tiny_pipeline

import edspipe
from edspipe.training.loggers.mlflow_store import open_client, quiet


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Put the environment back as it was before the test."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The messages that are logged during a test, each with its level: `"WARNING text"`."""
    messages: list[str] = []
    sink = logger.add(lambda m: messages.append(m.rstrip("\n")), format="{level} {message}")
    yield messages
    logger.remove(sink)


@pytest.fixture(scope="session")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder and its tokenizer; only to be read."""
    return tiny_encoder(tmp_path_factory.mktemp("shared") / "encoder")


@pytest.fixture
def make_nlp(encoder_dir: Path) -> Callable[..., edspipe.Pipeline]:
    """Builds tiny pipelines: `make_nlp(labels=..., seed=..., **arguments of eds.ner_crf)`."""

    def make(**options: object) -> edspipe.Pipeline:
        return tiny_pipeline(encoder_dir, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny_nlp(make_nlp: Callable[..., edspipe.Pipeline]) -> edspipe.Pipeline:
    """A pipeline of one test, with the pipe `ner` and the labels A and B."""
    return make_nlp()


@pytest.fixture(scope="session")
def model_dir(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny pipeline; only to be read, copy it to change it."""
    folder = tmp_path_factory.mktemp("shared") / "model"
    tiny_pipeline(encoder_dir).to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, which takes seconds to be made; only to be copied."""
    pytest.importorskip("mlflow")
    database = tmp_path_factory.mktemp("shared") / "new" / "mlflow.db"
    with quiet():
        open_client(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the real corpora, from the environment variable EDSPIPE_CORPORA."""
    folder = os.environ.get("EDSPIPE_CORPORA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set EDSPIPE_CORPORA to the folder of the real corpora to run this test")
    return Path(folder)
