"""Calibrate: confidences of the chosen model that mean what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loguru import logger

from edspipe.config.registry import registry
from edspipe.metrics.calibration import fit_temperature, log_loss, temper
from edspipe.metrics.evaluation import found_confidences
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.callbacks.callback import Callback
from edspipe.training.evaluation import confidences, predict
from edspipe.training.records import VAL

if TYPE_CHECKING:
    from edspipe.training.corpus import Corpus
    from edspipe.training.run import Run


@registry.callbacks.register("calibrate")
class Calibrate(Callback):
    """Chooses, on the validation documents, the temperature of each pipe that has one.

    It is saved with the chosen model, and changes how sure a pipe says it is, never what it finds.
    The validation documents chose the model too, so the reliability on test documents is the one to
    quote.

    Args:
        min_predictions: A pipe with fewer of them on the validation documents keeps its
            temperature: there is too little to choose by.
    """

    def __init__(self, min_predictions: int = 50) -> None:
        self.min_predictions = min_predictions

    def on_chosen(self, run: Run, nlp: Pipeline, corpora: Mapping[str, Corpus]) -> bool:
        pipes: dict[str, Any] = {
            name: pipe
            for name, pipe in nlp.torch_components()
            if hasattr(pipe, "temperature") and hasattr(pipe, "target_span_getter")
        }
        if VAL not in corpora or not pipes:
            logger.warning("calibrate: needs val_data and a pipe that says how sure it is")
            return False
        docs = corpora[VAL].docs
        before = {name: pipe.temperature for name, pipe in pipes.items()}
        for pipe in pipes.values():
            pipe.temperature = 1.0
        with confidences(nlp):
            predicted = predict(nlp, docs)
        changed = [self._calibrate(run, *item, docs, predicted) for item in pipes.items()]
        for (name, pipe), is_new in zip(pipes.items(), changed, strict=True):
            if not is_new:
                pipe.temperature = before[name]
        return any(changed)

    def _calibrate(self, run: Run, name: str, pipe: Any, docs: Any, predicted: Any) -> bool:
        labels = set(pipe.labels)
        rows = [
            (value, is_right)
            for label, value, is_right in found_confidences(
                docs, predicted, pipe.target_span_getter
            )
            if label in labels
        ]
        if len(rows) < self.min_predictions:
            logger.warning(
                "calibrate: {} found {} entities in the validation documents, and {} are needed",
                name,
                len(rows),
                self.min_predictions,
            )
            return False
        values, right = zip(*rows, strict=True)
        pipe.temperature = fit_temperature(values, right)
        before, after = log_loss(values, right), log_loss(temper(values, pipe.temperature), right)
        figures = {
            "temperature": pipe.temperature,
            "log_loss": before,
            "calibrated_log_loss": after,
        }
        for figure, value in figures.items():
            run.records.log(f"{figure}/{name}", value, step=run.step, split=VAL)
        return True
