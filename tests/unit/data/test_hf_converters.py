"""The converters "hf_text" and "hf_ner"."""

from __future__ import annotations

from typing import Any

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.data import from_hf_dataset, from_iterable, read_parquet, to_hf_dataset, write_parquet
from edspipe.data.converters.base import make_converter
from edspipe.errors import DataError

SECRET = "M. Dupont"
NAMES = ["O", "B-drug", "I-drug", "B-sign", "I-sign"]


@pytest.fixture(scope="module")
def nlp() -> edspipe.Pipeline:
    return edspipe.blank("eds")


def hf_text(nlp: edspipe.Pipeline, **options: Any) -> Any:
    return make_converter("hf_text", {"tokenizer": nlp.tokenizer, **options})


def hf_ner(nlp: edspipe.Pipeline, **options: Any) -> Any:
    return make_converter("hf_ner", {"tokenizer": nlp.tokenizer, **options})


# ---- hf_text -----------------------------------------------------------------------------------


def test_a_row_becomes_a_doc_and_back(nlp):
    converter = hf_text(nlp, text_column="note", id_column="key")
    doc = converter.to_doc({"note": "Pas de  toux.\n", "key": 7, "other": 1})
    assert (doc.text, doc._.note_id) == ("Pas de  toux.\n", 7)
    assert converter.to_record(doc) == {"key": 7, "note": "Pas de  toux.\n"}


def test_without_an_id_column_ids_are_not_read_and_are_written_as_note_id(nlp):
    doc = hf_text(nlp).to_doc({"text": "Toux.", "note_id": "n1"})
    assert doc._.note_id is None
    doc._.note_id = "n2"
    assert hf_text(nlp).to_record(doc) == {"note_id": "n2", "text": "Toux."}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": "n1", "note": SECRET}, "^n1: no column 'text'; the record has: id, note$"),
        ({"id": "n1", "text": None}, "^n1: expected a text under text, got null$"),
        ({"id": "n1", "text": [SECRET]}, "^n1: expected a text under text, got a list$"),
        ({"text": SECRET}, "^no column 'id'; the record has: text$"),
        (SECRET, r"^expected a record \(a dict\), got a str$"),
        ({}, "^no column 'text'; the record has: nothing$"),
    ],
)
def test_a_row_without_a_text_is_refused(nlp, record, message):
    with pytest.raises(DataError, match=message) as caught:
        hf_text(nlp, id_column="id").to_doc(record)
    assert SECRET not in str(caught.value)


# ---- hf_ner: reading ---------------------------------------------------------------------------

WORDS = ["Sous", "acide", "acétylsalicylique", ",", "toux", "fièvre", "."]


@pytest.mark.parametrize(
    "tags",
    [
        ["O", "B-drug", "I-drug", "O", "B-sign", "B-sign", "O"],
        ["O", "I-drug", "I-drug", "O", "I-sign", "B-sign", "O"],
        ["O", "B-drug", "E-drug", "O", "S-sign", "S-sign", "O"],
        [0, 1, 2, 0, 3, 3, 0],
    ],
    ids=["bio", "iob1", "bioes", "numbers"],
)
def test_tags_become_spans(nlp, tags):
    converter = hf_ner(nlp, tag_names=NAMES, id_column="id")
    doc = converter.to_doc({"id": "n1", "tokens": WORDS, "ner_tags": tags})
    assert doc.text == "Sous acide acétylsalicylique , toux fièvre ."
    assert doc._.note_id == "n1"
    found = [(ent.text, ent.label_) for ent in doc.ents]
    assert found == [("acide acétylsalicylique", "drug"), ("toux", "sign"), ("fièvre", "sign")]


def test_columns_and_places_can_be_chosen(nlp):
    converter = hf_ner(nlp, words_column="w", ner_tags_column="t", span_setter="gold")
    doc = converter.to_doc({"w": ["toux"], "t": ["B-sign"]})
    assert (doc.ents, [span.text for span in doc.spans["gold"]]) == ((), ["toux"])


def test_a_row_without_words_is_an_empty_doc(nlp):
    assert len(hf_ner(nlp).to_doc({"tokens": [], "ner_tags": []})) == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_tags_that_do_not_fit_are_counted(nlp, workers):
    rows = [
        {"tokens": ["a", "b"], "ner_tags": tags}
        for tags in (["O", "I-x"], ["B-x", "I-y"], ["B-x", "I-x"])
    ]
    pytest.importorskip("datasets")
    dataset = pytest.importorskip("datasets").Dataset.from_list(rows)
    stream = from_hf_dataset(dataset, converter="hf_ner")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    with iter(stream) as iterator:
        assert sum(len(doc.ents) for doc in iterator) == 4
        assert iterator.counts["invalid_tags"] == 2


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tokens": None, "ner_tags": []}, "expected a list of words under tokens, got null"),
        ({"tokens": SECRET, "ner_tags": []}, "expected a list of words under tokens, got a str"),
        ({"tokens": ["a", ""], "ner_tags": [0, 0]}, "words under tokens, and number 1 is an empty"),
        ({"tokens": [None], "ner_tags": [0]}, "words under tokens, and number 0 is a NoneType"),
        ({"tokens": ["a"], "ner_tags": []}, "expected 1 tags under ner_tags, got 0"),
        ({"tokens": ["a"], "ner_tags": None}, "expected 1 tags under ner_tags, got NoneType"),
        ({"tokens": ["a"]}, "no column 'ner_tags'; the record has: id, tokens"),
        (
            {"tokens": ["a"], "ner_tags": [5]},
            "the tag of word 0 is 5, which has no name; tag_names has 5",
        ),
        ({"tokens": ["a"], "ner_tags": [-1]}, "the tag of word 0 is -1, which has no name"),
        ({"tokens": ["a"], "ner_tags": [0.0]}, "the tag of word 0 is a float, which has no name"),
    ],
)
def test_a_row_that_is_not_well_formed_is_refused(nlp, record, message):
    with pytest.raises(DataError, match=f"^n1: .*{message}") as caught:
        hf_ner(nlp, tag_names=NAMES, id_column="id").to_doc({"id": "n1", **record})
    assert SECRET not in str(caught.value)


