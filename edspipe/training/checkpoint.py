"""Checkpoints: all that a training needs to go on as if nothing had happened.

    checkpoints/step-00000500/
      config.yml, meta.json, pipes/     the pipeline: `edspipe.load` takes the folder
      training/state.json               step, schedules, callbacks, positions in the data, ...
      training/optimizer.safetensors    by the names of the parameters
      training/random-<rank>.safetensors
      training/carried.safetensors      what steps leave for the next, where a pipe has any
      manifest.json                     size and SHA-256 of every file

Each is written beside its place and renamed, so that a kill leaves the one before whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from edspipe import atomic
from edspipe.errors import CheckpointError
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.serialization import check_folder, write_into
from edspipe.pipeline.tensors import read_tensors, save_tensors
from edspipe.training.randomness import rng_state

FOLDER = "checkpoints"
FORMAT = 1
PARTS = (
    *("data", "step", "epoch", "num_docs_seen", "plan", "batches", "optimizer", "spikes"),
    *("scaler", "records", "callbacks", "random"),
)
"""What the plain part holds."""
_TRAINING = "training"
_CARRIED = "carried.safetensors"
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds besides the pipeline.

    Attributes:
        plain: Plain data.
        optimizer: Tensors of the optimizer, by `<parameter>/<key>`.
        random: Tensors of the generators, of each process.
        carried: What a step left for the next, by `<pipe>/<key>`.
    """

    plain: dict[str, Any]
    optimizer: Mapping[str, torch.Tensor]
    random: Sequence[Mapping[str, torch.Tensor]]
    carried: Mapping[str, torch.Tensor] = field(default_factory=dict)


def checkpoint_path(run_dir: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return run_dir / FOLDER / f"step-{step:08d}"


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Return the checkpoints of a run, the latest first; whether they are whole is not checked."""
    folder = run_dir / FOLDER
    inside = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in inside if _NAME.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else 0


def save_checkpoint(folder: Path, nlp: Pipeline, state: TrainingState) -> None:
    """Write a checkpoint, whole or not at all."""
    with atomic.write_folder(folder) as staging:
        write_into(nlp, staging)
        inner = staging / _TRAINING
        inner.mkdir()
        save_tensors(inner / "optimizer.safetensors", state.optimizer)
        for rank, tensors in enumerate(state.random):
            save_tensors(inner / f"random-{rank}.safetensors", tensors)
        if state.carried:
            save_tensors(inner / _CARRIED, state.carried)
        atomic.write_json(inner / "state.json", _say_floats({"format": FORMAT, **state.plain}))


def read_state(folder: Path, rank: int = 0) -> TrainingState:
    """Read all of a checkpoint but the pipeline, which `nlp.from_disk` reads.

    Args:
        folder: The checkpoint.
        rank: The process whose generators are wanted.

    Raises:
        CheckpointError: A file is missing, damaged, or not what was saved; the message names it.
    """
    check_checkpoint(folder)
    inner = folder / _TRAINING
    plain = read_plain(folder)
    own = inner / f"random-{rank}.safetensors"
    first = inner / "random-0.safetensors"
    return TrainingState(
        plain,
        read_tensors(inner / "optimizer.safetensors"),
        [_read_random(own if own.exists() else first)],
        read_tensors(inner / _CARRIED) if (inner / _CARRIED).exists() else {},
    )


def _read_random(file: Path) -> dict[str, torch.Tensor]:
    """Read the generators; the same ones, in the same form, as those of this process.

    Raises:
        CheckpointError: One is missing, unexpected, or of another shape or type.
    """
    found, expected = read_tensors(file), rng_state()[0]
    for name in sorted({*found, *expected} - {"cuda"}):
        if name not in found or name not in expected:
            what = "misses the" if name in expected else "holds an unexpected"
            raise CheckpointError(f"{file}: {what} generator '{name}'")
        if (found[name].shape, found[name].dtype) != (expected[name].shape, expected[name].dtype):
            raise CheckpointError(
                f"{file}: the generator '{name}' is {found[name].dtype}{list(found[name].shape)}, "
                f"and {expected[name].dtype}{list(expected[name].shape)} is expected"
            )
    return found


def read_plain(folder: Path) -> dict[str, Any]:
    """Read the plain part of a checkpoint that was checked.

    Raises:
        CheckpointError: It is not what `save_checkpoint` writes.
    """
    file = folder / _TRAINING / "state.json"
    plain = read_json(file)
    if plain.get("format") != FORMAT:
        raise CheckpointError(
            f"{file}: format {plain.get('format')!r}, and this version of edspipe reads format "
            f"{FORMAT}: go on with the version that wrote it"
        )
    if missing := [key for key in PARTS if key not in plain]:
        raise CheckpointError(f"{file}: misses {', '.join(missing)}")
    return _read_floats(plain)


def _say_floats(value: Any) -> Any:
    """Write NaN and infinity, for which JSON has no numbers, as `{"float": "nan"}`."""
    if isinstance(value, Mapping):
        return {key: _say_floats(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_say_floats(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _read_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_read_floats(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"float"} and value["float"] in ("nan", "inf", "-inf"):
        return float(value["float"])
    return {key: _read_floats(inner) for key, inner in value.items()}


def check_checkpoint(folder: Path) -> Path:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: It is no checkpoint, or a file is missing, damaged or too many.
    """
    checked = check_folder(folder)
    if not (checked / _TRAINING / "state.json").is_file():
        raise CheckpointError(
            f"{folder}: a saved pipeline, but no checkpoint of a training (no "
            f"{_TRAINING}/state.json); to start from its weights use init_from="
        )
    return checked


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint to go on from: the folder itself, or the latest whole one of a run.

    A damaged one is named in a warning, and the one before is taken.

    Raises:
        CheckpointError: There is none; the message says what is wrong with each.
    """
    if (path / _TRAINING).is_dir():
        return check_checkpoint(path)
    problems = []
    for folder in list_checkpoints(path):
        try:
            found = check_checkpoint(folder)
        except CheckpointError as error:
            problems.append(str(error))
            logger.warning("damaged checkpoint: {}; trying the one before", error)
            continue
        return found
    said = "; ".join(problems) or f"no folder step-<number> in {path / FOLDER}"
    raise CheckpointError(f"{path}: expected a checkpoint to go on from, found none whole: {said}")


def remove_old(run_dir: Path, keep: int) -> None:
    """Delete all checkpoints of a run but the last ones."""
    for folder in list_checkpoints(run_dir)[keep:]:
        atomic.discard(folder)
