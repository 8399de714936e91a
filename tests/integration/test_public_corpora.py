"""Real corpora are read as the page of public corpora says, counted and parted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc

import edspipe

pytestmark = pytest.mark.corpora


def read_hallmarks(path: Path) -> Any:
    nlp = edspipe.blank("eds")

    def to_doc(record: dict[str, Any]) -> Doc:
        doc = nlp.make_doc(record["text"])
        doc._.note_id, doc._.patient_id = record["id"], record["pmid"]
        doc.cats = dict.fromkeys(record["labels"], 1.0)
        return doc

    return edspipe.data.read_json(path, converter=to_doc)


@pytest.mark.parametrize(
    ("folder", "num_docs", "num_spans", "num_labels"),
    [("ncbi_disease/dev", 100, 787, 4), ("meddocan/dev", 250, 5801, 22)],
)
def test_brat_folders_are_read(
    folder: str, num_docs: int, num_spans: int, num_labels: int, corpora: Path
) -> None:
    found = edspipe.describe(edspipe.data.read_standoff(corpora / folder))
    assert found.num_docs == num_docs
    assert sum(row["spans"] for row in found.spans.values()) == num_spans
    assert len(found.spans) == num_labels


def test_overlapping_entities_are_kept_in_groups(corpora: Path) -> None:
    folder = corpora / "clinical_rules/e3c_fr"
    found = edspipe.describe(edspipe.data.read_standoff(folder, span_setter=["ents", "*"]))
    assert found.num_docs == 45
    assert {"ACTOR", "BODYPART", "CLINENTITY", "EVENT", "Sentence"} < set(found.spans)


def test_columns_are_read(corpora: Path) -> None:
    path = corpora / "genia_pos/dev.tsv"
    docs = list(edspipe.data.read_conll(path, columns=["text", "tag_"], by="sentence"))
    vocab = edspipe.LabelVocab.from_docs(docs, "tag_")
    assert len(docs) > 2000
    assert {"NN", "VBZ", "CD"} < set(vocab)


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_classes_are_parted_by_abstract(method: Any, corpora: Path) -> None:
    docs = read_hallmarks(corpora / "hallmarks_of_cancer/dev.jsonl")
    corpus = edspipe.train_dev_test_split(docs, method=method)
    abstracts = [{doc._.patient_id for doc in part} for part in corpus]
    assert sum(map(len, abstracts)) == len(set.union(*abstracts))
    assert sum(map(len, corpus)) == 1647


def test_shares_of_classes_are_within_two_per_cent(corpora: Path) -> None:
    docs = read_hallmarks(corpora / "hallmarks_of_cancer/dev.jsonl")
    corpus = edspipe.train_dev_test_split(docs, method="stratified")
    sides = corpus.describe().sides
    totals = dict.fromkeys(sides["train"].classes, 0)
    for found in sides.values():
        for label, row in found.classes.items():
            totals[label] += row["docs"]
    assert len(totals) == 10
    for name, ratio in (("train", 0.8), ("dev", 0.1), ("test", 0.1)):
        for label, total in totals.items():
            share = sides[name].classes[label]["docs"] / total
            assert abs(share - ratio) <= max(0.02, 1 / total), (name, label)
