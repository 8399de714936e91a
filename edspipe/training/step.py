"""One step: the losses of all parts, and gradients as if they were one batch.

The loss of a pipe is a mean over `n` things (words, documents). Of parts with `n_k` of them, of all
processes, the mean is `sum(n_k * loss_k) / sum(n_k)`; so the loss of each part is multiplied by its
share `n_k / sum(n_k)` before the backward pass, and gradients add up to exactly those of one batch.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from loguru import logger

from edspipe.errors import TrainingError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.batches import Part, TaskBatch
from edspipe.training.randomness import set_torch_rng_state, torch_rng_state

Sizes = dict[tuple[int, str], float]
"""What the losses are divided by, by task and pipe."""
Split = Callable[[int, TaskBatch, Part], Sequence[Part]]
"""Makes two parts of one, given the number of its task and the batch."""


@dataclass(frozen=True)
class Computed:
    """What the forward and backward passes of a step found.

    Attributes:
        losses: The loss of each pipe, as a scalar on the device: this process's share of the mean.
    """

    losses: dict[str, torch.Tensor]

    def total(self) -> torch.Tensor:
        """Return the sum over the pipes."""
        return torch.stack(list(self.losses.values())).sum()


class StepComputer:
    """Runs the models forward and backward.

    Args:
        nlp: The pipeline, in training mode.
        autocast: Makes the context that models compute in.
        scale: Scales a loss for its backward pass (fp16); None leaves it.
        split: Makes two parts of one that does not fit into memory; None gives up.
    """

    def __init__(
        self,
        nlp: Pipeline,
        autocast: Callable[[], AbstractContextManager[Any]],
        *,
        scale: Callable[[torch.Tensor], torch.Tensor] | None = None,
        split: Split | None = None,
    ) -> None:
        self.nlp, self.autocast, self.split = nlp, autocast, split
        self.components = dict(nlp.torch_components())
        self.scale = scale or (lambda loss: loss)

    def sizes(self, tasks: Sequence[TaskBatch]) -> Sizes:
        """Return what the losses of this process's parts are divided by."""
        sizes: Counter[tuple[int, str]] = Counter()
        for number, task in enumerate(tasks):
            for part in task.parts:
                for name in self._trained(part):
                    sizes[number, name] += self._size(name, part)  # type: ignore[assignment]
        return dict(sizes)

    def __call__(
        self, tasks: Sequence[TaskBatch], totals: Mapping[tuple[int, str], float]
    ) -> Computed:
        """Add the gradients of a step to those of the parameters.

        Where memory runs out, the step begins anew, with the same random numbers, and the part that
        did not fit is computed in two halves.

        Args:
            tasks: The batch of each task.
            totals: `sizes`, added up over all processes.
        """
        work = [(number, part) for number, task in enumerate(tasks) for part in task.parts]
        weights = [task.weight for task in tasks]
        before = torch_rng_state() if self.split else None
        while True:
            losses: dict[str, torch.Tensor] = {}
            num_done = 0
            try:
                for number, part in work:
                    self._compute(number, part, weights[number], totals, losses)
                    num_done += 1
                return Computed(losses)
            except (MemoryError, RuntimeError) as error:
                if before is None or not is_out_of_memory(error):
                    raise
                number, part = work[num_done]
                halves = self._halves(number, tasks[number], part)
                work[num_done : num_done + 1] = [(number, half) for half in halves]
            self._start_again(before)

    def _compute(
        self,
        number: int,
        part: Part,
        weight: float,
        totals: Mapping[tuple[int, str], float],
        losses: dict[str, torch.Tensor],
    ) -> None:
        shares: list[torch.Tensor] = []
        with self.nlp.cache(), self.autocast():
            for name in self._trained(part):
                loss = self.components[name](part.batch[name])["loss"]
                share = weight * self._size(name, part) / max(totals[number, name], 1e-12)
                shares.append(loss * share)
                found = shares[-1].detach()
                losses[name] = losses[name] + found if name in losses else found
        loss = shares[0] if len(shares) == 1 else torch.stack(shares).sum()
        self.scale(loss).backward()

    def _trained(self, part: Part) -> list[str]:
        return [name for name in self.components if name in part.batch]

    def _size(self, name: str, part: Part) -> float:
        size = self.components[name].loss_size(part.batch[name])
        return len(part.batch["doc_ids"]) if size is None else size

    def _halves(self, number: int, task: TaskBatch, part: Part) -> Sequence[Part]:
        if len(part.positions) < 2 or self.split is None:
            raise TrainingError(
                f"out of memory on one document ('{part.batch['doc_ids'][0]}'): cut long documents "
                "with pipes=[eds.split(...)] of the training data, or use a smaller model"
            )
        logger.warning(
            "out of memory on {} documents: computing them in two halves. "
            "A smaller sub_batch_size avoids trying each time",
            len(part.positions),
        )
        return self.split(number, task, part)

    def _start_again(self, before: dict[str, torch.Tensor]) -> None:
        for parameter in self.nlp.parameters():
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        set_torch_rng_state(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
