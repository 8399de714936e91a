"""Documents that are cut on demand: what is read, what is counted, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doc_pipes import TEXTS, cats_of, classifier, labelled_docs, transformer

import edspipe.pipes as eds
from edspipe.errors import CheckpointError, ConfigError

CUT: dict[str, Any] = {"max_length": 4, "truncation": True}
POOLINGS = ("mean", "max", "attention", "cls")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_cut_document_has_the_probabilities_of_its_first_words(
    encoder_dir: Path, pooling: str
) -> None:
    nlp = classifier(encoder_dir, pooling=pooling, **CUT)
    texts = ["The patient has no", "Cough for 3 days", "pain", "Fever, and a"]
    for found, expected in zip(cats_of(nlp), cats_of(nlp, texts), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_blank_tokens_are_no_words(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, **CUT)
    docs = list(nlp.pipe(["one\n \ntwo  three\nfour\n", "one\n \ntwo  three\nfour\nfive six"]))
    assert [doc._.num_cut_words for doc in docs] == [0, 2]
    assert docs[0].cats == pytest.approx(docs[1].cats, abs=1e-6)


def test_what_is_cut_is_not_embedded(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, **CUT)
    features = nlp.pipes.classifier.preprocess(nlp.make_doc("pain " * 1000))
    assert features["embedding"]["stats"] == {"words": 4, "tokens": 4}


def test_what_is_cut_is_not_embedded_below_other_embeddings(encoder_dir: Path) -> None:
    draft = eds.text_cnn(embedding=transformer(encoder_dir), kernel_sizes=[3])
    nlp = classifier(encoder_dir, draft, **CUT)
    found, expected = cats_of(nlp, ["pain " * 9, "pain pain pain pain"])
    assert found == pytest.approx(expected, abs=1e-6)


def test_each_document_says_how_many_words_were_cut(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, **CUT)
    found = [doc._.num_cut_words for doc in nlp.pipe(list(TEXTS), batch_size="9 docs")]
    assert found == [max(0, sum(not t.is_space for t in nlp.make_doc(x)) - 4) for x in TEXTS]
    assert found[2] == 0
    assert min(found[0], found[1], found[3]) > 0


def test_cut_words_of_training_documents_are_warned_of(encoder_dir: Path, log: list[str]) -> None:
    nlp = classifier(encoder_dir, **CUT)
    docs = labelled_docs(nlp)
    nlp.post_init(docs)
    sizes = [sum(not token.is_space for token in doc) for doc in docs]
    cut = sum(max(0, size - 4) for size in sizes)
    assert nlp.pipes.classifier.num_cut_words == cut
    (line,) = [line for line in log if "are cut" in line]
    assert line == (
        "WARNING classifier: 3 of 4 documents are longer than max_length=4: "
        f"{cut} of all {sum(sizes)} words are cut"
    )


@pytest.mark.parametrize("options", [{}, {"max_length": 1000, "truncation": True}])
def test_nothing_is_said_where_nothing_is_cut(
    encoder_dir: Path, log: list[str], options: dict[str, Any]
) -> None:
    nlp = classifier(encoder_dir, **options)
    nlp.post_init(labelled_docs(nlp))
    assert nlp.pipes.classifier.num_cut_words == 0
    assert not [line for line in log if "cut" in line]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 4}, r"max_length: nothing is cut unless truncation=True; set it, or leave"),
        ({"truncation": True}, r"truncation: needs max_length, the number of words that are read"),
        ({"max_length": 0, "truncation": True}, r"max_length: expected 1 word or more, got 0"),
    ],
)
def test_only_one_of_both_is_refused(
    encoder_dir: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"classifier\.{message}"):
        classifier(encoder_dir, **options)


def test_the_count_is_saved_and_may_be_missing(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = classifier(encoder_dir, **CUT)
    nlp.post_init(labelled_docs(nlp))
    pipe = nlp.pipes.classifier
    state, number = json.loads(json.dumps(pipe.get_state())), pipe.num_cut_words
    other = classifier(encoder_dir, **CUT).pipes.classifier
    other.set_state(state, tmp_path / "state.json")
    assert other.num_cut_words == number > 0
    other.set_state({k: v for k, v in state.items() if k != "num_cut_words"}, tmp_path / "s.json")
    assert other.num_cut_words == 0


@pytest.mark.parametrize("number", [-1, "3", 1.5])
def test_a_damaged_count_is_refused(encoder_dir: Path, tmp_path: Path, number: Any) -> None:
    pipe = classifier(encoder_dir).pipes.classifier
    state = {**pipe.get_state(), "num_cut_words": number}
    with pytest.raises(CheckpointError, match=r"s\.json: expected a number from 0 up under 'num_"):
        pipe.set_state(state, tmp_path / "s.json")
