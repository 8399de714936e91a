"""Groups parted so that each side gets its share of every label.

First the greedy pass of Sechidis, Tsoumakas and Vlahavas (2011), "On the stratification of
multi-label data": the rarest label first, its groups one after the other to the side that lacks it
most. A group may hold a label many times (a patient's spans), which the paper does not know, so
that the last large group may overshoot; then groups are moved, and exchanged in pairs, as long as
that brings the shares nearer to the ratios.

Letters in names of arrays: G groups, S sides, L columns (labels, and documents as the last one).
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.02
"""A share is near enough to its ratio within this."""
NEAR = 0.05
"""Of the tolerance: the search ends where all shares are that near."""
MAX_MOVES = 5000
MAX_STARTS = 24
"""The greedy pass, then sides by chance, are improved, and the best is taken."""
START_GROUPS = 2400
"""Starts times groups: from 100 groups on there are fewer starts, above 1200 one."""
PAIRED_GROUPS = 600
"""Groups that are looked at for an exchange, from each of two sides."""
EPSILON = 1e-9


def stratify(counts_GL: np.ndarray, ratios_S: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the side of each group.

    Args:
        counts_GL: How often each group has each label; the last column is its documents.
        ratios_S: The shares wanted; they add up to 1. A side of ratio 0 gets nothing.
        seed: Chooses among equals.

    Returns:
        The sides, from 0. *Shape* `(groups,)`.
    """
    wanted = np.flatnonzero(ratios_S)
    ratios_S = ratios_S / ratios_S.sum()
    problem = _Problem(counts_GL, ratios_S[wanted])
    rng = np.random.default_rng(seed)
    best_loss, best = (np.inf, np.inf), np.zeros(len(counts_GL), dtype=np.int64)
    for number in range(_num_starts(len(counts_GL))):
        by_chance = rng.choice(len(wanted), len(counts_GL), p=problem.ratios_S)
        sides = by_chance if number else _greedy(problem, rng)
        loss = problem.improve(sides, rng)
        if loss < best_loss:
            best_loss, best = loss, sides
        if loss[0] < NEAR:
            break
    return wanted[best]


