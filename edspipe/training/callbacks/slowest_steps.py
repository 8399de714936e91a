"""SlowestSteps: which steps took longest, and on which documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edspipe import atomic
from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from edspipe.training.run import Run

FILE = "slowest_steps.json"


@registry.callbacks.register("slowest_steps")
class SlowestSteps(Callback):
    """Writes `slowest_steps.json` at the end: seconds, size and document ids of some steps.

    The first step of a process is left out: it waits for workers and for what is made once.

    Args:
        number: How many.
    """

    def __init__(self, number: int = 10) -> None:
        self.number = number
        self.slowest: list[dict[str, Any]] = []

    def on_start(self, run: Run) -> None:
        if run.first_step == 0:
            self.slowest = []

    def on_step(self, run: Run) -> None:
        is_first = run.step == run.first_step + 1
        fast = len(self.slowest) == self.number and run.step_s <= self.slowest[-1]["step_s"]
        if is_first or fast:
            return
        self.slowest.append(
            {
                "step": run.step,
                "step_s": run.step_s,
                "num_docs": sum(len(task.doc_ids) for task in run.tasks),
                "num_words": sum(task.num_words for task in run.tasks),
                "doc_ids": [str(doc_id) for task in run.tasks for doc_id in task.doc_ids],
            }
        )
        self.slowest.sort(key=lambda entry: -entry["step_s"])
        del self.slowest[self.number :]

    def on_end(self, run: Run) -> None:
        if run.processes.is_main:
            atomic.write_json(run.output_dir / FILE, self.slowest)

    def state_dict(self) -> dict[str, Any]:
        return {"slowest": self.slowest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.slowest = list(state["slowest"])
