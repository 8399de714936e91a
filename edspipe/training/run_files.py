"""The files of a run's folder, besides weights.

RUN/
  config.yml            the resolved config
  run.json              seed, versions, device, what the data is (ids and hashes: data.json)
  data.json             id and SHA-256 of each document
  metrics.jsonl, ...    what the loggers write
  slowest_steps.json
  evaluation/val.json, evaluation/test.json, test_metrics.json
  model-best/, model-last/, checkpoints/
  report.html, *.png
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import confit
from confit.utils.xjson import Reference

from edspipe import atomic
from edspipe.config.serialize import Config
from edspipe.errors import CheckpointError
from edspipe.pipeline.json_files import read_json

CONFIG, RUN, DATA = "config.yml", "run.json", "data.json"
_PACKAGES = ("edspipe", "torch", "transformers", "spacy", "numpy", "safetensors")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # pragma: no cover - run from a folder, not installed
            continue
    return found


MODELS = ("model-best*", "model-last")
HISTORY = ("metrics.jsonl", "metrics.csv")
_OF_A_RUN = (
    *(CONFIG, RUN, DATA, "slowest_steps.json", "test_metrics.json", "report.html", "*.png"),
    *(*MODELS, *HISTORY, "checkpoints", "evaluation", "tensorboard", "mlflow*"),
)


def check_room(folder: Path, overwrite: bool) -> bool:
    """Return whether there is a run in a folder.

    Raises:
        FileExistsError: There is, and it may not be replaced.
    """
    is_there = any((folder / name).exists() for name in (RUN, "checkpoints"))
    if is_there and not overwrite:
        raise FileExistsError(
            f"{folder} holds a run already. Go on with it (resume=, or --resume on the command "
            f"line), choose another output_dir, or replace it with overwrite=True"
        )
    return is_there


def make_room(folder: Path, overwrite: bool) -> None:
    """Get a folder ready for a new run.

    Raises:
        FileExistsError: There is a run in it, and it may not be replaced.
    """
    if not check_room(folder, overwrite):
        return
    for pattern in _OF_A_RUN:
        for path in folder.glob(pattern):
            atomic.discard(path)


def bring_along(source: Path, target: Path) -> None:
    """Copy the best models and the records of a run, for one that goes on in another folder."""
    target.mkdir(parents=True, exist_ok=True)
    for name in HISTORY:
        if (source / name).is_file():
            with atomic.write_file(target / name) as handle:
                handle.write((source / name).read_bytes())
    for model in source.glob(MODELS[0]):
        with atomic.write_folder(target / model.name) as staging:
            copy_files(model, staging)


def copy_files(source: Path, target: Path) -> None:
    """Copy all files of a saved pipeline but its manifest, which is made anew."""
    for file in sorted(source.rglob("*")):
        place = target / file.relative_to(source)
        if file.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif file.relative_to(source) != Path(atomic.MANIFEST):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())


class RunFiles:
    """Writes the files that describe a run.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._facts: dict[str, Any] = {}

    def start(self, config: Mapping[str, Any], facts: Mapping[str, Any], digests: Any) -> None:
        """Write what is known before the first step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        written = config if isinstance(config, confit.Config) else plain(config)
        atomic.write_text(self.folder / CONFIG, Config(written).to_yaml_str())
        atomic.write_json(self.folder / DATA, digests)
        self._facts = dict(facts)
        self.add(status="running")

    def add(self, **facts: Any) -> None:
        """Write more facts to `run.json`."""
        self._facts.update(facts)
        atomic.write_json(self.folder / RUN, plain(self._facts))


def read_run(folder: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        CheckpointError: The folder is not one of a training.
    """
    if not (folder / RUN).is_file():
        raise CheckpointError(f"{folder}: expected the folder of a training, with {RUN}")
    return read_json(folder / RUN)


def plain(value: Any) -> Any:
    """Return a value as data that JSON can say: None for NaN and infinity, other objects by the
    name of their type."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (Path, Reference)):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if callable(getattr(value, "config", None)):  # an optimizer, a schedule
        return plain(value.config())
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"
    return value
