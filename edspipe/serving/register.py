"""register: a trained model into the registry of MLflow, checked by loading it back.

RUN/model-best -> pyfunc (text in, JSON out) -> the run of the training -> a version of a name
               -> loaded back, compared with the model -> alias
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from loguru import logger

from edspipe.errors import CheckpointError, ConfigError
from edspipe.optional import require
from edspipe.pipeline.loading import load_folder
from edspipe.serving.onnx_export import export_onnx
from edspipe.serving.onnx_runtime import OnnxClassifier, Prediction
from edspipe.serving.predictions import COLUMNS, predict_rows, to_json_row
from edspipe.serving.settings import REGISTER, RegisterSettings, require_libraries
from edspipe.serving.sources import ModelSource, find_source
from edspipe.training.loggers.mlflow import open_experiment, read_tags
from edspipe.training.loggers.mlflow_store import (
    check_store,
    error_of_mlflow,
    open_client,
    public,
    quiet,
)
from edspipe.version import __version__

EXPERIMENT = "edspipe"
"""Of models that no run of MLflow belongs to."""
ONNX_FOLDER = "onnx"
DIGEST, ONNX = "edspipe.model_sha256", "edspipe.onnx"
"""Tags of a version: it was loaded back and is this model; it has an ONNX file."""
PYFUNC_FILE = Path(__file__).with_name("pyfunc_model.py")
MADE_UP = (
    "The patient has fever and a cough since Monday.",
    "Pas de fièvre.\nHypertension artérielle traitée par amlodipine 5 mg.",
    "",
    "Sin alergias conocidas, dolor torácico leve. " * 60,
)
"""What both models are asked; none of it was ever said of a patient."""


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Attributes:
        uri: What it is loaded by, as `models:/name@champion`, or `models:/name/3` without alias.
        version: The version.
        run_id: The run of MLflow that has its files.
        is_new: Whether it was not there before.
    """

    uri: str
    version: str
    run_id: str
    is_new: bool = True


def register(
    model: str | Path,
    *,
    name: str,
    alias: str | None = None,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    tracking_uri: str | None = None,
    with_onnx: bool = False,
) -> Registered:
    """Register a model, load it back, and compare what both say of made-up texts.

    The files go under the run of MLflow that the training logged to, if it is in the store; else
    under a new run. A model that is there already, to the byte, is not registered again: its alias,
    description and tags are set. No document, and no text of one, is sent.

    Args:
        model: The folder of a training, whose chosen model is taken, or that of a saved pipeline.
        name: As of `RegisterSettings`, like all that follow.
        alias: Given to the version after it was checked.
        description: Of the version.
        tags: Of the version.
        tracking_uri: The store.
        with_onnx: Keep an ONNX file beside the model.

    Raises:
        ConfigError: A name is not one that MLflow takes, or the store cannot be used, or fails.
        MissingExtraError: A library is not installed.
        CheckpointError: The model is damaged, or what was loaded back is another one.
    """
    settings = RegisterSettings(name, alias, description, tags or {}, with_onnx, tracking_uri)
    source = find_source(Path(model))
    uri = source.store(tracking_uri)
    require_libraries(with_onnx)
    check_store(uri)
    try:
        return _Registration(source, settings, uri).register()
    except error_of_mlflow() as error:  # its messages may hold the whole address
        raise ConfigError(
            f"{public(uri)}: MLflow did not register {source.model}: {public(str(error))}. Cure "
            "that, and register the model again"
        ) from None


