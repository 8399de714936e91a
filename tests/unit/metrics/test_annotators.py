"""Two annotators: F1 and Cohen's kappa, by hand and against scikit-learn."""

from __future__ import annotations

import json
import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.metrics import agreement, evaluate_spans
from edspipe.metrics.annotators import cohen_kappa

VOCAB = Vocab()
PATIENT = settings(deadline=None, max_examples=60)  # the machine may be busy
WORDS = ["aa", "bb", "cc", "\n", "ee", "ff", "gg", "hh"]

SpanTuples = list[tuple[int, int, str]]


def make_doc(spans: SpanTuples) -> Doc:
    doc = Doc(VOCAB, words=WORDS)
    doc.spans["test"] = [Span(doc, start, end, label) for start, end, label in spans]
    return doc


def span_lists() -> st.SearchStrategy[SpanTuples]:
    pairs = st.tuples(st.integers(0, 7), st.integers(1, 8), st.sampled_from("AB"))
    return st.lists(pairs.filter(lambda span: span[0] < span[1]), max_size=5)


def by_scikit_learn(a: list[str], b: list[str]) -> float | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where kappa is undefined
        kappa = float(cohen_kappa_score(a, b))
    return None if math.isnan(kappa) else kappa


@PATIENT
@given(span_lists(), span_lists())
def test_kappa_is_that_of_scikit_learn(spans_a: SpanTuples, spans_b: SpanTuples) -> None:
    found = agreement([make_doc(spans_a)], [make_doc(spans_b)], "test")
    words = [word for word in range(8) if WORDS[word] != "\n"]
    sets_a, sets_b = (
        [{label for start, end, label in spans if start <= word < end} for word in words]
        for spans in (spans_a, spans_b)
    )
    assert list(found.kappa) == sorted(set().union(*sets_a, *sets_b))
    for label, kappa in found.kappa.items():
        answers = [[str(label in one) for one in sets] for sets in (sets_a, sets_b)]
        assert kappa == (pytest.approx(by_scikit_learn(*answers)))
    answers = [["+".join(sorted(one)) for one in sets] for sets in (sets_a, sets_b)]
    assert found.kappa_label_sets == pytest.approx(by_scikit_learn(*answers))
    assert found.num_words == 7


@PATIENT
@given(span_lists(), span_lists())
def test_exchanging_the_annotators_keeps_f1_and_kappa(
    spans_a: SpanTuples, spans_b: SpanTuples
) -> None:
    docs = [make_doc(spans_a)], [make_doc(spans_b)]
    forth, back = agreement(docs[0], docs[1], "test"), agreement(docs[1], docs[0], "test")
    assert forth.kappa == pytest.approx(back.kappa)
    one, other = forth.evaluation.scores["micro"], back.evaluation.scores["micro"]
    assert (one["p"], one["r"], one["f"]) == (other["r"], other["p"], other["f"])


def test_the_evaluation_takes_the_first_as_gold() -> None:
    docs = [make_doc([(0, 2, "A")])], [make_doc([(0, 2, "A"), (4, 5, "B")])]
    found = agreement(*docs, "test", ci={"n_iterations": 9}, max_examples=3)
    assert found.evaluation == evaluate_spans(*docs, "test", ci={"n_iterations": 9}, max_examples=3)
    report = found.to_dict()
    assert json.loads(json.dumps(report)) == report
    assert report["kappa"] == {
        "labels": {"A": 1.0, "B": 0.0},
        "label_sets": pytest.approx(1 - 1 / 7 / (1 - (2 * 2 + 5 * 4) / 49)),
        "num_words": 7,
    }
    assert report["format"] == 1


def test_words_may_be_cut_differently() -> None:
    one, other = Doc(VOCAB, words=["ab-cd", "ef"]), Doc(VOCAB, words=["ab", "-", "cd", "ef"])
    other = Doc(VOCAB, words=["ab", "-", "cd", "ef"], spaces=[False, False, True, True])
    one.spans["test"], other.spans["test"] = [Span(one, 0, 1, "A")], [Span(other, 2, 3, "A")]
    found = agreement([one], [other], "test")
    assert found.kappa == {"A": 1.0}
    assert found.num_words == 2


def test_documents_must_fit_together() -> None:
    with pytest.raises(ValueError, match="there are 1 gold documents, but 0 predicted"):
        agreement([make_doc([])], [], "test")


@pytest.mark.parametrize("answers", [{}, {("x", "x"): 3}])
def test_kappa_of_one_answer_is_undefined(answers: dict[tuple[str, str], int]) -> None:
    assert cohen_kappa(answers) is None


def test_kappa_of_a_textbook_example() -> None:
    # Both yes 20, both no 15, and 5 and 10 apart, of 50: 0.7 observed, 0.5 by chance.
    answers = {("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}
    assert cohen_kappa(answers) == pytest.approx(0.4)
