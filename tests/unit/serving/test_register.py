"""A trained model in the registry is the model, under the run of its training, without texts."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_classifiers import client_of, has_canary, runs_of, tiny_classifier

import edspipe
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.pipeline.json_files import read_json
from edspipe.serving import register as module
from edspipe.serving.onnx_runtime import Prediction
from edspipe.serving.predictions import predict_rows, to_json_row
from edspipe.serving.register import MADE_UP, Registered, register
from edspipe.serving.settings import RegisterSettings, require_libraries
from edspipe.serving.sources import find_source

TEXTS = ["Fever since Monday.", "", "Pas de toux."]


def loaded(uri: str, model: str) -> Any:
    """Load from a registry as a user does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        with module.current_store(uri):
            return mlflow.pyfunc.load_model(model)


def version_of(trained: SimpleNamespace, name: str = "notes", alias: str = "champion") -> Any:
    return client_of(trained.uri).get_model_version_by_alias(name, alias)


def files_of(version: Any) -> Path:
    return Path(version.source.removeprefix("file://"))


@pytest.fixture
def other(encoder_dir: Path, tmp_path: Path) -> Path:
    """A saved classifier that was not trained."""
    nlp = tiny_classifier(encoder_dir, labels=["other"])
    nlp.to_disk(tmp_path / "other")
    return tmp_path / "other"


def test_the_version_is_named_as_asked(trained: SimpleNamespace) -> None:
    version = version_of(trained)
    assert trained.registered == Registered("models:/notes@champion", "1", version.run_id)
    assert version.description == "finds fever"
    assert {"team": "x", "n": "1"}.items() <= version.tags.items()


def test_the_files_are_under_the_run_of_the_training(trained: SimpleNamespace) -> None:
    (run,) = runs_of(trained.uri)
    assert version_of(trained).run_id == run.info.run_id
    assert read_json(trained.run / "mlflow_run_id.json")["run_id"] == run.info.run_id
    files = {path.name for path in (trained.folder / "mlflow-artifacts").rglob("*")}
    assert {"MLmodel", "pyfunc_model.py", "tokenizer.json", "manifest.json"} <= files
    assert not [path for path in trained.folder.rglob("*") if path.is_symlink()]
    model = files_of(version_of(trained)) / "artifacts/model"
    assert edspipe.load(model).pipes.classifier.labels == ["cough", "fever"]


def test_loaded_from_the_registry_it_says_the_same(trained: SimpleNamespace) -> None:
    served = loaded(trained.uri, "models:/notes@champion")
    found = served.predict([{"text": text, "note_id": str(i)} for i, text in enumerate(TEXTS)])
    nlp = edspipe.load(trained.run / "model-best")
    expected = [to_json_row(row) for row in predict_rows(nlp, TEXTS)]
    assert list(found.pop("note_id")) == ["0", "1", "2"]
    assert found.to_dict("records") == expected
    assert len({row["probabilities"] for row in expected}) == 3


def test_a_text_that_is_none_is_refused(trained: SimpleNamespace) -> None:
    served = loaded(trained.uri, "models:/notes@champion")
    model = served.unwrap_python_model()
    with pytest.raises(DataError, match="row 1: expected a text, got a float"):
        type(model).predict.__wrapped__(model, None, [{"text": "a"}, {"text": 1.5}])


def test_what_goes_in_and_comes_out_is_declared(trained: SimpleNamespace) -> None:
    signature = loaded(trained.uri, "models:/notes@champion").metadata.signature
    assert [(c.name, c.required) for c in signature.inputs] == [("text", True), ("note_id", False)]
    assert signature.outputs.input_names() == ["labels", "probabilities", "entities"]


def test_no_text_and_no_pickle_is_in_the_store(trained: SimpleNamespace) -> None:
    assert has_canary(trained.folder) == []
    assert not [path for path in trained.folder.rglob("*") if path.suffix in (".pkl", ".pickle")]
    for path in (trained.folder / "mlflow-artifacts").rglob("*"):
        assert path.is_dir() or path.read_bytes()[:1] != pickle.PROTO
    assert not list(trained.folder.rglob("*input_example*"))


