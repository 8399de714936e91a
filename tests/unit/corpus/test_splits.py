"""train_dev_test_split: no patient on two sides, whatever else is asked for."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_docs import ids, make_doc, of_patients
from spacy.tokens import Doc

from edspipe import Stream, train_dev_test_split
from edspipe.corpus.corpus import Corpus
from edspipe.errors import DataError
from edspipe.stream.shares import SIDES

RATIOS = [(0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33), (0.0, 0.0, 1.0)]


def sides_of(corpus: Corpus) -> dict[Any, str]:
    """Return the side of each document, by id."""
    return {doc._.note_id: name for name, docs in corpus.sides.items() for doc in docs}


# What holds for every split

patients = st.one_of(st.integers(0, 9), st.text(max_size=3), st.none(), st.floats(0, 3))
documents = st.lists(st.tuples(patients, st.lists(st.sampled_from("ABC"), max_size=3)), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    documents=documents,
    ratios=st.sampled_from(RATIOS),
    method=st.sampled_from(["hash", "stratified"]),
    seed=st.integers(0, 3),
)
def test_no_patient_is_on_two_sides_and_every_document_on_one(
    documents: Any, ratios: Any, method: Any, seed: int
) -> None:
    docs = [make_doc(i, patient, labels) for i, (patient, labels) in enumerate(documents)]
    docs[0].cats = {"known": 1.0}  # so that there is something to stratify
    options = {"missing": "own", "method": method, "seed": seed}
    corpus = train_dev_test_split(docs, ratios, **options)
    assert sorted(ids(doc for part in corpus for doc in part)) == list(range(len(docs)))
    found = defaultdict(set)
    for name, part in corpus.sides.items():
        for doc in part:
            patient = doc._.patient_id
            if patient is not None and str(patient).strip():
                patient = str(patient)
                found[patient.removesuffix(".0")].add(name)
    assert all(len(names) == 1 for names in found.values())
    for name, ratio in zip(SIDES, ratios, strict=True):
        assert ratio or not corpus.sides[name]


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_the_order_of_documents_does_not_matter(method: Any) -> None:
    docs = of_patients([1, 3, 2, 1, 4, 1, 1, 2] * 4, [["A"], ["B"], [], ["A", "B"]] * 8)
    found = sides_of(train_dev_test_split(docs, method=method, seed=5))
    assert sides_of(train_dev_test_split(docs[::-1], method=method, seed=5)) == found
    assert sides_of(train_dev_test_split(docs, method=method, seed=6)) != found


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_documents_stay_in_their_order(method: Any) -> None:
    docs = of_patients([1] * 30, [["A"]] * 30)
    numbers = {ident: number for number, ident in enumerate(ids(docs))}
    for part in train_dev_test_split(docs, (0.4, 0.3, 0.3), method=method):
        assert [numbers[i] for i in ids(part)] == sorted(numbers[i] for i in ids(part))


# By hash


def test_further_documents_move_no_others() -> None:
    docs = of_patients([2] * 60)
    few = sides_of(train_dev_test_split(docs[:80]))
    many = sides_of(train_dev_test_split(docs))
    assert {ident: many[ident] for ident in few} == few


def test_sides_are_the_same_in_every_process_and_for_ever() -> None:
    """A changed hash would move the documents of everybody's corpora."""
    corpus = train_dev_test_split(of_patients([1] * 20), (0.6, 0.2, 0.2))
    assert ids(corpus.dev) == ["3-0", "5-0", "6-0", "7-0", "10-0", "15-0"]
    assert ids(corpus.test) == ["0-0", "13-0", "14-0"]


def test_shares_of_groups_are_about_the_ratios() -> None:
    corpus = train_dev_test_split(of_patients([1] * 2000))
    assert [len(part) / 2000 for part in corpus] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_a_side_without_documents_is_reported(log: list[str]) -> None:
    train_dev_test_split(of_patients([9]))
    assert any("got no documents, though its ratio is 0.1" in line for line in log)


def test_a_side_that_is_to_be_empty_is_not_reported(log: list[str]) -> None:
    train_dev_test_split(of_patients([9]), (1, 0, 0))
    assert log == []


# A stream parts itself likewise


def test_a_stream_puts_documents_on_the_same_sides() -> None:
    docs = of_patients([3, 1, 2] * 20)
    corpus = train_dev_test_split(docs, seed=3)
    streams = Stream.from_items(docs).train_dev_test_split(seed=3)
    assert [ids(stream) for stream in streams] == [ids(part) for part in corpus]


def test_a_stream_is_read() -> None:
    docs = of_patients([1] * 30)
    found = train_dev_test_split(Stream.from_items(docs))
    assert sides_of(found) == sides_of(train_dev_test_split(docs))


# What a group is


