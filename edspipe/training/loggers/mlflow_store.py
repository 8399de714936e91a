"""Where MLflow keeps things: a store is named, checked, and opened, quietly and within seconds."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edspipe.errors import ConfigError
from edspipe.optional import require

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
SECONDS_TO_ANSWER = 4
"""What a server gets for a request that a training waits for."""
_FOLDER = re.compile(r"file:|(?!databricks|uc\b)[^:]*$")
"""Folders, which MLflow 3 does not write to any more."""
_SQLITE = "sqlite:///"
_SQLITE_HEADER = b"SQLite format 3\0"
_CREDENTIALS = re.compile(r"://(?:[^/?#\s]*|[^/:@\s]*:(?!\d+[/?#])[^@\s]*)@")
"""User and password of an address: servers end them at the last @ before a slash, databases take
passwords that have slashes."""
_CURE = "Use a database, as sqlite:///mlflow.db, or a server, as http://localhost:5000"


def refuse_folder(tracking_uri: str | None) -> None:
    """Refuse a plain folder as a store.

    Raises:
        ConfigError: It is one; the message has the line to use instead.
    """
    if tracking_uri is not None and _FOLDER.match(tracking_uri):
        raise ConfigError(
            f"tracking_uri: MLflow 3 writes no folders any more, got '{tracking_uri}'. {_CURE}"
        )


def default_store(folder: Path) -> str:
    """Return the store in a folder: a database of SQLite."""
    return f"{_SQLITE}{folder.absolute() / DATABASE}"


def database_of(tracking_uri: str) -> Path | None:
    """Return the file of a store of SQLite, None of other stores."""
    return Path(tracking_uri[len(_SQLITE) :]) if tracking_uri.startswith(_SQLITE) else None


def absolute(tracking_uri: str) -> str:
    """Return a store under a name that does not depend on the current folder."""
    database = database_of(tracking_uri)
    return tracking_uri if database is None else f"{_SQLITE}{database.absolute()}"


def artifacts_of(tracking_uri: str, save_dir: Path | None = None) -> str | None:
    """Return where files go: a folder beside a database of SQLite; None where a server decides.

    Args:
        tracking_uri: The store.
        save_dir: Another folder for it.
    """
    database = database_of(tracking_uri)
    if database is None:
        return None
    return ((save_dir or database.parent).absolute() / ARTIFACTS).as_uri()


def public(text: str) -> str:
    """Return a text without the user and password of an address in it."""
    return _CREDENTIALS.sub("://", text)


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, MLflow and its libraries warn of nothing, draw no bars, and send no telemetry."""
    log = logging.getLogger("mlflow")
    level, log.level = log.level, logging.ERROR
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
    try:
        with (
            environment(MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.level = level


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Inside, variables of the environment have other values; None takes one away."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@contextmanager
def impatient(retries: int = 0) -> Iterator[None]:
    """Inside, a request to a server takes seconds; MLflow's own retries take minutes.

    Args:
        retries: How often MLflow asks again.
    """
    with environment(
        MLFLOW_HTTP_REQUEST_MAX_RETRIES=str(retries),
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(SECONDS_TO_ANSWER),
    ):
        yield


def open_client(tracking_uri: str, purpose: str = "the logger mlflow") -> Any:
    """Return a client of a store; a database is made where there is none.

    Args:
        tracking_uri: The store.
        purpose: What needs it, for the message where MLflow is not installed.
    """
    database = database_of(tracking_uri)
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        tracking = require("mlflow.tracking", "track", purpose)
        return tracking.MlflowClient(tracking_uri=tracking_uri)


def error_of_mlflow() -> type[Exception]:
    """Return the class of MLflow's errors."""
    with quiet():
        return require("mlflow.exceptions", "track", "MLflow").MlflowException


def check_store(tracking_uri: str) -> None:
    """Look whether a store can be used: a server answers, a database is one.

    Args:
        tracking_uri: The store.

    Raises:
        ConfigError: It is a folder, a server that does not answer within seconds or not as MLflow,
            or a file that is no database; the message names it, without user and password.
    """
    refuse_folder(tracking_uri)
    database = database_of(tracking_uri)
    if database is not None:
        _check_database(database, tracking_uri)
    elif tracking_uri.startswith(("http://", "https://")):
        _check_server(tracking_uri)


def _check_database(database: Path, tracking_uri: str) -> None:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        if database.exists():
            with database.open("rb") as file:
                header = file.read(len(_SQLITE_HEADER))
            if header not in (b"", _SQLITE_HEADER):
                raise ConfigError(
                    f"tracking_uri: {tracking_uri} is a file, but no database of SQLite. Give "
                    "another name, or move the file away"
                )
    except OSError as error:
        raise ConfigError(
            f"tracking_uri: {tracking_uri} cannot be written ({type(error).__name__}). Choose a "
            "folder that exists or that you may make"
        ) from None


def _check_server(tracking_uri: str) -> None:
    client = open_client(tracking_uri)
    error_type = error_of_mlflow()
    try:
        with quiet(), impatient():
            client.search_experiments(max_results=1)
    except error_type as error:
        answered = type(error).__name__ == "RestException"
        said = (
            f"answers with an error ({getattr(error, 'error_code', 'no code')})"
            if answered
            else f"does not answer within {SECONDS_TO_ANSWER} s"
        )
        raise ConfigError(
            f"tracking_uri: the server {public(tracking_uri)} {said}. Start it, correct the "
            f"address or its credentials, or use a file: {_SQLITE}{DATABASE}"
        ) from None
