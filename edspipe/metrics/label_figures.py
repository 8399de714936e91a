"""Figures on labels of documents: which were found, and how well their scores rank.

Figures, of each label and of `micro`, `macro` and `weighted`:

- `p`, `r` (sensitivity), `f`: as everywhere in `edspipe.metrics.bootstrap`, 0.0 where it is
  0 divided by 0;
- `specificity = tn / (tn + fp)`, `auroc` and `ap` (see `edspipe.metrics.ranking`): None where they
  do not exist, as there is no document without the label, or none with it, or there are no scores;
- `support` (documents with the label), `positives` (found to have it), `tp`, `fp`, `fn`, `tn`.

`micro` takes all pairs of document and label as one label. `macro` is the plain mean over labels
that occur in gold or decisions, `weighted` the mean with their supports as weights; a label whose
`specificity`, `auroc` or `ap` does not exist is left out of the mean of that figure. Their counts
are the sums. `exact_match` is the share of documents whose labels are all right, and none too many.

A resample of the bootstrap where a figure does not exist is left out of the interval of it.

Letters in names of arrays: N documents, L labels, U units (documents or groups), R resamples,
K counts (tp, fp, fn, tn), F figures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edspipe.errors import did_you_mean
from edspipe.metrics.bootstrap import (
    MACRO,
    Bootstrap,
    compare_figures,
    draw_weights,
    intervals,
)
from edspipe.metrics.ranking import Ranking

Array = npt.NDArray[np.float64]
FIGURES = (
    "p",
    "r",
    "specificity",
    "f",
    "auroc",
    "ap",
    "support",
    "positives",
    "tp",
    "fp",
    "fn",
    "tn",
)
NUM_SCORES = 6
"""The first figures are from 0 to 1, the others count documents."""
ALWAYS = ("p", "r", "f")
"""Figures that are 0.0 where they would not exist."""
MICRO, WEIGHTED, EXACT = "micro", "weighted", "exact_match"
COMPARED = ((MICRO, "f"), (MACRO, "f"), (MACRO, "ap"))
"""What is compared by default; the last one is the mean average precision."""


@dataclass(frozen=True)
class LabelTable:
    """Gold labels, decisions and scores of the same documents.

    Args:
        gold_NL: Which labels documents have. *Shape:* (documents, labels)
        decisions_NL: Which labels they were found to have. *Shape:* (documents, labels)
        scores_NL: Higher means more likely; None where there are none. *Shape:* (documents, labels)

    Raises:
        ValueError: The shapes differ, or a score is not finite.
    """

    gold_NL: npt.NDArray[np.bool_]
    decisions_NL: npt.NDArray[np.bool_]
    scores_NL: npt.NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        arrays = {"decisions": self.decisions_NL, "scores": self.scores_NL}
        for name, array in arrays.items():
            if array is not None and (array.shape != self.gold_NL.shape or array.ndim != 2):
                raise ValueError(
                    f"expected gold labels and {name} of one shape (documents, labels); got "
                    f"{self.gold_NL.shape} and {array.shape}"
                )
        if self.scores_NL is not None and not np.isfinite(self.scores_NL).all():
            doc, label = np.argwhere(~np.isfinite(self.scores_NL))[0].tolist()
            raise ValueError(
                f"scores are finite numbers; got another in document {doc} for label {label} "
                "(counted from 0)"
            )

    def counts(self) -> Array:
        """Return true and false positives, false and true negatives. *Shape:* (N, labels, 4)"""
        gold, found = self.gold_NL, self.decisions_NL
        counts = np.stack([gold & found, ~gold & found, gold & ~found, ~gold & ~found], axis=-1)
        return counts.astype(np.float64)

    def rankings(self) -> list[Ranking]:
        """Return a ranking of the documents for each label, then one of all pairs."""
        if self.scores_NL is None:
            return []
        num_docs, num_labels = self.gold_NL.shape
        of_labels = [Ranking(*pair) for pair in zip(self.scores_NL.T, self.gold_NL.T, strict=True)]
        columns = np.repeat(np.arange(num_docs), num_labels)
        return [*of_labels, Ranking(self.scores_NL.ravel(), self.gold_NL.ravel(), columns)]


def evaluate_labels(
    gold_NL: npt.ArrayLike,
    scores_NL: npt.ArrayLike | None,
    decisions_NL: npt.ArrayLike,
    labels: Sequence[str],
    *,
    groups: Sequence[Hashable] | None = None,
    ci: Mapping[str, Any] | Bootstrap | None = None,
) -> dict[str, Any]:
    """Compare decisions and scores with gold.

    Args:
        gold_NL: Which labels documents have. *Shape:* (documents, labels)
        scores_NL: Higher means more likely; with None there is no AUROC and no AP.
            *Shape:* (documents, labels)
        decisions_NL: Which labels they were found to have. *Shape:* (documents, labels)
        labels: Names of the labels.
        groups: The group of each document, e.g. the patient: groups are resampled, not documents.
        ci: Options of the bootstrap, as of `Bootstrap`; with None there are no intervals.

    Returns:
        `{label: {figure: value}, "micro": ..., "macro": ..., "weighted": ..., "exact_match": ...}`,
        and under `"ci"` the same with `[low, high]` for values.

    Raises:
        ValueError: Shapes, names or groups do not fit together, or an option is wrong.
    """
    bootstrap = Bootstrap.from_options(ci)
    table = _make_table(gold_NL, scores_NL, decisions_NL)
    _check_labels(labels, table.gold_NL.shape[1])
    rows = [*labels, MICRO, MACRO, WEIGHTED]
    figures_LF, exact = _observe(table)
    report: dict[str, Any] = {
        row: {name: _plain(name, value) for name, value in zip(FIGURES, values, strict=True)}
        for row, values in zip(rows, figures_LF.tolist(), strict=True)
    }
    report[EXACT] = exact
    if bootstrap is not None:
        units_N = _find_units(len(table.gold_NL), groups, bootstrap)
        figures_RLF, exact_R = _resample(table, units_N, bootstrap)
        low, high = intervals(exact_R, bootstrap.percentile)
        report["ci"] = _plain_intervals(figures_RLF, rows, bootstrap.percentile)
        report["ci"][EXACT] = [float(low), float(high)]
    return report


def compare_labels(
    gold_NL: npt.ArrayLike,
    system_a: tuple[npt.ArrayLike | None, npt.ArrayLike],
    system_b: tuple[npt.ArrayLike | None, npt.ArrayLike],
    labels: Sequence[str],
    *,
    groups: Sequence[Hashable] | None = None,
    ci: Mapping[str, Any] | Bootstrap | None = None,
    compared: Sequence[tuple[str, str]] = COMPARED,
) -> dict[str, dict[str, Any]]:
    """Test whether two systems differ, on the same resamples of the same documents.

    The test is that of `edspipe.metrics.paired_test`. Several figures are several tests: no p value
    is corrected for that.

    Args:
        gold_NL: Which labels documents have. *Shape:* (documents, labels)
        system_a: Scores (or None) and decisions of the first system.
        system_b: Those of the second.
        labels: Names of the labels.
        groups: The group of each document: groups are resampled, not documents.
        ci: Options of the bootstrap; by default 1000 resamples.
        compared: Pairs of a row (a label, `"micro"`, `"macro"`, `"weighted"`) and a figure.

    Returns:
        `{"micro": {"f": {"difference": a - b, "ci": [low, high], "p_value": ...}}, ...}`; None in
        place of the test where either system has no such figure.

    Raises:
        ValueError: Shapes, names or groups do not fit together, or an option is wrong.
    """
    bootstrap = Bootstrap.from_options(ci) or Bootstrap()
    tables = [_make_table(gold_NL, *system) for system in (system_a, system_b)]
    num_docs, num_labels = tables[0].gold_NL.shape
    _check_labels(labels, num_labels)
    cells = [_find_cell(row, figure, labels) for row, figure in compared]
    units_N = _find_units(num_docs, groups, bootstrap)
    observed = [_observe(table)[0] for table in tables]
    resampled = [_resample(table, units_N, bootstrap)[0] for table in tables]
    report: dict[str, dict[str, Any]] = {}
    for (row, figure), cell in zip(compared, cells, strict=True):
        a, b = (figures_LF[cell] for figures_LF in observed)
        resampled_a, resampled_b = (figures_RLF[:, *cell] for figures_RLF in resampled)
        exists = figure in ALWAYS or not np.isnan([a, b]).any()
        report.setdefault(row, {})[figure] = (
            compare_figures((a, b), (resampled_a, resampled_b), bootstrap.percentile)
            if exists
            else None
        )
    return report


def compute_figures(counts_LK: Array, areas_LA: Array) -> Array:
    """Return the figures of each label, then micro, macro and weighted.

    Args:
        counts_LK: tp, fp, fn, tn. *Shape:* (..., labels, 4)
        areas_LA: AUROC and AP of each label, then micro. *Shape:* (..., labels + 1, 2)

    Returns:
        The `FIGURES`; NaN where one does not exist, and for p, r and f of labels that do not occur.
        *Shape:* (..., labels + 3, 12)
    """
    total = counts_LK.sum(axis=-2, keepdims=True)
    tp, fp, fn, tn = np.moveaxis(np.concatenate([counts_LK, total], axis=-2), -1, 0)
    support, positives = tp + fn, tp + fp
    occurs = support + positives > 0
    scores = np.stack(
        [
            np.where(occurs, _ratio(tp, positives, 0.0), np.nan),
            np.where(occurs, _ratio(tp, support, 0.0), np.nan),
            _ratio(tn, tn + fp, np.nan),
            _ratio(2 * tp, support + positives, np.nan),
            areas_LA[..., 0],
            areas_LA[..., 1],
        ],
        axis=-1,
    )
    counts = np.stack([support, positives, tp, fp, fn, tn], axis=-1)
    of_labels, weights = scores[..., :-1, :], support[..., :-1, None]
    weights = np.where(occurs[..., :-1, None], weights, 0.0)
    means = [_mean(of_labels, occurs[..., :-1, None]), _mean(of_labels, weights)]
    whole = counts[..., -1:, :]
    return np.concatenate(
        [
            np.concatenate([scores, *means], axis=-2),
            np.concatenate([counts, whole, whole], axis=-2),
        ],
        axis=-1,
    )


def _ratio(part: Array, whole: Array, otherwise: float) -> Array:
    return np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0)


def _mean(scores: Array, weights: npt.NDArray[Any]) -> Array:
    """Return the weighted mean over labels of what is not NaN. *Shape:* (..., 1, scores)"""
    exists = ~np.isnan(scores)
    weights = np.where(exists, weights, 0.0)
    sums = (weights * np.where(exists, scores, 0.0)).sum(axis=-2, keepdims=True)
    return _ratio(sums, weights.sum(axis=-2, keepdims=True), np.nan)


def _make_table(
    gold_NL: npt.ArrayLike, scores_NL: npt.ArrayLike | None, decisions_NL: npt.ArrayLike
) -> LabelTable:
    scores = None if scores_NL is None else np.asarray(scores_NL, dtype=np.float64)
    return LabelTable(np.asarray(gold_NL, dtype=bool), np.asarray(decisions_NL, dtype=bool), scores)


def _check_labels(labels: Sequence[str], num_labels: int) -> None:
    if len(set(labels)) != num_labels or len(labels) != num_labels:
        raise ValueError(
            f"expected {num_labels} different labels, one for each column; got {len(labels)}, "
            f"{len(set(labels))} of them different"
        )
    for label in labels:
        if label in (MICRO, MACRO, WEIGHTED, EXACT, "ci"):
            raise ValueError(
                f"the label '{label}' has the name of another entry of the report; rename it"
            )


def _find_cell(row: str, figure: str, labels: Sequence[str]) -> tuple[int, int]:
    rows = [*labels, MICRO, MACRO, WEIGHTED]
    for name, known, what in ((row, rows, "label or mean"), (figure, FIGURES, "figure")):
        if name not in known:
            raise ValueError(
                f"there is no {what} '{name}' to compare; choose one of {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
    return rows.index(row), FIGURES.index(figure)


def _find_units(
    num_docs: int, groups: Sequence[Hashable] | None, bootstrap: Bootstrap
) -> npt.NDArray[np.intp]:
    """Return the unit of the bootstrap that each document belongs to. *Shape:* (documents,)"""
    if groups is None:
        if bootstrap.group_by is not None:
            raise ValueError("ci.group_by looks at Docs; for arrays, give groups instead")
        return np.arange(num_docs)
    if len(groups) != num_docs:
        raise ValueError(f"expected a group for each of {num_docs} documents; got {len(groups)}")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.intp)


def _observe(table: LabelTable) -> tuple[Array, float]:
    """Return the figures, and the exact matches."""
    num_docs, num_labels = table.gold_NL.shape
    ones = np.ones((1, num_docs))
    areas = _areas(table.rankings(), ones, num_labels)[0]
    right_N = (table.gold_NL == table.decisions_NL).all(axis=1)
    exact = float(right_N.mean()) if num_docs else 0.0
    return compute_figures(table.counts().sum(axis=0), areas), exact


def _resample(
    table: LabelTable, units_N: npt.NDArray[np.intp], bootstrap: Bootstrap
) -> tuple[Array, Array]:
    """Return the figures of each resample, and its exact matches.

    Returns:
        *Shape:* (resamples, labels + 3, 12) and (resamples,)
    """
    num_docs, num_labels = table.gold_NL.shape
    num_units = int(units_N.max(initial=-1)) + 1
    right_N = (table.gold_NL == table.decisions_NL).all(axis=1)
    columns = np.column_stack([table.counts().reshape(num_docs, 4 * num_labels), right_N])
    sums_UC = np.zeros((num_units, columns.shape[1] + 1))
    np.add.at(sums_UC, units_N, np.column_stack([columns, np.ones(num_docs)]))
    rankings, parts, exact = table.rankings(), [], []
    for weights_RU in draw_weights(num_units, bootstrap.n_iterations, bootstrap.seed):
        sums_RC = weights_RU @ sums_UC
        weights_RN = weights_RU if num_units == num_docs else weights_RU[:, units_N]
        areas = _areas(rankings, weights_RN, num_labels)
        counts_RLK = sums_RC[:, :-2].reshape(-1, num_labels, 4)
        parts.append(compute_figures(counts_RLK, areas))
        exact.append(sums_RC[:, -2] / sums_RC[:, -1])
    if not parts:
        return np.full((1, num_labels + 3, len(FIGURES)), np.nan), np.full(1, np.nan)
    return np.concatenate(parts), np.concatenate(exact)


def _areas(rankings: Sequence[Ranking], weights_RN: Array, num_labels: int) -> Array:
    """Return AUROC and AP of each label, then micro. *Shape:* (resamples, labels + 1, 2)"""
    if not rankings:
        return np.full((len(weights_RN), num_labels + 1, 2), np.nan)
    return np.stack([ranking.areas(weights_RN) for ranking in rankings], axis=1)


def _plain(name: str, value: float) -> float | int | None:
    if name in FIGURES[NUM_SCORES:]:
        return int(value)
    if np.isnan(value):
        return 0.0 if name in ALWAYS else None
    return value


def _plain_intervals(figures_RLF: Array, rows: Sequence[str], percentile: float) -> dict[str, Any]:
    """Return `[low, high]` of each figure, None where no resample has it."""
    ends = np.stack(intervals(figures_RLF, percentile), axis=-1).tolist()
    missing = np.asarray(np.isnan(figures_RLF).all(axis=0)).tolist()
    return {
        row: {
            name: None if absent and name not in ALWAYS else pair
            for name, pair, absent in zip(FIGURES, pairs, none, strict=True)
        }
        for row, pairs, none in zip(rows, ends, missing, strict=True)
    }
