"""What an epoch costs with a frozen encoder whose vectors are kept, beside one on ready tensors.

    python -m benchmarks.embedding_cache DATA ENCODER --cache cpu --docs 200 --rounds 3

A recogniser (CRF) on a frozen encoder is trained on documents in brat format. It prints the time of
the first epoch, of later ones, and of the same epochs (same documents, batches and weights) where
the same vectors are held in a list and handed to the same head: what nobody can do without. Later
epochs and those on ready tensors are taken in turns, and compared round by round. The losses of
each epoch must be equal to the bit.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from loguru import logger
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.pipes.trainable.embeddings.base import WordEmbedding


class ReadyVectors(WordEmbedding):
    """Hands out vectors that are there already.

    Args:
        vectors: The vectors of each document, by the id of the note.
    """

    def __init__(self, vectors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.vectors = vectors
        self.output_size = next(iter(vectors.values())).shape[1]

    def preprocess(self, doc: Doc, **_: Any) -> dict[str, Any]:
        return {"vectors": self.vectors[doc._.note_id], "stats": {"words": len(doc)}}

    def collate(self, batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
        vectors = [sample["vectors"] for sample in batch]
        sizes = tuple(map(len, vectors))
        return {"vectors": torch.cat(vectors), "lengths": torch.tensor(sizes), "sizes": sizes}

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"embeddings": batch["vectors"], **{k: batch[k] for k in ("lengths", "sizes")}}


class Training:
    """Trains a pipeline epoch by epoch, always over the same batches in the same turn.

    Args:
        nlp: The pipeline.
        docs: The documents.
        batch_size: Documents a step.
        device: Where it is computed.
    """

    def __init__(
        self, nlp: edspipe.Pipeline, docs: list[Any], batch_size: int, device: str
    ) -> None:
        self.nlp, self.docs, self.batch_size, self.device = nlp, docs, batch_size, device
        self.order = random.Random(0)
        trained = [p for p in nlp.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)

    def epoch(self) -> tuple[float, list[float]]:
        """Take an epoch; return its seconds and losses."""
        docs = list(self.docs)
        self.order.shuffle(docs)
        losses = []
        self.nlp.train(True)
        start = perf_counter()
        for first in range(0, len(docs), self.batch_size):
            samples = [
                self.nlp.preprocess(doc, supervision=True)
                for doc in docs[first : first + self.batch_size]
            ]
            batch = self.nlp.collate(samples, device=self.device)
            self.optimizer.zero_grad()
            with self.nlp.cache():
                loss = self.nlp.pipes.ner(batch["ner"])["loss"]
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        found = torch.stack(losses).tolist()
        return perf_counter() - start, found


def read(folder: Path, num_docs: int) -> list[Any]:
    """Read documents."""
    blank = edspipe.blank("eds")
    reader = edspipe.data.read_standoff(folder, tokenizer=blank, span_setter=["ents", "gold-ner"])
    docs = list(reader)[:num_docs]
    for number, doc in enumerate(docs):
        doc._.note_id = str(number)
    return docs


def build(options: argparse.Namespace, folder: str, docs: list[Any]) -> edspipe.Pipeline:
    """Build a recogniser on a frozen encoder."""
    edspipe.set_seed(42)
    where = {"cache_dir": folder} if options.cache == "disk" else {}
    embedding = eds.transformer(
        model=options.encoder, window=128, stride=96, frozen=True, cache=options.cache, **where
    )
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name="ner")
    nlp.post_init(docs)
    return nlp.to(options.device)


def with_ready_vectors(
    fresh: edspipe.Pipeline, nlp: edspipe.Pipeline, docs: list[Any]
) -> edspipe.Pipeline:
    """Return a pipeline with the head of a fresh one, on the vectors that another one computes."""
    embedding = nlp.pipes.ner.embedding
    vectors = {}
    for doc in docs:
        batch = embedding.collate([embedding.preprocess(doc)])
        vectors[doc._.note_id] = embedding(batch)["embeddings"].clone()
    ready = edspipe.blank("eds")
    head = deepcopy(fresh.pipes.ner, {id(fresh.pipes.ner.embedding): ReadyVectors(vectors)})
    ready.add_pipe(head, name="ner")
    return ready


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a brat folder")
    parser.add_argument("encoder", help="the folder of a transformer")
    parser.add_argument("--cache", default="cpu", choices=["cpu", "gpu", "disk"])
    parser.add_argument("--docs", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=16, help="documents a step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logger.disable("edspipe")
    docs = read(options.data, options.docs)
    num_words = sum(map(len, docs))
    print(f"{len(docs)} documents, {num_words:,} words, cache={options.cache}, {options.device}")
    with tempfile.TemporaryDirectory() as folder:
        nlp = build(options, folder, docs)
        fresh = deepcopy(nlp)
        cached = Training(nlp, docs, options.batch_size, options.device)
        first, losses = cached.epoch()
        ready = Training(
            with_ready_vectors(fresh, nlp, docs), docs, options.batch_size, options.device
        )
        _, same = ready.epoch()
        assert losses == same, "the losses of the first epoch differ"
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.rounds):
            (a, losses), (b, same) = cached.epoch(), ready.epoch()
            assert losses == same, "the losses of a later epoch differ"
            times[0].append(a)
            times[1].append(b)
        cache = nlp.pipes.ner.embedding.cache
        print(cache.report(cache.num_found, cache.num_missed))
    later, bare = median(times[0]), median(times[1])
    print(f"first epoch {first:.2f} s; later ones {later:.3f} s, {first / later:.1f} times as fast")
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    print(
        f"on ready tensors {bare:.3f} s; ratio, median of {len(ratios)} rounds: "
        f"{median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    )


if __name__ == "__main__":
    main()