def test_a_group_is_an_attribute_or_what_a_function_returns() -> None:
    Doc.set_extension("h5_hospital", default=None, force=True)
    docs = of_patients([1] * 60)
    for number, doc in enumerate(docs):
        doc._.h5_hospital = number % 7
    by_name = train_dev_test_split(docs, group_by="h5_hospital")
    by_function = train_dev_test_split(docs, group_by=lambda doc: doc._.h5_hospital)
    assert sides_of(by_name) == sides_of(by_function)
    hospitals = [{doc._.h5_hospital for doc in part} for part in by_name]
    assert sum(map(len, hospitals)) == 7


def test_without_groups_documents_are_parted_one_by_one() -> None:
    docs = of_patients([100])
    found = train_dev_test_split(docs, group_by=None)
    assert 60 < len(found.train) < 95
    others = [make_doc(doc._.note_id, "another") for doc in docs]
    assert sides_of(train_dev_test_split(others, group_by=None)) == sides_of(found)


def test_a_document_without_id_is_known_by_its_text() -> None:
    texts = [f"note {i}" for i in range(50)] * 2
    corpus = train_dev_test_split([make_doc(text=text) for text in texts], group_by=None)
    found = [{doc.text for doc in part} for part in corpus]
    assert sum(map(len, found)) == 50


def test_documents_without_a_group_are_an_error_that_counts_them() -> None:
    docs = [make_doc(f"n{i}", "p" if i > 6 else None) for i in range(20)]
    with pytest.raises(
        DataError,
        match=r"7 documents \(n0, n1, n2, n3, n4, \.\.\.\) of 20 have no group: doc\._\.patient_id "
        r"is empty; give it a value, pass group_by=None .* or missing=\"own\"",
    ):
        train_dev_test_split(docs)


def test_a_function_that_gives_no_group_is_an_error() -> None:
    with pytest.raises(DataError, match=r"1 document \(n\) of 1 have no group: what group_by= ret"):
        train_dev_test_split([make_doc("n")], group_by=lambda doc: " ")


def test_each_document_without_a_group_may_be_one_of_its_own() -> None:
    docs = [make_doc(f"n{i}", "p0" if i < 10 else None) for i in range(100)]
    corpus = train_dev_test_split(docs, missing="own")
    assert len({sides_of(corpus)[f"n{i}"] for i in range(10)}) == 1
    assert len({sides_of(corpus)[f"n{i}"] for i in range(10, 100)}) == 3


# Stratified


def test_shares_of_labels_are_within_two_per_cent() -> None:
    labels = [[], ["A"], ["A", "B", "B"], ["C"], ["A", "C"]]
    docs = of_patients([1, 2, 3, 1, 1] * 20, labels * 20)
    corpus = train_dev_test_split(docs, method="stratified")
    for label in "ABC":
        counts = [sum(s.label_ == label for doc in part for s in doc.ents) for part in corpus]
        shares = [count / sum(counts) for count in counts]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_classes_are_stratified_where_there_are_no_spans() -> None:
    docs = [make_doc(i, i, cats={"A": float(i < 20), "B": float(i >= 20)}) for i in range(100)]
    corpus = train_dev_test_split(docs, method="stratified")
    assert [sum(doc.cats["A"] for doc in part) for part in corpus] == [16, 2, 2]


def test_the_layer_to_stratify_can_be_named() -> None:
    docs = [make_doc(i, i, ["AB"[i < 10]], group="gold-ner") for i in range(100)]
    corpus = train_dev_test_split(docs, method="stratified", labels="gold-ner")
    assert [sum(s.label_ == "B" for d in p for s in d.spans["gold-ner"]) for p in corpus] == [
        8,
        1,
        1,
    ]


def test_nothing_to_stratify_is_an_error() -> None:
    with pytest.raises(DataError, match="no labels in the layer 'cats' of 3 documents to stratify"):
        train_dev_test_split(of_patients([3]), method="stratified")