def test_the_same_model_is_not_registered_again(trained: SimpleNamespace, log: list[str]) -> None:
    again = register(trained.run, name="notes", alias="second", tags={"team": "y"})
    assert (again.version, again.is_new, again.uri) == ("1", False, "models:/notes@second")
    assert version_of(trained, alias="second").tags["team"] == "y"
    assert any("model-best is version 1 of notes already" in line for line in log)
    assert len(client_of(trained.uri).search_model_versions("name='notes'")) == 1
    client_of(trained.uri).set_model_version_tag("notes", "1", "team", "x")


def test_another_model_is_another_version_and_takes_the_alias(
    trained: SimpleNamespace, other: Path
) -> None:
    uri = trained.uri
    client = client_of(uri)
    for number, model in (("1", trained.run), ("2", other)):
        found = register(model, name="two", alias="best", tracking_uri=uri)
        assert (found.version, found.is_new) == (number, True)
    assert client.get_model_version_by_alias("two", "best").version in (2, "2")
    places = {files_of(client.get_model_version(*one)) for one in (("notes", "1"), ("two", "1"))}
    assert len(places) == 2, "the files of a version are not written again"
    new = client.get_run(client.get_model_version("two", "2").run_id)
    assert new.info.run_name == "two", "a run of its own"
    assert new.info.status == "FINISHED"
    client.delete_run(new.info.run_id)


def test_without_alias_it_is_loaded_by_its_version(
    trained: SimpleNamespace, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module._Registration, "_compare", lambda self, version: None)
    uri = f"sqlite:///{trained.folder}/mlflow.db"
    found = register(other, name="plain", tracking_uri=uri)
    assert found.uri == "models:/plain/1"
    client_of(uri).delete_run(found.run_id)


