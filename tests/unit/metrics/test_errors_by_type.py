"""Errors by type: worked out by hand, and laws that hold for any spans."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edspipe.metrics.confusion import Confusion
from edspipe.metrics.errors_by_type import (
    CORRECT,
    ERRORS,
    KINDS,
    MISSED,
    SPURIOUS,
    WRONG_BOTH,
    WRONG_BOUNDARY,
    WRONG_LABEL,
    ErrorCounts,
    Identity,
    Pair,
    pair_spans,
    share_out,
)

PATIENT = settings(deadline=None)  # the machine may be busy


@st.composite
def identities(draw: st.DrawFn) -> list[Identity]:
    spans = draw(
        st.lists(
            st.tuples(st.integers(0, 12), st.integers(1, 6), st.sampled_from("ABC")), max_size=9
        )
    )
    return [(start, start + size, label) for start, size, label in spans]


@pytest.mark.parametrize(
    ("gold", "found", "kinds"),
    [
        ([(0, 4, "A")], [(0, 4, "A")], [CORRECT]),
        ([(0, 4, "A")], [(0, 4, "B")], [WRONG_LABEL]),
        ([(0, 4, "A")], [(3, 9, "A")], [WRONG_BOUNDARY]),
        ([(0, 4, "A")], [(3, 9, "B")], [WRONG_BOTH]),
        ([(0, 4, "A")], [(4, 9, "A")], [MISSED, SPURIOUS]),
        ([(0, 4, "A")], [], [MISSED]),
        ([], [(0, 4, "A")], [SPURIOUS]),
        ([], [], []),
        ([(0, 4, "A"), (0, 4, "A")], [(0, 4, "A")], [CORRECT]),
        ([(0, 4, "A")], [(0, 4, "A"), (0, 4, "A")], [CORRECT]),
        # An exact match takes the span that another gold span overlaps.
        ([(0, 4, "A"), (2, 6, "A")], [(2, 6, "A")], [MISSED, CORRECT]),
        # The label alone is wrong in one; a shared boundary is no reason to take it away.
        ([(0, 4, "A"), (0, 6, "B")], [(0, 4, "B")], [WRONG_LABEL, MISSED]),
        # The same label comes before more characters.
        ([(0, 9, "A")], [(0, 8, "B"), (8, 12, "A")], [SPURIOUS, WRONG_BOUNDARY]),
        # More characters come before the order.
        ([(0, 4, "A"), (4, 9, "A")], [(2, 8, "A")], [MISSED, WRONG_BOUNDARY]),
        # Of equals the first in the text.
        ([(0, 4, "A"), (4, 8, "A")], [(2, 6, "A")], [WRONG_BOUNDARY, MISSED]),
    ],
)
def test_spans_are_paired_by_kind(
    gold: list[Identity], found: list[Identity], kinds: list[str]
) -> None:
    assert [pair.kind for pair in pair_spans(gold, found)] == kinds


def test_labels_on_the_same_words_are_paired_in_their_order() -> None:
    gold, found = [(0, 4, label) for label in "ABX"], [(0, 4, label) for label in "DCX"]
    assert pair_spans(gold, found) == [
        Pair(WRONG_LABEL, (0, 4, "A"), (0, 4, "C")),
        Pair(WRONG_LABEL, (0, 4, "B"), (0, 4, "D")),
        Pair(CORRECT, (0, 4, "X"), (0, 4, "X")),
    ]


def by_brute_force(gold: set[Identity], found: set[Identity]) -> set[Pair]:
    """Go through the rules as they are written, over all pairs each time."""

    def shared(a: Identity, b: Identity) -> int:
        return len(set(range(a[0], a[1])) & set(range(b[0], b[1])))

    rules = [
        (CORRECT, lambda a, b: a == b),
        (WRONG_LABEL, lambda a, b: a[:2] == b[:2]),
        (WRONG_BOUNDARY, lambda a, b: shared(a, b) and a[2] == b[2]),
        (WRONG_BOTH, lambda a, b: shared(a, b)),
    ]
    gold, found, pairs = set(gold), set(found), set()
    for kind, fits in rules:
        while fitting := [(a, b) for a, b in product(gold, found) if fits(a, b)]:
            one, other = min(fitting, key=lambda pair: (-shared(*pair), pair))
            pairs.add(Pair(kind, one, other))
            gold.discard(one)
            found.discard(other)
    pairs |= {Pair(MISSED, one, None) for one in gold}
    return pairs | {Pair(SPURIOUS, None, other) for other in found}


@PATIENT
@given(identities(), identities())
def test_pairs_are_those_of_the_rules(gold: list[Identity], found: list[Identity]) -> None:
    pairs = pair_spans(gold, found)
    wrong_label = {pair for pair in pairs if pair.kind == WRONG_LABEL}
    expected = by_brute_force(set(gold), set(found))
    assert set(pairs) == expected
    assert len(wrong_label) == len({pair.gold for pair in wrong_label})


@PATIENT
@given(identities(), identities())
def test_every_span_is_in_one_pair(gold: list[Identity], found: list[Identity]) -> None:
    pairs = pair_spans(gold, found)
    assert sorted(p.gold for p in pairs if p.gold is not None) == sorted(set(gold))
    assert sorted(p.found for p in pairs if p.found is not None) == sorted(set(found))
    assert {p.kind for p in pairs if p.gold is None} <= {SPURIOUS}
    assert {p.kind for p in pairs if p.found is None} <= {MISSED}


@PATIENT
@given(identities(), identities(), st.randoms())
def test_the_order_of_the_spans_does_not_matter(
    gold: list[Identity], found: list[Identity], random: Random
) -> None:
    expected = pair_spans(gold, found)
    random.shuffle(gold)
    random.shuffle(found)
    assert pair_spans(gold, found) == expected


@PATIENT
@given(identities(), identities())
def test_the_confusion_matrix_sums_to_gold_and_found(
    gold: list[Identity], found: list[Identity]
) -> None:
    confusion = Confusion()
    confusion.add(pair_spans(gold, found))
    report = confusion.to_dict()
    labels, matrix = report["labels"], report["matrix"]
    support = Counter(label for *_, label in set(gold))
    positives = Counter(label for *_, label in set(found))
    assert labels == sorted(support | positives)
    assert len(matrix) == len(labels) + 1
    assert [sum(row) for row in matrix[:-1]] == [support[label] for label in labels]
    assert [sum(column) for column in zip(*matrix, strict=True)][:-1] == [
        positives[label] for label in labels
    ]
    assert matrix[-1][-1] == 0


def test_a_wrong_boundary_is_no_confusion_of_labels() -> None:
    confusion = Confusion()
    confusion.add(pair_spans([(0, 4, "A"), (9, 12, "B")], [(0, 3, "A"), (20, 22, "A")]))
    assert confusion.to_dict() == {
        "labels": ["A", "B"],
        "matrix": [[1, 0, 0], [0, 0, 1], [1, 0, 0]],
    }


# ---- counts and examples --------------------------------------------------------------------


def error_counts(max_examples: int, num_missed: int, num_spurious: int) -> ErrorCounts:
    errors = ErrorCounts(max_examples)
    missed = [(10 * i, 10 * i + 4, "A") for i in range(num_missed)]
    spurious = [(10 * i + 5, 10 * i + 9, "B") for i in range(num_spurious)]
    errors.add("one", pair_spans(missed, spurious), dict.fromkeys(spurious, 0.5))
    return errors


def test_pairs_count_for_the_label_of_gold() -> None:
    errors = ErrorCounts()
    errors.add("one", pair_spans([(0, 4, "A"), (5, 9, "B")], [(0, 4, "C"), (5, 9, "B")]), {})
    errors.add("two", pair_spans([], [(0, 4, "C")]), {})
    report = errors.to_dict()
    assert list(report["by_label"]) == ["A", "B", "C"]
    assert list(report["counts"]) == list(report["by_label"]["A"]) == list(KINDS)
    assert report["by_label"]["A"][WRONG_LABEL] == 1
    assert report["by_label"]["B"][CORRECT] == 1
    assert report["by_label"]["C"] == {**dict.fromkeys(KINDS, 0), SPURIOUS: 1}
    assert report["counts"] == {**dict.fromkeys(KINDS, 0), WRONG_LABEL: 1, CORRECT: 1, SPURIOUS: 1}


def test_examples_say_document_offsets_label_and_confidence() -> None:
    errors = ErrorCounts()
    found: Identity = (2, 6, "B")
    errors.add("note-1", pair_spans([(0, 4, "A"), (8, 9, "A")], [found]), {found: 0.75})
    assert errors.to_dict()["examples"] == [
        {
            "doc_id": "note-1",
            "kind": WRONG_BOTH,
            "gold": {"start": 0, "end": 4, "label": "A"},
            "found": {"start": 2, "end": 6, "label": "B", "confidence": 0.75},
        },
        {
            "doc_id": "note-1",
            "kind": MISSED,
            "gold": {"start": 8, "end": 9, "label": "A"},
            "found": None,
        },
    ]


@pytest.mark.parametrize(
    ("max_examples", "missed", "spurious"),
    [(0, 0, 0), (1, 0, 1), (4, 2, 2), (7, 3, 4), (12, 3, 9), (23, 3, 20), (99, 3, 20)],
)
def test_kinds_share_the_examples(max_examples: int, missed: int, spurious: int) -> None:
    report = error_counts(max_examples, 3, 20).to_dict()
    kept = Counter(example["kind"] for example in report["examples"])
    assert (kept[MISSED], kept[SPURIOUS]) == (missed, spurious)
    assert report["num_examples_left_out"] == 23 - missed - spurious
    assert report["counts"][MISSED] == 3


def test_the_first_examples_are_kept_in_the_order_of_the_text() -> None:
    report = error_counts(4, 30, 30).to_dict()
    places = [(e["gold"] or e["found"])["start"] for e in report["examples"]]
    assert places == [0, 5, 10, 15]


def test_a_negative_number_of_examples_is_refused() -> None:
    with pytest.raises(ValueError, match="max_examples is 0 or more, got -1"):
        ErrorCounts(-1)


@PATIENT
@given(st.dictionaries(st.sampled_from(ERRORS), st.integers(0, 30)), st.integers(0, 60))
def test_room_is_shared_without_waste_and_without_privilege(
    wants: dict[str, int], room: int
) -> None:
    shares = share_out(wants, room)
    assert sum(shares.values()) == min(room, sum(wants.values()))
    assert all(0 <= shares[name] <= wants[name] for name in wants)
    short = [shares[name] for name in wants if shares[name] < wants[name]]
    assert all(share <= min(short, default=share) + 1 for share in shares.values())
