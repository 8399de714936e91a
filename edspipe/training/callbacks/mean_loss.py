"""MeanLoss: the training loss, averaged over an interval, so that schedules can look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.every import Every
from edspipe.training.records import TRAIN

if TYPE_CHECKING:
    from edspipe.training.run import Run

NAME = "mean_loss"


@registry.callbacks.register("mean_loss")
class MeanLoss(Callback):
    """Records `train/mean_loss`, the mean of the recorded training losses since the last time.

    A plateau schedule can monitor it. Plateaus are shown it after each interval in a training
    without validation, and after each validation otherwise.

    Args:
        every: The interval, `"500 steps"` or `"1 epoch"`.
    """

    def __init__(self, every: int | str = "1 epoch") -> None:
        self.every = Every(every)
        self.has_validation = False
        self._sum, self._number = 0.0, 0

    def on_step(self, run: Run) -> None:
        record = run.records.latest(f"{TRAIN}/loss")
        if record is not None and record.step == run.step:
            self._sum, self._number = self._sum + record.value, self._number + 1
        if not self.every.is_due(run) or not self._number:
            return
        run.records.log(NAME, self._sum / self._number, step=run.step)
        self._sum, self._number = 0.0, 0
        if not self.has_validation:
            run.validated()

    def recorded(self) -> list[str]:
        return [f"{TRAIN}/{NAME}"]

    def state_dict(self) -> dict[str, Any]:
        return {"sum": self._sum, "number": self._number}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sum, self._number = state["sum"], state["number"]
