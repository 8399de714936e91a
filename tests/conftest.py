"""What all tests share. Heavy things are built once a session, and lent as copies."""

from __future__ import annotations

import gc
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before anything imports tokenizers
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from loguru import logger
from support import tiny_encoder, tiny_pipeline

import edspipe
from edspipe.training.loggers.mlflow_store import open_client, quiet
from edspipe.viz import style

gc.disable()  # until the tests are collected: what is imported stays

settings.register_profile("suite", max_examples=40, deadline=None)  # the machine may be busy
settings.register_profile("nightly", max_examples=200, deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave what collecting made out of every later search for garbage, which it makes slow."""
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


PICTURES = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg/>", "pdf": b"%PDF-1.4\n"}
"""What is written for a picture that is not drawn."""
DRAW = style._render


@pytest.fixture(scope="session", autouse=True)
def _pictures_are_not_drawn() -> Iterator[None]:
    """Leave matplotlib's own work out: a second a picture, which few tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_render", lambda figure, kind: PICTURES[kind])
        yield


@pytest.fixture(scope="session")
def drawing() -> Callable[[], AbstractContextManager[None]]:
    """Inside `drawing()` pictures are drawn."""

    @contextmanager
    def draw() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(style, "_render", DRAW)
            yield

    return draw


@pytest.fixture
def drawn(drawing: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """In the test pictures are drawn."""
    with drawing():
        yield


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Put the environment back as it was before the test."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
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