# Kept in a file


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_a_file_keeps_a_split(method: Any, tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    docs = of_patients([1, 2] * 20, [["A"]] * 40)
    saved = train_dev_test_split(docs, method=method, save=file)
    again = train_dev_test_split(docs[::-1], (0, 0, 1), seed=9, from_file=file)
    assert sides_of(again) == sides_of(saved)


def test_the_file_is_a_table_in_the_order_of_ids(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    train_dev_test_split([make_doc(i, 1) for i in ("b", "a", "c")], (0, 1, 0), save=file)
    assert file.read_bytes() == b"note_id\tside\na\tdev\nb\tdev\nc\tdev\n"


def test_blank_lines_of_a_file_do_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    file.write_bytes(b"\xef\xbb\xbfnote_id\tside\r\n\r\na\tdev\r\n\r\n")  # as editors leave them
    assert ids(train_dev_test_split([make_doc("a", 1)], from_file=file).dev) == ["a"]


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.text(min_size=1), unique=True, min_size=1))
def test_any_id_comes_back(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("split") / "splits.tsv"
    docs = [make_doc(name, 1) for name in names]
    saved = train_dev_test_split(docs, save=file)
    assert sides_of(train_dev_test_split(docs, from_file=file)) == sides_of(saved)


def test_the_same_split_may_be_saved_again(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    docs = of_patients([1] * 10)
    train_dev_test_split(docs, save=file)
    before = file.stat().st_mtime_ns
    train_dev_test_split(docs[::-1], save=file)
    assert file.stat().st_mtime_ns == before


def test_another_split_does_not_replace_a_file(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    docs = of_patients([1] * 3)
    train_dev_test_split(docs, (1, 0, 0), save=file)
    with pytest.raises(
        DataError, match=r"another split is in it: 3 documents \(0-0, 1-0, 2-0\) differ; keep to it"
    ):
        train_dev_test_split(docs, (0, 1, 0), save=file)


def test_documents_that_a_file_does_not_name_are_named(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    docs = of_patients([1] * 20)
    train_dev_test_split(docs[:13], (1, 0, 0), save=file)
    with pytest.raises(
        DataError,
        match=r"splits.tsv: 7 documents \(13-0, 14-0, 15-0, 16-0, 17-0, \.\.\.\) of 20 are not in",
    ):
        train_dev_test_split(docs, from_file=file)


def test_lines_without_a_document_are_named(tmp_path: Path, log: list[str]) -> None:
    file = tmp_path / "splits.tsv"
    docs = of_patients([1] * 5)
    train_dev_test_split(docs, (1, 0, 0), save=file)
    assert len(train_dev_test_split(docs[:3], from_file=file).train) == 3
    assert log == [f"WARNING {file}: no document for 2 lines (3-0, 4-0)"]


def test_a_file_that_puts_a_patient_on_two_sides_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    file.write_text("note_id\tside\n0-0\ttrain\n0-1\ttest\n1-0\tdev\n")
    with pytest.raises(
        DataError, match=r"2 documents \(0-0, 0-1\) are of groups that this file puts on several"
    ):
        train_dev_test_split(of_patients([2, 1]), from_file=file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "splits.tsv:1: expected the columns note_id and side"),
        (b"id\tside\n", "splits.tsv:1: expected the columns note_id and side"),
        (b"note_id\tside\na\n", "splits.tsv:2: expected 2 cells with a tab between, got 1"),
        (b"note_id\tside\na\tval\n", r"2:a: expected a side \(train, dev, test\), got 'val'"),
        (b"note_id\tside\na\tdev\na\tdev\n", "3:a: this document stands on two lines"),
        (b"note_id\tside\n\xff\tdev\n", "expected a table in UTF-8: UnicodeDecodeError"),
    ],
)
def test_a_damaged_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        train_dev_test_split([make_doc("a", 1)], from_file=file)


@pytest.mark.parametrize("option", ["save", "from_file"])
def test_a_file_needs_ids(option: str, tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    if option == "from_file":
        file.write_text("note_id\tside\n")
    options: Any = {"group_by": None, option: file}
    with pytest.raises(DataError, match=r"1 of 2 documents have no id, .* set doc\._\.note_id"):
        train_dev_test_split([make_doc("a"), make_doc()], **options)
    with pytest.raises(DataError, match=r"1 id \(a\) belong to several documents"):
        train_dev_test_split([make_doc("a"), make_doc("a")], **options)


# Wrong arguments


@pytest.mark.parametrize("ratios", [(0.8, 0.1, 0.2), (0.9, 0.1), (1.1, -0.1, 0), ()])
def test_ratios_that_do_not_add_up_are_refused(ratios: Any) -> None:
    with pytest.raises(ValueError, match="ratios are three numbers from 0 on that add up to 1, go"):
        train_dev_test_split(of_patients([1]), ratios)
    with pytest.raises(ValueError, match="ratios are three numbers from 0 on that add up to 1, go"):
        Stream.from_items([]).train_dev_test_split(ratios)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "random"}, "method is one of hash, stratified, got 'random'"),
        ({"missing": "drop"}, "missing is one of 'error', 'own', got 'drop'"),
        ({"save": "a", "from_file": "b"}, "give save= or from_file=, not both"),
    ],
)
def test_wrong_arguments_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_dev_test_split(of_patients([1]), **options)


def test_a_group_that_is_no_name_is_refused() -> None:
    with pytest.raises(TypeError, match="a group is a text or a number, got a list"):
        train_dev_test_split([make_doc("a", ["p"])])


def test_no_documents_are_an_error() -> None:
    with pytest.raises(DataError, match="expected documents to split, found none"):
        train_dev_test_split([])


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(TypeError, match="expected documents to split, got a int"):
        train_dev_test_split([1], group_by=None)  # type: ignore[list-item]
