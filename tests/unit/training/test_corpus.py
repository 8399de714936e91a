"""Documents before a training: counted, and known again; never their text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from short_runs import unequal_docs
from spacy.tokens import Doc

import edspipe
from edspipe.errors import DataError
from edspipe.stream.stream import Stream
from edspipe.training.corpus import fingerprint, read_corpus, warn_of_unknown_labels
from edspipe.training.data import TrainingData

NLP = edspipe.blank("eds")
GOLD = {"ner": "gold-ner"}


def profile(docs: list[Doc], **options: Any) -> dict[str, Any]:
    data = TrainingData(docs, **options)  # type: ignore[arg-type]
    return read_corpus(data, GOLD, "train").profile


def test_documents_are_counted() -> None:
    docs = unequal_docs(NLP, 4, "BA")
    lengths = sorted(map(len, docs))
    found = profile(docs)
    assert found.pop("sha256")
    assert found == {
        "num_docs": 4,
        "num_words": sum(lengths),
        "length_words": {
            "min": lengths[0],
            "median": (lengths[1] + lengths[2]) / 2,
            "max": lengths[-1],
        },
        "labels": {"A": 4, "B": 4},
    }


def test_pipes_that_learn_from_the_same_spans_count_them_once() -> None:
    data = TrainingData(unequal_docs(NLP, 3))  # type: ignore[arg-type]
    corpus = read_corpus(data, {"one": "gold-ner", "other": "gold-ner", "third": "ents"}, "train")
    assert corpus.profile["labels"] == {"A": 3, "B": 3}


def test_the_fingerprint_changes_with_ids_texts_and_order() -> None:
    found = set()
    for change in (None, "id", "text", "order"):
        docs = unequal_docs(NLP, 3)
        if change == "id":
            docs[1]._.note_id = "another"
        if change == "text":
            docs[1] = NLP.make_doc("another")
            docs[1]._.note_id = "note-1"
        found.add(profile(docs[::-1] if change == "order" else docs)["sha256"])
    assert len(found) == 4
    assert profile(unequal_docs(NLP, 3))["sha256"] in found


def test_an_id_and_a_text_do_not_run_into_each_other() -> None:
    assert fingerprint([("a", "12")]) != fingerprint([("a1", "2")])


def test_text_that_no_utf8_can_say_is_known_too() -> None:
    assert fingerprint([("\ud800", "00")])


def test_nothing_of_a_text_is_kept() -> None:
    corpus = read_corpus(TrainingData([NLP.make_doc("zzcanary")]), {}, "val")  # type: ignore[arg-type]
    assert "zzcanary" not in json.dumps([corpus.profile, corpus.digests])
    assert "zzcanary" not in repr(corpus)


def test_documents_are_read_once_where_they_are_kept() -> None:
    reads = []

    def read() -> Any:
        reads.append(1)
        return iter(unequal_docs(NLP, 2))

    class Again:
        def __iter__(self) -> Any:
            return read()

    for in_memory, expected in ((True, 1), (False, 2)):
        reads.clear()
        data = TrainingData(Stream.from_items(Again()), in_memory=in_memory)
        corpus = read_corpus(data, {}, "train")
        assert len(corpus.docs) == (2 if in_memory else 0)
        assert len(list(corpus.source)) == 2
        assert len(reads) == expected


@pytest.mark.parametrize(
    ("docs", "options", "message"),
    [
        ([], {}, "train: expected documents, found none$"),
        (unequal_docs(NLP, 2), {"only_with": "ents"}, "found none that have spans in 'ents'"),
        ([NLP.make_doc("")] * 3, {}, "train: all 3 documents are empty"),
    ],
)
def test_nothing_to_learn_from_is_an_error(docs: Any, options: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_corpus(TrainingData(docs, **options), {}, "train")


def test_labels_that_training_never_saw_are_named_with_their_number(log: list[str]) -> None:
    warn_of_unknown_labels(profile(unequal_docs(NLP, 3, "ABC")), ["A"], "val")
    assert log == [
        "WARNING val: gold labels that training never saw, and that count as missed: "
        "B (3 times), C (3 times)"
    ]


def test_known_labels_are_nothing_to_say(log: list[str]) -> None:
    warn_of_unknown_labels(profile(unequal_docs(NLP, 3)), ["A", "B", "C"], "val")
    assert log == []
