"""Groups parted so that each side gets its share of every label."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edspipe.corpus.stratify import TOLERANCE, stratify

RATIOS = np.array([0.8, 0.1, 0.1])


def shares(counts: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the share of each label on each side, counted naively."""
    totals = np.maximum(1, counts.sum(0))
    return np.array([counts[sides == side].sum(0) / totals for side in range(3)])


def worst(counts: np.ndarray, sides: np.ndarray, ratios: np.ndarray) -> float:
    return float(np.abs(shares(counts, sides) - ratios[:, None]).max())


def made_up(rng: np.random.Generator, num_groups: int, num_labels: int, most: int) -> np.ndarray:
    """Return counts of labels and of documents, by group."""
    labels = rng.integers(0, most, (num_groups, num_labels))
    return np.c_[labels, rng.integers(1, 4, num_groups)]


def brute_force(counts: np.ndarray, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all ways to part groups, and how far the worst share of each is off.

    The unit is 2%, or half an occurrence of a label that is rarer than that.
    """
    used = np.flatnonzero(ratios)
    ways = np.array(list(itertools.product(used, repeat=len(counts))))
    totals = np.maximum(1, counts.sum(0))
    found = np.stack([(ways == side).astype(int) @ counts for side in used], axis=1) / totals
    off = np.abs(found - ratios[used, None]) / np.maximum(TOLERANCE, 0.5 / totals)
    return ways, off[:, :, counts.sum(0) > 0].max((1, 2))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ratios", [(0.5, 0.25, 0.25), (0.6, 0.4, 0.0), (0.8, 0.1, 0.1)])
def test_tiny_corpora_are_parted_about_as_well_as_by_brute_force(
    seed: int, ratios: tuple[float, ...]
) -> None:
    rng, wanted = np.random.default_rng(seed), np.array(ratios)
    counts = made_up(rng, 7, 1 + seed % 3, 3 + seed % 7)
    ways, off = brute_force(counts, wanted)
    found = float(off[(ways == stratify(counts, wanted)).all(1)][0])
    assert found <= (1 + 1e-9 if off.min() <= 1 else 1.6 * off.min())


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_frequent_labels_are_within_two_per_cent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((200, 12)) < rng.uniform(0.1, 0.6, 12)
    counts = np.c_[present * rng.integers(1, 9, (200, 12)), rng.integers(1, 5, 200)]
    assert worst(counts, stratify(counts, RATIOS, seed), RATIOS) <= TOLERANCE


def test_a_rare_label_is_as_near_as_whole_groups_allow() -> None:
    counts = np.zeros((50, 2), dtype=np.int64)
    counts[:10, 0] = 1
    counts[:, 1] = 1
    found = shares(counts, stratify(counts, RATIOS))
    assert found[:, 0].tolist() == [0.8, 0.1, 0.1]


def test_labels_that_stand_together_are_parted_together() -> None:
    """Two labels that only stand together are no harder than one."""
    one = np.repeat([1, 0], [20, 80])
    counts = np.c_[one, one, np.ones(100, dtype=np.int64)]
    assert worst(counts, stratify(counts, RATIOS), RATIOS) == pytest.approx(0)


@pytest.mark.parametrize("ratios", [(1.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.9, 0.0, 0.1)])
def test_a_side_of_ratio_nought_gets_nothing(ratios: tuple[float, ...]) -> None:
    counts = made_up(np.random.default_rng(0), 30, 3, 4)
    sides = stratify(counts, np.array(ratios))
    assert {side for side, ratio in enumerate(ratios) if ratio} == set(sides.tolist())


def test_groups_without_labels_are_parted_by_their_documents() -> None:
    counts = np.c_[np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64)]
    assert np.bincount(stratify(counts, RATIOS)).tolist() == [32, 4, 4]


def test_the_same_seed_gives_the_same_sides() -> None:
    counts = made_up(np.random.default_rng(0), 60, 4, 5)
    assert (stratify(counts, RATIOS, 3) == stratify(counts, RATIOS, 3)).all()
    assert (stratify(counts, RATIOS, 3) != stratify(counts, RATIOS, 4)).any()


def test_many_groups_of_very_unlike_sizes_are_parted_well() -> None:
    """More groups on a side than are looked at for an exchange."""
    rng = np.random.default_rng(0)
    sizes = np.maximum(1, rng.lognormal(1, 1, 1500).astype(np.int64))
    counts = np.c_[sizes[:, None] * (rng.random((1500, 5)) < 0.2), sizes]
    assert worst(counts, stratify(counts, RATIOS), RATIOS) <= TOLERANCE