class _Registration:
    """One registration.

    Args:
        source: The model.
        settings: What is said of it.
        uri: The store.
    """

    def __init__(self, source: ModelSource, settings: RegisterSettings, uri: str) -> None:
        self.source, self.settings, self.uri = source, settings, uri
        self.client = open_client(uri, "registering a model")

    def register(self) -> Registered:
        """Do everything."""
        name = self.settings.name
        with quiet():
            found = self._registered()
            if found is not None:
                logger.info(
                    "{} is version {} of {} already", self.source.model, found.version, name
                )
            version = found or self._add()
            self._describe(version)
            alias = self.settings.alias
            if alias is not None:
                self.client.set_registered_model_alias(name, alias, version.version)
        uri = f"models:/{name}/{version.version}" if alias is None else f"models:/{name}@{alias}"
        return Registered(uri, str(version.version), version.run_id, found is None)

    def _registered(self) -> Any:
        """Return the version that is this model, None where there is none."""
        for version in self.client.search_model_versions(f"name='{self.settings.name}'"):
            same = version.tags.get(DIGEST) == self.source.digest
            if same and (ONNX in version.tags or not self.settings.with_onnx):
                return version
        return None

    def _add(self) -> Any:
        """Log the model, make a version of it, and check that."""
        # A place of its own: files of a version never change, whoever registers the model again.
        place = f"models/{self.source.digest[:16]}-{uuid.uuid4().hex[:8]}"
        with TemporaryDirectory() as folder:
            self._save(Path(folder) / "pyfunc", Path(folder))
            run = self._run()  # after what may fail
            self.client.log_artifacts(run.info.run_id, str(Path(folder) / "pyfunc"), place)
        self._name_model()
        version = self.client.create_model_version(
            self.settings.name, f"{run.info.artifact_uri}/{place}", run_id=run.info.run_id
        )
        self._compare(version.version)
        self._tag(version, {DIGEST: self.source.digest})
        if self.settings.with_onnx:
            self._tag(version, {ONNX: "true"})
        return version

    def _run(self) -> Any:
        """Return the run of the training, or a new one."""
        if self.source.run_id is not None:
            try:
                run = self.client.get_run(self.source.run_id)
                if run.info.lifecycle_stage == "active":
                    return run
            except error_of_mlflow():
                pass
            logger.info("the run of the training is not in {}", public(self.uri))
        experiment = open_experiment(self.client, EXPERIMENT, self.uri)
        run = self.client.create_run(experiment, run_name=self.settings.name)
        self.client.set_terminated(run.info.run_id)
        return run

    def _save(self, target: Path, scratch: Path) -> None:
        """Write the model as MLflow keeps it, with no example of what goes in."""
        models = require("mlflow.models", REGISTER, "registering a model")
        # so that it is called so there, whichever was chosen
        shutil.copytree(self.source.model, scratch / "model", copy_function=_link)
        artifacts = {"model": str(scratch / "model")}
        if self.settings.with_onnx:
            exported = export_onnx(self.source.model, scratch / ONNX_FOLDER)
            logger.info("{}", exported)
            artifacts["onnx"] = str(exported.folder)
        require("mlflow.pyfunc", REGISTER, "registering a model").save_model(
            path=str(target),
            python_model=str(PYFUNC_FILE),
            artifacts=artifacts,
            signature=models.ModelSignature(*_schemas()),
            pip_requirements=[f"edspipe[{REGISTER}]=={__version__}"],
        )

    def _name_model(self) -> None:
        try:
            self.client.create_registered_model(self.settings.name)
        except error_of_mlflow() as error:
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise

    def _compare(self, version: str) -> None:
        """Load the version back twice, and compare what it says with what the model says.

        Raises:
            CheckpointError: They differ; the version has no alias, and nothing is deleted.
        """
        uri = f"models:/{self.settings.name}/{version}"
        expected = [
            to_json_row(row) for row in predict_rows(load_folder(self.source.model), MADE_UP)
        ]
        with TemporaryDirectory() as folder, current_store(self.uri):
            served = require_libraries().load_model(uri, dst_path=folder)
            copy = _artifact(Path(folder), "model")
            if self.settings.with_onnx:
                self._compare_onnx(_artifact(Path(folder), "onnx"), uri)
            found = {
                "mlflow.pyfunc": served.predict(_table(MADE_UP)).to_dict("records"),
                "edspipe.load": [
                    to_json_row(row) for row in predict_rows(load_folder(copy), MADE_UP)
                ],
            }
        for how, rows in found.items():
            if [{key: row[key] for key in COLUMNS} for row in rows] != expected:
                raise CheckpointError(
                    f"{uri}: loaded back with {how}, it gives other predictions than "
                    f"{self.source.model}, so it got no alias. Compare the versions of the "
                    "libraries, and register it again"
                )

    def _compare_onnx(self, folder: Path, uri: str) -> None:
        """Load the ONNX file back, and compare its labels with those of the model in fp32, as the
        graph computes: in bf16 a probability may be on the other side of a threshold.

        Raises:
            CheckpointError: They differ.
        """
        expected = predict_rows(load_folder(self.source.model), MADE_UP, precision="fp32")
        found = [one.labels for one in _onnx_predictions(folder)]
        if found != [row["labels"] for row in expected]:
            raise CheckpointError(
                f"{uri}: loaded back, its ONNX file gives other labels than {self.source.model}, "
                "so it got no alias. Export it by itself to see how far they are apart: edspipe "
                f"export {self.source.model} --format onnx"
            )

    def _describe(self, version: Any) -> None:
        if self.settings.description is not None:
            self.client.update_model_version(
                self.settings.name, version.version, self.settings.description
            )
        self._tag(version, read_tags(self.settings.tags, f"{REGISTER}.tags"))

    def _tag(self, version: Any, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_model_version_tag(self.settings.name, version.version, key, value)


def _schemas() -> tuple[Any, Any]:
    """Return what goes in and what comes out, by column."""
    types = require("mlflow.types", REGISTER, "registering a model")
    inputs = [types.ColSpec("string", "text"), types.ColSpec("string", "note_id", required=False)]
    outputs = [types.ColSpec("string", name) for name in COLUMNS]
    return types.Schema(inputs), types.Schema(outputs)


def _table(texts: tuple[str, ...]) -> Any:
    return require("pandas", REGISTER, "registering a model").DataFrame({"text": list(texts)})


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _artifact(folder: Path, name: str) -> Path:
    """Return where an artifact of a model lies that was downloaded."""
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    artifacts = described["flavors"]["python_function"]["artifacts"]
    return folder / str(artifacts[name]["path"])


def _onnx_predictions(folder: Path) -> Sequence[Prediction]:
    return OnnxClassifier(folder).predict(MADE_UP)


@contextmanager
def current_store(tracking_uri: str) -> Iterator[None]:
    """Inside, `models:/...` is looked up in a store; afterwards MLflow's own setting is back."""
    mlflow = require("mlflow", REGISTER, "registering a model")
    before = os.environ.get("MLFLOW_TRACKING_URI")  # MLflow keeps it there too
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
