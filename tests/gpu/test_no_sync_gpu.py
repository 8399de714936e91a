"""A step on a GPU never makes the host wait for it, and computes what a CPU computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from support import TEXTS, gold_docs

MODES = ("joint", "marginal", "independent")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Inside, what waits for the GPU raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("mode", MODES)
def test_a_training_step_never_waits(make_nlp, mode):
    nlp = make_nlp(mode=mode).to("cuda")
    optimizer = torch.optim.AdamW(nlp.parameters(), lr=1e-3)
    samples = [nlp.preprocess(doc, supervision=True) for doc in gold_docs(nlp)]
    losses = []
    with waiting_forbidden():
        for _ in range(3):
            batch = nlp.collate(samples, device="cuda")
            with nlp.cache():
                loss = nlp.pipes.ner(batch["ner"])["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    assert torch.stack(losses).isfinite().all()


@pytest.mark.parametrize("window", [0, 4])
def test_prediction_never_waits_before_its_tags_are_read(make_nlp, window):
    nlp = make_nlp(window=window)
    nlp.train(False)
    samples = [nlp.preprocess(nlp.make_doc(text)) for text in TEXTS]
    with torch.inference_mode():
        expected = nlp.pipes.ner(nlp.collate(samples)["ner"])["tags"]
    nlp.to("cuda")
    with waiting_forbidden(), torch.inference_mode():
        found = nlp.pipes.ner(nlp.collate(samples, device="cuda")["ner"])["tags"]
    torch.testing.assert_close(found.cpu(), expected)


@pytest.mark.parametrize("mode", MODES)
def test_loss_and_gradients_are_those_of_the_cpu(make_nlp, mode):
    nlp = make_nlp(mode=mode)
    nlp.train(False)
    samples = [nlp.preprocess(doc, supervision=True) for doc in gold_docs(nlp)]

    def results(device: str) -> list[torch.Tensor]:
        nlp.to(device)
        loss = nlp.pipes.ner(nlp.collate(samples, device=device)["ner"])["loss"]
        parameters = [p for p in nlp.parameters() if p.requires_grad]
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return [loss.detach().cpu(), *(x.cpu() for x in found if x is not None)]

    expected = results("cpu")
    torch.testing.assert_close(results("cuda"), expected, rtol=1e-3, atol=1e-5)
