"""No step reads values on the host: all of it runs on tensors that have none.

A tensor on torch's "meta" device has a shape and no data. What would wait for an accelerator (a
number read, a mask as an index, a shape that depends on values) fails there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support import TEXTS, gold_docs
from torch.utils._python_dispatch import TorchDispatchMode

import edspipe
import edspipe.pipes as eds
from edspipe.pipeline.torch_component import to_device
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.ner_crf import NerCrf

MODES = ("joint", "marginal", "independent")


class WordTable(WordEmbedding):
    """A vector a word, by its length."""

    def __init__(self, nlp: Any = None, name: str | None = None) -> None:
        super().__init__(nlp, name)
        self.output_size = 8
        self.table = torch.nn.Embedding(16, self.output_size)

    def preprocess(self, doc, *, contexts=None, prompts=()):
        return {"ids": torch.tensor([min(len(token), 15) for token in doc], dtype=torch.int64)}

    def collate(self, batch):
        sizes = tuple(len(sample["ids"]) for sample in batch)
        return {
            "ids": torch.cat([sample["ids"] for sample in batch]),
            "lengths": torch.tensor(sizes),
            "sizes": sizes,
        }

    def forward(self, batch):
        vectors = self.table(batch["ids"])
        return {"embeddings": vectors, "lengths": batch["lengths"], "sizes": batch["sizes"]}


class WaitingCopies(TorchDispatchMode):
    """Refuses copies from the host that an accelerator would be waited for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu":
            device = kwargs.get("device")
            moves = device is not None and torch.device(device).type != "cpu"
            assert not moves or kwargs.get("non_blocking"), "a copy from the host that waits"
        return func(*args, **kwargs)


@contextmanager
def without_values(pipe: NerCrf) -> Iterator[None]:
    """Inside, the pipe's tensors have no data, and nothing may wait for a device."""
    pipe.to("meta")
    with WaitingCopies():
        yield


def build(encoder_dir: Any, embedding: str, **options: Any) -> tuple[edspipe.Pipeline, NerCrf]:
    below: Any = WordTable()
    if embedding == "transformer":
        below = eds.transformer(model=str(encoder_dir), window=8, stride=6)
    nlp = edspipe.blank("eds")
    ner = eds.ner_crf(
        labels=["A", "B"],
        target_span_getter="gold-ner",
        embedding=eds.text_cnn(kernel_sizes=[3], embedding=below),
        **options,
    )
    return nlp, nlp.add_pipe(ner, name="ner")


@pytest.mark.parametrize("embedding", ["table", "transformer"])
@pytest.mark.parametrize("mode", MODES)
def test_a_training_step_reads_no_value(encoder_dir, mode, embedding):
    nlp, pipe = build(encoder_dir, embedding, mode=mode)
    samples = [pipe.preprocess_supervised(doc) for doc in gold_docs(nlp)]
    batch = pipe.collate(samples)
    with without_values(pipe):
        loss = pipe(to_device(batch, "meta"))["loss"]
        loss.backward()
    assert loss.is_meta
    assert loss.shape == ()
    missing = [n for n, p in pipe.named_parameters() if p.requires_grad and p.grad is None]
    assert all("empty_word" in name or "pooler" in name for name in missing), missing


@pytest.mark.parametrize("embedding", ["table", "transformer"])
@pytest.mark.parametrize("window", [0, 3])
def test_prediction_reads_no_value(encoder_dir, window, embedding):
    nlp, pipe = build(encoder_dir, embedding, window=window)
    pipe.eval()
    batch = pipe.collate([pipe.preprocess(nlp.make_doc(text)) for text in TEXTS])
    sizes = [len(nlp.make_doc(text)) for text in TEXTS]
    with without_values(pipe), torch.inference_mode():
        results = pipe(to_device(batch, "meta"))
    assert results["tags"].is_meta
    assert results["tags"].shape == (3, max(sizes), 2)
    assert results["lengths"].shape == (3,)


def test_confidences_are_prepared_without_reading_a_value(encoder_dir):
    nlp, pipe = build(encoder_dir, "table", confidence=True)
    batch = pipe.collate([pipe.preprocess(nlp.make_doc(text)) for text in TEXTS])
    with without_values(pipe), torch.inference_mode():
        results = pipe(to_device(batch, "meta"))
        assert pipe.crf.marginals(results["emissions"], results["mask"]).is_meta


@pytest.mark.parametrize("supervised", [False, True])
def test_a_batch_without_words_reads_no_value(encoder_dir, supervised):
    nlp, pipe = build(encoder_dir, "table")
    prepare = pipe.preprocess_supervised if supervised else pipe.preprocess
    batch = pipe.collate([prepare(nlp.make_doc("")), prepare(nlp.make_doc(""))])
    with without_values(pipe):
        results = pipe(to_device(batch, "meta"))
    assert results["loss" if supervised else "tags"].is_meta


READS: dict[str, Callable[[torch.Tensor], object]] = {
    "a number": lambda x: x.sum().item(),
    "a condition": lambda x: bool((x > 0).any()),
    "a mask as an index": lambda x: x[x > 0],
    "places": lambda x: x.nonzero(),
    "repeats": lambda x: torch.repeat_interleave(x),
    "counts": lambda x: torch.bincount(x),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_what_reads_values_fails_without_them(read):
    with pytest.raises((RuntimeError, NotImplementedError)):
        read(torch.zeros(4, dtype=torch.int64, device="meta"))


def test_copies_that_wait_are_noticed():
    with WaitingCopies(), pytest.raises(AssertionError, match="a copy from the host that waits"):
        torch.zeros(4).to("meta")
