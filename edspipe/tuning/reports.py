"""ReportValidations: lets a search know of the validations of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edspipe.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from edspipe.training.run import Run


class ReportValidations(Callback):
    """Reports a record of each validation, the first as number 1, the second as number 2, ...

    Validations are counted, not steps: where epochs are given, trials with another batch size have
    another number of steps in each.

    Args:
        report: Gets number and value; it may raise, which ends the training.
        monitor: The record, e.g. `"val/micro_f"`.
        spare_last: Say with the last validation that nothing can be saved by pruning any more.
    """

    def __init__(
        self,
        report: Callable[..., None],
        monitor: str = "val/micro_f",
        spare_last: bool = False,
    ) -> None:
        self.report, self.monitor, self.spare_last = report, monitor, spare_last
        self.num_validations = 0

    def on_validation(self, run: Run) -> None:
        record = run.records.latest(self.monitor)
        if record is None or record.step != run.step:
            return
        self.num_validations += 1
        spared = {"can_prune": False} if self.spare_last and run.is_last else {}
        try:
            self.report(self.num_validations, record.value, **spared)
        except Exception as error:
            run.stop(str(error))
            raise

    def monitored(self) -> list[str]:
        return [self.monitor]
