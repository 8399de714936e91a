"""Calibration of classifiers of documents: what is fitted, what is saved, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_runs import LABELS, classifier, notes
from loguru import logger
from short_runs import not_forced_to_disk, train_shortly

import edspipe
from edspipe.errors import ConfigError
from edspipe.metrics import DocumentLabelsMetric, fit_thresholds
from edspipe.metrics.calibration import fit_softmax_temperature, fit_temperature, log_loss
from edspipe.training.calibration import calibrate_pipes
from edspipe.training.callbacks.calibrate import Calibrate
from edspipe.training.evaluation import predict
from edspipe.training.threshold_rule import ThresholdRule


@pytest.fixture(scope="module")
def trained(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run whose chosen model was calibrated on notes of its own; only to be read."""
    nlp = classifier(encoder_dir)
    calibrate = Calibrate(min_predictions=20, data=notes(nlp, 30, seed=2), min_positives=2)
    with not_forced_to_disk():
        return train_shortly(
            nlp,
            notes(nlp, 40),
            tmp_path_factory.mktemp("calibration") / "run",
            notes(nlp, 30, seed=1),
            test_data=notes(nlp, 20, seed=3),
            max_steps=14,
            evaluate_every=14,
            lr=1e-2,
            batch_size="20 docs",
            callbacks=[calibrate],
        )


def model(encoder_dir: Path, **options: Any) -> Any:
    """An untrained classifier, whose probabilities differ."""
    nlp = classifier(encoder_dir, LABELS, **options).train(False)
    nlp.pipes.classifier.head.output.weight.data.mul_(6)
    return nlp


def scores_of(nlp: Any, docs: Any) -> np.ndarray:
    return np.array([[doc.cats[label] for label in LABELS] for doc in predict(nlp, docs)])


def gold_of(docs: Any) -> np.ndarray:
    return np.array([[doc.cats[label] == 1 for label in LABELS] for doc in docs])


@pytest.fixture
def warned() -> Any:
    messages: list[str] = []
    handler = logger.add(lambda message: messages.append(str(message)), level="WARNING")
    yield messages
    logger.remove(handler)


