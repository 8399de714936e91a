"""Stream.sample and Stream.train_dev_test_split: items kept by a hash."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from edspipe.errors import DataError
from edspipe.stream.shares import group_of, share_of
from edspipe.stream.stream import Stream


def records(count: int) -> list[dict[str, Any]]:
    return [{"note_id": f"n{i}", "note_text": f"t{i}", "person": i // 2} for i in range(count)]


def test_shares_are_uniform() -> None:
    shares = sorted(share_of("sample", 0, str(i)) for i in range(1000))
    assert max(abs(share - i / 1000) for i, share in enumerate(shares)) < 0.05
    assert 0 <= shares[0] < shares[-1] < 1


def test_shares_are_for_ever() -> None:
    assert share_of("split", 0, "group p1") == 0.11186521635525415


def test_a_sample_keeps_about_the_fraction() -> None:
    kept = list(Stream.from_items(records(2000)).sample(0.25))
    assert len(kept) / 2000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (1.0, 50)])
def test_none_or_all_may_be_kept(fraction: float, count: int) -> None:
    assert len(list(Stream.from_items(records(50)).sample(fraction))) == count


def test_items_that_are_not_kept_are_counted() -> None:
    report = Stream.from_items(records(100)).sample(0.5).execute()
    assert report["read"] == 100
    assert report["filtered"] == 100 - report["done"]
    assert 30 < report["done"] < 70


def test_the_order_of_items_does_not_matter() -> None:
    stream = Stream.from_items(records(100))
    kept = [r["note_id"] for r in stream.sample(0.3)]
    mixed = [r["note_id"] for r in stream.shuffle(seed=1).sample(0.3)]
    assert mixed != kept
    assert sorted(mixed) == sorted(kept)


def test_the_text_serves_where_there_is_no_id() -> None:
    texts = [f"text {i}" for i in range(100)]
    kept = set(Stream.from_items(texts).sample(0.3))
    assert set(Stream.from_items(texts[::-1]).sample(0.3)) == kept


def test_the_index_serves_where_there_is_no_text() -> None:
    kept = list(Stream.from_items(list(range(1000))).sample(0.3))
    assert len(kept) / 1000 == pytest.approx(0.3, abs=0.05)
    assert list(Stream.from_items(list(range(1000))).sample(0.3)) == kept


def test_each_epoch_keeps_the_same_items() -> None:
    stream = Stream.from_items(records(20)).sample(0.5).loop()
    count = len(list(Stream.from_items(records(20)).sample(0.5)))
    found = [r["note_id"] for r in itertools.islice(stream, 2 * count)]
    assert found[:count] == found[count:]


@pytest.mark.slow
def test_workers_keep_the_same_items() -> None:
    stream = Stream.from_items(records(30)).sample(0.5)
    assert list(stream.set_processing(num_cpu_workers=2)) == list(stream)


# Splits


def test_the_sides_part_the_items_by_group() -> None:
    parts = Stream.from_items(records(400)).train_dev_test_split(group_by="person")
    found = [list(part) for part in parts]
    assert sorted(r["note_id"] for part in found for r in part) == sorted(
        r["note_id"] for r in records(400)
    )
    groups = [{r["person"] for r in part} for part in found]
    assert sum(map(len, groups)) == 200
    assert [len(g) / 200 for g in groups] == pytest.approx([0.8, 0.1, 0.1], abs=0.06)


def test_nothing_is_read_before_a_side_is_iterated() -> None:
    def source() -> Any:
        raise AssertionError("read too early")

    Stream.from_items(source).train_dev_test_split()


def test_a_generator_cannot_be_parted() -> None:
    with pytest.raises(TypeError, match="each side of a split reads the source anew, and a gene"):
        Stream.from_items(iter(records(3))).train_dev_test_split()


def test_an_item_without_a_group_is_an_error_that_names_it() -> None:
    train, _, _ = Stream.from_items(records(3)).train_dev_test_split()
    with pytest.raises(
        DataError, match=r"n0: no group: doc\._\.patient_id is empty; give it a val"
    ):
        list(train)


def test_an_item_without_a_group_may_be_its_own() -> None:
    parts = Stream.from_items(records(100)).train_dev_test_split(missing="own")
    assert sum(len(list(part)) for part in parts) == 100


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="missing is one of 'error', 'own', got 'drop'"):
        Stream.from_items([]).train_dev_test_split(missing="drop")


@pytest.mark.parametrize(
    ("value", "group"),
    [
        (7, "7"),
        (7.0, "7"),
        ("7", "7"),
        (7.5, "7.5"),
        (None, None),
        (float("nan"), None),
        (" ", None),
    ],
)
def test_groups_are_the_same_however_numbers_are_written(value: Any, group: str | None) -> None:
    assert group_of({"p": value}, "p") == group


def test_numbers_of_other_libraries_are_groups() -> None:
    np = pytest.importorskip("numpy")
    assert group_of({"p": np.int64(7)}, "p") == "7"
    pd = pytest.importorskip("pandas")
    assert group_of({"p": pd.NA}, "p") is None
    assert group_of({"p": pd.NaT}, "p") is None
