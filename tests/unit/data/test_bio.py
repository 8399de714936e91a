"""Tags to spans and back, against brute force, hypothesis and seqeval."""

from __future__ import annotations

import itertools
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.data.conll.bio import SCHEMES, spans_from_tags, tags_from_spans

ALL_TAGS = ["O", *(f"{letter}-{label}" for letter in "BIESLU" for label in ("X", "Y"))]
ONE_OF_EACH = {
    "bio": "B-X B-X I-X B-Y O O B-X",
    "iob1": "I-X B-X I-X I-Y O O I-X",
    "bioes": "S-X B-X E-X S-Y O O S-X",
    "bioul": "U-X B-X L-X U-Y O O U-X",
}
SPANS = [(0, 1, "X"), (1, 3, "X"), (3, 4, "Y"), (6, 7, "X")]


@st.composite
def spans_and_length(draw: st.DrawFn) -> tuple[list[tuple[int, int, str]], int]:
    """Spans that do not overlap, and a number of words that holds them."""
    spans, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 4))
        spans.append((start, at, draw(st.sampled_from(["X", "Y", "B-I", ""]))))
    return spans, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_writes_the_same_spans_in_its_own_letters(scheme):
    assert tags_from_spans(SPANS, 7, scheme) == ONE_OF_EACH[scheme].split()


@pytest.mark.parametrize("scheme", SCHEMES)
@given(drawn=spans_and_length())
def test_spans_come_back_from_their_tags(scheme, drawn):
    spans, length = drawn
    assert spans_from_tags(tags_from_spans(spans, length, scheme), scheme) == (spans, 0)


@given(drawn=spans_and_length())
def test_the_order_of_spans_does_not_matter(drawn):
    spans, length = drawn
    assert tags_from_spans(spans[::-1], length) == tags_from_spans(spans, length)


def all_tags_of(scheme: str) -> list[str]:
    letters = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bioul": "BILU"}[scheme]
    return ["O", *(f"{letter}-{label}" for letter in letters for label in ("X", "Y"))]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("length", range(5))
def test_tags_are_valid_just_where_their_spans_write_the_same_tags(scheme, length):
    for tags in itertools.product(all_tags_of(scheme), repeat=length):
        spans, invalid = spans_from_tags(tags, scheme)
        assert (invalid == 0) == (tags_from_spans(spans, length, scheme) == list(tags)), tags


@pytest.mark.parametrize("length", range(4))
def test_spans_of_any_tags_do_not_overlap_and_cover_just_the_words_that_have_one(length):
    for tags in itertools.product(ALL_TAGS, repeat=length):
        spans, _ = spans_from_tags(tags)
        covered = [i for start, end, _ in spans for i in range(start, end)]
        assert covered == [i for i, tag in enumerate(tags) if tag != "O"]
        assert all(tags[i][2:] == label for start, end, label in spans for i in range(start, end))


@pytest.mark.parametrize("length", range(6))
def test_spans_are_those_of_seqeval(length):
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    tags = ["O", "B-X", "I-X", "E-X", "S-X", "I-Y", "E-Y"]
    for sequence in itertools.product(tags, repeat=length):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = labelling.get_entities(list(sequence))
        spans = [(start, last + 1, label) for label, start, last in theirs]
        assert spans_from_tags(sequence)[0] == spans


@pytest.mark.parametrize(
    ("tags", "scheme", "invalid"),
    [
        ("O I-X O", None, 1),
        ("O I-X O", "bio", 1),
        ("O I-X O", "iob1", 0),
        ("O B-X O", "iob1", 1),
        ("I-X B-X", "iob1", 0),
        ("I-X B-Y", "iob1", 1),
        ("B-X I-Y I-Y", None, 1),
        ("B-X O", None, 0),
        ("B-X O", "bioes", 1),
        ("B-X", "bioes", 1),
        ("B-X B-X E-X", "bioes", 1),
        ("B-X L-X", "bioes", 1),
        ("S-X", "bioul", 1),
        ("B-X E-X I-X", None, 1),
        ("B-X E-X L-X U-X S-X", None, 1),
        ("? O X-Y OO", None, 3),
    ],
)
def test_invalid_transitions_are_counted(tags, scheme, invalid):
    assert spans_from_tags(tags.split(), scheme)[1] == invalid


@pytest.mark.parametrize("nothing", ["O", "_", "*", ""])
def test_several_signs_mean_outside(nothing):
    assert spans_from_tags(["B-X", nothing, "B-X"]) == ([(0, 1, "X"), (2, 3, "X")], 0)


@pytest.mark.parametrize("tags", [["O-X"], ["BX"], ["b-X"], ["Z"], [" B-X"]])
def test_what_is_no_tag_is_outside(tags):
    assert spans_from_tags(tags) == ([], 1)


def test_tags_without_a_label_and_labels_with_a_hyphen_are_read():
    assert spans_from_tags(["B", "I", "B-a-b", "I-a-b"]) == ([(0, 2, ""), (2, 4, "a-b")], 0)


@pytest.mark.parametrize("spans", [[(0, 2, "X"), (1, 3, "X")], [(0, 3, "X"), (1, 2, "Y")]])
def test_overlapping_spans_have_no_tags(spans):
    with pytest.raises(ValueError, match=r"from word \d overlaps one that ends at word \d"):
        tags_from_spans(spans, 3)


@pytest.mark.parametrize("span", [(1, 1, "X"), (2, 1, "X"), (0, 4, "X"), (-1, 1, "X")])
def test_spans_outside_the_words_have_no_tags(span):
    with pytest.raises(ValueError, match=r"expected spans with 0 <= start < end <= 3 words, got"):
        tags_from_spans([span], 3)


@pytest.mark.parametrize(
    "function", [lambda s: spans_from_tags([], s), lambda s: tags_from_spans([], 0, s)]
)
def test_an_unknown_scheme_is_refused(function):
    with pytest.raises(ValueError, match="one of bio, iob1, bioes, bioul; got 'iob3'"):
        function("iob3")
