"""The limit: plain PyTorch on tensors that lie ready in memory, on edspipe's own windows."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import cycle
from typing import Any

import torch
from transformers import AutoModel

from benchmarks.speed import tutorial
from benchmarks.speed.child import Job, count_words
from benchmarks.speed.tutorial import INFERENCE_WORDS, by_size
from edspipe.pipes.trainable.layers.cnn import WordConvolutions
from edspipe.pipes.trainable.layers.crf import Crf
from edspipe.pipes.trainable.layers.pooling import mean_of_pieces
from edspipe.pipes.trainable.layers.tagging import NUM_TAGS


class Tagger(torch.nn.Module):
    """The encoder and the tutorial's head, without anything around them.

    Args:
        encoder: The folder of the encoder.
        num_labels: Chains of the CRF.
    """

    def __init__(self, encoder: str, num_labels: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            encoder, dtype=torch.float32, add_pooling_layer=False
        )
        size = self.encoder.config.hidden_size
        self.norm = torch.nn.LayerNorm(size)
        self.convolutions = WordConvolutions(size, size, size, [3], "relu")
        self.classifier = torch.nn.Linear(size, NUM_TAGS * num_labels)
        self.crf = Crf(num_labels)

    def forward(self, batch: dict[str, Any], tags: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        cells = self.encode(batch)
        words = mean_of_pieces(cells, batch["owned"], batch["bags"])
        lengths = batch["lengths"]
        words = words + self.convolutions(self.norm(words), lengths)
        scores = self.classifier(words).float().split(lengths.tolist())
        scores = torch.nn.utils.rnn.pad_sequence(scores, batch_first=True)
        mask = torch.arange(scores.shape[1]) < lengths[:, None]
        return self.crf.loss(scores.unflatten(2, (-1, NUM_TAGS)), mask, tags)

    def encode(self, batch: dict[str, Any]) -> torch.Tensor:
        """Run the encoder alone."""
        parts = [
            self.encoder(**window).last_hidden_state.flatten(0, 1) for window in batch["windows"]
        ]
        return torch.cat(parts)


class Side:
    """The bare loop.

    Args:
        name: Its name.
        job: What is done.
    """

    def __init__(self, name: str, job: Job) -> None:
        reference = tutorial.Side("edspipe", job)
        nlp = reference.nlp
        self.job = job
        self.batches = []
        samples = [nlp.preprocess(doc, supervision=True) for doc in reference.docs]
        for sample, doc in zip(samples, reference.docs, strict=True):
            sample["stats"]["blank_separated"] = count_words([doc.text])
        for group in by_size(samples, "tokens", job.batch_size):
            self.batches.append(nlp.collate(group))
        nlp.train(False)
        samples = [nlp.preprocess(nlp.make_doc(text)) for text in reference.texts.values()]
        self.texts = [nlp.collate(group) for group in by_size(samples, "words", INFERENCE_WORDS)]
        self.num_words = reference.num_words
        self.model = Tagger(job.encoder, len(nlp.pipes.ner.labels))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=job.lr, fused=True)
        self.order = cycle(self.batches)

    def train(self, steps: int) -> dict[str, Any]:
        """Do some steps."""
        self.model.train()
        num_words, loss = 0, torch.zeros(())
        for _ in range(steps):
            batch = next(self.order)
            num_words += batch["stats"]["blank_separated"]
            ner = batch["ner"]
            self.optimizer.zero_grad()
            with self._autocast(self.job.precision):
                loss = self.model(ner["embedding"]["embedding"], ner["tags"])
            (loss / ner["stats"]["words"]).backward()
            self.optimizer.step()
        return {"words": num_words, "loss": float(loss.detach())}

    def infer(self, precision: str = "fp32") -> dict[str, Any]:
        """Run the encoder on all windows: nothing before it, nothing after."""
        self.model.eval()
        with torch.inference_mode(), self._autocast(precision):
            for batch in self.texts:
                self.model.encode(batch["ner"]["embedding"]["embedding"])
        return {"words": self.num_words}

    def _autocast(self, precision: str) -> AbstractContextManager[Any]:
        if precision == "fp32":
            return nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)
