"""TrainingData: how it is given, what is refused, and how batches are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from short_runs import unequal_docs

import edspipe
from edspipe.errors import ConfigError
from edspipe.stream.stream import Stream
from edspipe.training.data import SubBatches, TrainingData, measured, read_all, share_of

NLP = edspipe.blank("eds")


def sample(words: int, tokens: int = 1) -> dict[str, Any]:
    return {"stats": {"words": words, "tokens": tokens}}


# ---- given as an argument --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        unequal_docs(NLP, 3),
        Stream.from_items(unequal_docs(NLP, 3)),
        TrainingData(unequal_docs(NLP, 3)),  # type: ignore[arg-type]
        {"stream": unequal_docs(NLP, 3)},
    ],
)
def test_one_is_read_from_documents_a_stream_itself_or_a_dict(value: Any) -> None:
    (data,) = read_all(value, "train_data")
    assert len(list(data.documents())) == 3


def test_a_list_of_streams_is_several() -> None:
    streams = [Stream.from_items(unequal_docs(NLP, n)) for n in (1, 2)]
    assert [len(list(d.documents())) for d in read_all(streams, "train_data")] == [1, 2]


def test_documents_go_through_pipes_and_those_without_gold_are_left_out() -> None:
    docs = unequal_docs(NLP, 4)
    docs[1].spans["gold-ner"] = []
    seen: list[str] = []

    def note(doc: Any) -> Any:
        seen.append(doc._.note_id)
        return doc

    data = TrainingData(docs, pipes=[note], only_with="gold-ner")  # type: ignore[arg-type]
    assert [doc._.note_id for doc in data.documents()] == ["note-0", "note-2", "note-3"]
    assert seen == ["note-0", "note-1", "note-2", "note-3"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"stram": []}, r"train_data\.stram: unknown\. Did you mean 'stream'\? Its fields are: st"),
        ({"batch_size": 3}, r"train_data\.stream: missing; give the documents"),
        ({"stream": [], "batch_size": "x docs"}, "train_data: a batch size is a number and a unit"),
        ({"stream": [], "batch_size": -1}, "train_data: a batch size is positive, got -1"),
        ({"stream": [], "sub_batch_size": "0 splits"}, "train_data: a batch size is positive"),
        ({"stream": [], "weight": 0}, "train_data: weight is more than 0, got 0"),
        ({"stream": [], "weight": float("nan")}, "train_data: weight is more than 0, got nan"),
        ({"stream": [], "pipe_names": []}, r"train_data: pipe_names is a list .* got \[\]"),
        ({"stream": [], "pipe_names": "ner"}, "train_data: pipe_names is a list .* got 'ner'"),
        ([], "train_data: expected training data, got an empty list"),
        ([{"stream": []}, {"strem": []}], r"train_data\.1\.strem: unknown\. Did you mean 'stream'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_all(value, "train_data")


# ---- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "of_features"),
    [(32, False), ("32 docs", False), ("1 doc", False), ("20 words", False), ("9 tokens", True)],
)
def test_only_a_count_of_the_pipes_measures_features(size: Any, of_features: bool) -> None:
    assert measured(size)[1] is of_features


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, [5]),
        ("2 splits", [2, 3]),
        ("1 split", [5]),
        ("4 splits", [1, 1, 1, 2]),
        ("9 splits", [1, 1, 1, 1, 1]),
        ("2 docs", [2, 2, 1]),
        (3, [3, 2]),
        ("10 words", [3, 1, 1]),  # 1+2+3, 4+9 is too much, 9
        ("6 tokens", [2, 2, 1]),
        ("8 padded_words", [2, 1, 1, 1]),
    ],
)
def test_sub_batches_hold_every_sample_once_in_order(size: Any, expected: list[int]) -> None:
    samples = [sample(words, tokens=3) for words in (1, 2, 3, 9, 4)]
    if size == "10 words":
        samples = [sample(words) for words in (1, 2, 3, 9, 10)]
    parts = SubBatches(size).cut(samples)
    assert [len(part) for part in parts] == expected
    assert [i for part in parts for i in part] == list(range(5))


@pytest.mark.parametrize("size", [None, "4 splits", "10 words"])
def test_no_samples_make_no_sub_batch(size: Any) -> None:
    assert SubBatches(size).cut([]) == []


@pytest.mark.parametrize("size", ["-1 splits", "2.5 splits", "x splits", "splits", "three words"])
def test_a_sub_batch_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="a batch size is"):
        SubBatches(size)


@given(
    st.lists(st.integers(0, 30), max_size=30),
    st.integers(1, 12),
    st.sampled_from(["words", "padded_words", "docs"]),
)
def test_sub_batches_close_as_batches_do(sizes: list[int], limit: int, unit: str) -> None:
    """By brute force: the longest run of samples that is not too large, or one alone."""
    parts = SubBatches(f"{limit} {unit}").cut([sample(words) for words in sizes])
    expected, first = [], 0
    while first < len(sizes):
        end = first + 1
        while end < len(sizes):
            run = sizes[first : end + 1]
            total = {"words": sum(run), "padded_words": len(run) * max(run), "docs": len(run)}
            if total[unit] > limit:
                break
            end += 1
        expected.append(range(first, end))
        first = end
    assert parts == expected


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 6))
def test_processes_share_out_all_samples_about_equally(sizes: list[int], world_size: int) -> None:
    shares = [share_of(sizes, rank, world_size) for rank in range(world_size)]
    assert sorted(i for share in shares for i in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in shares)
    totals = [sum(sizes[i] for i in share) for share in shares]
    assert max(totals) - min(totals) <= max(sizes, default=0)
