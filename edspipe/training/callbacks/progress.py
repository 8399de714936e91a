"""Progress: a bar with the loss and the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("progress")
class Progress(Callback):
    """Draws a bar: of steps where their number is known, else of documents.

    Args:
        score: The record shown beside the loss.
    """

    def __init__(self, score: str | None = None) -> None:
        self.score = score
        self._bar: Any = None

    def on_start(self, run: Run) -> None:
        if run.processes.is_main:
            total, unit = (
                (run.max_steps, "step") if run.max_steps else (run.num_docs_planned, "doc")
            )
            done = run.step if run.max_steps else run.num_docs_seen
            self._bar = tqdm(
                total=total, initial=done, desc="training", unit=unit, dynamic_ncols=True
            )

    def on_step(self, run: Run) -> None:
        if self._bar is None:
            return
        self._bar.update((run.step if run.max_steps else run.num_docs_seen) - self._bar.n)
        shown = {"loss": run.records.latest("train/loss")}
        if self.score:
            shown[self.score.removeprefix("val/")] = run.records.latest(self.score)
        self._bar.set_postfix(
            {name: f"{record.value:.4f}" for name, record in shown.items() if record}, refresh=False
        )

    def on_end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_error(self, run: Run, error: BaseException) -> None:
        self.on_end(run)
