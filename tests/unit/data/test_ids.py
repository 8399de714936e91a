"""Ids of records: one each, no two the same, in little memory."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.data.output import ids as module
from edspipe.data.output.ids import HashSet, UniqueIds
from edspipe.data.output.journal import Journal
from edspipe.errors import DataError

MESSAGE = "two records have this id; give each document an id of its own"


def records(*idents: object) -> list[dict]:
    return [{"note_id": ident, "text": "x"} for ident in idents]


def ids_given(unique: UniqueIds, *idents: object) -> list[object]:
    return [unique.add(record)["note_id"] for record in records(*idents)]


@pytest.fixture
def make_journal():
    """Makes journals, and closes them after the test."""
    with ExitStack() as stack:

        def make(*args) -> Journal:
            journal = Journal(*args)
            stack.callback(journal.abort)
            return journal

        yield make


def test_records_without_an_id_get_one_by_their_place():
    unique = UniqueIds("note_id")
    assert ids_given(unique, None, "x", None) == ["doc-000001", "x", "doc-000003"]
    assert (unique.count, unique.given) == (3, 2)


def test_an_id_that_is_taken_is_not_given():
    given = ids_given(UniqueIds("note_id"), "doc-000002", None, None)
    assert given == ["doc-000002", "doc-000003", "doc-000004"]


def test_a_record_with_an_id_is_left_as_it_is():
    (record,) = records("a")
    assert UniqueIds("note_id").add(record) is record


def test_a_record_is_not_changed_when_it_gets_an_id():
    (record,) = records(None)
    UniqueIds("note_id").add(record)
    assert record["note_id"] is None


@pytest.mark.parametrize("other", ["text", 3, [{"note_id": "a"}]])
def test_what_is_no_record_passes(other):
    unique = UniqueIds("note_id")
    assert [unique.add(other), unique.add(other)] == [other, other]


def test_without_a_key_nothing_is_checked():
    unique = UniqueIds(None)
    assert ids_given(unique, "a", "a", None) == ["a", "a", None]


@pytest.mark.parametrize(("first", "second"), [("x", "x"), (7, "7"), ("é", "é")])
def test_an_id_that_came_before_is_refused(first, second):
    with pytest.raises(DataError, match=f"^{second}: {MESSAGE}"):
        ids_given(UniqueIds("note_id"), first, second)


def test_an_id_that_came_long_before_is_refused_when_ids_are_settled(monkeypatch):
    monkeypatch.setattr(module, "_MAX_RECENT", 4)
    unique = UniqueIds("note_id")
    ids_given(unique, *"abcdefgh", "a")
    with pytest.raises(DataError, match=f"^a: {MESSAGE}"):
        unique.settle()


def test_ids_of_what_is_added_to_are_taken():
    unique = UniqueIds("note_id")
    unique.take("doc-000001")
    assert ids_given(unique, None) == ["doc-000002"]
    with pytest.raises(DataError, match=MESSAGE):
        ids_given(unique, "doc-000001")


def test_many_ids_can_be_given_behind_those_that_are_taken():
    unique = UniqueIds("note_id")
    for number in range(1, 300):
        unique.take(f"doc-{number:06d}")
    assert ids_given(unique, *[None] * 3) == ["doc-000300", "doc-000301", "doc-000302"]


def test_ids_are_known_again_from_a_file(tmp_path, monkeypatch, make_journal):
    monkeypatch.setattr(module, "_MAX_RECENT", 4)
    journal = make_journal(tmp_path / "ids")
    ids_given(UniqueIds("note_id", journal), *"abcdefghij")
    unique = UniqueIds("note_id", journal)
    ids_given(unique, "new")
    with pytest.raises(DataError, match=f"^b: {MESSAGE}"):
        ids_given(unique, "b", *"klmnop")


idents = st.lists(st.text(max_size=3) | st.none(), max_size=40)


@given(idents, st.integers(1, 7), st.sampled_from([hash, lambda line: len(line) % 3]))
def test_twins_are_found_and_nothing_else(idents, recent, hash_function):
    """With numbers that many ids share, too."""
    known: set[str] = set()
    has_twins = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MAX_RECENT", recent)
        patch.setattr(module, "hash", hash_function, raising=False)
        unique = UniqueIds("note_id")
        found = False
        try:
            for record in records(*idents):
                given = unique.add(record)["note_id"]
                has_twins = has_twins or given in known
                known.add(given)
            unique.settle()
        except DataError as error:
            found = error.id in known
            has_twins = True
    assert found == has_twins


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), max_size=9))
def test_a_set_of_hashes_is_a_set(batches):
    hashes, known = HashSet(), set[int]()
    for batch in batches:
        new = set(batch) - known
        assert set(hashes.find(batch)) == set(batch) & known
        hashes.add(new)
        known |= new
    assert len(hashes) == len(known)
    assert sorted(hashes.find(known)) == sorted(known)


def test_a_million_hashes_take_eight_megabytes_in_few_arrays():
    hashes = HashSet()
    for start in range(0, 1_000_000, 4000):
        hashes.add(range(start, start + 4000))
    assert sum(array.nbytes for array in hashes._arrays) == 8_000_000
    assert len(hashes._arrays) < 10
