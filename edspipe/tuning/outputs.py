"""What a search leaves behind: tables, the best config, and pictures.

OUTPUT/
  trials.tsv                      every trial: values, scores of each seed, mean, spread, seconds
  best.yml                        the config with the best values, for `edspipe train`
  importances.tsv, *.png          which parameters mattered; the scores over time
  study.db                        the database of the search
  trials/trial-0007/seed-42/      config and metrics of each training
  test/                           the training with the best config that is scored on the test data
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from confit import Config
from loguru import logger

from edspipe import atomic
from edspipe.config.serialize import Config as Written
from edspipe.tuning.plots import plot_history, plot_importances
from edspipe.tuning.space import Space, short_names
from edspipe.tuning.study import Study, load_optuna
from edspipe.tuning.trial_rows import TrialRow, show

BEST, TABLE, IMPORTANCES = "best.yml", "trials.tsv", "importances.tsv"
DIGITS = 6
_FEW = 5
"""Trials that importances should be judged by, at least."""


def write_best(path: Path, config: Config, row: TrialRow, about: str) -> None:
    """Write a config that can be trained with, and what it scored.

    Args:
        path: The file.
        config: The config with the values of the trial.
        row: The trial.
        about: What the score is.
    """
    seeds = ", ".join(f"{seed}: {score!r}" for seed, score in row.scores.items())
    lines = [
        f"# The best trial of a search, number {row.number}: {about} {score_text(row)}",
        f"# Scores by seed: {seeds}. The same seed gives the same score again:",
        f"#   edspipe train --config {path}",
    ]
    atomic.write_text(path, "\n".join([*lines, Written(config).to_yaml_str()]))


def score_text(row: TrialRow) -> str:
    """Return score and spread, e.g. `0.9512 ± 0.0031`."""
    score = "-" if row.score is None else f"{row.score:.4f}"
    return score if row.spread is None else f"{score} ± {row.spread:.4f}"


def trial_line(row: TrialRow, best: TrialRow | None) -> str:
    """Return a line about a trial that ended: number, score, best so far, parameters."""
    what = score_text(row) if row.state == "completed" else row.state
    best_text = "" if best is None else f"  best {score_text(best)} (trial {best.number})"
    short = short_names(list(row.parameters))
    values = [f"{short[name]}={show(value, 4)}" for name, value in row.parameters.items()]
    note = f"  [{row.note}]" if row.note else ""
    return f"trial {row.number}: {what}{best_text}  {' '.join(values)}{note}"


def best_text(row: TrialRow | None, about: str) -> str:
    """Return the best parameters as a block with values."""
    if row is None:
        return "No trial was completed."
    lines = [f"Best of all: trial {row.number}, {about} {score_text(row)}"]
    width = max(map(len, row.parameters), default=0)
    lines += [f"  {name:<{width}}  {show(value, DIGITS)}" for name, value in row.parameters.items()]
    return "\n".join(lines)


def find_importances(study: Study, space: Space) -> dict[str, float]:
    """Return how much each parameter mattered, as shares; empty with fewer than 2 trials.

    They are those of PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", IJCAI 2023), which asks where the best trials lie.
    """
    done = study.trials("complete")
    if len(done) < 2:
        return {}
    importance = load_optuna().importance
    quantile = min(0.5, max(0.1, _FEW / len(done)))
    evaluator = importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of few trials; the guide does too
        return dict(importance.get_param_importances(study.study, evaluator=evaluator))


def write_pictures(
    folder: Path, rows: Sequence[TrialRow], study: Study, space: Space, about: str
) -> None:
    """Write importances as a table, and both pictures where matplotlib is installed."""
    importances = find_importances(study, space)
    lines = ["parameter\timportance", *(f"{name}\t{v!r}" for name, v in importances.items())]
    atomic.write_text(folder / IMPORTANCES, "\n".join([*lines, ""]))
    if find_spec("matplotlib") is None:
        logger.info("no pictures are drawn without matplotlib: pip install 'edspipe[plot]'")
        return
    short = short_names(list(importances))
    plot_history(rows, study.mode, folder / "history.png", name=about)
    plot_importances({short[n]: v for n, v in importances.items()}, folder / "importances.png")
