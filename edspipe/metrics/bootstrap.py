"""From counts to precision, recall and F1, and how sure these figures are.

Every metric here counts, for each document and label, true positives (`tp`), gold items
(`support`) and predicted items (`positives`), and all figures follow from sums of these counts:

- `p = tp / positives`, `r = tp / support`, `f = 2 tp / (support + positives)`;
- a division by zero gives 0.0, as in seqeval and scikit-learn: a label that is predicted and never
  gold has p = r = f = 0, and so has one that is gold and never predicted. A corpus with neither
  gold nor predictions scores 0.0, not 1.0, so that a wrong span getter cannot look perfect;
- `micro` takes the sums over all labels. `macro` is the plain mean of p, of r and of f over the
  labels that occur in gold or predictions; its counts are the sums.

Intervals come from the percentile bootstrap (Efron and Tibshirani, *An Introduction to the
Bootstrap*, 1993): documents, or groups of them such as patients, are drawn with replacement. As
figures follow from sums, a resample is a row of weights, and all resamples are one matrix product.
A label that does not occur in a resample has no figures there, and the resample is left out of its
interval.

Letters in names of arrays: U units (documents or groups), R resamples, L labels (in figures: and
micro, macro), C the three counts, F the six figures.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc

from edspipe.errors import did_you_mean

FIGURES = ("p", "r", "f", "tp", "support", "positives")
MACRO = "macro"
MAX_WEIGHTS = 4_000_000
"""Weights held at a time, 32 MB: a product over more than that is done in slices of resamples."""

Counts = dict[str, tuple[int, int, int]]
"""(true positives, support, positives) of each label that occurs in one document."""
Array = npt.NDArray[np.float64]
GroupBy = str | Callable[[Doc], Hashable] | None


@dataclass(frozen=True)
class Bootstrap:
    """How to resample.

    Args:
        n_iterations: Number of resamples.
        percentile: Lower end of the intervals; 2.5 gives intervals of 95%.
        seed: Seed of the draws: the same seed draws the same documents.
        group_by: Draw groups, not documents: the name of an attribute `doc._.<name>` of the gold
            documents (e.g. the patient), or a callable that gives the group of a Doc.

    Raises:
        ValueError: A number is out of its range.
    """

    n_iterations: int = 1000
    percentile: float = 2.5
    seed: int = 0
    group_by: GroupBy = None

    def __post_init__(self) -> None:
        if self.n_iterations < 1:
            raise ValueError(f"ci.n_iterations must be at least 1; got {self.n_iterations}")
        if not 0 <= self.percentile < 50:
            raise ValueError(f"ci.percentile must be from 0 to below 50; got {self.percentile}")

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | Bootstrap | None) -> Bootstrap | None:
        """Read the `ci` argument of a metric.

        Raises:
            TypeError: The options are no dict.
            ValueError: An option does not exist, or is out of its range.
        """
        if options is None or isinstance(options, Bootstrap):
            return options
        if not isinstance(options, Mapping):
            raise TypeError(
                f"ci takes None or a dict of options ({{}} for the defaults); got {options!r}"
            )
        known = {option.name for option in fields(cls)}
        for name in options:
            if name not in known:
                raise ValueError(
                    f"ci has no option '{name}'; it takes {', '.join(sorted(known))}."
                    f"{did_you_mean(name, known)}"
                )
        return cls(**options)


@dataclass
class CountTable:
    """The counts of one system: summed over the documents of each unit, and by label."""

    units: dict[Hashable, dict[str, list[int]]] = field(default_factory=dict)

    def add(self, unit: Hashable, counts: Counts) -> None:
        """Add the counts of one document; a unit without any counts exists all the same."""
        sums = self.units.setdefault(unit, {})
        for label, values in counts.items():
            row = sums.setdefault(label, [0, 0, 0])
            for column, value in enumerate(values):
                row[column] += value

    def labels(self) -> list[str]:
        """Return the labels that occur, sorted."""
        return sorted({label for sums in self.units.values() for label in sums})

    def to_array(self, labels: list[str]) -> Array:
        """Return the counts. *Shape:* (units, labels, 3)"""
        counts_ULC = np.zeros((len(self.units), len(labels), 3))
        rows = {label: row for row, label in enumerate(labels)}
        for unit, sums in enumerate(self.units.values()):
            for label, values in sums.items():
                counts_ULC[unit, rows[label]] = values
        return counts_ULC


class CountingMetric(Protocol):
    """What `paired_test` needs of a metric."""

    micro_key: str
    ci: Bootstrap | None

    def count_tables(
        self, gold_docs: Iterable[Doc], *systems: Iterable[Doc], ci: Bootstrap | None
    ) -> list[CountTable]:
        """Return a table of counts for each system, over the same units."""


def bootstrap_counts(counts: npt.ArrayLike, n_iterations: int = 1000, seed: int = 0) -> Array:
    """Draw as many units as there are, with replacement, and sum their counts, many times.

    Resample number i holds the units of row i of
    `numpy.random.default_rng(seed).integers(0, units, size=(n_iterations, units))`.

    Args:
        counts: Any counts of each unit. *Shape:* (units, ...)
        n_iterations: Number of resamples.
        seed: Seed of the draws.

    Returns:
        The sums of each resample. *Shape:* (n_iterations, ...)
    """
    counts = np.asarray(counts, dtype=np.float64)
    num_units, shape = len(counts), counts.shape[1:]
    sums = np.zeros((n_iterations, int(np.prod(shape))))
    first = 0
    for weights_RU in draw_weights(num_units, n_iterations, seed):
        last = first + len(weights_RU)
        sums[first:last] = weights_RU @ counts.reshape(num_units, -1)
        first = last
    return sums.reshape(n_iterations, *shape)


def draw_weights(num_units: int, n_iterations: int = 1000, seed: int = 0) -> Iterator[Array]:
    """Yield how often each unit is drawn, in slices of resamples of `MAX_WEIGHTS` at most.

    Args:
        num_units: Number of units; where there are none, there is nothing to draw.
        n_iterations: Number of resamples.
        seed: Seed of the draws, which `bootstrap_counts` describes.

    Yields:
        Weights of some more resamples. *Shape:* (resamples, units)
    """
    if num_units == 0:
        return
    rng = np.random.default_rng(seed)
    step = max(1, MAX_WEIGHTS // num_units)
    for first in range(0, n_iterations, step):
        num_rows = min(step, n_iterations - first)
        draws = rng.integers(0, num_units, size=(num_rows, num_units))
        draws += np.arange(num_rows)[:, None] * num_units
        weights = np.bincount(draws.ravel(), minlength=num_rows * num_units)
        yield weights.reshape(num_rows, num_units).astype(np.float64)


def compute_figures(counts_LC: Array) -> Array:
    """Return the figures of each label, then micro, then macro.

    Args:
        counts_LC: True positives, support, positives. *Shape:* (..., labels, 3)

    Returns:
        p, r, f, tp, support, positives; the first three are NaN for a label that does not occur,
        and for micro and macro where none does. *Shape:* (..., labels + 2, 6)
    """
    total = counts_LC.sum(axis=-2, keepdims=True)
    counts = np.concatenate([counts_LC, total, total], axis=-2)
    tp, support, positives = np.moveaxis(counts, -1, 0)
    scores = np.stack(
        [_ratio(tp, positives), _ratio(tp, support), _ratio(2 * tp, support + positives)], axis=-1
    )
    occurs = support + positives > 0
    scores_L, occurs_L = scores[..., :-2, :], occurs[..., :-2, None]
    scores[..., -1, :] = _ratio(
        np.where(occurs_L, scores_L, 0.0).sum(axis=-2), occurs_L.sum(axis=-2)
    )
    scores[~occurs] = np.nan
    return np.concatenate([scores, counts], axis=-1)


def _ratio(part: Array, whole: npt.NDArray[Any]) -> Array:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def intervals(figures: Array, percentile: float) -> tuple[Array, Array]:
    """Return the lower and upper percentile over resamples, without those that are NaN.

    Args:
        figures: *Shape:* (resamples, ...)
        percentile: The lower one; the upper is 100 less it.

    Returns:
        Lower and upper ends; 0.0 where every resample is NaN. *Shape:* (...) each
    """
    flat = figures.reshape(len(figures), -1)
    undefined = np.isnan(flat)
    ends = np.zeros((2, flat.shape[1]))
    whole = ~undefined.any(axis=0)
    bounds = [percentile, 100 - percentile]
    if whole.any():
        ends[:, whole] = np.percentile(flat[:, whole], bounds, axis=0)
    for column in np.flatnonzero(~whole & ~undefined.all(axis=0)):
        ends[:, column] = np.percentile(flat[~undefined[:, column], column], bounds)
    low, high = ends.reshape(2, *figures.shape[1:])
    return low, high


def make_report(table: CountTable, micro_key: str, ci: Bootstrap | None) -> dict[str, Any]:
    """Return the figures as plain dicts: `{label: {figure: value}}`, micro, macro, and `"ci"`.

    Args:
        table: The counts.
        micro_key: Name of the micro entry.
        ci: How to resample; with None there are no intervals.

    Raises:
        ValueError: A label has the name of another entry of the report.
    """
    labels = table.labels()
    rows = [*labels, micro_key, MACRO]
    for label in labels:
        if label in (micro_key, MACRO) or (label == "ci" and ci is not None):
            raise ValueError(
                f"the label '{label}' has the name of another entry of the report; choose another "
                "micro_key, or leave the label out with filter"
            )
    counts_ULC = table.to_array(labels)
    figures_LF = np.nan_to_num(compute_figures(counts_ULC.sum(axis=0)))
    report: dict[str, Any] = {
        row: {name: _plain(name, value) for name, value in zip(FIGURES, values, strict=True)}
        for row, values in zip(rows, figures_LF.tolist(), strict=True)
    }
    if ci is not None:
        sums_RLC = bootstrap_counts(counts_ULC, ci.n_iterations, ci.seed)
        ends = np.stack(intervals(compute_figures(sums_RLC), ci.percentile), axis=-1)
        report["ci"] = {
            row: dict(zip(FIGURES, values, strict=True))
            for row, values in zip(rows, ends.tolist(), strict=True)
        }
    return report


def _plain(name: str, value: float) -> float | int:
    return value if name in ("p", "r", "f") else int(value)


def paired_test(
    metric: CountingMetric,
    gold: Iterable[Doc],
    pred_a: Iterable[Doc],
    pred_b: Iterable[Doc],
    *,
    figure: str = "f",
    key: str | None = None,
    ci: Mapping[str, Any] | Bootstrap | None = None,
) -> dict[str, Any]:
    """Compare two systems on the same resamples of the same gold documents.

    The test is two-sided: `p_value` is the share of resamples whose difference lies at least as
    far from the difference observed as that lies from zero (Berg-Kirkpatrick, Burkett and Klein,
    *An Empirical Investigation of Statistical Significance in NLP*, 2012), where the observation
    counts as one resample more, so that it is never 0.

    Args:
        metric: The metric.
        gold: Gold documents.
        pred_a: Predictions of the first system.
        pred_b: Predictions of the second system.
        figure: The figure to compare, e.g. `"f"`.
        key: The label, or `"macro"`; by default, the micro entry.
        ci: How to resample; by default, as the metric does, and if it does not, 1000 times.

    Returns:
        `{"difference": a - b, "ci": [low, high], "p_value": ...}`

    Raises:
        ValueError: There is no such figure or label, or the documents do not fit together.
    """
    if figure not in FIGURES:
        raise ValueError(f"there is no figure '{figure}'; choose one of {', '.join(FIGURES)}")
    bootstrap = Bootstrap.from_options(ci) or metric.ci or Bootstrap()
    tables = metric.count_tables(gold, pred_a, pred_b, ci=bootstrap)
    labels = sorted({label for table in tables for label in table.labels()})
    rows = [*labels, metric.micro_key, MACRO]
    row = metric.micro_key if key is None else key
    if row not in rows:
        raise ValueError(
            f"neither gold nor predictions have the label '{row}'.{did_you_mean(row, rows)}"
        )
    cell = (..., rows.index(row), FIGURES.index(figure))
    counts_ULC = [table.to_array(labels) for table in tables]
    observed = [compute_figures(counts.sum(axis=0))[cell] for counts in counts_ULC]
    resampled = [
        compute_figures(bootstrap_counts(counts, bootstrap.n_iterations, bootstrap.seed))[cell]
        for counts in counts_ULC
    ]
    return compare_figures(
        (observed[0], observed[1]), (resampled[0], resampled[1]), bootstrap.percentile
    )


def compare_figures(
    observed: tuple[Array, Array], resampled: tuple[Array, Array], percentile: float
) -> dict[str, Any]:
    """Return the difference of one figure of two systems, its interval and p value.

    Args:
        observed: The figure of either system; NaN where it does not exist. *Shape:* () each
        resampled: The figure on the same resamples. *Shape:* (resamples,) each
        percentile: Lower end of the interval.

    Returns:
        As of `paired_test`.
    """
    difference = float(np.nan_to_num(_difference(*observed)))
    differences = _difference(*resampled)
    low, high = intervals(differences, percentile)
    return {
        "difference": difference,
        "ci": [float(low), float(high)],
        "p_value": _p_value(difference, differences[~np.isnan(differences)]),
    }


def _difference(a: Array, b: Array) -> Array:
    """Return a - b, where a figure that does not exist in one system only is 0."""
    both = np.isnan(a) & np.isnan(b)
    return np.where(both, np.nan, np.nan_to_num(a) - np.nan_to_num(b))


def _p_value(observed: float, resampled: Array) -> float:
    tolerance = 1e-12  # differences of equal figures may differ in the last bit
    extreme = np.abs(resampled - observed) >= abs(observed) - tolerance
    return float((extreme.sum() + 1) / (len(resampled) + 1))
