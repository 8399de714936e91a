"""`"500 steps"`, `"1 epoch"`: when something is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edspipe.training.run import Run

UNITS = {"step": "steps", "steps": "steps", "epoch": "epochs", "epochs": "epochs"}


class Every:
    """When something is due.

    Args:
        period: `"500 steps"`, `"2 epochs"`, or a number of steps.

    Raises:
        ValueError: It is neither.
    """

    def __init__(self, period: int | str) -> None:
        number, _, unit = str(period).strip().partition(" ")
        unit = UNITS.get(unit.strip() or "steps", "")
        count = int(number.replace("_", "")) if number.replace("_", "").isdigit() else 0
        if not unit or count < 1:
            raise ValueError(
                f"expected a number of steps or epochs, as '500 steps' or '1 epoch', got {period!r}"
            )
        self.count, self.unit = count, unit

    def __str__(self) -> str:
        return f"{self.count} {self.unit if self.count > 1 else self.unit[:-1]}"

    def is_due(self, run: Run) -> bool:
        """Whether it is due after the step that was taken."""
        if self.unit == "steps":
            return run.step % self.count == 0
        before = run.epoch - run.epochs_ended
        return run.epoch // self.count > before // self.count
