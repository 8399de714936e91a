"""Figures from counts, resamples, intervals and the paired test."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.metrics import bootstrap as bootstrap_module
from edspipe.metrics.bootstrap import (
    FIGURES,
    Bootstrap,
    CountTable,
    bootstrap_counts,
    compute_figures,
    intervals,
    make_report,
    paired_test,
)
from edspipe.metrics.ner import NerExactMetric

VOCAB = Vocab()
PATIENT = settings(deadline=None, max_examples=60)  # the machine may be busy
declare_doc_attribute("patient_test")


def make_doc(*ents: tuple[int, str], patient: Any = None) -> Doc:
    """Six words, and entities of one word each."""
    doc = Doc(VOCAB, words=list("abcdef"))
    doc.ents = [Span(doc, word, word + 1, label) for word, label in ents]
    doc._.patient_test = patient
    return doc


def make_table(counts: np.ndarray[Any, Any]) -> CountTable:
    table = CountTable()
    for unit, rows in enumerate(counts):
        table.add(unit, {f"L{i}": tuple(map(int, row)) for i, row in enumerate(rows)})
    return table


def random_counts(seed: int, units: int, labels: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    support, positives = rng.integers(0, 5, size=(2, units, labels))
    return np.stack(
        [rng.integers(0, np.minimum(support, positives) + 1), support, positives], axis=-1
    )


@pytest.fixture
def corpus() -> tuple[list[Doc], list[Doc], list[Doc]]:
    """Gold, a good system, a bad one."""
    rng = np.random.default_rng(3)
    gold, good, bad = [], [], []
    for number in range(40):
        words = [int(w) for w in rng.permutation(6)[:3]]
        gold.append(make_doc(*((w, "A") for w in words), patient=number % 7))
        good.append(make_doc(*((w, "A") for w in words if rng.random() < 0.9)))
        bad.append(make_doc(*((w, "A") for w in words if rng.random() < 0.3)))
    return gold, good, bad


def test_figures_of_hand_made_counts() -> None:
    counts = np.array([[2.0, 4, 5], [0, 0, 3], [0, 2, 0], [0, 0, 0]])
    figures = compute_figures(counts)
    nan = float("nan")
    expected = [
        [2 / 5, 2 / 4, 4 / 9, 2, 4, 5],
        [0, 0, 0, 0, 0, 3],
        [0, 0, 0, 0, 2, 0],
        [nan, nan, nan, 0, 0, 0],
        [2 / 8, 2 / 6, 4 / 14, 2, 6, 8],  # micro
        [2 / 15, 2 / 12, 4 / 27, 2, 6, 8],  # macro: over the three labels that occur
    ]
    np.testing.assert_allclose(figures, expected)


def test_figures_without_labels_are_undefined() -> None:
    figures = compute_figures(np.zeros((0, 3)))
    assert np.isnan(figures[:, :3]).all()
    assert (figures[:, 3:] == 0).all()


def test_an_empty_report_is_zero() -> None:
    zero = dict.fromkeys(FIGURES[:3], 0.0) | dict.fromkeys(FIGURES[3:], 0)
    assert make_report(CountTable(), "micro", None) == {"micro": zero, "macro": zero}


def test_an_empty_report_has_intervals_at_zero() -> None:
    report = make_report(CountTable(), "micro", Bootstrap(n_iterations=3))
    assert report["ci"]["micro"] == {name: [0.0, 0.0] for name in FIGURES}


@PATIENT
@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 4))
def test_resamples_are_sums_over_the_units_drawn(seed: int, units: int, labels: int) -> None:
    counts = random_counts(seed, units, labels)
    draws = np.random.default_rng(seed).integers(0, units, size=(7, units))
    expected = [counts[rows].sum(axis=0) for rows in draws]
    np.testing.assert_array_equal(bootstrap_counts(counts, 7, seed), expected)


def test_slices_of_resamples_are_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = random_counts(0, 9, 2)
    whole = bootstrap_counts(counts, 20, seed=1)
    monkeypatch.setattr(bootstrap_module, "MAX_WEIGHTS", 27)
    np.testing.assert_array_equal(bootstrap_counts(counts, 20, seed=1), whole)


@pytest.mark.parametrize("percentile", [2.5, 5, 0])
def test_intervals_are_percentiles_of_the_same_resamples(percentile: float) -> None:
    counts = random_counts(5, 30, 3)
    report = make_report(make_table(counts), "micro", Bootstrap(200, percentile, seed=9))
    draws = np.random.default_rng(9).integers(0, 30, size=(200, 30))
    tp, support, positives = counts[draws].sum(axis=(1, 2)).T
    resampled = {
        "p": tp / positives,
        "r": tp / support,
        "f": 2 * tp / (support + positives),
        "support": support,
    }
    for name, values in resampled.items():
        expected = np.percentile(values, [percentile, 100 - percentile])
        np.testing.assert_allclose(report["ci"]["micro"][name], expected)
    labels = counts[draws].sum(axis=1)
    f_labels = 2 * labels[..., 0] / (labels[..., 1] + labels[..., 2])
    expected = np.percentile(f_labels.mean(axis=1), [percentile, 100 - percentile])
    np.testing.assert_allclose(report["ci"]["macro"]["f"], expected)


def test_a_resample_without_the_label_is_left_out() -> None:
    counts = np.zeros((20, 2, 3), dtype=int)
    counts[:, 0] = [1, 2, 2]
    counts[0, 1] = [1, 1, 1]  # in one document, and right: every third resample lacks it
    report = make_report(make_table(counts), "micro", Bootstrap(200))
    assert report["ci"]["L1"]["f"] == [1.0, 1.0]
    assert report["ci"]["L1"]["support"][0] == 0.0


def test_intervals_skip_what_is_undefined() -> None:
    nan = float("nan")
    figures = np.array([[1.0, nan, nan], [2.0, 4.0, nan], [3.0, 8.0, nan]])
    low, high = intervals(figures, 0)
    assert low.tolist() == [1.0, 4.0, 0.0]
    assert high.tolist() == [3.0, 8.0, 0.0]


def test_a_constant_corpus_has_an_interval_without_width() -> None:
    report = make_report(make_table(np.full((5, 1, 3), 2)), "micro", Bootstrap(50))
    assert all(report["ci"]["L0"][name] == [1.0, 1.0] for name in ("p", "r", "f"))
    assert all(report["ci"]["L0"][name] == [10.0, 10.0] for name in ("tp", "support", "positives"))


def test_the_seed_fixes_the_intervals() -> None:
    table = make_table(random_counts(1, 30, 3))
    first, again, other = (make_report(table, "micro", Bootstrap(50, seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first["ci"] != other["ci"]


@pytest.mark.parametrize("group_by", ["patient_test", lambda doc: doc._.patient_test])
def test_groups_are_drawn_whole(group_by: Any, corpus: tuple[list[Doc], ...]) -> None:
    gold, good, _ = corpus
    metric = NerExactMetric("ents", ci={"n_iterations": 100, "seed": 4, "group_by": group_by})
    (table,) = metric.count_tables(gold, good, ci=metric.ci)
    assert len(table.units) == 7
    draws = np.random.default_rng(4).integers(0, 7, size=(100, 7))
    support = np.array([3 * len(gold[patient::7]) for patient in range(7)])
    expected = np.percentile(support[draws].sum(axis=1), [2.5, 97.5]).tolist()
    assert metric(gold, good)["ci"]["micro"]["support"] == expected


def test_groups_do_not_change_the_figures(corpus: tuple[list[Doc], ...]) -> None:
    gold, good, _ = corpus
    grouped = NerExactMetric("ents", ci={"n_iterations": 5, "group_by": "patient_test"})
    report = grouped(gold, good)
    del report["ci"]
    assert report == NerExactMetric("ents")(gold, good)


def test_a_thousand_resamples_of_a_thousand_documents_are_quick() -> None:
    table = make_table(random_counts(0, 1000, 22))
    seconds = []
    for _ in range(3):  # the machine may be busy for a moment
        begin = time.process_time()
        report = make_report(table, "micro", Bootstrap())
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.5  # about 0.03 on a quiet machine
    assert len(report["ci"]) == 24


def test_a_better_system_is_told_from_a_worse(corpus: tuple[list[Doc], ...]) -> None:
    gold, good, bad = corpus
    metric = NerExactMetric("ents")
    result = paired_test(metric, gold, good, bad)
    assert set(result) == {"difference", "ci", "p_value"}
    f_good, f_bad = (metric(gold, preds)["micro"]["f"] for preds in (good, bad))
    assert result["difference"] == pytest.approx(f_good - f_bad)
    assert 0 < result["ci"][0] < result["difference"] < result["ci"][1]
    assert result["p_value"] == 1 / 1001


def test_a_system_does_not_differ_from_itself(corpus: tuple[list[Doc], ...]) -> None:
    gold, good, _ = corpus
    result = paired_test(NerExactMetric("ents"), gold, good, iter(good))
    assert result == {"difference": 0.0, "ci": [0.0, 0.0], "p_value": 1.0}


def test_exchanged_systems_change_the_sign(corpus: tuple[list[Doc], ...]) -> None:
    gold, good, bad = corpus
    metric = NerExactMetric("ents", ci={"n_iterations": 100})
    ab, ba = paired_test(metric, gold, good, bad), paired_test(metric, gold, bad, good)
    assert ab["difference"] == pytest.approx(-ba["difference"])
    assert ab["ci"] == pytest.approx([-ba["ci"][1], -ba["ci"][0]])
    assert ab["p_value"] == ba["p_value"]


@pytest.mark.parametrize(("figure", "key"), [("p", None), ("r", "A"), ("f", "macro")])
def test_the_paired_test_uses_the_same_resamples_for_both(
    figure: str, key: str | None, corpus: tuple[list[Doc], ...]
) -> None:
    gold, good, bad = corpus
    metric = NerExactMetric("ents", ci={"n_iterations": 60, "seed": 2, "percentile": 10})
    draws = np.random.default_rng(2).integers(0, 40, size=(60, 40))
    row = key or "micro"

    def score(preds: list[Doc], chosen: Any) -> float:
        plain = NerExactMetric("ents")
        return plain([gold[i] for i in chosen], [preds[i] for i in chosen])[row][figure]

    differences = np.array([score(good, d) - score(bad, d) for d in draws])
    observed = score(good, range(40)) - score(bad, range(40))
    extreme = np.abs(differences - observed) >= abs(observed) - 1e-12
    result = paired_test(metric, iter(gold), iter(good), iter(bad), figure=figure, key=key)
    assert result["difference"] == pytest.approx(observed)
    assert result["ci"] == pytest.approx(np.percentile(differences, [10, 90]).tolist())
    assert result["p_value"] == pytest.approx((extreme.sum() + 1) / 61)


def test_a_label_that_one_system_alone_predicts_scores_zero_in_the_other() -> None:
    gold, pred = [make_doc((0, "A"))], [make_doc((0, "A"), (1, "B"))]
    result = paired_test(NerExactMetric("ents"), gold, pred, gold, key="B", figure="positives")
    assert result["difference"] == 1.0
    assert paired_test(NerExactMetric("ents"), gold, pred, gold, key="B")["difference"] == 0.0


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="no figure 'f1'; choose one of p, r, f"):
        paired_test(NerExactMetric("ents"), [], [], [], figure="f1")


def test_an_unknown_label_is_refused_with_the_nearest() -> None:
    gold = [make_doc((0, "DISEASE"))]
    with pytest.raises(ValueError, match=r"label 'DISEASES'\. Did you mean 'DISEASE'"):
        paired_test(NerExactMetric("ents"), gold, gold, gold, key="DISEASES")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"n_iteration": 5}, "no option 'n_iteration'.*'n_iterations'", id="unknown"),
        pytest.param({"n_iterations": 0}, "n_iterations must be at least 1; got 0", id="none"),
        pytest.param({"percentile": 50}, "percentile must be from 0 to below 50", id="percentile"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NerExactMetric("ents", ci=options)


def test_options_that_are_no_dict_are_refused() -> None:
    with pytest.raises(TypeError, match=r"ci takes None or a dict of options .* got True"):
        NerExactMetric("ents", ci=True)  # type: ignore[arg-type]


def test_a_group_attribute_must_be_declared() -> None:
    metric = NerExactMetric("ents", ci={"group_by": "patient_unknown"})
    with pytest.raises(ValueError, match=r"expected doc\._\.patient_unknown to exist"):
        metric([make_doc()], [make_doc()])


def test_a_document_without_a_group_is_refused() -> None:
    metric = NerExactMetric("ents", ci={"group_by": "patient_test"})
    lost = make_doc()
    lost._.note_id = "note-7"
    with pytest.raises(ValueError, match=r"position 1 \(note id: note-7\) belongs to no group"):
        metric([make_doc(patient=1), lost], [make_doc(), make_doc()])
