"""Metrics on spans: values worked out by hand, brute force, and seqeval."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.attributes import declare_span_attribute
from edspipe.metrics.counting import read_aligned
from edspipe.metrics.ner import (
    NerExactMetric,
    NerOverlapMetric,
    NerTokenMetric,
    SpanAttributeMetric,
    find_overlaps,
    maximum_matching,
)

VOCAB = Vocab()
PATIENT = settings(deadline=None, max_examples=60)  # the machine may be busy
WORDS = ["aa", "bb", "cc", "dd", "\n", "ee", "ff", "gg"]
declare_span_attribute("negated_test")
declare_span_attribute("grade_test")

SpanTuples = list[tuple[int, int, str]]


def make_doc(*spans: tuple[int, int, str], words: list[str] = WORDS) -> Doc:
    """Spans (first word, word behind the last, label), in the group `"test"`."""
    doc = Doc(VOCAB, words=words)
    doc.spans["test"] = [Span(doc, start, end, label) for start, end, label in spans]
    return doc


def scores(p: float, r: float, f: float, tp: int, support: int, positives: int) -> dict[str, Any]:
    figures = {"p": p, "r": r, "f": f, "tp": tp, "support": support, "positives": positives}
    return {name: pytest.approx(value) for name, value in figures.items()}


def span_lists(max_size: int = 6) -> st.SearchStrategy[SpanTuples]:
    pairs = st.tuples(st.integers(0, 7), st.integers(1, 8), st.sampled_from("AB"))
    return st.lists(pairs.filter(lambda span: span[0] < span[1]), max_size=max_size)


GOLD = [
    make_doc((0, 2, "A"), (3, 4, "A"), (5, 8, "B")),
    make_doc((0, 1, "A")),
    make_doc(),
]
PREDICTED = [
    make_doc((0, 2, "A"), (3, 5, "A"), (5, 8, "A"), (5, 6, "B")),
    make_doc((0, 1, "A"), (0, 1, "A"), (2, 3, "C")),
    make_doc(),
]


class TestExact:
    def test_counts_what_is_the_same(self) -> None:
        assert NerExactMetric("test")(GOLD, PREDICTED) == {
            "A": scores(2 / 4, 2 / 3, 4 / 7, 2, 3, 4),
            "B": scores(0, 0, 0, 0, 1, 1),
            "C": scores(0, 0, 0, 0, 0, 1),
            "micro": scores(2 / 6, 2 / 4, 4 / 10, 2, 4, 6),
            "macro": scores(2 / 12, 2 / 9, 4 / 21, 2, 4, 6),
        }

    def test_gives_plain_numbers(self) -> None:
        result = NerExactMetric("test", ci={"n_iterations": 5})(GOLD, PREDICTED)
        assert [type(value) for value in result["A"].values()] == [float] * 3 + [int] * 3
        assert {
            type(v) for row in result["ci"].values() for ends in row.values() for v in ends
        } == {float}

    def test_gold_against_itself_is_perfect(self) -> None:
        assert NerExactMetric("test")(GOLD, GOLD)["micro"] == scores(1, 1, 1, 4, 4, 4)

    def test_nothing_in_gold_and_predictions_scores_zero(self) -> None:
        empty = scores(0, 0, 0, 0, 0, 0)
        assert NerExactMetric("test")([make_doc()], [make_doc()]) == {
            "micro": empty,
            "macro": empty,
        }

    def test_no_documents_score_zero(self) -> None:
        assert NerExactMetric("test")([], [])["micro"] == scores(0, 0, 0, 0, 0, 0)

    def test_a_label_without_predictions_scores_zero(self) -> None:
        result = NerExactMetric("test")([make_doc((0, 1, "A"))], [make_doc()])
        assert result["A"] == scores(0, 0, 0, 0, 1, 0)

    def test_reads_generators_once_and_side_by_side(self) -> None:
        read: list[str] = []

        def stream(docs: list[Doc], name: str) -> Iterator[Doc]:
            for doc in docs:
                read.append(name)
                yield doc

        result = NerExactMetric("test")(stream(GOLD, "gold"), stream(PREDICTED, "predicted"))
        assert result == NerExactMetric("test")(GOLD, PREDICTED)
        assert read == ["gold", "predicted"] * 3

    @pytest.mark.parametrize(
        ("chosen", "labels"),
        [
            pytest.param("A", {"A"}, id="a label"),
            pytest.param(["B", "C"], {"B", "C"}, id="labels"),
            pytest.param(lambda span: span.start >= 5, {"A", "B"}, id="a callable"),
        ],
    )
    def test_filter(self, chosen: Any, labels: set[str]) -> None:
        result = NerExactMetric("test", filter=chosen)(GOLD, PREDICTED)
        assert set(result) == labels | {"micro", "macro"}

    def test_micro_key_names_the_micro_entry(self) -> None:
        result = NerExactMetric("test", micro_key="all")(GOLD, PREDICTED)
        assert result["all"]["tp"] == 2
        assert "micro" not in result

    @pytest.mark.parametrize("getter", ["ents", ["ents"], {"ents": ["A"]}, lambda doc: doc.ents])
    def test_takes_any_span_getter(self, getter: Any) -> None:
        doc = make_doc()
        doc.ents = [Span(doc, 0, 2, "A")]
        assert NerExactMetric(getter)([doc], [doc])["A"]["tp"] == 1

    def test_another_cut_into_words_changes_nothing(self) -> None:
        gold = make_doc((0, 1, "A"), words=["aabb"])
        predicted = Doc(VOCAB, words=["aa", "bb"], spaces=[False, True])
        predicted.spans["test"] = [Span(predicted, 0, 2, "A")]
        assert NerExactMetric("test")([gold], [predicted])["A"]["f"] == 1.0


@st.composite
def bio_sequences(draw: st.DrawFn) -> list[str]:
    tags: list[str] = []
    while len(tags) < 8:
        label = draw(st.sampled_from(["O", "A", "B", "C"]))
        length = draw(st.integers(1, 3))
        rest = [] if label == "O" else [f"I-{label}"] * (length - 1)
        tags += ["O" if label == "O" else f"B-{label}", *rest]
    return tags[:8]


@PATIENT
@given(st.lists(st.tuples(bio_sequences(), bio_sequences()), min_size=1, max_size=4))
def test_exact_agrees_with_seqeval(pairs: list[tuple[list[str], list[str]]]) -> None:
    gold_tags, predicted_tags = [gold for gold, _ in pairs], [pred for _, pred in pairs]
    if not any(tag != "O" for tags in gold_tags + predicted_tags for tag in tags):
        return  # seqeval's report fails on a corpus without entities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from seqeval.metrics import classification_report

        expected = classification_report(
            gold_tags, predicted_tags, output_dict=True, zero_division=0
        )
    gold_docs, predicted_docs = (
        [Doc(VOCAB, words=WORDS, ents=tags) for tags in many]
        for many in (gold_tags, predicted_tags)
    )
    result = NerExactMetric("ents")(gold_docs, predicted_docs)
    names = {"micro": "micro avg", "macro": "macro avg"}
    assert set(expected) - {"weighted avg"} == {names.get(label, label) for label in result}
    for label, figures in result.items():
        oracle = expected[names.get(label, label)]
        got = (figures["p"], figures["r"], figures["f"], figures["support"])
        wanted = tuple(oracle[k] for k in ("precision", "recall", "f1-score", "support"))
        assert got == pytest.approx(wanted)


class TestToken:
    def test_counts_the_words_that_spans_cover(self) -> None:
        gold = make_doc((0, 2, "A"), (3, 6, "B"))  # aa bb; dd (line break) ee
        predicted = make_doc((1, 3, "A"), (1, 2, "A"), (5, 6, "B"))  # bb cc, bb; ee
        assert NerTokenMetric("test")([gold], [predicted]) == {
            "A": scores(1 / 2, 1 / 2, 1 / 2, 1, 2, 2),
            "B": scores(1, 1 / 2, 2 / 3, 1, 2, 1),
            "micro": scores(2 / 3, 2 / 4, 4 / 7, 2, 4, 3),
            "macro": scores(3 / 4, 1 / 2, 7 / 12, 2, 4, 3),
        }

    @PATIENT
    @given(span_lists(), span_lists())
    def test_agrees_with_sets_of_words(self, gold: SpanTuples, predicted: SpanTuples) -> None:
        def words(spans: SpanTuples) -> set[tuple[int, str]]:
            return {
                (word, label)
                for start, end, label in spans
                for word in range(start, end)
                if WORDS[word] != "\n"
            }

        micro = NerTokenMetric("test")([make_doc(*gold)], [make_doc(*predicted)])["micro"]
        assert micro["tp"] == len(words(gold) & words(predicted))
        assert (micro["support"], micro["positives"]) == (len(words(gold)), len(words(predicted)))


def overlap_by_brute_force(
    left: list[tuple[int, int]], right: list[tuple[int, int]], threshold: float
) -> int:
    """Try every way to pair the shorter list with the longer."""
    if len(left) > len(right):
        left, right = right, left

    def fits(a: tuple[int, int], b: tuple[int, int]) -> bool:
        shared = len(set(range(*a)) & set(range(*b)))
        return 2 * shared / (a[1] - a[0] + b[1] - b[0]) >= threshold

    return max(
        sum(fits(a, b) for a, b in zip(left, chosen, strict=True))
        for chosen in permutations(right, len(left))
    )


class TestOverlap:
    def test_half_an_overlap_is_enough(self) -> None:
        # "aa bb" and "bb cc": 5 characters each, 2 shared: Dice 0.4. "dd" and "dd": 1.
        gold, predicted = make_doc((0, 2, "A"), (3, 4, "A")), make_doc((1, 3, "A"), (3, 4, "A"))
        result = NerOverlapMetric("test")([gold], [predicted])
        assert result["A"] == scores(1 / 2, 1 / 2, 1 / 2, 1, 2, 2)
        loose = NerOverlapMetric("test", threshold=0.4)([gold], [predicted])
        assert loose["A"] == scores(1, 1, 1, 2, 2, 2)

    def test_a_span_matches_one_other_only(self) -> None:
        gold, predicted = make_doc((0, 4, "A")), make_doc((0, 2, "A"), (0, 3, "A"))
        result = NerOverlapMetric("test", threshold=0.1)([gold], [predicted])
        assert result["A"] == scores(1 / 2, 1, 2 / 3, 1, 1, 2)

    def test_labels_must_be_the_same(self) -> None:
        result = NerOverlapMetric("test")([make_doc((0, 1, "A"))], [make_doc((0, 1, "B"))])
        assert result["micro"]["tp"] == 0

    def test_as_many_pairs_are_made_as_can_be(self) -> None:
        # The first predicted span fits both gold spans, the second one only the first of these.
        gold = make_doc((0, 3, "A"), (1, 4, "A"))
        predicted = make_doc((0, 2, "A"), (0, 4, "A"))
        result = NerOverlapMetric("test", threshold=0.7)([gold], [predicted])
        assert result["A"]["tp"] == 2

    @PATIENT
    @given(span_lists(), span_lists(), st.sampled_from([0.01, 0.3, 0.5, 0.6, 0.8, 1.0]))
    def test_agrees_with_brute_force(
        self, gold: SpanTuples, predicted: SpanTuples, threshold: float
    ) -> None:
        docs = make_doc(*gold), make_doc(*predicted)
        result = NerOverlapMetric("test", threshold=threshold)([docs[0]], [docs[1]])
        for label in {label for *_, label in gold + predicted}:
            left, right = (
                sorted({(s.start_char, s.end_char) for s in d.spans["test"] if s.label_ == label})
                for d in docs
            )
            assert result[label]["tp"] == overlap_by_brute_force(left, right, threshold)

    @PATIENT
    @given(span_lists(), span_lists())
    def test_exchanging_gold_and_predictions_exchanges_p_and_r(
        self, gold: SpanTuples, predicted: SpanTuples
    ) -> None:
        docs = [make_doc(*gold)], [make_doc(*predicted)]
        metric = NerOverlapMetric("test")
        forth, back = metric(docs[0], docs[1])["micro"], metric(docs[1], docs[0])["micro"]
        assert (forth["p"], forth["r"], forth["f"]) == (back["r"], back["p"], back["f"])

    @PATIENT
    @given(span_lists(), span_lists())
    def test_a_threshold_of_one_is_the_exact_metric(
        self, gold: SpanTuples, predicted: SpanTuples
    ) -> None:
        docs = [make_doc(*gold)], [make_doc(*predicted)]
        exact = NerExactMetric("test")(*docs)
        assert NerOverlapMetric("test", threshold=1.0)(*docs) == exact

    @PATIENT
    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=12),
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=12),
    )
    def test_overlaps_are_those_of_a_search_over_all_pairs(
        self, left: list[tuple[int, int]], right: list[tuple[int, int]]
    ) -> None:
        left = [(start, start + size) for start, size in left]
        right = sorted((start, start + size) for start, size in right)
        found = find_overlaps(left, right, 0.5)
        assert found == [
            [i for i, b in enumerate(right) if overlap_by_brute_force([a], [b], 0.5)] for a in left
        ]

    def test_a_long_chain_of_moves_is_followed(self) -> None:
        # Each one may take its own or the next; the last, who comes last, moves all the others.
        size = 3000
        candidates = [[i + 1, i] for i in range(size - 1)] + [[size - 1]]
        assert maximum_matching(candidates, size) == size

    @pytest.mark.parametrize("threshold", [0, -0.5, 1.1])
    def test_a_threshold_out_of_range_is_refused(self, threshold: float) -> None:
        with pytest.raises(ValueError, match="threshold must be above 0 and at most 1; got"):
            NerOverlapMetric("test", threshold=threshold)


def with_values(*values: tuple[int, dict[str, Any]], label: str = "A") -> Doc:
    """A span of one word for each (word, attributes)."""
    doc = make_doc(*((word, word + 1, label) for word, _ in values))
    for span, (_, attributes) in zip(doc.spans["test"], values, strict=True):
        for name, value in attributes.items():
            span._.set(name, value)
    return doc


class TestAttributes:
    GOLD = [
        with_values(
            (0, {"negated_test": True, "grade_test": "II"}),
            (1, {"negated_test": False, "grade_test": "III"}),
            (2, {"negated_test": True}),
        )
    ]
    PREDICTED = [
        with_values(
            (0, {"negated_test": True, "grade_test": "II"}),
            (1, {"negated_test": True, "grade_test": "I"}),
            (2, {"negated_test": False}),
        )
    ]

    def test_compares_values_by_attribute(self) -> None:
        metric = SpanAttributeMetric("test", ["negated_test", "grade_test"])
        assert metric(self.GOLD, self.PREDICTED) == {
            "grade_test": scores(1 / 2, 1 / 2, 1 / 2, 1, 2, 2),
            "negated_test": scores(1 / 2, 1 / 2, 1 / 2, 1, 2, 2),
            "micro": scores(1 / 2, 1 / 2, 1 / 2, 2, 4, 4),
            "macro": scores(1 / 2, 1 / 2, 1 / 2, 2, 4, 4),
        }

    def test_falsy_values_count_on_demand(self) -> None:
        metric = SpanAttributeMetric("test", "negated_test", include_falsy=True)
        result = metric(self.GOLD, self.PREDICTED)
        assert result["negated_test"] == scores(1 / 3, 1 / 3, 1 / 3, 1, 3, 3)

    def test_none_is_no_value(self) -> None:
        metric = SpanAttributeMetric("test", "grade_test", include_falsy=True)
        assert metric(self.GOLD, self.PREDICTED)["grade_test"]["support"] == 2

    def test_none_may_stand_for_a_default(self) -> None:
        metric = SpanAttributeMetric("test", "grade_test", default_values={"grade_test": "0"})
        result = metric(self.GOLD, self.PREDICTED)
        assert result["grade_test"] == scores(2 / 3, 2 / 3, 2 / 3, 2, 3, 3)

    def test_an_attribute_may_be_scored_on_some_labels(self) -> None:
        metric = SpanAttributeMetric("test", {"negated_test": "B", "grade_test": True})
        assert "negated_test" not in metric(self.GOLD, self.PREDICTED)

    def test_an_attribute_may_be_switched_off(self) -> None:
        metric = SpanAttributeMetric("test", {"negated_test": False, "grade_test": ["A"]})
        assert list(metric.attributes) == ["grade_test"]

    def test_the_span_must_be_the_same(self) -> None:
        gold = [with_values((0, {"negated_test": True}))]
        predicted = [with_values((1, {"negated_test": True}))]
        result = SpanAttributeMetric("test", "negated_test")(gold, predicted)
        assert result["micro"] == scores(0, 0, 0, 0, 1, 1)

    @pytest.mark.parametrize("value", [["x", "y"], {"unit": ["mg"], "value": 3}, {"x", "y"}])
    def test_lists_and_dicts_are_compared_by_value(self, value: Any) -> None:
        gold = [with_values((0, {"grade_test": value}))]
        predicted = [with_values((0, {"grade_test": value.copy()}))]
        result = SpanAttributeMetric("test", "grade_test")(gold, predicted)
        assert result["grade_test"]["tp"] == 1

    def test_an_attribute_that_is_not_declared_is_refused(self) -> None:
        metric = SpanAttributeMetric("test", "negated_tset")
        with pytest.raises(ValueError, match=r"'negated_tset' is declared.*'negated_test'"):
            metric(self.GOLD, self.PREDICTED)

    def test_no_attribute_is_refused(self) -> None:
        with pytest.raises(ValueError, match="attributes is empty"):
            SpanAttributeMetric("test", [])


class TestAlignment:
    @pytest.mark.parametrize(("num_gold", "num_predicted"), [(3, 1), (1, 3), (0, 2)])
    def test_different_lengths_are_refused_with_both_counts(
        self, num_gold: int, num_predicted: int
    ) -> None:
        gold, predicted = [make_doc()] * num_gold, [make_doc()] * num_predicted
        message = f"there are {num_gold} gold documents, but {num_predicted} predicted"
        with pytest.raises(ValueError, match=message):
            NerExactMetric("test")(iter(gold), iter(predicted))

    def test_three_lengths_are_given_for_two_systems(self) -> None:
        docs = [make_doc()] * 4
        with pytest.raises(ValueError, match="there are 4 gold documents, but 4 and 2 predicted"):
            list(read_aligned(docs, docs, docs[:2]))

    def test_different_texts_are_refused_without_quoting_them(self) -> None:
        gold = make_doc(words=["secret", "name"])
        gold._.note_id = "note-3"
        with pytest.raises(ValueError, match=r"position 1 \(note id: note-3\) has 12") as caught:
            NerExactMetric("test")([make_doc(), gold], [make_doc(), make_doc(words=["secret"])])
        assert "secret" not in str(caught.value)

    def test_a_single_doc_is_refused(self) -> None:
        with pytest.raises(TypeError, match="got a single Doc: put it into a list"):
            NerExactMetric("test")(make_doc(), make_doc())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["macro", "ci"])
def test_micro_key_cannot_be_another_entry(name: str) -> None:
    with pytest.raises(ValueError, match=f"micro_key cannot be '{name}'"):
        NerExactMetric("test", micro_key=name)


@pytest.mark.parametrize(
    ("label", "options"), [("micro", {}), ("macro", {}), ("ci", {"ci": {}})], ids=str
)
def test_a_label_cannot_be_another_entry(label: str, options: dict[str, Any]) -> None:
    docs = [make_doc((0, 1, label))]
    with pytest.raises(ValueError, match=f"label '{label}' has the name of another entry"):
        NerExactMetric("test", **options)(docs, docs)
