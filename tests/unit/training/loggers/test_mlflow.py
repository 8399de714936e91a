"""MLflow: one run, opened and ended by us, that a resumed training goes on with."""

from __future__ import annotations

import math
import os
import socket
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edspipe.errors import CheckpointError, ConfigError, MissingExtraError
from edspipe.training.loggers import mlflow as module
from edspipe.training.loggers.mlflow import MAX_KEY, MlflowLogger, UniqueNames, flatten
from edspipe.training.records import Record, RunInfo

CONFIG = {
    "train": {
        "max_steps": 5,
        "optimizer": {"groups": {r"\.encoder\.": {"lr": 5e-5}}},
        "note": "x" * 1000,
        "server": "http://user:secret@host/x",
        "callbacks": [],
        "seeds": [1, 2],
        "empty": "",
    }
}


def started(folder: Path, first: int = 0, config: Any = CONFIG, **options: Any) -> MlflowLogger:
    logger = MlflowLogger(**options)
    logger.start(RunInfo(str(folder), config, first_step=first))
    return logger


def client_of(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=f"sqlite:///{folder.absolute()}/mlflow.db")


def runs_of(folder: Path) -> list[Any]:
    client = client_of(folder)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids))


LONGER = {"train": {**CONFIG["train"], "max_steps": 9, "new": True}}


@dataclass
class Life:
    """A run that is killed after step 4 and resumed from step 2, and what could be seen of it.

    Attributes:
        killed: The run in the store when it was killed.
        resumed: The run at its end.
        history: Its numbers by name, as (step, value).
        failed: What a run in the same folder that fails is in the store.
        message: What resuming a run says that the store does not have.
        theirs: The id of the run that is active all the time, and what is active at the end.
        files: Names in the folder that is the current one.
        tried: Addresses that something tried to reach.
        telemetry: The environment variable that switches telemetry off.
    """

    folder: Path
    killed: Any = None
    resumed: Any = None
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    failed: Any = None
    message: str = ""
    theirs: tuple[str, str] = ("", "")
    files: list[str] = field(default_factory=list)
    tried: list[Any] = field(default_factory=list)
    telemetry: str | None = None


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """One life for all tests: a store takes seconds to be made."""
    pytest.importorskip("mlflow")
    current = tmp_path_factory.mktemp("mlflow")
    found = Life(current / "run")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        found.tried.append(args[-1])
        raise OSError("no network in this test")

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.chdir(current)
        patch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        live(found)
        found.telemetry = os.environ.get("MLFLOW_DISABLE_TELEMETRY")
    found.files = sorted(path.name for path in current.iterdir())
    return found


def live(life: Life) -> None:
    folder = life.folder
    killed = started(folder)
    for step in range(1, 5):
        killed.write([Record(r"lr/\.encoder\.", 0.5, step), Record("loss", step / 3, step)])
        killed.write([Record("f", math.nan if step == 1 else step / 10, step, "val")])
    (life.killed,) = runs_of(folder)  # it was not closed

    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        mlflow.set_tracking_uri(f"sqlite:///{folder.parent}/theirs.db")
        theirs = mlflow.start_run()
    resumed = started(folder, first=2, config=LONGER)
    resumed.write([Record("loss", 3 / 3, 3), Record("loss", 7.0, 4), Record("loss", 5 / 3, 5)])
    resumed.close("finished")
    (life.resumed,) = runs_of(folder)
    for name in life.resumed.data.metrics:
        history = client_of(folder).get_metric_history(life.resumed.info.run_id, name)
        life.history[name] = sorted((metric.step, metric.value) for metric in history)

    started(folder).close("failed")
    life.failed = next(r for r in runs_of(folder) if r.info.run_id != life.resumed.info.run_id)
    (folder / "mlflow_run_id.json").write_text('{"run_id": "gone"}')
    with pytest.raises(CheckpointError) as error:
        started(folder, first=2)
    life.message = str(error.value)
    life.theirs = theirs.info.run_id, mlflow.active_run().info.run_id
    mlflow.end_run()


def test_a_killed_run_is_left_running_with_all_its_parameters(life: Life) -> None:
    assert life.killed.info.status == "RUNNING"
    assert life.killed.info.run_name == "run"
    assert life.killed.data.params == {
        "train.max_steps": "5",
        "train.optimizer.groups._.encoder_..lr": "5e-05",
        "train.note": "x" * 500,
        "train.server": "http://host/x",
        "train.callbacks": "[]",
        "train.seeds.0": "1",
        "train.seeds.1": "2",
        "train.empty": "",
    }


def test_a_resumed_run_goes_on_with_the_same_run_and_ends_it(life: Life) -> None:
    assert life.resumed.info.run_id == life.killed.info.run_id
    assert life.resumed.info.status == "FINISHED"


def test_parameters_that_a_resumed_run_changed_stand_beside_the_old_ones(life: Life) -> None:
    assert life.resumed.data.params == {
        **life.killed.data.params,
        "resumed_at_2/train.max_steps": "9",
        "train.new": "True",
    }


