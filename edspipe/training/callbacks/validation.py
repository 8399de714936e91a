"""Validation: scores and loss on documents that are not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.every import Every
from edspipe.training.data import DEFAULT_BATCH
from edspipe.training.evaluation import (
    LossOnDocs,
    Metric,
    as_predicted,
    best_results,
    predict,
    score,
)
from edspipe.training.loss_figures import loss_figures
from edspipe.training.records import VAL

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("validation")
class Validation(Callback):
    """Scores the pipeline, at intervals and after the last step.

    All pipes that are switched on run over copies of the documents without annotations. It
    records `val/loss` (and `val/loss/<pipe>`, where several are trained) and what the metrics say,
    e.g. `val/micro_f`, and lets the other callbacks know.

    Args:
        every: The interval, `"500 steps"` or `"1 epoch"`.
        batch_size: What the loss is computed on at once.
    """

    def __init__(self, every: int | str = "1 epoch", batch_size: int | str = DEFAULT_BATCH) -> None:
        self.every, self.batch_size = Every(every), batch_size
        self.docs: Sequence[Doc] = ()
        self.metrics: Mapping[str, Metric] = {}
        self.pipes: Mapping[str, Any] = {}
        self._loss: LossOnDocs | None = None
        self._last_step = 0

    def prepare(
        self,
        docs: Sequence[Doc],
        metrics: Mapping[str, Metric],
        pipes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Take the documents, the metrics and the pipes that have a loss, before the training
        starts."""
        self.docs, self.metrics, self.pipes = docs, metrics, pipes

    def on_start(self, run: Run) -> None:
        self._loss = LossOnDocs(
            run.nlp, self.docs, run.autocast, run.processes.device, self.batch_size
        )

    def on_step(self, run: Run) -> None:
        if self.docs and (self.every.is_due(run) or (run.is_last and not run.interrupted)):
            self.validate(run)

    def on_end(self, run: Run) -> None:
        """Score the last step, where another callback ended the training after this one's turn."""
        if self.docs and self._last_step != run.step and not run.interrupted:
            self.validate(run)

    def validate(self, run: Run) -> None:
        """Score the pipeline now; the main process does, and tells the others."""
        figures = run.processes.from_main(self._figures(run) if run.processes.is_main else None)
        for name, value in figures.items():
            run.records.log(name, value, step=run.step, split=VAL)
        self._last_step = run.step
        run.validated()

    def _figures(self, run: Run) -> dict[str, float]:
        assert self._loss is not None
        figures = loss_figures(self._loss(), dict(run.nlp.torch_components()))
        if self.metrics:
            figures.update(score(self.metrics, self.docs, predict(run.nlp, self.docs)))
        return figures

    def recorded(self) -> list[str]:
        """Return the names: the loss, and what the metrics say of gold compared with itself."""
        if not self.docs:
            return []
        losses = loss_figures(dict.fromkeys(self.pipes, 0.0), self.pipes)
        as_found = as_predicted(self.docs, self.pipes)
        scores = score(best_results(self.metrics), self.docs, as_found)
        return [f"{VAL}/{name}" for name in (*losses, *scores)]

    def state_dict(self) -> dict[str, Any]:
        return {"last_step": self._last_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._last_step = state["last_step"]
