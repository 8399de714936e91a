"""What is registered: the chosen model of a training, or a saved pipeline."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edspipe.atomic import MANIFEST
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.serialization import CONFIG, PIPES, check_folder
from edspipe.training.loggers.mlflow import RUN_FILE
from edspipe.training.loggers.mlflow_store import DATABASE, database_of, default_store
from edspipe.training.run_files import RUN, read_run


@dataclass(frozen=True)
class ModelSource:
    """A saved pipeline, and the run that it came from.

    Attributes:
        model: The folder of the pipeline.
        digest: SHA-256 of its manifest, which has that of every file.
        run_dir: The folder of the training, None where there is none.
        run_id: The run of MLflow that the training logged to, None without one.
        logged_to: The store of that run, without user and password.
    """

    model: Path
    digest: str
    run_dir: Path | None = None
    run_id: str | None = None
    logged_to: str | None = None

    def store(self, tracking_uri: str | None) -> str:
        """Return the store to register in: the one given, or the one that has the run.

        Raises:
            ConfigError: Neither is there, or the database of the latter is gone.
        """
        found = tracking_uri or self.logged_to
        if found is None:
            raise ConfigError(
                f"{self.model}: the training did not log to MLflow, so tracking_uri must say where "
                "the registry is, as sqlite:///mlflow.db or http://localhost:5000"
            )
        database = database_of(found)
        if tracking_uri is None and database is not None and not database.is_file():
            raise ConfigError(
                f"{self.model}: the training logged to {found}, which is not there any more. Say "
                "with tracking_uri where it is, or which other store is to have the model"
            )
        return found


def find_source(path: Path) -> ModelSource:
    """Return what is to be registered, its files checked.

    Args:
        path: The folder of a training, whose chosen model is taken, or that of a saved pipeline.

    Raises:
        CheckpointError: It is neither, the training has chosen no model yet, or a file is damaged.
    """
    is_model = (path / CONFIG).is_file() and (path / PIPES).is_dir()
    model = path if is_model else path / _chosen(path)
    folder = check_folder(model)
    run_dir = model.absolute().parent
    if not (run_dir / RUN).is_file():
        return ModelSource(folder, _digest(folder))
    return ModelSource(folder, _digest(folder), run_dir, *_logged(run_dir))


def _chosen(run_dir: Path) -> str:
    chosen = read_run(run_dir).get("evaluated")
    if not isinstance(chosen, str):
        raise CheckpointError(
            f"{run_dir / RUN}: the training has chosen no model yet. Go on with it (edspipe train "
            f"--resume {run_dir}), or give the folder of a model"
        )
    return chosen


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _logged(run_dir: Path) -> tuple[str | None, str | None]:
    """Return the run of MLflow, and its store; a database in a folder that moved is found."""
    if not (run_dir / RUN_FILE).is_file():
        return None, None
    facts = read_json(run_dir / RUN_FILE)
    uri = facts.get("tracking_uri")
    if isinstance(uri, str) and (run_dir / DATABASE).is_file():
        database = database_of(uri)
        uri = uri if database is None or database.is_file() else default_store(run_dir)
    return facts.get("run_id"), uri
