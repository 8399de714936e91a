"""Corpus: three sides, sampled, counted, described."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_docs import ids, make_doc, of_patients

from edspipe import Corpus, Stream, train_dev_test_split
from edspipe.errors import DataError


@pytest.fixture
def corpus() -> Corpus:
    docs = of_patients([1] * 6, [["A"], ["A", "B"], ["A"], ["C"], ["B"], ["A"]])
    return Corpus(docs[:3], docs[3:5], docs[5:])


def test_it_says_how_many_documents_it_has(corpus: Corpus) -> None:
    assert str(corpus) == "3 train + 2 dev + 1 test documents"
    assert repr(corpus) == "Corpus(3 train + 2 dev + 1 test documents)"


def test_it_is_taken_apart(corpus: Corpus) -> None:
    train, dev, test = corpus
    assert (train, dev, test) == (corpus.train, corpus.dev, corpus.test)


def test_sides_may_be_streams_or_missing() -> None:
    corpus = Corpus(Stream.from_items(of_patients([2])))
    assert str(corpus) == "2 train + 0 dev + 0 test documents"


# Samples


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_a_sample_is_a_subset_of_about_that_share(fraction: float) -> None:
    whole = train_dev_test_split(of_patients([1] * 2000), (0.5, 0.25, 0.25))
    part = whole.sample(fraction)
    for name, docs in part.sides.items():
        full = whole.sides[name]
        assert set(ids(docs)) <= set(ids(full))
        assert len(docs) / len(full) == pytest.approx(fraction, abs=0.04)


def test_a_sample_of_documents_parted_by_themselves_is_no_side() -> None:
    """The hash that chooses a side is not the one that chooses a sample."""
    whole = train_dev_test_split(of_patients([1] * 2000), group_by=None)
    assert len(whole.sample(0.5).test) / len(whole.test) == pytest.approx(0.5, abs=0.12)


def test_a_sample_is_stable_and_larger_ones_hold_it(corpus: Corpus) -> None:
    whole = Corpus(of_patients([1] * 100))
    part = whole.sample(0.3, seed=1)
    assert ids(Corpus(whole.train[::-1]).sample(0.3, seed=1).train)[::-1] == ids(part.train)
    assert set(ids(part.train)) < set(ids(whole.sample(0.6, seed=1).train))
    assert ids(whole.sample(0.3, seed=2).train) != ids(part.train)


def test_a_stream_samples_the_same_documents() -> None:
    docs = of_patients([1] * 100)
    assert ids(Stream.from_items(docs).sample(0.3, seed=4)) == ids(
        Corpus(docs).sample(0.3, 4).train
    )


def test_only_some_sides_may_be_sampled(corpus: Corpus) -> None:
    part = corpus.sample(0, sides=["train"])
    assert str(part) == "0 train + 2 dev + 1 test documents"


@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_a_fraction_out_of_range_is_refused(fraction: float, corpus: Corpus) -> None:
    with pytest.raises(ValueError, match="fraction is a number from 0 to 1, got"):
        corpus.sample(fraction)
    with pytest.raises(ValueError, match="fraction is a number from 0 to 1, got"):
        Stream.from_items([]).sample(fraction)


# Labels


def test_labels_are_those_to_train_on(corpus: Corpus, log: list[str]) -> None:
    vocab = corpus.make_label_vocab("ents")
    assert vocab.counts == {"A": 3, "B": 1}
    assert log == ["WARNING labels that train does not have: C (1 times)"]


def test_labels_of_all_sides_may_be_counted(corpus: Corpus, log: list[str]) -> None:
    vocab = corpus.make_label_vocab("ents", sides=["train", "dev", "test"], min_count=2)
    assert vocab.labels == ["A", "B"]
    assert vocab.counts["C"] == 1
    assert log == []


def test_a_wrong_layer_lists_those_that_exist(corpus: Corpus) -> None:
    with pytest.raises(
        DataError, match=r"'gold' of 3 documents\. Layers with labels are on spans: e"
    ):
        corpus.make_label_vocab("gold")


def test_an_extension_that_is_not_declared_lists_the_layers_too(corpus: Corpus) -> None:
    message = r"'_\.nope' of 3 documents\. Layers with labels are on spans: ents"
    with pytest.raises(DataError, match=message):
        corpus.make_label_vocab("_.nope")


@pytest.mark.parametrize("method", ["sample", "make_label_vocab"])
def test_an_unknown_side_is_refused(method: str, corpus: Corpus) -> None:
    argument: Any = 0.5 if method == "sample" else "ents"
    with pytest.raises(ValueError, match="sides are train, dev, test, got 'val'"):
        getattr(corpus, method)(argument, sides=["val"])


# Descriptions


def test_sides_are_described_side_by_side(corpus: Corpus) -> None:
    corpus.train[0].cats = {"letter": 1.0}
    found = corpus.describe()
    assert str(found).splitlines() == [
        "                         train  dev  test",
        "documents                    3    2     1",
        "groups                       3    2     1",
        "words                        4    2     1",
        "empty documents              0    0     0",
        "documents without spans      0    0     0",
        "",
        "label       train          dev        test",
        "A      3 (75.0 %)    0 (0.0 %)  1 (25.0 %)",
        "B      1 (50.0 %)   1 (50.0 %)   0 (0.0 %)",
        "C       0 (0.0 %)  1 (100.0 %)   0 (0.0 %)",
        "",
        "label         train        dev       test",
        "letter  1 (100.0 %)  0 (0.0 %)  0 (0.0 %)",
    ]
    assert found.to_dict()["dev"]["spans"]["B"]["spans"] == 1


def test_a_side_without_documents_is_left_out() -> None:
    found = Corpus([make_doc("a")]).describe(group_by=None)
    assert list(found.sides) == ["train"]
    assert "groups" not in str(found)