def test_a_number_that_comes_out_the_same_is_there_once(life: Life) -> None:
    steps = [(1, 1 / 3), (2, 2 / 3), (3, 1.0), (4, 4 / 3), (4, 7.0), (5, 5 / 3)]
    assert life.history["train/loss"] == steps


def test_every_number_is_a_metric(life: Life) -> None:
    assert set(life.history) == {"train/loss", "train/lr/_.encoder_.", "val/f"}
    assert life.history["train/lr/_.encoder_."] == [(step, 0.5) for step in range(1, 5)]
    assert math.isnan(life.history["val/f"][0][1])


def test_a_new_training_opens_a_new_run(life: Life) -> None:
    assert life.failed.info.status == "FAILED"


def test_a_run_that_the_store_does_not_have_is_named(life: Life) -> None:
    assert "mlflow_run_id.json: the run 'gone' is not in the store sqlite:///" in life.message
    assert "delete this file to open another run" in life.message


def test_a_run_that_is_active_is_not_touched(life: Life) -> None:
    assert life.theirs[0] == life.theirs[1]


def test_nothing_is_written_outside_the_folder_and_nothing_is_sent(life: Life) -> None:
    assert life.files == ["run", "theirs.db"]
    assert (life.tried, life.telemetry) == ([], "true")


class FailingClient:
    """A store that fails for a while."""

    def __init__(self, error: type[Exception]) -> None:
        self.error, self.fails, self.got = error, True, []

    def log_batch(self, run_id: str, metrics: list[Any]) -> None:
        if self.fails:
            raise self.error("out of order")
        self.got += [(metric.key, metric.value, metric.step) for metric in metrics]

    def set_terminated(self, run_id: str, status: str) -> None:
        raise self.error("out of order")


def test_a_store_that_fails_does_not_end_the_training(log: list[str]) -> None:
    exceptions = pytest.importorskip("mlflow.exceptions")
    logger = MlflowLogger()
    client = logger._client = FailingClient(exceptions.MlflowException)
    logger.write([Record("f", 0.5, 1, "val")])
    assert "MLflow does not take numbers (MlflowException); 1 are kept" in log[0]
    client.fails = False
    logger.write([Record("f", 0.6, 2, "val")])
    logger.close("finished")
    assert client.got == [("val/f", 0.5, 1), ("val/f", 0.6, 2)]
    assert "MLflow did not end the run (MlflowException)" in log[1]


def test_numbers_of_the_training_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = pytest.importorskip("mlflow.exceptions")
    logger = MlflowLogger()
    client = logger._client = FailingClient(exceptions.MlflowException)
    client.fails = False
    logger._sent_at = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: 104.0)
    logger.write([Record("loss", 0.5, 1)])
    assert client.got == []
    monkeypatch.setattr(module.time, "monotonic", lambda: 106.0)
    logger.write([Record("loss", 0.4, 2)])
    assert [step for _, _, step in client.got] == [1, 2]


@pytest.mark.parametrize("uri", ["file:///x/mlruns", "./mlruns", "mlruns", "/x/mlruns"])
def test_a_folder_as_store_is_refused_with_the_cure(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking_uri: MLflow 3 writes .*sqlite:///mlflow\.db"):
        MlflowLogger(tracking_uri=uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:///x.db", "http://localhost:5000", "databricks", "postgresql://u:p@h/d", "uc"]
)
def test_databases_and_servers_are_stores(uri: str) -> None:
    pytest.importorskip("mlflow")
    assert MlflowLogger(tracking_uri=uri).tracking_uri == uri


def test_closing_before_the_start_does_nothing() -> None:
    pytest.importorskip("mlflow")
    MlflowLogger().close("failed")


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.require
    monkeypatch.setattr(module, "require", lambda name, *rest: real(f"no_such_{name}", *rest))
    with pytest.raises(MissingExtraError, match=r"logger mlflow needs .*edspipe\[track\]"):
        MlflowLogger()


def test_names_are_ones_that_mlflow_takes_and_stay_different() -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    names = UniqueNames()
    given = [
        "val/micro_f",
        "lr/a|b",
        "lr/a.b",
        "lr/a=b",
        "a//b",
        "a/../b",
        "/a",
        "a/",
        ".",
        "",
        "\n\t",
        "é",
        "x" * 400,
        "x" * 401,
    ]
    found = [names.of(name) for name in given]
    assert found[:4] == ["val/micro_f", "lr/a_b", "lr/a.b", "lr/a_b_2"]
    assert len(set(found)) == len(given)
    assert max(map(len, found)) <= MAX_KEY
    for name in found:
        validation._validate_metric_name(name)
        validation._validate_param_name(name)
    assert [names.of(name) for name in given] == found


def test_a_config_is_flattened_to_its_leaves() -> None:
    assert dict(flatten({"a": {"b": [1, {"c": None}], "d": {}}, "e": ()})) == {
        "a.b.0": "1",
        "a.b.1.c": "None",
        "a.d": "{}",
        "e": "()",
    }
    assert dict(flatten({})) == {}
