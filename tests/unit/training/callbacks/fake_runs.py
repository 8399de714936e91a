"""A run that callbacks can be asked about, without a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from edspipe.training.callbacks.callback import Callback
from edspipe.training.processes import Processes
from edspipe.training.records import Records


class FakeModel:
    """A pipeline with one number."""

    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(2, 3))
        self.bias = torch.nn.Parameter(torch.zeros(3))

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        yield from (("ner.embedding.weight", self.weight), ("ner.bias", self.bias))

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        yield from (parameter for _, parameter in self.named_parameters())


class FakeRun:
    """What callbacks see of a run."""

    def __init__(self, output_dir: Path = Path("run"), nlp: Any = None) -> None:
        self.output_dir, self.nlp = output_dir, FakeModel() if nlp is None else nlp
        self.records, self.processes = Records(), Processes("cpu")
        self.step = self.epoch = self.first_step = 0
        self.epochs_ended, self.interrupted = 0, False
        self.stopped_by: str | None = None
        self.step_s = 0.0
        self.tasks: Any = ()
        self.callbacks: list[Callback] = []

    @property
    def is_last(self) -> bool:
        return self.stopped_by is not None

    def stop(self, reason: str) -> None:
        self.stopped_by = self.stopped_by or reason

    def validate(self, callback: Callback, **figures: float) -> None:
        """Take a step, record figures of validation, and tell a callback."""
        self.step += 1
        for name, value in figures.items():
            self.records.log(name, value, step=self.step, split="val")
        callback.on_validation(self)  # type: ignore[arg-type]


def steps_until(run: FakeRun, number: int) -> Iterator[int]:
    """Count the steps of a run, epochs of three."""
    for step in range(1, number + 1):
        run.step, run.epochs_ended = step, int(step % 3 == 0)
        run.epoch += run.epochs_ended
        yield step


def due_steps(is_due: Callable[[FakeRun], bool], number: int = 12) -> list[int]:
    """Return the steps at which something is due."""
    run = FakeRun()
    return [step for step in steps_until(run, number) if is_due(run)]
