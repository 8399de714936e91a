"""Pictures and reports of training runs and evaluations.

    plot_run("runs/first")                      every picture, and report.html
    write_report("runs/first")                  report.html alone
    plot_training(read_metrics(file), path)     one picture

matplotlib, of the extra `plot`, is imported when the first picture is drawn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edspipe.errors import did_you_mean

if TYPE_CHECKING:
    from edspipe.viz.confusion import plot_confusion
    from edspipe.viz.evaluation import read_evaluation
    from edspipe.viz.labels import plot_labels
    from edspipe.viz.learning_rate import (
        LearningRates,
        plot_learning_rate,
        read_learning_rates,
        suggest_learning_rates,
    )
    from edspipe.viz.metrics_files import read_metrics
    from edspipe.viz.plotting import plot_file
    from edspipe.viz.precision_recall import plot_precision_recall
    from edspipe.viz.reliability import plot_reliability
    from edspipe.viz.report import plot_run, write_report
    from edspipe.viz.series import Best, Metrics, Series
    from edspipe.viz.training import plot_training
    from edspipe.viz.weights import plot_weights

__all__ = [
    "Best",
    "LearningRates",
    "Metrics",
    "Series",
    "plot_confusion",
    "plot_file",
    "plot_labels",
    "plot_learning_rate",
    "plot_precision_recall",
    "plot_reliability",
    "plot_run",
    "plot_training",
    "plot_weights",
    "read_evaluation",
    "read_learning_rates",
    "read_metrics",
    "suggest_learning_rates",
    "write_report",
]

_HOMES = {
    "Best": "series",
    "LearningRates": "learning_rate",
    "Metrics": "series",
    "Series": "series",
    "plot_file": "plotting",
    "plot_run": "report",
    "read_evaluation": "evaluation",
    "read_learning_rates": "learning_rate",
    "read_metrics": "metrics_files",
    "suggest_learning_rates": "learning_rate",
    "write_report": "report",
}
"""Modules of names; `plot_x` is in `x` otherwise."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = _HOMES.get(name, name.removeprefix("plot_"))
        return getattr(importlib.import_module(f"edspipe.viz.{module}"), name)
    raise AttributeError(f"edspipe.viz has no '{name}'.{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return __all__
