"""EarlyStopping: ends a training that no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.monitor import Mode, find_mode, is_better

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("early_stopping")
class EarlyStopping(Callback):
    """Ends the training when validations have not been better for a while.

    Args:
        monitor: What is compared, e.g. `"val/micro_f"` or `"val/loss"`.
        mode: `"max"` or `"min"`; None is `"min"` for losses and `"max"` for the rest.
        patience: Validations without a better one that it waits for: the training ends at the
            last of them.
        min_delta: What a better one has to gain.
    """

    def __init__(
        self,
        monitor: str = "val/micro_f",
        mode: Mode | None = None,
        patience: int = 3,
        min_delta: float = 0.0,
    ) -> None:
        if patience < 1 or min_delta < 0:
            raise ValueError(
                f"patience is 1 or more and min_delta 0 or more, got {patience} and {min_delta}"
            )
        self.monitor, self.mode = monitor, find_mode(monitor, mode)
        self.patience, self.min_delta = patience, min_delta
        self.best: float | None = None
        self.num_without = 0

    def on_start(self, run: Run) -> None:
        if run.first_step == 0:
            self.best, self.num_without = None, 0

    def on_validation(self, run: Run) -> None:
        record = run.records.latest(self.monitor)
        if record is None or record.step != run.step:
            return
        if is_better(record.value, self.best, self.mode, self.min_delta):
            self.best, self.num_without = record.value, 0
            return
        self.num_without += 1
        if self.num_without >= self.patience:
            run.stop(
                f"early stopping: {self.monitor} was not better for {self.num_without} validations"
            )

    def monitored(self) -> list[str]:
        return [self.monitor]

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "num_without": self.num_without}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.num_without = state["best"], state["num_without"]
