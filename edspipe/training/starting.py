"""What a training starts from: labels of its data, weights of before, a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.loading import load_folder
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.torch_component import TorchComponent
from edspipe.training.checkpoint import find_checkpoint
from edspipe.training.corpus import Corpus
from edspipe.training.data import TrainingData
from edspipe.training.optimizer import OptimizerRecipe
from edspipe.training.run_files import plain
from edspipe.training.settings import Settings

MAX_NAMES = 10
"""Tensors that a message names."""
_OF_EACH_STEP = ("grad_max_norm", "grad_spikes", "precision", "seed")
_OF_EACH_BATCH = ("batch_size", "shuffle", "pipe_names", "weight")


def finish_pipes(
    nlp: Pipeline, training_data: Sequence[TrainingData], corpora: Sequence[Corpus]
) -> None:
    """Let each trainable pipe collect its labels from the documents that it learns from."""
    done: set[str] = set()
    for name, component in nlp.torch_components():
        sources = [
            corpus.source
            for data, corpus in zip(training_data, corpora, strict=True)
            if data.pipe_names is None or name in data.pipe_names
        ]
        if sources:
            component.post_init(_Chained(sources), done)


class _Chained:
    """Documents of several streams, as often as they are asked for."""

    def __init__(self, sources: Sequence[Any]) -> None:
        self.sources = sources

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.sources)


def saved_pipeline(path: Path) -> Path:
    """Return the folder of a saved pipeline: the one given, or the latest checkpoint of a run."""
    is_pipeline = (path / "config.yml").is_file() and (path / "pipes").is_dir()
    return path if is_pipeline else find_checkpoint(path)


def start_from(nlp: Pipeline, path: Path) -> None:
    """Take the weights, and the tables of labels, of a saved pipeline or checkpoint.

    Pipes are found by their names. What does not fit keeps its fresh values, and is named in a
    warning.

    Raises:
        CheckpointError: The folder is no saved pipeline, or is damaged, or nothing of it fits.
    """
    saved = load_folder(path)
    old = dict(saved.all_torch_components())
    for name, component in nlp.all_torch_components():
        if name in old:
            _take_tables(component, old[name], path)
    before = dict(_named_tensors(saved))
    taken, left = _copy(dict(_named_tensors(nlp)), before)
    if not taken:
        raise CheckpointError(
            f"{path}: no weight of it fits the pipeline. It has the pipes "
            f"{', '.join(old) or 'none'}, and the pipeline to train has "
            f"{', '.join(name for name, _ in nlp.all_torch_components()) or 'none'}"
        )
    logger.info("{} tensors were taken from {}", len(taken), path)
    if left:
        more = f" and {len(left) - MAX_NAMES} more" if len(left) > MAX_NAMES else ""
        logger.warning(
            "{} tensors did not fit, and begin anew: {}{}",
            len(left),
            ", ".join(left[:MAX_NAMES]),
            more,
        )


def _take_tables(component: TorchComponent, old: TorchComponent, path: Path) -> None:
    """Take the tables (labels, ...) of a pipe and of what it is built on."""
    if type(component) is not type(old):
        return
    state = old.get_state()
    if state:
        try:
            component.set_state(state, path)
        except CheckpointError as error:
            logger.warning("the tables of '{}' are not taken: {}", component.name, error)
    inner = dict(old.child_components())
    for key, child in component.child_components():
        if key in inner:
            _take_tables(child, inner[key], path)


def _named_tensors(nlp: Pipeline) -> Iterator[tuple[str, torch.Tensor]]:
    for name, component in nlp.all_torch_components():
        for key, tensor in component.state_dict(keep_vars=True).items():
            yield f"{name}.{key}", tensor


def _copy(
    new: Mapping[str, torch.Tensor], old: Mapping[str, torch.Tensor]
) -> tuple[list[str], list[str]]:
    """Copy the tensors of the same name and shape; return those names, and the others."""
    taken, left = [], []
    with torch.no_grad():
        for name, tensor in new.items():
            if name not in old:
                left.append(f"{name} (new)")
            elif old[name].shape != tensor.shape:
                left.append(f"{name} ({list(old[name].shape)}, now {list(tensor.shape)})")
            else:
                tensor.copy_(old[name])
                taken.append(name)
    left += [f"{name} (no place for it)" for name in old if name not in new]
    return taken, left


def check_same_data(saved: Sequence[Mapping[str, Any]], now: Sequence[Corpus], path: Path) -> None:
    """Refuse to go on with other documents than a training began with.

    Args:
        saved: The profiles of the training data, of before.
        now: The training data.
        path: The checkpoint, for the message.

    Raises:
        CheckpointError: They are not the same documents in the same order.
    """
    before = [(profile["num_docs"], profile["sha256"]) for profile in saved]
    after = [(corpus.profile["num_docs"], corpus.profile["sha256"]) for corpus in now]
    if before != after:
        counts = [", ".join(str(number) for number, _ in one) for one in (before, after)]
        raise CheckpointError(
            f"{path}: the training began with other documents, or in another order: {counts[0]} "
            f"then, {counts[1]} now. Give it the same data, or start a new run from its weights "
            "with init_from="
        )


def facts_of(settings: Settings, training_data: Sequence[TrainingData]) -> dict[str, Any]:
    """Return the settings that every step depends on, as plain data, for a checkpoint."""
    own = {name: getattr(settings, name) for name in _OF_EACH_STEP}
    own["optimizer"] = _said(settings.make_optimizer())
    for number, data in enumerate(training_data):
        own.update({f"train_data.{number}.{name}": getattr(data, name) for name in _OF_EACH_BATCH})
    return plain(own)


def _said(optimizer: OptimizerRecipe) -> Any:
    """Return the config of an optimizer, or what it prints where a schedule is not registered."""
    try:
        return plain(optimizer)
    except ConfigError:
        return str(optimizer)


def warn_of_other_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Say which settings are not those that a training began with: it goes on in another way."""
    changed = [name for name in before if name in now and now[name] != before[name]]
    if changed:
        said = ", ".join(f"{name} ({before[name]} before, {now[name]} now)" for name in changed)
        logger.warning(
            "settings changed: {}. The steps from here on are not those of a run that was never "
            "stopped",
            said,
        )