def test_one_that_comes_back_different_gets_no_alias(
    trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.predict_rows
    calls: list[int] = []

    def once_different(nlp: Any, texts: Any) -> Any:
        calls.append(1)
        rows = real(nlp, texts)
        if len(calls) == 1:
            rows[0]["probabilities"]["fever"] += 1e-7
        return rows

    monkeypatch.setattr(module, "predict_rows", once_different)
    with pytest.raises(CheckpointError, match=r"models:/bad/1: loaded back with mlflow\.pyfunc"):
        register(trained.run, name="bad", alias="champion")
    (version,) = client_of(trained.uri).search_model_versions("name='bad'")
    assert version.tags == {}
    assert list(version.aliases) == []


def test_the_models_are_asked_of_windows_lines_and_nothing() -> None:
    assert "" in MADE_UP
    assert any("\n" in text for text in MADE_UP)
    assert max(map(len, MADE_UP)) > 2000


def test_the_setting_of_mlflow_is_left_as_it_was(trained: SimpleNamespace) -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    import mlflow

    mlflow.set_tracking_uri("sqlite:////nowhere/theirs.db")
    register(trained.run, name="notes", alias="champion")
    assert mlflow.get_tracking_uri() == "sqlite:////nowhere/theirs.db"
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_a_file_that_cannot_have_a_second_name_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(module.os, "link", refuse)
    (tmp_path / "a").write_text("x")
    module._link(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "x"


# ---- what is refused --------------------------------------------------------------------------


def test_without_a_run_of_mlflow_the_store_must_be_named(other: Path) -> None:
    with pytest.raises(ConfigError, match=r"did not log to MLflow, so tracking_uri .*sqlite:///"):
        register(other, name="x")


def test_what_is_no_training_and_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected the folder of a training, with run\.json"):
        register(tmp_path, name="x")


def test_a_training_that_has_no_model_yet_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "running"}')
    with pytest.raises(CheckpointError, match=r"chosen no model yet\. Go on with it .*--resume"):
        register(tmp_path, name="x")


def test_a_damaged_model_is_not_registered(trained: SimpleNamespace, tmp_path: Path) -> None:
    copy = shutil.copytree(trained.run / "model-best", tmp_path / "model")
    (copy / "meta.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"meta\.json: expected .* bytes"):
        register(copy, name="x", tracking_uri=trained.uri)


def test_a_store_that_is_gone_is_not_made_anew(trained: SimpleNamespace, tmp_path: Path) -> None:
    run = shutil.copytree(trained.run, tmp_path / "run")
    gone = f"sqlite:///{tmp_path}/gone.db"
    (run / "mlflow_run_id.json").write_text(f'{{"run_id": "a", "tracking_uri": "{gone}"}}')
    with pytest.raises(ConfigError, match=r"logged to sqlite:.*gone\.db, which is not there"):
        register(run, name="x")
    assert not (tmp_path / "gone.db").exists()


def test_what_cannot_be_exported_leaves_no_run_behind(
    trained: SimpleNamespace, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise ConfigError("only that can be exported")

    monkeypatch.setattr(module, "export_onnx", refuse)
    before = len(runs_of(trained.uri))
    with pytest.raises(ConfigError, match="only that can be exported"):
        register(other, name="never", tracking_uri=trained.uri, with_onnx=True)
    assert len(runs_of(trained.uri)) == before
    assert not client_of(trained.uri).search_registered_models("name='never'")


def test_what_mlflow_refuses_is_said_without_a_password(
    trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = pytest.importorskip("mlflow.exceptions").MlflowException

    def refuse(self: Any) -> None:
        raise error("request to http://me:secret@h:5/api failed")

    monkeypatch.setattr(module._Registration, "_add", refuse)
    with pytest.raises(ConfigError, match=r"did not register .*: request to http://h:5/api"):
        register(trained.run, name="never")


def test_a_run_that_was_deleted_gets_no_files(trained: SimpleNamespace, tmp_path: Path) -> None:
    client = client_of(trained.uri)
    run = client.create_run("0")
    client.delete_run(run.info.run_id)
    source = find_source(trained.run)
    settings = RegisterSettings("deleted")
    found = module._Registration(
        replace(source, run_id=run.info.run_id), settings, trained.uri
    )._run()
    assert found.info.run_name == "deleted"
    client.delete_run(found.info.run_id)


def test_a_run_that_moved_with_its_database_is_found(tmp_path: Path) -> None:
    from edspipe.serving.sources import _logged

    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mlflow_run_id.json").write_text(
        '{"run_id": "a", "tracking_uri": "sqlite:////gone/run/mlflow.db"}'
    )
    assert _logged(tmp_path) == ("a", f"sqlite:///{tmp_path}/mlflow.db")


# ---- with an ONNX file ------------------------------------------------------------------------


@pytest.mark.slow
def test_an_onnx_file_is_kept_beside_the_model_and_loaded_back(trained: SimpleNamespace) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    found = register(trained.run, name="both", with_onnx=True)
    assert found.is_new
    assert not register(trained.run, name="both", with_onnx=True).is_new
    version = client_of(trained.uri).get_model_version("both", found.version)
    folder = files_of(version)
    assert {"model.onnx", "MLmodel", "manifest.json"} <= {p.name for p in folder.rglob("*")}


@pytest.fixture
def exported(trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[Prediction]:
    """Lets nothing be exported; what is "loaded back" says the same as the model, or else."""

    def export(model: Path, folder: Path) -> SimpleNamespace:
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"graph")
        return SimpleNamespace(folder=folder)

    nlp = edspipe.load(trained.run / "model-best")
    rows = predict_rows(nlp, MADE_UP)
    found = [Prediction(row["labels"], row["probabilities"]) for row in rows]
    monkeypatch.setattr(module, "export_onnx", export)
    monkeypatch.setattr(module, "_onnx_predictions", lambda folder: found)
    monkeypatch.setattr(module, "require_libraries", lambda onnx=False: require_libraries())
    return found


def test_with_an_onnx_file_it_is_another_version(
    trained: SimpleNamespace, exported: list[Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = register(trained.run, name="more")
    asked: list[str] = []

    def recorded(nlp: Any, texts: Any, precision: str = "auto") -> Any:
        asked.append(precision)
        return predict_rows(nlp, texts, precision)

    monkeypatch.setattr(module, "predict_rows", recorded)
    found = register(trained.run, name="more", with_onnx=True)
    assert (plain.version, found.version, found.is_new) == ("1", "2", True)
    assert sorted(asked) == ["auto", "auto", "fp32"], "the graph computes in fp32"
    assert not register(trained.run, name="more", with_onnx=True).is_new
    assert client_of(trained.uri).get_model_version("more", "2").tags["edspipe.onnx"] == "true"


def test_an_onnx_file_that_gives_other_labels_gets_no_alias(
    trained: SimpleNamespace, exported: list[Prediction]
) -> None:
    exported[0] = Prediction(["other"], {})
    with pytest.raises(CheckpointError, match=r"its ONNX file gives other labels than"):
        register(trained.run, name="third", alias="champion", with_onnx=True)
    (version,) = client_of(trained.uri).search_model_versions("name='third'")
    assert list(version.aliases) == []
