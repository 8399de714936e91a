"""mlflow: one run of MLflow for one run of ours."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from loguru import logger

from edspipe import atomic
from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, ConfigError
from edspipe.optional import require
from edspipe.pipeline.json_files import read_json
from edspipe.training.records import TRAIN, Record, RunInfo

RUN_FILE = "mlflow_run_id.json"
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
MAX_KEY = 250
MAX_PARAM = 500
"""Characters of the value of a parameter: what every server takes."""
PARAMS_PER_REQUEST, METRICS_PER_REQUEST = 100, 1000
SECONDS_BETWEEN_REQUESTS = 5.0
_NO_STORE = re.compile(r"file:|(?!databricks|uc\b)[^:]*$")
"""Folders, which MLflow 3 does not write to any more."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]|\s(?<! )")


@registry.loggers.register("mlflow")
class MlflowLogger:
    """Logs to MLflow: the flattened config as parameters, and every number as a metric.

    The run is opened, and ended with its status, by this logger alone; a run that is active in your
    program is not touched. A run that is resumed goes on in the same run of MLflow, whose id stands
    in `mlflow_run_id.json`. MLflow deletes no numbers: what a killed run logged of later steps
    stays, and is not logged twice where it comes out the same.

    Nothing is sent anywhere but to `tracking_uri`: MLflow's own telemetry is switched off, unless
    the environment variable `MLFLOW_DISABLE_TELEMETRY` is set to something else. A store that fails
    does not end the training: numbers are kept, and sent with the next ones.

    Args:
        tracking_uri: The store; None is the file `mlflow.db` in the folder of the run.
        experiment: The name of the experiment; it is made if there is none.
        run_name: The name of the run; None is the name of the folder of the run.

    Raises:
        ConfigError: The store is a folder.
        MissingExtraError: MLflow is not installed.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str = "edspipe",
        run_name: str | None = None,
    ) -> None:
        if tracking_uri is not None and _NO_STORE.match(tracking_uri):
            raise ConfigError(
                f"tracking_uri: MLflow 3 writes no folders any more, got '{tracking_uri}'. Use a "
                "database, as sqlite:///mlflow.db, or a server, as http://localhost:5000"
            )
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.run_name = run_name
        self._client: Any = None
        self._run_id = ""
        self._pending: list[Any] = []
        self._sent_at = 0.0
        self._known: set[tuple[str, int, str]] = set()
        self._names = UniqueNames()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
        self._entities = require("mlflow.entities", "track", "the logger mlflow")

    # ---- the run

    def start(self, info: RunInfo) -> None:
        """Open a run, or go on with the one of this folder.

        Raises:
            CheckpointError: The run of this folder is not in the store.
        """
        folder = Path(info.output_dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        uri = self.tracking_uri or f"sqlite:///{folder / 'mlflow.db'}"
        with warnings.catch_warnings():
            # libraries of MLflow warn of what MLflow does
            warnings.simplefilter("ignore", DeprecationWarning)
            tracking = require("mlflow.tracking", "track", "the logger mlflow")
            self._client = tracking.MlflowClient(tracking_uri=uri)
            if info.first_step and (folder / RUN_FILE).is_file():
                self._go_on(folder / RUN_FILE, uri, info)
            else:
                self._begin(folder, uri, info)
        self._sent_at = time.monotonic()

    def _begin(self, folder: Path, uri: str, info: RunInfo) -> None:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            # beside the database: elsewhere the server knows best
            place = None if self.tracking_uri else (folder / "mlflow-artifacts").as_uri()
            experiment_id = self._client.create_experiment(self.experiment, place)
        else:
            experiment_id = found.experiment_id
        run = self._client.create_run(experiment_id, run_name=self.run_name or folder.name)
        self._run_id = run.info.run_id
        atomic.write_json(folder / RUN_FILE, {"run_id": self._run_id, "tracking_uri": _public(uri)})
        self._log_params(dict(flatten(info.config)))

    def _go_on(self, file: Path, uri: str, info: RunInfo) -> None:
        self._run_id = str(read_json(file).get("run_id"))
        try:
            run = self._client.get_run(self._run_id)
        except self._error() as error:
            raise CheckpointError(
                f"{file}: the run '{self._run_id}' is not in the store {_public(uri)} "
                f"({type(error).__name__}). Set tracking_uri to the store that has it, or delete "
                "this file to open another run"
            ) from None
        self._client.update_run(self._run_id, status="RUNNING")
        self._log_changed(dict(flatten(info.config)), run.data.params, info.first_step)
        for name in run.data.metrics:
            for metric in self._client.get_metric_history(self._run_id, name):
                if metric.step > info.first_step:
                    self._known.add((name, metric.step, repr(metric.value)))

    def _error(self) -> type[Exception]:
        exceptions = require("mlflow.exceptions", "track", "the logger mlflow")
        return exceptions.MlflowException

    def _log_changed(self, now: Mapping[str, str], before: Mapping[str, str], step: int) -> None:
        """Log parameters that a resumed run changed, under names of their own."""
        names = UniqueNames()
        safe = {names.of(key): _public(value)[:MAX_PARAM] for key, value in now.items()}
        self._log_params(
            {
                key if key not in before else f"resumed_at_{step}/{key}": value
                for key, value in safe.items()
                if before.get(key) != value and f"resumed_at_{step}/{key}" not in before
            }
        )

    def _log_params(self, params: Mapping[str, str]) -> None:
        names = UniqueNames()
        entities = iter(
            [
                self._entities.Param(names.of(key), _public(value)[:MAX_PARAM])
                for key, value in params.items()
            ]
        )
        while part := list(islice(entities, PARAMS_PER_REQUEST)):
            self._client.log_batch(self._run_id, params=part)

    # ---- numbers

    def write(self, records: Sequence[Record]) -> None:
        """Take numbers; they are sent after a validation, or every few seconds."""
        now = int(time.time() * 1000)
        for record in records:
            name = self._names.of(record.key)
            if (name, record.step, repr(record.value)) not in self._known:
                self._pending.append(self._entities.Metric(name, record.value, now, record.step))
        waited = time.monotonic() - self._sent_at
        if waited > SECONDS_BETWEEN_REQUESTS or any(r.split != TRAIN for r in records):
            self._send()

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        try:
            while part := self._pending[:METRICS_PER_REQUEST]:
                self._client.log_batch(self._run_id, metrics=part)
                del self._pending[: len(part)]
        except self._error() as error:
            logger.warning(
                "MLflow does not take numbers ({}); {} are kept, and sent with the next ones",
                type(error).__name__,
                len(self._pending),
            )

    def close(self, status: str) -> None:
        """Send what is left, and end the run."""
        if self._client is None:
            return
        self._send()
        try:
            self._client.set_terminated(self._run_id, status=STATUS[status])
        except self._error() as error:
            logger.warning("MLflow did not end the run ({})", type(error).__name__)
        self._client = None


class UniqueNames:
    """Names that MLflow takes: what it does not take is `_`, and different names stay different."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the name for a name."""
        if name not in self._names:
            parts = _NOT_IN_NAMES.sub("_", name).split("/")
            base = "/".join("_" if part in ("", ".", "..") else part for part in parts)
            safe, number = base[:MAX_KEY], 2
            while safe in self._names.values():
                safe, number = f"{base[: MAX_KEY - 8]}_{number}", number + 1
            self._names[name] = safe
        return self._names[name]


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) for the leaves of a config; an empty container is a leaf."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    if not items and path:
        yield path, str(value)
    for key, inner in items:
        yield from flatten(inner, f"{path}.{key}" if path else str(key))


def _public(text: str) -> str:
    """Return a text without the user and password of an address in it."""
    return re.sub(r"://[^/@\s]*@", "://", text)
