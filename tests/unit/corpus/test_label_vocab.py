"""LabelVocab: labels, how often they were seen, and their indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_docs import NLP, make_doc
from spacy.tokens import Doc, Token

import edspipe
from edspipe.corpus.label_vocab import LabelVocab
from edspipe.errors import DataError

COUNTS = {"drug": 5, "date": 1, "symptom": 3}


def test_labels_stand_in_the_order_of_their_names() -> None:
    vocab = LabelVocab(COUNTS)
    assert vocab.labels == list(vocab) == ["date", "drug", "symptom"]
    assert [vocab.index(label) for label in vocab] == [0, 1, 2]
    assert len(vocab) == 3
    assert "drug" in vocab
    assert "rash" not in vocab


def test_the_order_is_that_of_the_labels_of_a_trained_pipe(make_nlp: Any) -> None:
    docs = [make_doc("a", labels=["B", "C", "A", "B"], group="gold-ner")]
    nlp = make_nlp(labels=None)
    nlp.post_init(docs)
    assert LabelVocab.from_docs(docs, "gold-ner").labels == nlp.pipes.ner.labels


def test_rare_labels_are_left_out() -> None:
    vocab = LabelVocab(COUNTS, min_count=3, unknown="ignore")
    assert vocab.labels == ["drug", "symptom"]
    assert vocab.left_out == {"date": 1}
    assert vocab.count("date") == 1


def test_an_unknown_label_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(
        DataError,
        match=r"unknown label 'drugs'\. Did you mean 'drug'\? The 3 labels are date, drug, symptom",
    ):
        LabelVocab(COUNTS).index("drugs")


def test_the_error_says_that_a_label_was_too_rare() -> None:
    with pytest.raises(DataError, match=r"'date' \(seen once, less than min_count=2\)"):
        LabelVocab(COUNTS, min_count=2).index("date")


def test_the_error_does_not_list_hundreds_of_labels() -> None:
    with pytest.raises(DataError, match=r"l008, l009 and 290 more$"):
        LabelVocab({f"l{i:03}": 1 for i in range(300)}).index("??")


def test_an_unknown_label_may_be_ignored() -> None:
    assert LabelVocab(COUNTS, unknown="ignore").index("rash") is None


def test_unknown_labels_may_share_an_index_of_their_own() -> None:
    vocab = LabelVocab(COUNTS, min_count=2, unknown="other")
    assert vocab.labels == ["drug", "symptom", "other"]
    assert vocab.index("rash") == vocab.index("date") == 2
    assert vocab.count("other") == 1


def test_a_label_of_that_name_takes_the_unknown_ones() -> None:
    vocab = LabelVocab({**COUNTS, "other": 4}, min_count=2, unknown="other")
    assert vocab.labels == ["drug", "other", "symptom"]
    assert vocab.index("rash") == 1
    assert vocab.count("other") == 5


def test_it_says_how_often_labels_were_seen() -> None:
    vocab = LabelVocab({**COUNTS, "drug": 1500, "rash": 0}, min_count=2, layer="ents")
    assert str(vocab).splitlines() == [
        "2 span labels in 'ents', unknown ones: error",
        "   0  drug     seen 1,500 times",
        "   1  symptom  seen 3 times",
        "less than 2 times: date (seen once), rash (seen 0 times)",
    ]


@settings(max_examples=30)
@given(
    counts=st.dictionaries(st.text(min_size=1), st.integers(0, 9)),
    min_count=st.integers(0, 3),
    unknown=st.sampled_from(["error", "ignore", "other"]),
    level=st.sampled_from(["span", "token", "document"]),
)
def test_plain_data_give_the_vocabulary_back(counts: Any, **options: Any) -> None:
    vocab = LabelVocab(counts, layer="x", **options)
    again = LabelVocab.from_dict(vocab.to_dict())
    assert again == vocab
    assert again.labels == vocab.labels


def test_the_file_does_not_depend_on_the_order_of_labels(tmp_path: Path) -> None:
    LabelVocab(COUNTS).to_json(tmp_path / "a.json")
    LabelVocab(dict(reversed(COUNTS.items()))).to_json(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert LabelVocab.from_json(tmp_path / "a.json") == LabelVocab(COUNTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting property name"),
        (b"\xff", "can't decode"),
        (b"[]", "expected a table with 'counts'"),
        (b'{"counts": [], "level": "span"}', "expected a table with 'counts'"),
        (b'{"counts": {}, "colour": 1}', "unknown keys: colour"),
        (b'{"counts": {"a": "1"}}', "expected a label and how often it was seen: 'a': '1'"),
        (b'{"counts": {"a": -1}}', "expected a label and how often it was seen: 'a': -1"),
        (b'{"counts": {"a": true}}', "expected a label and how often it was seen: 'a': True"),
        (b'{"counts": {}, "level": "word"}', "level is one of span, token, document, got 'word'"),
        (b'{"counts": {}, "unknown": 1}', "unknown is one of error, ignore, other, got 1"),
        (b'{"counts": {}, "min_count": -1}', "min_count is a number from 0 on, got -1"),
    ],
)
def test_a_damaged_file_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"labels.json: no label vocabulary: .*{message}"):
        LabelVocab.from_json(file)


# From documents


@pytest.fixture
def docs() -> list[Doc]:
    return [
        make_doc("a", labels=["drug", "drug"], cats={"cancer": 1.0, "stroke": 0.0}),
        make_doc("b", labels=["date"], group="gold-ner", cats={"cancer": 0.5, "stroke": 0.4}),
    ]


@pytest.mark.parametrize(
    ("layer", "level", "counts"),
    [
        ("ents", "span", {"drug": 2}),
        ("gold-ner", "span", {"date": 1}),
        ("*", "span", {"date": 1}),
        (["ents", "*"], "span", {"date": 1, "drug": 2}),
        ({"ents": "date", "*": True}, "span", {"date": 1}),
        (lambda doc: [*doc.ents], "span", {"drug": 2}),
        ("cats", "document", {"cancer": 2, "stroke": 0}),
        ("norm_", "token", {"word": 3}),
    ],
)
def test_labels_are_counted_in_any_layer(layer: Any, level: str, counts: Any, docs: Any) -> None:
    vocab = LabelVocab.from_docs(docs, layer)
    assert vocab.counts == counts
    assert vocab.level == level


def test_a_class_that_no_document_has_is_kept_where_none_is_wanted(docs: list[Doc]) -> None:
    assert LabelVocab.from_docs(docs, "cats").labels == ["cancer"]
    assert LabelVocab.from_docs(docs, "cats", min_count=0).labels == ["cancer", "stroke"]


def test_a_stream_is_read_once(docs: list[Doc]) -> None:
    assert LabelVocab.from_docs(iter(docs), "ents").labels == ["drug"]
    assert LabelVocab.from_docs(edspipe.Stream.from_items(docs), "ents").labels == ["drug"]


def test_tags_are_labels_of_tokens() -> None:
    doc = Doc(NLP.vocab, words=["a", "b", "c"], tags=["DT", "NN", ""])
    assert LabelVocab.from_docs([doc], "tag_").counts == {"DT": 1, "NN": 1}


@pytest.mark.parametrize("layer", ["tag_", "_.h5_blank"])
def test_blank_tokens_have_no_labels(layer: str) -> None:
    Token.set_extension("h5_blank", getter=lambda token: token.tag_, force=True)
    doc = Doc(NLP.vocab, words=["a", "\n", "b"], tags=["DT", "_SP", "NN"])
    assert LabelVocab.from_docs([doc], layer).counts == {"DT": 1, "NN": 1}


def test_extensions_are_layers() -> None:
    Doc.set_extension("h5_topic", default=None, force=True)
    Token.set_extension("h5_part", default=None, force=True)
    docs = [make_doc("a"), make_doc("b"), make_doc("c")]
    docs[0]._.h5_topic, docs[1]._.h5_topic = "renal", ["renal", "cardiac", "renal"]
    docs[0][0]._.h5_part = "N"
    assert LabelVocab.from_docs(docs, "_.h5_topic").counts == {"cardiac": 1, "renal": 2}
    assert LabelVocab.from_docs(docs, "_.h5_part").counts == {"N": 1}
    assert LabelVocab.from_docs(docs, "_.h5_part").level == "token"


def test_an_extension_of_both_wants_a_level() -> None:
    Doc.set_extension("h5_both", default=None, force=True)
    Token.set_extension("h5_both", default="x", force=True)
    with pytest.raises(ValueError, match=r"_\.h5_both exists on tokens and on documents; say wh"):
        LabelVocab.from_docs([make_doc("a")], "_.h5_both")
    assert LabelVocab.from_docs([make_doc("a")], "_.h5_both", level="token").counts == {"x": 1}


@pytest.mark.parametrize("level", [None, "token", "document"])
def test_an_extension_that_is_not_declared_is_a_wrong_name(level: Any, docs: list[Doc]) -> None:
    Doc.set_extension("h5_nothink", default=None, force=True)
    docs[0]._.h5_nothink = "letter"
    message = r"'_\.h5_nothing' of 2 documents\. Did you mean '_\.h5_nothink'\? .*: ents, gold-ner"
    with pytest.raises(DataError, match=message):
        LabelVocab.from_docs(docs, "_.h5_nothing", level=level)


def test_an_extension_may_be_declared_while_documents_are_read() -> None:
    def read() -> Any:
        Token.set_extension("h5_late", default=None)
        doc = make_doc("a")
        doc[0]._.h5_late = "N"
        yield doc

    try:
        vocab = LabelVocab.from_docs(read(), "_.h5_late")
    finally:
        Token.remove_extension("h5_late")
    assert (vocab.counts, vocab.level) == ({"N": 1}, "token")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="level is one of span, token, document, got 'word'"):
        LabelVocab.from_docs([make_doc("a")], "ents", level="word")  # type: ignore[arg-type]


def test_what_is_no_label_is_not_quoted() -> None:
    Doc.set_extension("h5_wrong", default=None, force=True)
    doc = make_doc("a")
    for value, shown in (({"secret": 1}, "a dict"), (["x", 1], "a list of other things")):
        doc._.h5_wrong = value
        with pytest.raises(TypeError, match=rf"expected a label or a list of labels, got {shown}$"):
            LabelVocab.from_docs([doc], "_.h5_wrong")


def test_a_wrong_name_lists_the_layers_that_exist(docs: list[Doc]) -> None:
    Doc.set_extension("h5_kind", default=None, force=True)
    docs[0]._.h5_kind = "letter"
    tagged = Doc(NLP.vocab, words=["a"], tags=["DT"])
    with pytest.raises(DataError) as caught:
        LabelVocab.from_docs([*docs, tagged], "gold_ner")
    assert str(caught.value) == (
        "no labels in the layer 'gold_ner' of 3 documents. Did you mean 'gold-ner'? Layers with "
        "labels are on spans: ents, gold-ner; on tokens: tag_; on documents: _.h5_kind, cats"
    )


def test_documents_without_any_label_are_an_error() -> None:
    with pytest.raises(DataError, match=r"'ents' of 1 documents\. Layers with labels are none"):
        LabelVocab.from_docs([make_doc("a")], "ents")
