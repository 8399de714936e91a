"""Scores and losses during a training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from short_runs import docs_for_two, two_pipes, unequal_docs, without_dropout

from edspipe.errors import ConfigError
from edspipe.metrics.ner import NerExactMetric
from edspipe.training.evaluation import LossOnDocs, default_metrics, predict, read_metrics, score

CPU = torch.device("cpu")


def test_predictions_are_made_on_copies_without_gold(tiny_nlp: Any) -> None:
    docs = unequal_docs(tiny_nlp, 4)
    before = [len(doc.spans["gold-ner"]) for doc in docs]
    seen: list[int] = []

    def look(doc: Any) -> Any:
        seen.append(len(doc.spans))
        return doc

    tiny_nlp.add_pipe(look, name="look", first=True)
    predicted = predict(tiny_nlp, docs)
    assert seen == [0] * 4, "a pipe upstream sees no gold"
    assert [doc._.note_id for doc in predicted] == [doc._.note_id for doc in docs]
    assert [len(doc.spans["gold-ner"]) for doc in docs] == before


def test_a_pipe_that_is_switched_off_does_not_predict(tiny_nlp: Any) -> None:
    with tiny_nlp.select_pipes(disable=["ner"]):
        (doc,) = predict(tiny_nlp, unequal_docs(tiny_nlp, 1))
    assert not doc.spans


def test_each_pipe_has_its_metric(encoder_dir: Any) -> None:
    found = default_metrics(two_pipes(encoder_dir))
    assert {name: metric.span_getter for name, metric in found.items()} == {  # type: ignore[attr-defined]
        "first": "gold-first",
        "second": "gold-second",
    }


def metric(gold: Any, predicted: Any) -> dict[str, Any]:
    return {
        "micro": {"f": 0.5, "support": 3},
        "A": {"f": 0.25, "inner": {"x": 1.5}},
        "ci": {"micro": {"f": 0.1}},
        "plain": 2.0,
    }


def test_scores_have_joined_names_without_counts_and_intervals(tiny_nlp: Any) -> None:
    expected = {"micro_f": 0.5, "A_f": 0.25, "A_inner_x": 1.5, "plain": 2.0}
    assert score(read_metrics(metric, tiny_nlp), [], []) == expected
    both = score(read_metrics({"one": metric, "other": metric}, tiny_nlp), [], [])
    assert both == {f"{m}/{name}": v for m in ("one", "other") for name, v in expected.items()}


@pytest.mark.parametrize("metrics", ["eds.ner_exact", 3, {"a": 3}, [metric]])
def test_what_is_no_metric_is_refused(tiny_nlp: Any, metrics: Any) -> None:
    with pytest.raises(
        ConfigError, match="metrics: expected a metric or a dict of metrics by name"
    ):
        read_metrics(metrics, tiny_nlp)


def test_the_default_metric_is_that_of_the_pipe(tiny_nlp: Any) -> None:
    docs = unequal_docs(tiny_nlp, 3)
    expected = NerExactMetric(span_getter="gold-ner")(docs, docs)
    found = score(read_metrics(None, tiny_nlp), docs, docs)
    assert found["micro_f"] == expected["micro"]["f"] == 1.0


# ---- loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, "2 docs", "30 words", "25 tokens", "1000 words"])
def test_the_loss_is_the_mean_over_all_words_however_they_are_batched(
    make_nlp: Callable[..., Any], batch_size: Any
) -> None:
    nlp = make_nlp(dropout=0.5)
    docs = unequal_docs(nlp, 6, with_empty=True)
    found = LossOnDocs(nlp, docs, nullcontext, CPU, batch_size)()
    without_dropout(nlp)
    samples = [nlp.preprocess(doc, supervision=True) for doc in docs]
    with torch.no_grad():
        expected = nlp.pipes.ner(nlp.collate(samples)["ner"])["loss"].item()
    assert found == {"ner": pytest.approx(expected, rel=1e-6)}


def test_each_pipe_has_a_loss_and_shares_the_encoder(encoder_dir: Any) -> None:
    nlp = two_pipes(encoder_dir)
    passes: list[int] = []
    nlp.pipes.first.embedding.encoder.register_forward_hook(lambda *_: passes.append(1))
    found = LossOnDocs(nlp, docs_for_two(nlp), nullcontext, CPU)()
    assert list(found) == ["first", "second"]
    assert len(passes) == 1


def test_the_loss_leaves_the_pipeline_as_it_was(tiny_nlp: Any) -> None:
    tiny_nlp.train(True)
    state = torch.get_rng_state()
    losses = LossOnDocs(tiny_nlp, unequal_docs(tiny_nlp, 3), nullcontext, CPU)
    assert losses() == losses()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(m.training for _, c in tiny_nlp.torch_components() for m in c.modules())
    assert all(p.grad is None for p in tiny_nlp.parameters())


def test_documents_without_a_word_have_no_loss(tiny_nlp: Any) -> None:
    assert LossOnDocs(tiny_nlp, [tiny_nlp.make_doc("")], nullcontext, CPU)() == {}