def _num_starts(num_groups: int) -> int:
    return int(np.clip(START_GROUPS // max(1, num_groups), 1, MAX_STARTS))


class _Problem:
    """Shares of labels by group, and what a deviation from the ratios costs.

    The cost is the sum of squared deviations, each in units of what counts as near: the tolerance,
    or half an occurrence of a label so rare that it cannot be nearer.
    """

    def __init__(self, counts_GL: np.ndarray, ratios_S: np.ndarray) -> None:
        totals_L = counts_GL.sum(0)
        present = totals_L > 0
        present[-1] = True
        self.counts_GL = counts_GL[:, present].astype(np.float64)
        self.totals_L = np.maximum(1, totals_L[present]).astype(np.float64)
        self.ratios_S = ratios_S
        self.near_L = np.maximum(TOLERANCE, 0.5 / self.totals_L)
        self.scaled_GL = self.counts_GL / self.totals_L / self.near_L
        self.squares_G = (self.scaled_GL**2).sum(1)

    def deviations(self, sides_G: np.ndarray) -> np.ndarray:
        """Return share less ratio, in units of what is near. *Shape* `(sides, columns)`."""
        shares_SL = np.zeros((len(self.ratios_S), self.scaled_GL.shape[1]))
        np.add.at(shares_SL, sides_G, self.scaled_GL)
        return shares_SL - self.ratios_S[:, None] / self.near_L

    def improve(self, sides_G: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        """Move and exchange groups, in place, until that helps no more.

        Returns:
            The worst deviation, and the cost: both are small where the split is good.
        """
        off_SL = self.deviations(sides_G)
        for _ in range(MAX_MOVES):
            if np.abs(off_SL).max() < NEAR:
                break
            if not (self._move(sides_G, off_SL) or self._exchange(sides_G, off_SL, rng)):
                break
        off_SL = self.deviations(sides_G)  # anew, without the rounding of many moves
        return round(float(np.abs(off_SL).max()), 6), float((off_SL**2).sum())

    def _move(self, sides_G: np.ndarray, off_SL: np.ndarray) -> bool:
        """Move the group for which it helps most; say whether there was one."""
        gains_GS = self.scaled_GL @ off_SL.T
        here_G = np.take_along_axis(gains_GS, sides_G[:, None], axis=1)
        delta_GS = gains_GS - here_G + self.squares_G[:, None]
        np.put_along_axis(delta_GS, sides_G[:, None], 0.0, axis=1)
        group, side = np.unravel_index(np.argmin(delta_GS), delta_GS.shape)
        if delta_GS[group, side] >= -EPSILON:
            return False
        self._put(sides_G, off_SL, int(group), int(side))
        return True

    def _exchange(self, sides_G: np.ndarray, off_SL: np.ndarray, rng: np.random.Generator) -> bool:
        """Exchange the two groups of different sides for which it helps most."""
        best: tuple[float, int, int] = (-EPSILON, -1, -1)
        members = [_some(np.flatnonzero(sides_G == side), rng) for side in range(len(off_SL))]
        for a, ones in enumerate(members):
            for b, others in enumerate(members[:a]):
                if len(ones) and len(others):
                    best = min(best, self._best_pair(ones, others, off_SL[b] - off_SL[a]))
        _, one, other = best
        if one < 0:
            return False
        side, other_side = int(sides_G[one]), int(sides_G[other])
        self._put(sides_G, off_SL, one, other_side)
        self._put(sides_G, off_SL, other, side)
        return True

    def _best_pair(
        self, ones: np.ndarray, others: np.ndarray, slope_L: np.ndarray
    ) -> tuple[float, int, int]:
        left, right = self.scaled_GL[ones], self.scaled_GL[others]
        delta = (left @ slope_L + self.squares_G[ones])[:, None]
        delta = delta + (self.squares_G[others] - right @ slope_L) - 2 * left @ right.T
        i, j = np.unravel_index(np.argmin(delta), delta.shape)
        return float(delta[i, j]), int(ones[i]), int(others[j])

    def _put(self, sides_G: np.ndarray, off_SL: np.ndarray, group: int, side: int) -> None:
        off_SL[sides_G[group]] -= self.scaled_GL[group]
        off_SL[side] += self.scaled_GL[group]
        sides_G[group] = side


def _some(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the groups, or some of very many."""
    if len(groups) <= PAIRED_GROUPS:
        return groups
    return rng.choice(groups, PAIRED_GROUPS, replace=False)


def _greedy(problem: _Problem, rng: np.random.Generator) -> np.ndarray:
    """Give each group a side: the pass of the paper."""
    counts_GL = problem.counts_GL
    order = rng.permutation(len(counts_GL))
    left = np.ones(len(counts_GL), dtype=bool)
    lacking_SL = problem.ratios_S[:, None] * problem.totals_L
    sides_G = np.zeros(len(counts_GL), dtype=np.int64)
    while left.any():
        column = _rarest(counts_GL[left])
        groups = order[left[order] & (counts_GL[order, column] > 0)]
        for group in groups[np.argsort(-counts_GL[groups, column], kind="stable")]:
            side = np.lexsort((-lacking_SL[:, -1], -lacking_SL[:, column]))[0]
            lacking_SL[side] -= counts_GL[group]
            sides_G[group] = side
        left[groups] = False
    return sides_G


def _rarest(counts_GL: np.ndarray) -> int:
    """Return the label that the fewest groups have; documents where no label is left."""
    num_groups_L = (counts_GL[:, :-1] > 0).sum(0)
    num_groups_L = np.where(num_groups_L > 0, num_groups_L, len(counts_GL) + 1)
    is_left = len(num_groups_L) and num_groups_L.min() <= len(counts_GL)
    return int(np.argmin(num_groups_L)) if is_left else counts_GL.shape[1] - 1
