"""describe: what is in a corpus, in numbers."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_docs import make_doc
from spacy.tokens import Span

import edspipe
from edspipe.errors import DataError

documents = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "one", "one two\nthree", "a b c d e f"]),
        st.lists(st.sampled_from("ABC"), max_size=3),
        st.sampled_from([None, 1, "2", 2]),
        st.dictionaries(st.sampled_from("XY"), st.sampled_from([0.0, 0.5, 1.0])),
    ),
    min_size=1,
    max_size=6,
)


def make_corpus(rows: Any) -> list[Any]:
    docs = []
    for text, labels, patient, cats in rows:
        doc = make_doc(patient_id=patient, text=text, cats=cats)
        doc.spans["gold"] = [Span(doc, 0, 1, label=x) for x in labels if len(doc)]
        docs.append(doc)
    return docs


@settings(max_examples=40, deadline=None)
@given(rows=documents)
def test_figures_are_those_of_naive_counting(rows: Any) -> None:
    docs = make_corpus(rows)
    found = edspipe.describe(docs, "gold")
    labels = [{s.label_ for s in doc.spans["gold"]} for doc in docs]
    patients = [None if doc._.patient_id is None else str(doc._.patient_id) for doc in docs]
    assert found.num_docs == len(docs)
    assert found.num_groups == (len({p for p in patients if p is not None}) or None)
    assert found.num_docs_without_group == patients.count(None)
    assert found.num_empty == sum(not doc.text.strip() for doc in docs)
    assert found.num_docs_without_spans == labels.count(set())
    assert found.num_words == sum(len(list(doc)) for doc in docs)
    lengths = [len(doc.text) for doc in docs]
    assert found.num_characters == sum(lengths)
    assert found.length_characters["median"] == statistics.median(lengths)
    assert (found.length_characters["min"], found.length_characters["max"]) == (
        min(lengths),
        max(lengths),
    )
    spans = Counter(s.label_ for doc in docs for s in {*doc.spans["gold"]})
    assert list(found.spans) == sorted(spans)
    for label, figures in found.spans.items():
        having = [i for i, present in enumerate(labels) if label in present]
        assert figures == {
            "spans": len(
                {
                    (i, *_place(s))
                    for i in having
                    for s in docs[i].spans["gold"]
                    if s.label_ == label
                }
            ),
            "docs": len(having),
            "groups": len({patients[i] for i in having} - {None}),
        }
    for a, row in found.together.items():
        assert row == {b: sum({a, b} <= present for present in labels) for b in sorted(spans)}
    for label, figures in found.classes.items():
        assert figures["docs"] == sum(doc.cats.get(label, 0) >= 0.5 for doc in docs)


def _place(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label_


def test_percentiles_are_interpolated() -> None:
    docs = [make_doc(text="x" * length) for length in range(1, 22)]
    found = edspipe.describe(docs).length_characters
    assert found == {"min": 1, "median": 11, "p95": 20, "max": 21}


def test_spans_of_all_groups_are_counted_once() -> None:
    doc = make_doc(labels=["A", "B"])
    doc.spans["copy"] = [doc.ents[0]]
    assert {label: row["spans"] for label, row in edspipe.describe([doc]).spans.items()} == {
        "A": 1,
        "B": 1,
    }


def test_it_prints_tables_and_no_text() -> None:
    docs = [
        make_doc(1, "p", ["drug", "drug", "date"], text="metformin insulin today"),
        make_doc(2, "p", ["drug"], text="aspirin", cats={"letter": 1.0}),
        make_doc(3, None, text=" "),
    ]
    assert str(edspipe.describe(docs)).splitlines() == [
        "3 documents of 1 groups, 5 words, 31 characters, 1 empty, 1 without spans, "
        "1 without a group",
        "",
        "length      min  median   p95  max",
        "words         1       1   2.8    3",
        "characters    1       7  21.4   23",
        "",
        "label  spans  documents  groups",
        "date       1          1       1",
        "drug       3          2       1",
        "",
        "label   documents  groups",
        "letter          1       1",
        "",
        "in one document  documents",
        "date + drug              1",
    ]


def test_only_the_most_frequent_pairs_are_printed() -> None:
    shown = str(edspipe.describe([make_doc(labels="ABCDEF")]))
    assert shown.endswith("C + D                    1\nand 5 more pairs")


def test_a_stream_is_described() -> None:
    stream = edspipe.Stream.from_items([make_doc(labels=["A"])])
    assert edspipe.describe(stream).spans["A"]["spans"] == 1


def test_all_figures_go_to_a_file(tmp_path: Path) -> None:
    found = edspipe.describe([make_doc(1, 2, ["A", "B"])])
    found.to_json(tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text()) == found.to_dict()
    assert found.to_dict()["together"] == {"A": {"A": 1, "B": 1}, "B": {"A": 1, "B": 1}}


def test_no_documents_are_an_error() -> None:
    with pytest.raises(DataError, match="expected documents to describe, found none"):
        edspipe.describe([])
