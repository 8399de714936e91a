"""mlflow: one run of MLflow for one run of ours."""

from __future__ import annotations

import os
import re
import time
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
from edspipe.training.loggers.mlflow_store import (
    absolute,
    artifacts_of,
    check_store,
    database_of,
    default_store,
    error_of_mlflow,
    impatient,
    open_client,
    public,
    quiet,
    refuse_folder,
)
from edspipe.training.records import TRAIN, Record, RunInfo

RUN_FILE = "mlflow_run_id.json"
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
MAX_KEY = 250
MAX_PARAM = 500
"""Characters of the value of a parameter: what every server takes."""
PARAMS_PER_REQUEST, METRICS_PER_REQUEST = 100, 1000
SECONDS_BETWEEN_REQUESTS = 5.0
RETRIES_AT_THE_END = 2
DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow shows as the description of a run."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]|\s(?<! )")


@registry.loggers.register("mlflow")
class MlflowLogger:
    """Logs to MLflow: the flattened config as parameters, and every number as a metric.

    The run is opened, and ended with its status, by this logger alone; a run that is active in your
    program is not touched. A run that is resumed goes on in the same run of MLflow, whose id stands
    in `mlflow_run_id.json`. MLflow deletes no numbers: what a killed run logged of later steps
    stays, and is not logged twice where it comes out the same.

    Nothing is sent anywhere but to `tracking_uri`: MLflow's own telemetry is switched off, unless
    the environment variable `MLFLOW_DISABLE_TELEMETRY` is set to something else. A server that does
    not answer is an error before any document is read. A store that fails later does not end the
    training: numbers are kept, and sent with the next ones.

    Args:
        tracking_uri: The store; None is the file `mlflow.db` in `save_dir`.
        experiment: The name of the experiment; it is made if there is none.
        run_name: The name of the run; None is the name of the folder of the run.
        tags: Tags of the run.
        description: What MLflow shows as the description of the run.
        save_dir: The folder of `mlflow.db`, where no store is given, and of the files of runs,
            where no server keeps them; None is the folder of the run, or that of the database.

    Raises:
        ConfigError: The store is a folder, or MLflow takes no tag of such a name.
        MissingExtraError: MLflow is not installed.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str = "edspipe",
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        save_dir: str | Path | None = None,
    ) -> None:
        refuse_folder(tracking_uri)
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.run_name = run_name
        self.tags = read_tags(tags or {}, "tags")
        self.description = description
        self.save_dir = None if save_dir is None else Path(save_dir)
        self._client: Any = None
        self._run_id = ""
        self._pending: list[Any] = []
        self._sent_at = 0.0
        self._known: set[tuple[str, int, str]] = set()
        self._names = UniqueNames()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
        self._entities = require("mlflow.entities", "track", "the logger mlflow")

    # ---- the run

    def check(self, info: RunInfo) -> None:
        """Look whether the store can be used, before anything is read.

        Raises:
            ConfigError: A server does not answer within seconds, or a file is no database.
        """
        if self.tracking_uri is not None or self.save_dir is not None:
            check_store(self._store(Path(info.output_dir)))
        has_server = self.tracking_uri is not None and database_of(self.tracking_uri) is None
        if self.save_dir is not None and has_server:
            logger.warning("mlflow: save_dir is not used, the server decides where files go")

    def _store(self, folder: Path) -> str:
        return self.tracking_uri or default_store(self.save_dir or folder)

    def start(self, info: RunInfo) -> None:
        """Open a run, or go on with the one of this folder.

        Raises:
            CheckpointError: The run of this folder is not in the store.
            ConfigError: The experiment was deleted, or the store does not take a run.
        """
        folder = Path(info.output_dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        uri = self._store(folder)
        self._client = open_client(uri)
        try:
            with quiet():
                if info.first_step and (folder / RUN_FILE).is_file():
                    self._go_on(folder / RUN_FILE, uri, info)
                else:
                    self._begin(folder, uri, info)
        except error_of_mlflow() as error:  # its messages may hold the whole address
            raise ConfigError(
                f"tracking_uri: {public(uri)} does not take the run: {public(str(error))}"
            ) from None
        self._sent_at = time.monotonic()

    def _begin(self, folder: Path, uri: str, info: RunInfo) -> None:
        experiment = open_experiment(self._client, self.experiment, uri, self.save_dir)
        run = self._client.create_run(
            experiment, run_name=self.run_name or folder.name, tags=self._tags()
        )
        self._run_id = run.info.run_id
        facts = {"run_id": self._run_id, "tracking_uri": public(absolute(uri))}
        atomic.write_json(folder / RUN_FILE, facts)
        self._log_params(dict(flatten(info.config)))

    def _tags(self) -> dict[str, str]:
        described = {} if self.description is None else {DESCRIPTION: self.description}
        return {**self.tags, **described}

    def _go_on(self, file: Path, uri: str, info: RunInfo) -> None:
        self._run_id = str(read_json(file).get("run_id"))
        try:
            run = self._client.get_run(self._run_id)
            reason = "deleted" if run.info.lifecycle_stage == "deleted" else ""
        except error_of_mlflow() as error:
            reason = type(error).__name__
        if reason:
            raise CheckpointError(
                f"{file}: the run '{self._run_id}' is not in the store {public(uri)} "
                f"({reason}). Set tracking_uri to the store that has it, or delete "
                "this file to open another run"
            )
        self._client.update_run(self._run_id, status="RUNNING")
        for key, value in self._tags().items():
            if run.data.tags.get(key) != value:
                self._client.set_tag(self._run_id, key, value)
        self._log_changed(dict(flatten(info.config)), run.data.params, info.first_step)
        for name in run.data.metrics:
            for metric in self._client.get_metric_history(self._run_id, name):
                if metric.step > info.first_step:
                    self._known.add((name, metric.step, repr(metric.value)))

    def _log_changed(self, now: Mapping[str, str], before: Mapping[str, str], step: int) -> None:
        """Log parameters that a resumed run changed, under names of their own."""
        names = UniqueNames()
        safe = {names.of(key): public(value)[:MAX_PARAM] for key, value in now.items()}
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
                self._entities.Param(names.of(key), public(value)[:MAX_PARAM])
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

    def _send(self, retries: int = 0) -> None:
        try:
            with impatient(retries):
                while part := self._pending[:METRICS_PER_REQUEST]:
                    self._client.log_batch(self._run_id, metrics=part)
                    del self._pending[: len(part)]
        except error_of_mlflow() as error:
            logger.warning(
                "MLflow does not take numbers ({}); {} are kept, and sent with the next ones",
                type(error).__name__,
                len(self._pending),
            )
        self._sent_at = time.monotonic()

    def close(self, status: str) -> None:
        """Send what is left, and end the run."""
        if self._client is None:
            return
        self._send(RETRIES_AT_THE_END)
        try:
            with impatient(RETRIES_AT_THE_END):
                self._client.set_terminated(self._run_id, status=STATUS[status])
        except error_of_mlflow() as error:
            logger.warning("MLflow did not end the run ({})", type(error).__name__)
        self._client = None


def open_experiment(client: Any, name: str, uri: str, save_dir: Path | None = None) -> str:
    """Return the id of an experiment, which is made if there is none.

    Args:
        client: A client of the store.
        name: Its name.
        uri: The store.
        save_dir: Where its files go, if not beside the database.

    Raises:
        ConfigError: It was deleted: MLflow keeps its name.
    """
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise ConfigError(
            f"experiment: '{name}' was deleted in {public(uri)}. Choose another name, or bring it "
            f"back: mlflow experiments restore -x {found.experiment_id}"
        )
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifacts_of(uri, save_dir)))


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


def read_tags(tags: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return tags as texts.

    Args:
        tags: The tags.
        where: What they are called in the config.

    Raises:
        ConfigError: MLflow takes no tag of such a name.
    """
    for key in map(str, tags):
        if UniqueNames().of(key) != key:
            raise ConfigError(
                f"{where}: expected names of letters, digits, blanks, '_', '-', '.', ':' and '/', "
                f"{MAX_KEY} characters at most, got {key[:MAX_KEY]!r}"
            )
    return {str(key): str(value) for key, value in tags.items()}


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