def records_of(folder: Path, split: str) -> dict[str, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {key: x for line in lines if line["split"] == split for key, x in line.items()}


# ---- in a training -----------------------------------------------------------------------------


def test_the_model_that_is_saved_is_the_one_that_was_evaluated(trained: Any) -> None:
    nlp = trained.load()
    docs = notes(nlp, 20, seed=3)
    found = predict(nlp, docs)
    scores = DocumentLabelsMetric(decisions="_.labels")(docs, found)
    evaluation = json.loads((trained.output_dir / "evaluation" / "test.json").read_text())
    assert evaluation["scores"] == scores
    assert trained.scores["test"]["micro_f"] == scores["micro"]["f"]
    again = predict(edspipe.load(trained.model), docs)
    assert [doc.cats for doc in again] == [doc.cats for doc in found]
    assert [doc._.labels for doc in again] == [doc._.labels for doc in found]


def test_the_fitted_numbers_are_recorded_and_saved(trained: Any) -> None:
    pipe = trained.load().pipes.classifier
    found = records_of(trained.output_dir, "calibration")
    assert found["temperature/classifier"] == pipe.temperature != 1.0
    for label in LABELS:
        assert found[f"threshold/classifier/{label}"] == pipe.thresholds[label]
    assert found["calibrated_log_loss/classifier"] <= found["log_loss/classifier"]
    assert {"ece/classifier", "calibrated_brier/classifier"} <= set(found)
    last = edspipe.load(trained.output_dir / "model-last").pipes.classifier
    assert (last.temperature, set(last.thresholds.values())) == (1.0, {0.5})


def test_fitted_thresholds_are_those_of_the_same_scores(trained: Any) -> None:
    nlp = trained.load()
    docs = notes(nlp, 30, seed=2)
    points = fit_thresholds(scores_of(nlp, docs), gold_of(docs), LABELS, min_positives=2)
    assert nlp.pipes.classifier.thresholds == {x: points[x].threshold for x in LABELS}


def test_the_evaluation_has_intervals_confusion_and_reliability(trained: Any) -> None:
    evaluation = json.loads((trained.output_dir / "evaluation" / "val.json").read_text())
    assert evaluation["metric"] == "eds.document_labels"
    assert evaluation["num_docs"] == 30
    matrix = np.array(evaluation["confusion"]["matrix"])
    supports = [evaluation["scores"][label]["support"] for label in LABELS]
    assert matrix[:3].sum(axis=1).tolist() == supports
    assert sum(evaluation["confidence"]["reliability"]["count"]) == 90
    assert set(evaluation["confidence"]["precision_recall"]) == {"micro", *LABELS}


def test_documents_that_validation_has_too_are_warned_of(
    encoder_dir: Path, tmp_path: Path, warned: list[str]
) -> None:
    nlp = classifier(encoder_dir, LABELS)
    docs = notes(nlp, 6)
    calibrate = Calibrate(1, docs[2:4], min_positives=1)
    train_shortly(nlp, docs[:3], tmp_path, docs[3:], max_steps=1, callbacks=[calibrate])
    assert any("1 of 2 documents are also those of val" in said for said in warned)
    assert any("1 of 2 documents are also those of train.0" in said for said in warned)


def test_without_documents_nothing_is_calibrated(
    encoder_dir: Path, tmp_path: Path, warned: list[str]
) -> None:
    nlp = classifier(encoder_dir, LABELS)
    docs = notes(nlp, 4)
    result = train_shortly(
        nlp, docs, tmp_path, None, test_data=docs, max_steps=1, callbacks=["calibrate"]
    )
    assert any("needs val_data, or data of its own" in said for said in warned)
    assert result.load().pipes.classifier.temperature == 1.0


def test_labels_that_training_never_saw_are_warned_of(
    encoder_dir: Path, tmp_path: Path, warned: list[str]
) -> None:
    nlp = classifier(encoder_dir)
    docs, other = notes(nlp, 6), notes(nlp, 2, seed=1)
    other[0].cats = {"new": 1.0, "A": 0.0, "absent": 0.0}
    result = train_shortly(nlp, docs, tmp_path, other, max_steps=1)
    assert any("val: gold labels that training never saw" in said for said in warned)
    assert any("new (1 times)" in said and "absent" not in said for said in warned)
    data = json.loads((result.output_dir / "run.json").read_text())["data"]
    counts = gold_of(docs).sum(axis=0).tolist()
    assert data["train"]["labels"] == dict(zip(LABELS, counts, strict=True))


@pytest.mark.parametrize(
    ("attribute", "monitor"), [("cats", None), ("_.topic_test", "val/macro_ap")]
)
def test_what_is_monitored_is_recorded(
    encoder_dir: Path, tmp_path: Path, attribute: str, monitor: str | None
) -> None:
    nlp = classifier(encoder_dir, LABELS, attribute=attribute)
    docs = notes(nlp, 8, single=True)
    for doc in docs if attribute != "cats" else ():
        doc._.topic_test = max(doc.cats, key=doc.cats.__getitem__)
        doc.cats = {}
    result = train_shortly(nlp, docs, tmp_path, docs, max_steps=1, monitor=monitor)
    assert result.best["monitor"] == (monitor or "val/micro_f")


def test_one_of_several_metrics_may_be_monitored(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = classifier(encoder_dir, LABELS)
    docs = notes(nlp, 8)
    metrics = {"half": DocumentLabelsMetric(), "few": DocumentLabelsMetric(threshold=0.9)}
    monitor = "val/half/micro_f"
    result = train_shortly(nlp, docs, tmp_path, docs, max_steps=1, metrics=metrics, monitor=monitor)
    assert result.best["monitor"] == monitor
    assert {"val.json", "val-few.json"} == {x.name for x in (tmp_path / "evaluation").iterdir()}


# ---- the functions -----------------------------------------------------------------------------


def test_temperature_is_that_of_all_decisions(encoder_dir: Path) -> None:
    nlp = model(encoder_dir)
    docs = notes(nlp, 24)
    before = scores_of(nlp, docs)
    (found,) = calibrate_pipes(nlp, docs, min_items=10)
    assert nlp.pipes.classifier.temperature == fit_temperature(before, gold_of(docs))
    assert found.temperature == (1.0, nlp.pipes.classifier.temperature)
    after = scores_of(nlp, docs)
    assert found.figures["log_loss"] == (
        log_loss(before, gold_of(docs)),
        log_loss(after, gold_of(docs)),
    )


def test_of_one_label_a_document_the_softmax_is_calibrated(encoder_dir: Path) -> None:
    nlp = model(encoder_dir, mode="single_label")
    docs = notes(nlp, 24, single=True)
    logits = np.log(scores_of(nlp, docs))
    labels = [doc._.labels for doc in predict(nlp, docs)]
    unknown = notes(nlp, 2, seed=1, single=True)
    unknown[0].cats, unknown[1].cats = {"other": 1.0}, {}
    (found,) = calibrate_pipes(nlp, [*docs, *unknown], min_items=10)
    expected = fit_softmax_temperature(logits, gold_of(docs).argmax(axis=1))
    assert nlp.pipes.classifier.temperature == pytest.approx(expected, rel=1e-4)
    assert found.num_items == 24
    assert found.figures["log_loss"][1] <= found.figures["log_loss"][0]
    assert [doc._.labels for doc in predict(nlp, docs)] == labels
    assert {one.fitted_threshold for one in found.labels.values()} == {None}
    assert not any(name.startswith("threshold") for name, _ in found.records())


def test_calibrating_again_changes_nothing(encoder_dir: Path) -> None:
    nlp = model(encoder_dir)
    docs = notes(nlp, 24)
    calibrate_pipes(nlp, docs, min_items=10)
    pipe = nlp.pipes.classifier
    first = pipe.temperature, dict(pipe.thresholds)
    (found,) = calibrate_pipes(nlp, docs, min_items=10)
    assert (pipe.temperature, pipe.thresholds) == first
    assert found.figures["ece"][0] == found.figures["ece"][1]
    assert all(one.f1 == one.fitted_f1 for one in found.labels.values())


def test_f1_before_and_after_are_those_of_the_metric(encoder_dir: Path) -> None:
    nlp = model(encoder_dir)
    docs = notes(nlp, 24)
    metric = DocumentLabelsMetric(decisions="_.labels")
    before = metric(docs, predict(nlp, docs))
    (found,) = calibrate_pipes(nlp, docs, ThresholdRule(min_positives=1), min_items=10)
    after = metric(docs, predict(nlp, docs))
    for label, one in found.labels.items():
        assert (one.f1, one.fitted_f1) == (before[label]["f"], after[label]["f"])
        assert one.fitted_f1 >= one.f1
    assert found.means["micro"] == (before["micro"]["f"], after["micro"]["f"])


def test_too_little_leaves_temperature_and_rare_labels_alone(
    encoder_dir: Path, warned: list[str]
) -> None:
    nlp = model(encoder_dir, thresholds={"A": 0.3})
    docs = notes(nlp, 12)
    (found,) = calibrate_pipes(nlp, docs, ThresholdRule(min_positives=13), min_items=13)
    assert nlp.pipes.classifier.temperature == 1.0
    assert nlp.pipes.classifier.thresholds == {"A": 0.3, "B": 0.5, "C": 0.5}
    assert any("keeps its temperature: 12 documents" in said for said in warned)
    assert "fewer than min_positives (13)" in str(found.labels["A"].problem)


def test_documents_without_gold_labels_leave_all_alone(encoder_dir: Path) -> None:
    nlp = model(encoder_dir)
    docs = notes(nlp, 3)
    for doc in docs:
        doc.cats = {}
    (found,) = calibrate_pipes(nlp, docs)
    assert (found.skipped, list(found.records())) == ("no document has a gold label", [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"constraint": {"recall": 0.95}}, {"constraint": "recall >= 0.95"}),
        ({"constraint": "precision >= 0.5"}, {"constraint": "precision >= 0.5"}),
        ({"objective": "f_beta", "beta": 2.0}, {"objective": "f_beta", "beta": 2.0}),
        ({"objective": "cost", "costs": [1, 5]}, {"objective": "cost", "costs": (1, 5)}),
        ({"grid": {"vmin": 0.1, "vmax": 0.9, "step": 0.2}}, {"grid": (0.1, 0.9, 0.2)}),
    ],
)
def test_rules_are_those_of_fit_thresholds(
    options: dict[str, Any], expected: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    scores, gold = rng.random((50, 1)), rng.random((50, 1)) < 0.4
    if "constraint" in expected:
        expected = {"objective": "constraint", **expected}
    wanted = fit_thresholds(scores, gold, ["A"], **expected)["A"]
    assert ThresholdRule(**options).fit(scores[:, 0], gold[:, 0], 0.5) == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "best"}, "objective is one of"),
        ({"constraint": {"recall": 2}}, "number from 0 to 1"),
        ({"constraint": {"recall": 0.9, "precision": 0.9}}, "constraint is of one figure"),
        ({"constraint": {"recall": 0.9}, "objective": "youden"}, "belongs to objective"),
        ({"grid": {"vmin": 0.1}}, "grid has vmin, vmax and step"),
        ({"grid": [0.9, 0.1, 0.1]}, "vmin <= vmax"),
        ({"grid": [-1, 0.9, 0.1]}, "grid: thresholds are from 0 to 1; got -1.0 to 0.9"),
        ({"grid": [0.1, 2, 0.1]}, "grid: thresholds are from 0 to 1; got 0.1 to 2"),
        ({"min_positives": 0}, "min_positives must be at least 1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_before_the_training(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Calibrate(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "both write labels to doc._.labels, where the second would replace"),
        ({"label_attribute": "others"}, "both give the labels A, C, and doc.cats has room for one"),
    ],
)
def test_classifiers_that_write_over_each_other_are_refused(
    options: dict[str, Any], message: str, encoder_dir: Path
) -> None:
    nlp = model(encoder_dir)
    second = classifier(encoder_dir, ["A", "C"], **options).pipes.classifier
    nlp.add_pipe(second, name="second")
    with pytest.raises(ConfigError, match=message):
        calibrate_pipes(nlp, notes(nlp, 10))
    with nlp.select_pipes(disable=["second"]):
        assert calibrate_pipes(nlp, notes(nlp, 10))[0].num_items == 10
