"""Figures on labels of documents, with scikit-learn as the oracle."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)
from spacy.tokens import Doc
from spacy.vocab import Vocab

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.metrics import (
    DocumentLabelsMetric,
    bootstrap,
    compare_labels,
    evaluate_labels,
    ranking,
)
from edspipe.metrics.bootstrap import draw_weights
from edspipe.metrics.label_figures import FIGURES
from edspipe.metrics.ranking import Ranking
from edspipe.metrics.tables import comparison_table, scores_table

VOCAB = Vocab()
LABELS = ["a", "b", "c", "d"]
declare_doc_attribute("labels_found_test")
declare_doc_attribute("patient_test")


def draw(seed: int = 0, num_docs: int = 60) -> tuple[Any, Any, Any]:
    """Gold, scores with ties, decisions."""
    rng = np.random.default_rng(seed)
    gold = rng.random((num_docs, 4)) < [0.5, 0.3, 0.2, 0.1]
    scores = np.clip(rng.normal(size=gold.shape) * 0.2 + 0.4 + 0.2 * gold, 0, 1).round(2)
    return gold, scores, scores >= 0.5


def make(cats: dict[str, float], patient: Any = None, found: Any = None) -> Doc:
    doc = Doc(VOCAB, words=["x", "y"])
    doc.cats = cats
    doc._.patient_test = patient
    doc._.labels_found_test = found
    return doc


def as_docs(rows: Any) -> list[Doc]:
    return [make(dict(zip(LABELS, map(float, row), strict=True))) for row in rows]


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    gold, scores, found = draw(seed)
    report = evaluate_labels(gold, scores, found, LABELS)
    for row in ("micro", "macro", "weighted"):
        p, r, f, _ = precision_recall_fscore_support(gold, found, average=row, zero_division=0.0)
        assert [report[row][x] for x in "prf"] == pytest.approx([p, r, f])
        assert report[row]["auroc"] == pytest.approx(roc_auc_score(gold, scores, average=row))
        assert report[row]["ap"] == pytest.approx(
            average_precision_score(gold, scores, average=row)
        )
    p, r, f, support = precision_recall_fscore_support(gold, found, zero_division=0.0)
    for i, label in enumerate(LABELS):
        one = report[label]
        assert [one["p"], one["r"], one["f"], one["support"]] == pytest.approx(
            [p[i], r[i], f[i], support[i]]
        )
        assert one["auroc"] == pytest.approx(roc_auc_score(gold[:, i], scores[:, i]))
        assert one["ap"] == pytest.approx(average_precision_score(gold[:, i], scores[:, i]))
        _, r_no, *_ = precision_recall_fscore_support(~gold[:, i], ~found[:, i])
        assert one["specificity"] == pytest.approx(r_no[1])
    assert report["exact_match"] == pytest.approx(accuracy_score(gold, found))


def test_a_worked_example() -> None:
    gold = [[1, 0], [1, 0], [0, 0], [0, 0]]
    scores = [[0.9, 0.6], [0.4, 0.2], [0.4, 0.1], [0.1, 0.0]]
    report = evaluate_labels(gold, scores, np.array(scores) >= 0.5, ["a", "b"])
    scored = [1.0, 0.5, 1.0, pytest.approx(2 / 3), 3.5 / 4, pytest.approx((1 + 2 / 3) / 2)]
    assert list(report["a"]) == list(FIGURES)
    assert list(report["a"].values()) == [*scored, 2, 1, 1, 0, 1, 2]
    assert (report["b"]["f"], report["b"]["specificity"]) == (0.0, 0.75)
    assert (report["b"]["auroc"], report["b"]["ap"]) == (None, None)
    assert report["macro"]["f"] == pytest.approx(1 / 3)
    assert report["macro"]["auroc"] == 3.5 / 4  # of the label that has one
    assert report["weighted"]["f"] == pytest.approx(2 / 3)
    assert report["exact_match"] == 0.5


def test_a_label_that_never_occurs_is_left_out_of_means() -> None:
    gold, scores, found = draw()
    gold[:, 3] = found[:, 3] = False
    report = evaluate_labels(gold, scores, found, LABELS)
    fewer = evaluate_labels(gold[:, :3], scores[:, :3], found[:, :3], LABELS[:3])
    for row in ("macro", "weighted"):
        for figure in ("p", "r", "f", "specificity", "auroc", "ap"):
            assert report[row][figure] == pytest.approx(fewer[row][figure])
    assert (report["d"]["f"], report["d"]["specificity"], report["d"]["ap"]) == (0.0, 1.0, None)


def test_there_is_no_specificity_where_all_documents_have_the_label() -> None:
    one = evaluate_labels([[1], [1]], [[0.9], [0.1]], [[1], [0]], ["a"], ci={})
    assert (one["a"]["specificity"], one["a"]["auroc"], one["a"]["ap"]) == (None, None, 1.0)
    assert (one["ci"]["a"]["specificity"], one["ci"]["a"]["auroc"]) == (None, None)
    assert one["ci"]["a"]["r"] == [0.0, 1.0]


@pytest.mark.parametrize("num_labels", [0, 2])
def test_no_documents_score_zero(num_labels: int) -> None:
    nothing, labels = np.zeros((0, num_labels)), LABELS[:num_labels]
    report = evaluate_labels(nothing, nothing, nothing, labels, ci={})
    assert (report["micro"]["f"], report["macro"]["f"], report["exact_match"]) == (0.0, 0.0, 0.0)
    assert (report["micro"]["ap"], report["ci"]["micro"]["ap"]) == (None, None)
    assert report["ci"]["exact_match"] == [0.0, 0.0]


def oracle_interval(values: list[float]) -> Any:
    return pytest.approx(np.percentile(values, [2.5, 97.5]).tolist())


@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_are_those_of_scikit_learn_on_each_resample(grouped: bool) -> None:
    gold, scores, found = draw(num_docs=40)
    groups = [f"p{i // 3}" for i in range(40)] if grouped else None
    ci = {"n_iterations": 50, "seed": 4}
    ends = evaluate_labels(gold, scores, found, LABELS, groups=groups, ci=ci)["ci"]
    units = np.arange(40) // (3 if grouped else 1)
    (weights,) = draw_weights(int(units.max()) + 1, 50, 4)
    weights = weights[:, units]
    one, every = (gold[:, 0], scores[:, 0]), (gold.ravel(), scores.ravel())
    for row, (wanted, values), width in (("a", one, 1), ("micro", every, 4)):
        for name, measure in (("auroc", roc_auc_score), ("ap", average_precision_score)):
            resampled = [measure(wanted, values, sample_weight=w.repeat(width)) for w in weights]
            assert ends[row][name] == oracle_interval(resampled)
    rows_of = [np.repeat(np.arange(40), w.astype(int)) for w in weights]
    assert all(gold[rows].any(axis=0).all() for rows in rows_of)
    for row in ("micro", "macro", "weighted"):
        resampled = np.array(
            [
                precision_recall_fscore_support(
                    gold[rows], found[rows], average=row, zero_division=0.0
                )[:3]
                for rows in rows_of
            ]
        )
        for place, name in enumerate("prf"):
            assert ends[row][name] == oracle_interval(resampled[:, place].tolist())
    exact = [accuracy_score(gold, found, sample_weight=w) for w in weights]
    assert ends["exact_match"] == oracle_interval(exact)


ITEMS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@given(ITEMS)
def test_areas_under_weights_with_ties_are_those_of_repeated_items(items: Any) -> None:
    scores, gold, weights = (np.array(column) for column in zip(*items, strict=True))
    auroc, ap = Ranking(scores, gold).areas(weights[None].astype(float))[0]
    values, answers = scores.repeat(weights), gold.repeat(weights)
    if answers.any():
        assert ap == pytest.approx(average_precision_score(answers, values))
    else:
        assert np.isnan(ap)
    if answers.any() and not answers.all():
        assert auroc == pytest.approx(roc_auc_score(answers, values))
    else:
        assert np.isnan(auroc)


def test_slices_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gold, scores, found = draw()
    whole = evaluate_labels(gold, scores, found, LABELS, ci={"n_iterations": 30})
    monkeypatch.setattr(bootstrap, "MAX_WEIGHTS", 60 * 7)
    monkeypatch.setattr(ranking, "MAX_ITEMS", 60 * 2)
    assert evaluate_labels(gold, scores, found, LABELS, ci={"n_iterations": 30}) == whole


def test_groups_of_one_document_are_documents() -> None:
    gold, scores, found = draw()
    plain = evaluate_labels(gold, scores, found, LABELS, ci={})
    assert evaluate_labels(gold, scores, found, LABELS, groups=range(60), ci={}) == plain


def test_a_thousand_resamples_of_many_documents_take_seconds() -> None:
    rng = np.random.default_rng(0)
    gold = rng.random((2000, 10)) < np.linspace(0.02, 0.5, 10)
    scores = rng.random((2000, 10)) + 0.3 * gold
    start = time.perf_counter()
    evaluate_labels(gold, scores, scores > 0.6, [f"l{i}" for i in range(10)], ci={})
    assert time.perf_counter() - start < 15  # 0.7 s on an idle core


def test_a_system_does_not_differ_from_itself() -> None:
    gold, scores, found = draw()
    tests = compare_labels(gold, (scores, found), (scores, found), LABELS, ci={"n_iterations": 99})
    same = {"difference": 0.0, "ci": [0.0, 0.0], "p_value": 1.0}
    assert tests == {"micro": {"f": same}, "macro": {"f": same, "ap": same}}


def test_a_much_better_system_differs() -> None:
    gold, scores, found = draw()
    tests = compare_labels(gold, (gold.astype(float), gold), (scores, found), LABELS)
    worse = evaluate_labels(gold, scores, found, LABELS)
    for row, figure in (("micro", "f"), ("macro", "f"), ("macro", "ap")):
        test = tests[row][figure]
        assert test["difference"] == pytest.approx(1 - worse[row][figure])
        assert test["ci"][0] > 0
        assert test["p_value"] == pytest.approx(1 / 1001)


def test_a_comparison_is_on_the_same_resamples() -> None:
    gold, scores, found = draw(1)
    other = scores >= 0.4
    cell = ("a", "r")
    ci = {"n_iterations": 40}
    test = compare_labels(gold, (None, found), (None, other), LABELS, ci=ci, compared=[cell])
    (weights,) = draw_weights(60, 40, 0)
    hits = (weights[:, gold[:, 0]] @ (found[gold[:, 0], 0] * 1.0 - other[gold[:, 0], 0])) / weights[
        :, gold[:, 0]
    ].sum(axis=1)
    assert test["a"]["r"]["ci"] == oracle_interval(hits.tolist())


def test_what_either_system_lacks_is_not_compared() -> None:
    gold, scores, found = draw()
    tests = compare_labels(gold, (scores, found), (None, found), LABELS, ci={"n_iterations": 5})
    assert tests["macro"]["ap"] is None
    assert tests["macro"]["f"] is not None


def test_the_metric_reads_cats() -> None:
    gold, scores, found = draw()
    report = DocumentLabelsMetric(ci={"n_iterations": 20})(as_docs(gold), as_docs(scores))
    wanted = evaluate_labels(gold, scores, found, LABELS, ci={"n_iterations": 20})
    assert report == wanted


def test_documents_without_gold_do_not_count() -> None:
    gold, scores, _ = draw()
    alone = DocumentLabelsMetric()(as_docs(gold), as_docs(scores))
    more = DocumentLabelsMetric()([make({}), *as_docs(gold)], [make({"e": 1.0}), *as_docs(scores)])
    assert more == alone


def test_each_label_may_have_a_threshold() -> None:
    gold, scores, _ = draw()
    metric = DocumentLabelsMetric(threshold={"a": 0.4, "*": 0.6})
    wanted = evaluate_labels(gold, scores, scores >= [0.4, 0.6, 0.6, 0.6], LABELS)
    assert metric(as_docs(gold), as_docs(scores)) == wanted


def test_chosen_labels_are_looked_at_alone_and_in_order() -> None:
    gold, scores, found = draw()
    metric = DocumentLabelsMetric(labels=["c", "a"], threshold={"a": 0.5, "c": 0.5})
    wanted = evaluate_labels(gold[:, [2, 0]], scores[:, [2, 0]], found[:, [2, 0]], ["c", "a"])
    assert metric(as_docs(gold), as_docs(scores)) == wanted


def test_decisions_of_the_pipe_are_taken_as_they_are() -> None:
    gold = [make({"a": 1.0, "b": 0.0}), make({"a": 0.0, "b": 1.0})]
    found = [make({"a": 0.1, "b": 0.9}, found=["a"]), make({"a": 0.2, "b": 0.8}, found=[])]
    report = DocumentLabelsMetric(decisions="_.labels_found_test")(gold, found)
    assert (report["a"]["tp"], report["b"]["fn"], report["micro"]["positives"]) == (1, 1, 1)
    assert report["a"]["auroc"] == 0.0


def test_lists_of_labels_are_decisions_without_scores() -> None:
    gold = [make({}, found=["a", "b"]), make({}, found=[]), make({}, found="b")]
    found = [make({}, found=["a"]), make({}, found=["a"]), make({}, found=None)]
    report = DocumentLabelsMetric("_.labels_found_test")(gold, found)
    assert (report["a"]["p"], report["a"]["r"], report["b"]["f"]) == (0.5, 1.0, 0.0)
    assert (report["a"]["auroc"], report["micro"]["ap"]) == (None, None)


def test_a_label_without_a_score_has_zero() -> None:
    gold = [make({"a": 1.0}), make({"b": 1.0})]
    report = DocumentLabelsMetric()(gold, [make({"a": 0.9}), make({"a": 0.2})])
    assert (report["b"]["fn"], report["b"]["auroc"], report["b"]["ap"]) == (1, 0.5, 0.5)


def test_patients_are_resampled() -> None:
    gold, scores, found = draw()
    docs = as_docs(gold)
    for i, doc in enumerate(docs):
        doc._.patient_test = i // 4
    ci = {"n_iterations": 20, "group_by": "patient_test"}
    report = DocumentLabelsMetric(ci=ci)(docs, as_docs(scores))
    groups = [i // 4 for i in range(60)]
    plain = {"n_iterations": 20}
    assert report == evaluate_labels(gold, scores, found, LABELS, groups=groups, ci=plain)


def test_the_metric_compares_two_systems() -> None:
    gold, scores, found = draw()
    tests = DocumentLabelsMetric().compare(as_docs(gold), as_docs(gold), as_docs(scores))
    assert tests == compare_labels(gold, (gold * 1.0, gold), (scores, found), LABELS)


def test_reports_are_laid_out_as_tables() -> None:
    gold, scores, found = draw()
    report = evaluate_labels(gold, scores, found, LABELS, ci={"n_iterations": 5})
    rows = [line.split()[0] for line in scores_table(report).splitlines()]
    assert rows == ["label", *LABELS, "micro", "macro", "weighted"]
    assert "exact_match" not in comparison_table(report, report, ("one", "two"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1]], [[0.5, 0.5]], [[1]], ["a"]), r"gold labels and scores of one shape"),
        (([[1]], [[0.5]], [[1, 1]], ["a"]), r"gold labels and decisions of one shape"),
        (([1], [0.5], [1], ["a"]), r"of one shape \(documents, labels\)"),
        (([[1]], [[np.nan]], [[1]], ["a"]), "finite numbers; got another in document 0 for label"),
        (([[1, 0]], None, [[1, 0]], ["a", "a"]), "expected 2 different labels"),
        (([[1]], None, [[1]], ["a", "b"]), "expected 1 different labels"),
        (([[1]], None, [[1]], ["micro"]), "the label 'micro' has the name of another entry"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_labels(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ci": {"group_by": "patient"}}, "for arrays, give groups instead"),
        ({"ci": {}, "groups": [1, 2]}, "a group for each of 1 documents; got 2"),
        ({"ci": {"seeds": 1}}, "ci has no option 'seeds'"),
    ],
)
def test_wrong_options_of_the_bootstrap_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_labels([[1]], None, [[1]], ["a"], **options)


@pytest.mark.parametrize(
    ("cell", "message"),
    [(("e", "f"), "no label or mean 'e'"), (("a", "f1"), "no figure 'f1' to compare")],
)
def test_what_does_not_exist_cannot_be_compared(cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_labels([[1]], (None, [[1]]), (None, [[1]]), ["a"], compared=[cell])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attribute": "labels"}, "expected 'cats' or '_.<name>'"),
        ({"decisions": "labels"}, "expected 'cats' or '_.<name>'"),
        ({"threshold": "high"}, "threshold"),
        ({"threshold": {"a": float("nan")}}, "got NaN for 'a'"),
        ({"threshold": {"f": 0.5}, "labels": ["a"]}, "'f', which is none of the labels a"),
    ],
)
def test_wrong_arguments_of_the_metric_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DocumentLabelsMetric(**options)


def test_a_label_needs_a_threshold() -> None:
    metric = DocumentLabelsMetric(threshold={"a": 0.5})
    with pytest.raises(ValueError, match="threshold has no value for the label 'b'"):
        metric([make({"a": 1.0})], [make({"b": 0.5})])


def test_a_score_that_is_no_number_is_named_by_document() -> None:
    with pytest.raises(ValueError, match=r"the document at position 0 .* for the label 'a'"):
        DocumentLabelsMetric()([make({"a": 1.0})], [make({"a": float("nan")})])
