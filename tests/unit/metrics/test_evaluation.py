"""Evaluations: the format, its laws, and its speed."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.attributes import declare_span_attribute
from edspipe.metrics import evaluate_spans
from edspipe.metrics.evaluation import Evaluation
from edspipe.metrics.ner import NerExactMetric

VOCAB = Vocab()
PATIENT = settings(deadline=None, max_examples=60)  # the machine may be busy
WORDS = ["secret", "bb", "cc", "dd", "ee", "ff", "gg", "hh"]
SURE = "sure_evaluation_test"
declare_span_attribute(SURE)

SpanTuples = list[tuple[int, int, str]]


def make_doc(*spans: tuple[Any, ...], note_id: str | None = None) -> Doc:
    """Spans (first word, word behind the last, label[, confidence]), in the group `"test"`."""
    doc = Doc(VOCAB, words=WORDS)
    doc._.note_id = note_id
    doc.spans["test"] = [Span(doc, start, end, label) for start, end, label, *_ in spans]
    for span, (*_, last) in zip(doc.spans["test"], spans, strict=True):
        if isinstance(last, float):
            span._.set(SURE, last)
    return doc


def corpora() -> st.SearchStrategy[list[tuple[SpanTuples, SpanTuples]]]:
    pairs = st.tuples(st.integers(0, 7), st.integers(1, 8), st.sampled_from("ABC"))
    spans = st.lists(pairs.filter(lambda span: span[0] < span[1]), max_size=6)
    return st.lists(st.tuples(spans, spans), max_size=4)


def evaluate(pairs: list[tuple[SpanTuples, SpanTuples]], **options: Any) -> Evaluation:
    gold = [make_doc(*spans) for spans, _ in pairs]
    found = [make_doc(*spans) for _, spans in pairs]
    return evaluate_spans(gold, found, "test", **options)


def test_the_format_is_as_it_is_written_down() -> None:
    gold = [make_doc((0, 1, "A"), (2, 4, "B"), note_id="note-1"), make_doc((5, 6, "A"))]
    found = [make_doc((0, 1, "A", 0.9), (2, 3, "B", 0.4), note_id="note-1"), make_doc()]
    evaluation = evaluate_spans(gold, found, "test", confidence_attribute=SURE)
    report = evaluation.to_dict()
    assert json.loads(json.dumps(report)) == report
    confidence = report.pop("confidence")
    assert report == {
        "format": 1,
        "metric": "eds.ner_exact",
        "num_docs": 2,
        "num_words": 16,
        "scores": NerExactMetric("test")(gold, found),
        "errors": {
            "counts": {
                "correct": 1,
                "missed": 1,
                "spurious": 0,
                "wrong_label": 0,
                "wrong_boundary": 1,
                "wrong_label_and_boundary": 0,
            },
            "by_label": {
                "A": {
                    "correct": 1,
                    "missed": 1,
                    "spurious": 0,
                    "wrong_label": 0,
                    "wrong_boundary": 0,
                    "wrong_label_and_boundary": 0,
                },
                "B": {
                    "correct": 0,
                    "missed": 0,
                    "spurious": 0,
                    "wrong_label": 0,
                    "wrong_boundary": 1,
                    "wrong_label_and_boundary": 0,
                },
            },
            "examples": [
                {
                    "doc_id": "note-1",
                    "kind": "wrong_boundary",
                    "gold": {"start": 10, "end": 15, "label": "B"},
                    "found": {"start": 10, "end": 12, "label": "B", "confidence": 0.4},
                },
                {
                    "doc_id": "1",
                    "kind": "missed",
                    "gold": {"start": 19, "end": 21, "label": "A"},
                    "found": None,
                },
            ],
            "num_examples_left_out": 0,
        },
        "confusion": {"labels": ["A", "B"], "matrix": [[1, 0, 1], [0, 1, 0], [0, 0, 0]]},
    }
    assert confidence["reliability"]["count"] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert confidence["reliability"]["accuracy"][9] == 1.0
    assert confidence["reliability"]["ece"] == pytest.approx((0.4 + 0.1) / 2)
    assert confidence["precision_recall"] == {
        "micro": {"threshold": [0.4, 0.9], "p": [0.5, 1.0], "r": [1 / 3, 1 / 3]},
        "A": {"threshold": [0.9], "p": [1.0], "r": [0.5]},
        "B": {"threshold": [0.4], "p": [0.0], "r": [0.0]},
    }


@PATIENT
@given(corpora())
def test_errors_and_confusions_agree_with_the_metric(
    pairs: list[tuple[SpanTuples, SpanTuples]],
) -> None:
    report = evaluate(pairs).to_dict()
    scores, errors = report["scores"], report["errors"]
    counts = errors["counts"]
    wrong = sum(count for kind, count in counts.items() if kind.startswith("wrong"))
    assert counts["correct"] == scores["micro"]["tp"]
    assert counts["correct"] + counts["missed"] + wrong == scores["micro"]["support"]
    assert counts["correct"] + counts["spurious"] + wrong == scores["micro"]["positives"]
    for label, ours in errors["by_label"].items():
        assert ours["correct"] == scores[label]["tp"]
        assert sum(ours.values()) - ours["spurious"] == scores[label]["support"]
    labels, matrix = report["confusion"]["labels"], report["confusion"]["matrix"]
    assert [*labels, "micro", "macro"] == list(scores)
    for i, label in enumerate(labels):
        assert sum(matrix[i]) == scores[label]["support"]
        assert sum(row[i] for row in matrix) == scores[label]["positives"]
    assert len(errors["examples"]) == sum(counts.values()) - counts["correct"]


def test_streams_that_are_read_once_do() -> None:
    docs = [make_doc((0, 1, "A")), make_doc((1, 2, "B"))]
    evaluation = evaluate_spans(iter(docs), (doc for doc in docs), "test")
    assert evaluation.scores["micro"]["f"] == 1.0
    assert evaluation.num_docs == 2


def test_intervals_are_those_of_the_metric() -> None:
    pairs = [([(0, 1, "A")], [(0, 1, "A")]), ([(2, 3, "A")], []), ([], [(4, 5, "B")])]
    evaluation = evaluate(pairs, ci={"n_iterations": 50, "seed": 3})
    docs = [[make_doc(*spans) for spans in side] for side in zip(*pairs, strict=True)]
    metric = NerExactMetric("test", ci={"n_iterations": 50, "seed": 3})
    assert evaluation.scores == metric(*docs)


def test_examples_are_limited() -> None:
    evaluation = evaluate([([(i, i + 1, "A") for i in range(8)], [])] * 3, max_examples=5)
    assert len(evaluation.errors["examples"]) == 5
    assert evaluation.errors["num_examples_left_out"] == 19


def test_no_text_gets_into_the_report() -> None:
    report = json.dumps(evaluate([([(0, 1, "A")], [(0, 2, "A")])], ci={}).to_dict())
    assert "secret" not in report


# ---- confidence -----------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", [None, "nobody_declared_this", SURE])
def test_without_confidences_nothing_is_said_of_them(attribute: str | None) -> None:
    evaluation = evaluate([([(0, 1, "A")], [(0, 1, "A")])], confidence_attribute=attribute)
    assert evaluation.confidence is None


def test_spans_without_a_confidence_are_left_out_of_it() -> None:
    found = [make_doc((0, 1, "A", 0.75), (2, 3, "A"))]
    evaluation = evaluate_spans(found, found, "test", confidence_attribute=SURE)
    assert evaluation.confidence is not None
    assert sum(evaluation.confidence["reliability"]["count"]) == 1


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), "high"])
def test_what_is_no_confidence_is_refused(value: Any) -> None:
    doc = make_doc((1, 2, "A"), note_id="note-7")
    doc.spans["test"][0]._.set(SURE, value)
    message = rf"span\._\.{SURE} is a number from 0 to 1; .* in note-7 at characters 7-9\."
    with pytest.raises(ValueError, match=message):
        evaluate_spans([doc], [doc], "test", confidence_attribute=SURE)


# ---- speed ----------------------------------------------------------------------------------


def test_ten_thousand_spans_are_quick() -> None:
    rng = random.Random(0)
    words = [f"w{i}" for i in range(100)]

    def corpus(seed: int) -> list[Doc]:
        noise = random.Random(seed)
        docs = []
        for spans in layout:
            doc = Doc(VOCAB, words=words)
            doc.spans["test"] = [
                Span(doc, start, start + 1 + noise.randrange(3), f"L{label + noise.randrange(2)}")
                for start, label in spans
            ]
            docs.append(doc)
        return docs

    layout = [[(rng.randrange(96), rng.randrange(22)) for _ in range(10)] for _ in range(1000)]
    gold, found = corpus(1), corpus(2)
    begin = time.process_time()
    evaluation = evaluate_spans(gold, found, "test")
    seconds = time.process_time() - begin
    assert evaluation.scores["micro"]["support"] > 9900
    assert min(evaluation.errors["counts"].values()) > 30
    assert seconds < 2  # about 0.2 on a quiet machine
