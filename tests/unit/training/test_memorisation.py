"""Canaries, and their exposure."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

import edspipe
from edspipe import atomic
from edspipe.pipeline.model_card import model_card
from edspipe.training.memorisation import FILE, Canaries, draw_names, exposure_of
from edspipe.training.trainer import train
from tests.support import tiny_encoder, tiny_pipeline


@pytest.fixture
def nlp(tmp_path: Path) -> edspipe.Pipeline:
    return tiny_pipeline(tiny_encoder(tmp_path / "encoder"))


def test_names_are_different_and_repeatable() -> None:
    names = draw_names(500, seed=3)
    assert len(set(names)) == 500
    assert names == draw_names(500, seed=3)


@pytest.mark.parametrize(("loss", "bits"), [(0.0, 2.0), (1.5, 1.0), (9.0, 0.0)])
def test_exposure_is_the_logarithm_of_the_rank(loss: float, bits: float) -> None:
    assert exposure_of(loss, [1.0, 2.0, 3.0]) == pytest.approx(bits)


def test_canaries_stand_in_the_data_as_often_as_asked(nlp: edspipe.Pipeline) -> None:
    canaries = Canaries(nlp, "A", "gold-ner", times=(1, 4), num_canaries=2, num_twins=5)
    docs = canaries.docs()
    assert [sum(doc is other for other in docs) for doc in docs] == [1, 1] + [4] * 8
    assert {span.label_ for doc in docs for span in doc.spans["gold-ner"]} == {"A"}
    twins = {doc.text for doc in canaries.twins}
    assert len(twins) == 5
    assert not twins & {doc.text for doc in docs}


def test_the_card_of_a_model_has_the_exposure(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    canaries = Canaries(nlp, "A", "gold-ner", times=(1, 4), num_canaries=2, num_twins=20)
    result = train(
        nlp, canaries.docs(), output_dir=tmp_path / "run", max_steps=2, progress=False, report=False
    )
    measured = canaries.measure(nlp)
    assert set(measured["exposure"]) == {"1", "4"}
    assert all(0 <= bits <= math.log2(21) for bits in measured["exposure"].values())
    atomic.write_json(tmp_path / "run" / FILE, measured)
    card = model_card(result.model, "tiny", "1.0")
    assert re.search(rf"\| `?4`? \| {measured['exposure']['4']:.3f} \|", card)
    assert "20 twins" in card
