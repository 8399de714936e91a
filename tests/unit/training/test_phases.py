"""Pipes that share no parameters, trained one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.training.data import TrainingData
from edspipe.training.phases import phases_of
from edspipe.training.trainer import train
from tests.support import gold_docs, tiny_encoder

QUIET = {"progress": False, "report": False, "ci": None, "loggers": []}


@pytest.fixture
def nlp(tmp_path: Path) -> edspipe.Pipeline:
    """`a` and `c` share an encoder, `b` has one of its own."""
    encoder = str(tiny_encoder(tmp_path / "encoder"))
    shared = eds.transformer(model=encoder)
    nlp = edspipe.blank("eds")
    for name, embedding in (("a", shared), ("b", eds.transformer(model=encoder)), ("c", shared)):
        nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name=name)
    return nlp


def test_pipes_that_share_parameters_are_in_one_phase(nlp: edspipe.Pipeline) -> None:
    assert phases_of(nlp) == [["a", "c"], ["b"]]


def test_each_phase_is_a_run_and_the_whole_pipeline_is_saved(
    nlp: edspipe.Pipeline, tmp_path: Path
) -> None:
    docs = gold_docs(nlp)
    result = train(nlp, docs, docs, output_dir=tmp_path / "run", max_steps=2, phases=True, **QUIET)
    assert result.step == 4
    assert (tmp_path / "run/phase-1-a-c/model-best").is_dir()
    assert (tmp_path / "run/phase-2-b/model-best").is_dir()
    saved = result.load()
    assert saved.pipe_names == ["a", "b", "c"]
    for mine, theirs in zip(nlp.parameters(), saved.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    second = edspipe.load(tmp_path / "run/phase-2-b/model-best")
    assert torch.equal(second.pipes.b.classifier.weight, saved.pipes.b.classifier.weight)


def test_a_finished_phase_is_not_trained_again(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    docs = gold_docs(nlp)
    options = {"output_dir": tmp_path / "run", "phases": True, **QUIET}
    train(nlp, docs, docs, max_steps=2, **options)
    kept = (tmp_path / "run/phase-1-a-c/run.json").read_bytes()
    before = [p.detach().clone() for p in nlp.parameters()]
    train(nlp, docs, docs, max_steps=2, **options)
    assert (tmp_path / "run/phase-1-a-c/run.json").read_bytes() == kept
    assert all(torch.equal(a, b) for a, b in zip(before, nlp.parameters(), strict=True))


def test_a_phase_without_data_is_an_error(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    data = TrainingData(gold_docs(nlp), pipe_names=["a", "c"])
    with pytest.raises(ConfigError, match="train_data: none is for the pipes b: see pipe_names"):
        train(nlp, data, output_dir=tmp_path / "run", max_steps=1, phases=True, **QUIET)
