"""What a run directory holds, and the pictures that can be drawn of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edspipe.errors import DataError
from edspipe.viz.confusion import confusion_of, draw_confusion
from edspipe.viz.evaluation import (
    curve_names,
    label_scores,
    mapping,
    number,
    read_evaluation,
    read_json,
)
from edspipe.viz.labels import draw_labels
from edspipe.viz.learning_rate import LearningRates, draw_learning_rate, read_learning_rates
from edspipe.viz.metrics_files import read_metrics
from edspipe.viz.precision_recall import draw_precision_recall
from edspipe.viz.reliability import draw_reliability
from edspipe.viz.series import TRAIN, VAL, WEIGHTS, Best, Metrics, find_best
from edspipe.viz.training import draw_training
from edspipe.viz.weights import draw_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS, INFO, SLOWEST, RATES = (
    "metrics.jsonl",
    "run.json",
    "slowest_steps.json",
    "learning_rate.tsv",
)
SPLITS = ("test", "val")
"""Evaluations that a run may have, the one that counts most first."""


@dataclass(frozen=True)
class RunFiles:
    """What a run directory holds; parts that are missing are empty.

    Attributes:
        path: The folder.
        metrics: What was recorded.
        info: The object of `run.json`.
        slowest: The objects of `slowest_steps.json`.
        evaluations: Objects of evaluation files, by split; the one that counts most first.
        rates: What the learning-rate finder saw, if there is its table.
    """

    path: Path
    metrics: Metrics
    info: Mapping[str, Any] = field(default_factory=dict)
    slowest: list[Mapping[str, Any]] = field(default_factory=list)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    rates: LearningRates | None = None

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The evaluation that counts most, if there is one."""
        return next(iter(self.evaluations.values()), None)

    def best(self) -> Best | None:
        """Return the best step, as the run or else as the metrics say."""
        said = mapping(self.info.get("best"))
        step, value = number(said.get("step")), number(said.get("value"))
        if step is None or value is None:
            return find_best(self.metrics)
        return Best(step, str(said.get("monitor", "")), value)


def read_run(run_dir: str | Path) -> RunFiles:
    """Read a run directory.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: It holds nothing of a run, or a file is wrong.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected the folder of a run, found none")
    files = {split: folder / "evaluation" / f"{split}.json" for split in SPLITS}
    evaluations = {split: read_evaluation(f) for split, f in files.items() if f.is_file()}
    has_metrics, has_rates = (folder / METRICS).is_file(), (folder / RATES).is_file()
    if not (has_metrics or has_rates or evaluations):
        text = f"expected a run: {METRICS}, {RATES} or evaluation/*.json; found none of them"
        raise DataError(text, folder)
    return RunFiles(
        folder,
        read_metrics(folder / METRICS) if has_metrics else Metrics(),
        _read_object(folder / INFO),
        _read_steps(folder / SLOWEST),
        evaluations,
        read_learning_rates(folder / RATES) if has_rates else None,
    )


def _read_object(file: Path) -> dict[str, Any]:
    data = read_json(file) if file.is_file() else {}
    if not isinstance(data, dict):
        raise DataError("expected a JSON object", file)
    return data


def _read_steps(file: Path) -> list[Mapping[str, Any]]:
    data = read_json(file) if file.is_file() else []
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DataError("expected a JSON list of objects", file)
    return list(data)


def figures_of(run: RunFiles) -> dict[str, Figure]:
    """Return the pictures that there are data for, by name.

    Raises:
        DataError: A confusion matrix does not fit its labels.
    """
    figures: dict[str, Figure] = {}
    if run.metrics.names(TRAIN) or run.metrics.names(VAL):
        figures["training"] = draw_training(run.metrics, best=run.best())
    if run.metrics.names(WEIGHTS):
        figures["weights"] = draw_weights(run.metrics)
    if run.rates is not None:
        figures["learning_rate"] = draw_learning_rate(run.rates)
    if run.evaluation is not None:
        figures |= _figures_of_evaluation(run.evaluation)
    return figures


def _figures_of_evaluation(evaluation: Mapping[str, Any]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    if label_scores(evaluation):
        figures["labels"] = draw_labels(evaluation)
    if confusion_of(evaluation)[0]:
        figures["confusion"] = draw_confusion(evaluation)
    if curve_names(evaluation):
        figures["precision_recall"] = draw_precision_recall(evaluation)
    if mapping(evaluation.get("confidence")).get("reliability"):
        figures["reliability"] = draw_reliability(evaluation)
    return figures
