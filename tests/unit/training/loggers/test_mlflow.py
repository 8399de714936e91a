"""MLflow: one run, opened and ended by us, that a resumed training goes on with."""

from __future__ import annotations

import math
import os
import shutil
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edspipe.errors import CheckpointError, ConfigError, MissingExtraError
from edspipe.pipeline.json_files import read_json
from edspipe.training.loggers import mlflow as module
from edspipe.training.loggers import mlflow_store
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
def life(empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """One life for all tests: it takes seconds."""
    current = tmp_path_factory.mktemp("mlflow")
    found = Life(current / "run")
    found.folder.mkdir()
    shutil.copy(empty_mlflow, found.folder)
    shutil.copy(empty_mlflow, current / "theirs.db")

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


# ---- what is looked at before anything is read -------------------------------------------------


def check(folder: Path, **options: Any) -> None:
    MlflowLogger(**options).check(RunInfo(str(folder), {}))


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """A server that answers everything with the same bytes, or nothing at all; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield port
        server.shutdown(socket.SHUT_RDWR)


def test_a_server_that_refuses_is_named_at_once_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # nobody listens there after this
    start = time.monotonic()
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port} does not answer") as error:
        check(tmp_path, tracking_uri=f"http://me:secret@127.0.0.1:{port}")
    assert "secret" not in str(error.value)
    assert "use a file: sqlite:///mlflow.db" in str(error.value)
    assert time.monotonic() - start < 5


def test_a_server_that_hangs_is_named_after_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setattr(mlflow_store, "SECONDS_TO_ANSWER", 1)
    start = time.monotonic()
    with listening(None) as port, pytest.raises(ConfigError, match="does not answer within 1 s"):
        check(tmp_path, tracking_uri=f"http://127.0.0.1:{port}")
    assert time.monotonic() - start < 8


def test_a_server_that_is_not_mlflow_is_named(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with listening(answer) as port, pytest.raises(ConfigError, match=r"answers with an error"):
        check(tmp_path, tracking_uri=f"http://127.0.0.1:{port}")


def test_a_server_of_mlflow_is_taken(tmp_path: Path, log: list[str]) -> None:
    pytest.importorskip("mlflow")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with listening(answer) as port:
        check(tmp_path, tracking_uri=f"http://127.0.0.1:{port}", save_dir=tmp_path)
    assert any("save_dir is not used" in line for line in log)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "notes.txt").write_text("no database, for sure")
    with pytest.raises(ConfigError, match=r"notes\.txt is a file, but no database"):
        check(tmp_path, tracking_uri=f"sqlite:///{tmp_path}/notes.txt")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written \((NotADir|FileExists)"):
        check(tmp_path, tracking_uri=f"sqlite:///{tmp_path}/file/mlflow.db")


@pytest.mark.parametrize("name", ["runs/mlflow.db", "mlflow.db"])
def test_looking_at_a_database_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    check(tmp_path / "run", tracking_uri=f"sqlite:///{name}")
    assert not list(tmp_path.rglob("*.db"))


def test_mlflow_s_patience_is_its_own_again_afterwards() -> None:
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "77"
    os.environ.pop("MLFLOW_HTTP_REQUEST_MAX_RETRIES", None)
    with mlflow_store.impatient():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


# ---- where things go, and what is said of a run -------------------------------------------------


class OneRun:
    """A store that holds one run."""

    def __init__(self, tags: dict[str, str] | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        info = SimpleNamespace(run_id="r1", lifecycle_stage="active")
        data = SimpleNamespace(tags=tags or {}, params={}, metrics={})
        self.run = SimpleNamespace(info=info, data=data)

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str, place: str | None) -> str:
        self.calls.append(("experiment", name, place))
        return "7"

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        self.calls.append(("run", experiment, run_name, tags))
        return self.run

    def get_run(self, run_id: str) -> Any:
        return self.run

    def update_run(self, run_id: str, status: str) -> None:
        self.calls.append(("status", status))

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.calls.append(("tag", key, value))

    def log_batch(self, run_id: str, **what: Any) -> None:
        self.calls.append(("batch", *what))


@pytest.mark.parametrize(
    "uri", ["http://u:p@ss@h:5/x", "http://u:p@h:5/x", "db://u:p/ss@h:5/x", "db://token@h:5/x"]
)
def test_user_and_password_are_taken_out_of_addresses(uri: str) -> None:
    assert mlflow_store.public(f"in {uri}") == f"in {uri[: uri.index(':')]}://h:5/x"


@pytest.mark.parametrize("text", ["http://h:5/a@b", "http://h/x?m=a@b.c", "http://h:5, a@b"])
def test_other_addresses_are_left(text: str) -> None:
    assert mlflow_store.public(text) == text


def opened(monkeypatch: pytest.MonkeyPatch, store: OneRun) -> list[str]:
    """Let loggers open this store; return the addresses that they open."""
    uris: list[str] = []
    monkeypatch.setattr(module, "open_client", lambda uri: (uris.append(uri), store)[1])
    return uris


def test_tags_and_description_are_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    store = OneRun()
    opened(monkeypatch, store)
    said = {"tags": {"team": 3}, "description": "first try", "run_name": "one"}
    started(tmp_path / "run", config={}, experiment="mine", **said)
    tags = {"team": "3", "mlflow.note.content": "first try"}
    assert store.calls[0][:2] == ("experiment", "mine")
    assert store.calls[1] == ("run", "7", "one", tags)


def test_a_resumed_run_gets_the_tags_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "mlflow_run_id.json").write_text('{"run_id": "r1"}')
    store = OneRun({"a": "1", "b": "2"})
    opened(monkeypatch, store)
    started(tmp_path, first=3, config={}, tags={"a": 1, "b": 3})
    assert store.calls == [("status", "RUNNING"), ("tag", "b", "3")]


def test_a_run_that_was_deleted_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "mlflow_run_id.json").write_text('{"run_id": "r1"}')
    store = OneRun()
    store.run.info.lifecycle_stage = "deleted"
    opened(monkeypatch, store)
    with pytest.raises(CheckpointError, match=r"'r1' is not in the store sqlite.* \(deleted\)"):
        started(tmp_path, first=3, config={})
    assert store.calls == []


def test_an_experiment_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    store = OneRun()
    gone = SimpleNamespace(experiment_id="7", lifecycle_stage="deleted")
    monkeypatch.setattr(store, "get_experiment_by_name", lambda name: gone)
    opened(monkeypatch, store)
    with pytest.raises(ConfigError, match=r"'mine' was deleted in sqlite.* restore -x 7"):
        started(tmp_path, config={}, experiment="mine")


def test_a_store_that_takes_no_run_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exceptions = pytest.importorskip("mlflow.exceptions")
    store, uri = OneRun(), "http://me:secret@h:5"

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise exceptions.MlflowException(f"request to {uri}/api failed")

    monkeypatch.setattr(store, "create_run", refuse)
    opened(monkeypatch, store)
    with pytest.raises(ConfigError, match=r"http://h:5 does not take the run: .*http://h:5/api"):
        started(tmp_path, config={}, tracking_uri=uri)


def test_the_store_of_a_run_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    opened(monkeypatch, OneRun())
    started(tmp_path / "run", config={}, tracking_uri="sqlite:///x/m.db")
    facts = read_json(tmp_path / "run" / "mlflow_run_id.json")
    assert facts["tracking_uri"] == f"sqlite:///{tmp_path}/x/m.db"


@pytest.mark.parametrize("key", ["a=b", "", "a//b", "x" * 251])
def test_a_tag_that_mlflow_would_not_take_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="tags: expected names of letters"):
        MlflowLogger(tags={key: 1})


@pytest.mark.parametrize(
    ("options", "uri", "files"),
    [
        ({}, "sqlite:///{0}/run/mlflow.db", "{0}/run/mlflow-artifacts"),
        ({"save_dir": "logs"}, "sqlite:///{0}/logs/mlflow.db", "{0}/logs/mlflow-artifacts"),
        (
            {"tracking_uri": "sqlite:///x/m.db"},
            "sqlite:///x/m.db",
            "{0}/x/mlflow-artifacts",
        ),
        (
            {"tracking_uri": "sqlite:///x/m.db", "save_dir": "logs"},
            "sqlite:///x/m.db",
            "{0}/logs/mlflow-artifacts",
        ),
        ({"tracking_uri": "http://h:5"}, "http://h:5", None),
    ],
)
def test_files_lie_beside_the_database_or_in_save_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, uri: str, files: str | None
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    store = OneRun()
    uris = opened(monkeypatch, store)
    started(tmp_path / "run", config={}, **options)
    here = str(tmp_path)
    assert uris == [uri.format(here)]
    assert store.calls[0][2] == (None if files is None else "file://" + files.format(here))