def test_numbers_without_names_are_refused(nlp):
    with pytest.raises(DataError, match=r"the tag of word 0 is 1, .*; pass tag_names=\[...\]"):
        hf_ner(nlp).to_doc({"tokens": ["a"], "ner_tags": [1]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "iob"}, "scheme is one of bio, iob1, bioes, bioul; got 'iob'"),
        ({"on_overlap": "drop"}, "on_overlap is 'raise' or 'longest', got 'drop'"),
        ({"tag_names": ["O", "O"]}, "tag_names has a tag twice: O, O"),
    ],
)
def test_unknown_options_are_refused(nlp, options, message):
    with pytest.raises(ValueError, match=message):
        hf_ner(nlp, **options)


# ---- hf_ner: writing ---------------------------------------------------------------------------


def gold_doc(nlp: edspipe.Pipeline) -> Doc:
    doc = nlp.make_doc("Sous acide acétylsalicylique,\n toux.")
    doc._.note_id = "n1"
    doc.ents = [Span(doc, 1, 3, label="drug"), Span(doc, 5, 6, label="sign")]
    assert doc.ents[1].text == "toux"
    return doc


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        (None, ["O", "B-drug", "I-drug", "O", "B-sign", "O"]),
        ("iob1", ["O", "I-drug", "I-drug", "O", "I-sign", "O"]),
        ("bioes", ["O", "B-drug", "E-drug", "O", "S-sign", "O"]),
        ("bioul", ["O", "B-drug", "L-drug", "O", "U-sign", "O"]),
    ],
)
def test_spans_become_tags_of_words(nlp, scheme, tags):
    words = ["Sous", "acide", "acétylsalicylique", ",", "toux", "."]
    record = {"note_id": "n1", "tokens": words, "ner_tags": tags}
    assert hf_ner(nlp, scheme=scheme).to_record(gold_doc(nlp)) == record


def test_tags_become_numbers_where_they_have_some(nlp):
    record = hf_ner(nlp, tag_names=NAMES).to_record(gold_doc(nlp))
    assert record["ner_tags"] == [0, 1, 2, 0, 3, 0]


def test_a_tag_without_a_number_is_refused(nlp):
    with pytest.raises(DataError, match=r"^n1: tags that are not in tag_names: B-drug, I-drug$"):
        hf_ner(nlp, tag_names=["O", "B-sign"]).to_record(gold_doc(nlp))


def test_spans_that_overlap_are_refused_or_left_out_and_counted(nlp, tmp_path):
    doc = gold_doc(nlp)
    doc.spans["a"] = [Span(doc, 1, 3, label="x"), Span(doc, 2, 4, label="y")]
    with pytest.raises(DataError, match=r"^n1: 1 of 2 spans overlap others or are blank, and a"):
        hf_ner(nlp, span_getter="a").to_record(doc)
    converter = hf_ner(nlp, span_getter="a", on_overlap="longest")
    report = write_parquet([doc], tmp_path / "a.parquet", converter=converter)
    assert report["spans_left_out"] == 1


# ---- through files and datasets ----------------------------------------------------------------


def test_what_hf_ner_keeps_and_loses(nlp, tmp_path):
    """Words, spans and ids stay; what stood between the words becomes one blank."""
    options = {"tokenizer": nlp.tokenizer, "id_column": "id"}
    before = gold_doc(nlp)
    write_parquet([before], tmp_path / "a.parquet", converter="hf_ner", **options)
    (after,) = read_parquet(tmp_path / "a.parquet", converter="hf_ner", **options)
    assert after.text == "Sous acide acétylsalicylique , toux ."
    assert after._.note_id == "n1"
    assert [(e.text, e.label_) for e in after.ents] == [(e.text, e.label_) for e in before.ents]


def test_classes_of_a_dataset_name_its_tags(nlp):
    datasets = pytest.importorskip("datasets")
    tags = datasets.features.Sequence(datasets.ClassLabel(names=NAMES))
    words = datasets.features.Sequence(datasets.Value("string"))
    features = datasets.Features({"note_id": datasets.Value("string"), "tokens": words, "t": tags})
    options = {"tokenizer": nlp.tokenizer, "ner_tags_column": "t"}
    written = to_hf_dataset(
        [gold_doc(nlp)], converter="hf_ner", features=features, tag_names=NAMES, **options
    )
    assert written.features == features
    (doc,) = from_hf_dataset(written, converter="hf_ner", **options)
    assert [ent.label_ for ent in doc.ents] == ["drug", "sign"]
    others = ["O", "B-x", "I-x", "B-y", "I-y"]
    (doc,) = from_hf_dataset(written, converter="hf_ner", tag_names=others, **options)
    assert [ent.label_ for ent in doc.ents] == ["x", "y"]


def test_rows_in_python_are_read_too(nlp):
    rows = [{"tokens": ["toux"], "ner_tags": ["B-sign"]}]
    (doc,) = from_iterable(rows, converter="hf_ner", tokenizer=nlp.tokenizer)
    assert [ent.label_ for ent in doc.ents] == ["sign"]
