"""Phases: pipes that share no parameters are trained one after the other.

Trained together, they would only share the norm that their gradients are clipped by, and memory.
Each phase is a run of its own, in a folder of its own; the trainable pipes of the other phases are
switched off meanwhile. At the end each pipe has the weights of its chosen model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from loguru import logger

from edspipe import atomic
from edspipe.errors import ConfigError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.serialization import PIPES
from edspipe.training.checkpoint import list_checkpoints
from edspipe.training.data import TrainingData
from edspipe.training.finishing import MODEL_LAST, Finished
from edspipe.training.processes import is_main_process
from edspipe.training.run_files import RUN, read_run

TrainOne = Callable[[list[TrainingData], Path, Path | None], Finished]
"""Trains on these data, into this folder, going on from a run if one is named."""


def phases_of(nlp: Pipeline) -> list[list[str]]:
    """Group the trainable pipes that are switched on: those that share a parameter together.

    Returns:
        Names of pipes, in the order of the pipeline.
    """
    groups: list[tuple[list[str], set[int]]] = []
    for name, component in nlp.torch_components():
        names, parameters = [name], {id(p) for p in component.parameters()}
        apart = []
        for group in groups:
            if group[1] & parameters:
                names, parameters = [*group[0], *names], group[1] | parameters
            else:
                apart.append(group)
        groups = [*apart, (names, parameters)]
    order = [name for name, _ in nlp.torch_components()]
    found = [sorted(names, key=order.index) for names, _ in groups]
    return sorted(found, key=lambda names: order.index(names[0]))


def train_in_phases(
    nlp: Pipeline, training_data: Sequence[TrainingData], output_dir: Path, train_one: TrainOne
) -> Finished:
    """Train each group of pipes; phases that were finished before are not trained again.

    Args:
        nlp: The pipeline; afterwards each pipe has the weights of its chosen model.
        training_data: What is learned from; each phase takes those that its pipes learn from.
        output_dir: Holds a folder `phase-<number>-<pipes>` a phase, and `model-last`.
        train_one: Trains one phase.

    Raises:
        ConfigError: No data are for a group of pipes.
    """
    groups = phases_of(nlp)
    finished: list[Finished] = []
    scores: dict[str, dict[str, float]] = {}
    for number, names in enumerate(groups, start=1):
        others = [name for group in groups if group is not names for name in group]
        folder = output_dir / f"phase-{number}-{'-'.join(names)}"
        logger.info("phase {} of {}: {}", number, len(groups), ", ".join(names))
        with nlp.select_pipes(disable=[*nlp.disabled, *others]):
            one = _finished_before(folder) or train_one(
                _data_of(training_data, names), folder, folder if list_checkpoints(folder) else None
            )
        finished.append(one)
        if one.interrupted:
            return replace(one, output_dir=output_dir)
        _take(nlp, one.model, names)
        for split, values in one.scores.items():
            scores.setdefault(split, {}).update({f"{names[0]}/{k}": v for k, v in values.items()})
    if is_main_process():
        nlp.to_disk(output_dir / MODEL_LAST)
    return Finished(
        output_dir,
        output_dir / MODEL_LAST,
        scores,
        sum(one.step for one in finished),
        finished[-1].stopped_by,
    )


def remove_phases(output_dir: Path) -> None:
    """Delete the runs of all phases, for a call that begins anew."""
    for folder in output_dir.glob("phase-*"):
        atomic.discard(folder)


def _data_of(training_data: Sequence[TrainingData], names: Sequence[str]) -> list[TrainingData]:
    found = []
    for data in training_data:
        mine = [name for name in names if data.pipe_names is None or name in data.pipe_names]
        if mine:
            found.append(replace(data, pipe_names=mine))
    if not found:
        raise ConfigError(f"train_data: none is for the pipes {', '.join(names)}: see pipe_names")
    return found


def _finished_before(folder: Path) -> Finished | None:
    """Return what a phase that was finished came to, so far as its files say."""
    if not (folder / RUN).is_file():
        return None
    facts = read_run(folder)
    if facts.get("status") != "finished":
        return None
    logger.info("{}: finished before, it is not trained again (overwrite=True would)", folder)
    return Finished(
        folder, folder / facts["evaluated"], {}, facts["last_step"], facts["stopped_by"]
    )


def _take(nlp: Pipeline, model: Path, names: Sequence[str]) -> None:
    """Give pipes the weights of a saved model."""
    read: set[int] = set()
    for name, component in nlp.torch_components():
        if name in names:
            device = component.device
            component.from_disk(model / PIPES / name, exclude=read)
            component.to(device)
