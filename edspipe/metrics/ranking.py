"""How well scores rank: the areas under two curves, for many weightings of the items at once.

- The area under the ROC curve (AUROC) is the chance that an item that has the label scores higher
  than one that has not; equal scores count one half (Hanley and McNeil, *The meaning and use of the
  area under a receiver operating characteristic curve*, 1982).
- Average precision (AP) is the sum over thresholds of precision times the gain in recall, without
  interpolation, as in scikit-learn; items with equal scores come in together.

A resample is a row of weights. Items are sorted once, and all resamples are sums along that order.

Letters in names of arrays: R resamples, N items, P items with the label, T groups of items with the
same score, one of which has the label.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
MAX_ITEMS = 100_000
"""Weights looked at together: 0.8 MB, so that they and their sums fit into a cache."""


class Ranking:
    """Items in the order of their scores.

    Args:
        scores: Higher means more likely to have the label. *Shape:* (items,)
        gold: Whether each item has the label. *Shape:* (items,)
        columns: Which column of the weights each item has; by default, its own. *Shape:* (items,)
    """

    def __init__(
        self,
        scores: npt.NDArray[np.floating],
        gold: npt.NDArray[np.bool_],
        columns: npt.NDArray[np.intp] | None = None,
    ) -> None:
        order_N = np.argsort(-scores, kind="stable")
        sorted_N, gold_N = scores[order_N], np.asarray(gold, dtype=bool)[order_N]
        self.columns_N = order_N if columns is None else columns[order_N]
        self.gold_columns_P = self.columns_N[gold_N]
        # Only groups that hold items with the label add to either area.
        starts = np.flatnonzero(np.append(len(scores) > 0, sorted_N[1:] != sorted_N[:-1]))
        group_P = np.searchsorted(starts, np.flatnonzero(gold_N), side="right") - 1
        group_T, self.firsts_T = np.unique(group_P, return_index=True)
        self.starts_T = starts[group_T]
        self.stops_T = np.append(starts[1:], len(scores))[group_T]

    def areas(self, weights_RN: Array) -> Array:
        """Return AUROC and AP under each row of weights.

        Args:
            weights_RN: Weights, none below 0. *Shape:* (resamples, columns)

        Returns:
            AUROC, NaN where items with or without the label have no weight; AP, NaN where items
            with the label have none. *Shape:* (resamples, 2)
        """
        areas = np.full((len(weights_RN), 2), np.nan)
        if len(self.starts_T) == 0:
            return areas
        step = max(1, MAX_ITEMS // len(self.columns_N))
        for first in range(0, len(weights_RN), step):
            rows = slice(first, first + step)
            areas[rows] = self._areas(weights_RN[rows])
        return areas

    def _areas(self, weights_RN: Array) -> Array:
        found_RN = np.zeros((len(weights_RN), len(self.columns_N) + 1))
        np.cumsum(weights_RN[:, self.columns_N], axis=1, out=found_RN[:, 1:])
        before_RT, after_RT = found_RN[:, self.starts_T], found_RN[:, self.stops_T]
        gains_RT = weights_RN[:, self.gold_columns_P]
        if len(self.firsts_T) < gains_RT.shape[1]:
            gains_RT = np.add.reduceat(gains_RT, self.firsts_T, axis=1)
        tp_RT = np.cumsum(gains_RT, axis=1)
        positives_R = tp_RT[:, -1].copy()
        negatives_R = found_RN[:, -1] - positives_R
        # A positive is ahead of the negatives after its group, and half ahead of those in it.
        before_RT += after_RT + gains_RT - 2 * tp_RT
        lost_R = np.einsum("rt,rt->r", gains_RT, before_RT) / 2
        np.divide(tp_RT, after_RT, out=tp_RT, where=after_RT > 0)
        precise_R = np.einsum("rt,rt->r", gains_RT, tp_RT)
        pairs_R = positives_R * negatives_R
        return np.stack(
            [_divide(pairs_R - lost_R, pairs_R), _divide(precise_R, positives_R)], axis=-1
        )


def _divide(part_R: Array, whole_R: Array) -> Array:
    return np.divide(part_R, whole_R, out=np.full(part_R.shape, np.nan), where=whole_R > 0)
