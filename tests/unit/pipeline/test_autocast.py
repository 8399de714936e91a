"""Pipeline.autocast: the precision that models compute in."""

from __future__ import annotations

import pytest
import torch
from support import gold_docs

import edspipe
from edspipe.pipeline import precision as module


def type_inside(nlp: edspipe.Pipeline, *precision: str) -> torch.dtype | None:
    """The type of autocast inside the context, or None where it is off."""
    with nlp.autocast(*precision):
        return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


@pytest.mark.parametrize(("precision", "expected"), [("fp32", None), ("bf16", torch.bfloat16)])
def test_a_precision_has_a_name(tiny_nlp, precision, expected):
    assert type_inside(tiny_nlp, precision) == expected
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("native", [None, torch.bfloat16])
def test_by_default_it_is_what_the_processor_computes_in(tiny_nlp, monkeypatch, native):
    monkeypatch.setattr(module, "_native_type", lambda device_type: native)
    assert type_inside(tiny_nlp) == type_inside(tiny_nlp, "auto") == native


def test_a_precision_that_does_not_exist_is_refused(tiny_nlp):
    with pytest.raises(ValueError, match="precision is auto, fp32, bf16, fp16; got 'int8'"):
        tiny_nlp.autocast("int8")


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_without_trainable_pipes_nothing_changes(precision):
    assert type_inside(edspipe.blank("eds"), precision) is None


def test_pipes_that_are_switched_off_ask_for_nothing(tiny_nlp):
    with tiny_nlp.select_pipes(disable=["ner"]):
        assert type_inside(tiny_nlp, "bf16") is None


@pytest.mark.parametrize("mode", ["joint", "marginal", "independent"])
def test_a_loss_in_bf16_is_that_of_fp32(make_nlp, mode):
    nlp = make_nlp(mode=mode).train(False)
    samples = [nlp.preprocess(doc, supervision=True) for doc in gold_docs(nlp)]
    batch = nlp.collate(samples)
    losses = {}
    for precision in ("fp32", "bf16"):
        with nlp.cache(), nlp.autocast(precision):
            losses[precision] = nlp.pipes.ner(batch["ner"])["loss"]
    assert losses["bf16"].dtype == torch.float32
    assert losses["bf16"].shape == ()
    assert losses["bf16"] != losses["fp32"]
    torch.testing.assert_close(losses["bf16"], losses["fp32"], rtol=0.02, atol=0)


def test_fp16_is_refused_where_gradients_are_asked_for(tiny_nlp, monkeypatch):
    with pytest.raises(ValueError, match="loses small gradients unless they are scaled"):
        tiny_nlp.autocast("fp16")
    with torch.no_grad():
        assert type_inside(tiny_nlp, "fp16") == torch.float16
    monkeypatch.setattr(module, "_native_type", lambda device_type: torch.float16)
    assert type_inside(tiny_nlp, "auto") is None
