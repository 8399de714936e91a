"""What the tests of registration share: one training that logged to MLflow, registered once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from short_runs import not_forced_to_disk, train_shortly
from small_classifiers import canary_docs, tiny_classifier

from edspipe.serving.register import register
from edspipe.training.loggers.mlflow import MlflowLogger


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with not_forced_to_disk():
        yield


@pytest.fixture(scope="session")
def trained(
    encoder_dir: Path, empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """A training of two steps that logged to a database, and was registered; only to be read.

    Attributes:
        folder: Holds all of it.
        run: The folder of the training.
        uri: The store.
        registered: The version.
    """
    folder = tmp_path_factory.mktemp("registered")
    shutil.copy(empty_mlflow, folder)
    uri = f"sqlite:///{folder}/mlflow.db"
    nlp = tiny_classifier(encoder_dir)
    docs = canary_docs(nlp)
    with not_forced_to_disk():
        train_shortly(
            nlp,
            docs,
            folder / "run",
            docs[:2],
            max_steps=2,
            evaluate_every=1,
            loggers=[MlflowLogger(tracking_uri=uri, experiment="tests")],
        )
        registered = register(
            folder / "run",
            name="notes",
            alias="champion",
            description="finds fever",
            tags={"team": "x", "n": 1},
        )
    return SimpleNamespace(run=folder / "run", uri=uri, folder=folder, registered=registered)
