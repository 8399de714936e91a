"""Calibrate: probabilities of the chosen model that mean what they say, and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.pipeline import Pipeline
from edspipe.stream.hooks import sha256_of
from edspipe.training.calibration import calibrate_pipes
from edspipe.training.callbacks.callback import Callback
from edspipe.training.data import TrainingData
from edspipe.training.records import VAL
from edspipe.training.run_files import DATA
from edspipe.training.threshold_rule import ThresholdRule

if TYPE_CHECKING:
    from edspipe.training.corpus import Corpus
    from edspipe.training.run import Run

CALIBRATION = "calibration"
"""The split of its records, where it has documents of its own."""


@registry.callbacks.register("calibrate")
class Calibrate(Callback):
    """Fits, once the model is chosen, the temperature of each pipe that has one, and the thresholds
    of classifiers of documents. They are saved with the model.

    A temperature changes how sure a pipe says it is, never which entities it finds or which label
    is the most probable; the threshold of a label says from which probability on a document has it,
    so that one that is not fitted decides by the new probabilities. Where a document has exactly
    one label, thresholds are not used, and not fitted.

    The best documents for it are ones that the model neither learned from nor was chosen by: a part
    of the training documents that was set aside. Without `data`, those of validation are taken;
    their scores are then too good, and so is a reliability that is measured on them.

    It records, for each pipe, `temperature/<pipe>`; `log_loss`, `ece` (expected calibration error)
    and `brier`, each also as `calibrated_...`; and `threshold/<pipe>/<label>`.

    Args:
        min_predictions: A pipe keeps its temperature where fewer documents have gold labels, or
            where it finds fewer entities: there is too little to choose by.
        data: Documents with gold annotations: a reader, a list, or a `TrainingData`.
        temperature: Fit temperatures.
        thresholds: Fit thresholds.
        objective: What a threshold is the best for: `"f1"`, `"f_beta"`, `"youden"`, `"cost"`, or
            `"constraint"`; see `edspipe.metrics.fit_threshold`.
        beta: Of `"f_beta"`: how many times as much recall weighs as precision.
        costs: Of `"cost"`: of a false positive, and of a false negative.
        constraint: `{"recall": 0.95}`: the most precise threshold with this recall, or more;
            `"precision"` and `"specificity"` likewise, where it is the highest recall.
        min_positives: A label that fewer documents have keeps its threshold.
        grid: Look at these thresholds only: `{"vmin": 0.05, "vmax": 0.95, "step": 0.05}`; by
            default at all that make a difference.

    Raises:
        ConfigError: An argument is out of its range, or does not go with the others.
    """

    def __init__(
        self,
        min_predictions: int = 50,
        data: Any = None,
        *,
        temperature: bool = True,
        thresholds: bool = True,
        objective: str = "f1",
        beta: float = 1.0,
        costs: Sequence[float] = (1.0, 1.0),
        constraint: Mapping[str, float] | str | None = None,
        min_positives: int = 5,
        grid: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        self.min_predictions = min_predictions
        self.data = None if data is None else TrainingData.of(data, "calibrate.data")
        self.temperature, self.thresholds = temperature, thresholds
        self.rule = ThresholdRule(objective, beta, costs, constraint, min_positives, grid)

    def on_chosen(self, run: Run, nlp: Pipeline, corpora: Mapping[str, Corpus]) -> bool:
        if self.data is None and VAL not in corpora:
            logger.warning("calibrate: needs val_data, or data of its own; nothing is calibrated")
            return False
        docs = corpora[VAL].docs if self.data is None else list(self.data.documents())
        if self.data is not None:
            _warn_of_seen(docs, read_json(run.output_dir / DATA))
        found = calibrate_pipes(
            nlp,
            docs,
            self.rule,
            min_items=self.min_predictions,
            temperature=self.temperature,
            thresholds=self.thresholds,
        )
        if not found:
            logger.warning("calibrate: no pipe says how sure it is; nothing is calibrated")
        split = VAL if self.data is None else CALIBRATION
        for one in found:
            for name, value in one.records():
                run.records.log(name, value, step=run.step, split=split)
        return any(one.skipped is None for one in found)


def _warn_of_seen(docs: Sequence[Doc], digests: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Say how many of the documents are also used for something else.

    Args:
        docs: The documents.
        digests: The id and the SHA-256 of the text of each document, by what it is used for.
    """
    ours = [sha256_of(doc.text) for doc in docs]
    for role, rows in digests.items():
        theirs = {digest for _, digest in rows}
        if number := sum(digest in theirs for digest in ours):
            logger.warning(
                "calibrate: {} of {} documents are also those of {}: calibrate on documents that "
                "nothing else is done with",
                number,
                len(ours),
                role,
            )
