"""Checkpoint: keeps all that is needed to go on with the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger

from edspipe import atomic
from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.every import Every
from edspipe.training.checkpoint import (
    checkpoint_path,
    list_checkpoints,
    remove_old,
    step_of,
)

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("checkpoint")
class Checkpoint(Callback):
    """Writes `checkpoints/step-<number>/`, from which a training goes on exactly.

    Args:
        every: The interval, `"500 steps"` or `"1 epoch"`; None writes the last one only.
        keep: How many are kept, the latest; None keeps all.
        save_last: Write one after the last step, also of a training that is interrupted.
    """

    def __init__(
        self, every: int | str | None = "1 epoch", keep: int | None = 2, save_last: bool = True
    ) -> None:
        if keep is not None and keep < 1:
            raise ValueError(f"keep is 1 or more, or None to keep all, got {keep}")
        self.every = None if every is None else Every(every)
        self.keep, self.save_last = keep, save_last
        self._last_saved = 0

    def on_start(self, run: Run) -> None:
        """Leave no checkpoint of later steps: it is damaged, or of what was given up, and would
        count as the latest."""
        if run.processes.is_main:
            for path in list_checkpoints(run.output_dir):
                if step_of(path) > run.step:
                    logger.warning("{}: deleted, as the training goes on before it", path)
                    atomic.discard(path)
        run.processes.wait()

    def on_step(self, run: Run) -> None:
        is_due = self.every is not None and self.every.is_due(run)
        if is_due or (self.save_last and run.is_last):
            self._save(run)

    def on_end(self, run: Run) -> None:
        is_new = run.step > run.first_step and self._last_saved != run.step
        if self.save_last and is_new:  # what ended the run came after `on_step`
            self._save(run)

    def _save(self, run: Run) -> None:
        run.save_checkpoint(checkpoint_path(run.output_dir, run.step))
        self._last_saved = run.step
        if self.keep is not None and run.processes.is_main:
            remove_old(run.output_dir, self.keep)
