"""The callback that calibrates the chosen model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import edspipe
from edspipe.errors import CheckpointError
from edspipe.metrics.evaluation import found_confidences
from edspipe.training.callbacks.calibrate import Calibrate
from edspipe.training.evaluation import confidences, predict
from edspipe.training.trainer import train
from tests.support import TEXTS, gold_docs, tiny_encoder, tiny_pipeline


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, edspipe.Pipeline, list[Any]]:
    folder = tmp_path_factory.mktemp("calibrate")
    nlp = tiny_pipeline(tiny_encoder(folder / "encoder"), labels=None)
    docs = gold_docs(nlp, TEXTS * 6)
    result = train(
        nlp,
        docs,
        docs[:9],
        output_dir=folder / "run",
        max_steps=12,
        evaluate_every=12,
        lr=5e-3,
        callbacks=[Calibrate(min_predictions=3)],
        loggers=["jsonl"],
        progress=False,
        report=False,
        ci=None,
    )
    return result, nlp, docs


def test_the_chosen_model_has_the_temperature_and_the_last_one_has_not(trained: Any) -> None:
    result, nlp, _ = trained
    assert result.load().pipes.ner.temperature != 1.0
    assert nlp.pipes.ner.temperature == 1.0
    lines = [json.loads(x) for x in (result.output_dir / "metrics.jsonl").read_text().splitlines()]
    found = next(line for line in lines if "temperature/ner" in line)
    assert found["temperature/ner"] == result.load().pipes.ner.temperature
    assert found["calibrated_log_loss/ner"] <= found["log_loss/ner"]


def test_it_changes_confidences_and_not_what_is_found(trained: Any) -> None:
    result, nlp, docs = trained
    rows = []
    for model in (nlp, result.load()):
        with confidences(model):
            rows.append(found_confidences(docs[:3], predict(model, docs[:3]), "gold-ner"))
    assert [(label, right) for label, _, right in rows[0]] == [(a, c) for a, _, c in rows[1]]
    assert [value for _, value, _ in rows[0]] != [value for _, value, _ in rows[1]]


def test_too_few_predictions_leave_it_alone(trained: Any, tmp_path: Path) -> None:
    _, nlp, docs = trained
    result = train(
        nlp,
        docs,
        docs[:3],
        output_dir=tmp_path,
        max_steps=1,
        callbacks=["calibrate"],
        loggers=[],
        progress=False,
        report=False,
        ci=None,
    )
    assert result.load().pipes.ner.temperature == 1.0


@pytest.mark.parametrize("value", [0, -1.0, "2"])
def test_a_temperature_that_cannot_be_is_named(trained: Any, value: Any) -> None:
    _, nlp, _ = trained
    with pytest.raises(CheckpointError, match="expected a number above 0 under 'temperature'"):
        nlp.pipes.ner.set_state({"labels": ["A", "B"], "temperature": value}, Path("state.json"))
