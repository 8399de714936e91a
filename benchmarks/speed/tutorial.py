"""edspipe or EDS-NLP, by the code of the tutorial: they share names, so one text serves both."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Span

from benchmarks.speed.child import Job, count_words, read_texts

INFERENCE_WORDS = 8000
"""Words of a batch at inference, unless a user asks for something else."""


class Side:
    """Trains, predicts, saves and loads with one of the two libraries.

    Args:
        name: `"edspipe"` or `"edsnlp"`.
        job: What is done.
    """

    def __init__(self, name: str, job: Job) -> None:
        self.lib: Any = import_module(name)
        self.pipes: Any = import_module(f"{name}.pipes")
        self.batching: Any = import_module(f"{name}.utils.batching")
        self.is_ours = name == "edspipe"
        self.job = job
        self.texts = read_texts(job)
        self.num_words = count_words(list(self.texts.values()))
        torch.manual_seed(job.seed)
        if self.is_ours:
            self.lib.set_seed(job.seed)
        self.nlp = self._build()
        docs = list(
            self.lib.data.read_standoff(
                str(Path(job.corpus, "train")),
                tokenizer=self.nlp.tokenizer,
                span_setter=["ents"],
            ).map(self.pipes.split(regex="\n\n"))
        )
        self.docs = [doc for doc in docs if len(doc.ents) > 0]
        if job.num_labels:
            relabel(self.docs, job.num_labels)
        self.words_per_token = count_words([doc.text for doc in self.docs]) / sum(
            len(doc) for doc in self.docs
        )
        self.nlp.post_init(self.docs)
        self.batches: Any = None

    def _build(self) -> Any:
        eds, job = self.pipes, self.job
        nlp = self.lib.blank("eds")
        nlp.add_pipe(
            eds.ner_crf(
                mode="joint",
                target_span_getter="ents",
                window=20,
                embedding=eds.text_cnn(
                    kernel_sizes=[3],
                    embedding=eds.transformer(
                        model=job.encoder, window=job.window, stride=job.stride
                    ),
                ),
            ),
            name="ner",
        )
        return nlp

    # ---- training --------------------------------------------------------------------------

    def _start_training(self) -> None:
        job = self.job
        self.batches = iter(
            self.lib.data.from_iterable(self.docs, loop=True)
            .shuffle("dataset")
            .map(self.nlp.preprocess, kwargs={"supervision": True})
            .batchify(batch_size=job.batch_size, batch_by=self.batching.stat_batchify("tokens"))
            .map(self.nlp.collate, kwargs={"device": "cpu"})
            .set_processing(num_cpu_workers=job.workers, process_start_method="spawn")
        )
        self.optimizer = torch.optim.AdamW(params=self.nlp.parameters(), lr=job.lr, fused=True)

    def train(self, steps: int) -> dict[str, Any]:
        """Do some steps of the tutorial's loop."""
        if self.batches is None:
            self._start_training()
        self.nlp.train(True)
        num_tokens, loss = 0, torch.zeros(())
        for _ in range(steps):
            batch = next(self.batches)
            num_tokens += self._tokens_of(batch)
            self.optimizer.zero_grad()
            with self.nlp.cache():
                for name, component in self.nlp.torch_components():
                    with self._autocast():
                        loss = component(batch[name])["loss"]
                    loss.backward()
            self.optimizer.step()
        return {"words": num_tokens * self.words_per_token, "loss": float(loss.detach())}

    def _autocast(self) -> AbstractContextManager[Any]:
        return self.nlp.autocast(self.job.precision) if self.is_ours else nullcontext()

    def _tokens_of(self, batch: Any) -> int:
        if self.is_ours:
            return batch["stats"]["words"]
        return batch["ner"]["embedding"]["embedding"]["stats"]["words"]

    # ---- inference -------------------------------------------------------------------------

    def infer(
        self, precision: str = "auto", stride: int | None = None, batch_size: int | None = None
    ) -> dict[str, Any]:
        """Predict on all texts, from text to `doc.ents`."""
        docs = self._predict(precision, stride, batch_size)
        return {"words": self.num_words, "entities": sum(len(doc.ents) for doc in docs)}

    def predictions(self, precision: str = "fp32") -> dict[str, Any]:
        """Return the entities of each text as [label, start, end] in characters."""
        docs = self._predict(precision)
        return {
            "entities": {
                name: [[ent.label_, ent.start_char, ent.end_char] for ent in doc.ents]
                for name, doc in zip(self.texts, docs, strict=True)
            }
        }

    def _predict(
        self, precision: str, stride: int | None = None, batch_size: int | None = None
    ) -> list[Any]:
        transformer = self.nlp.pipes.ner.embedding.embedding
        transformer.stride = stride or self.job.stride
        settings: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
        if self.is_ours:
            settings["precision"] = precision
        elif precision == "fp32":
            settings["autocast"] = False
        stream = self.nlp.pipe(list(self.texts.values()))
        return list(stream.set_processing(**settings) if settings else stream)

    # ---- the rest --------------------------------------------------------------------------

    def tokenize(self) -> dict[str, Any]:
        """Make Docs of all texts."""
        for text in self.texts.values():
            self.nlp.make_doc(text)
        return {"words": self.num_words}

    def prepare(self) -> dict[str, Any]:
        """Preprocess training documents and collate them, batch by batch."""
        samples = [self.nlp.preprocess(doc, supervision=True) for doc in self.docs]
        for first in range(0, len(samples), 16):
            self.nlp.collate(samples[first : first + 16])
        return {"words": count_words([doc.text for doc in self.docs])}

    def padding(self) -> dict[str, Any]:
        """Return the share of the encoder's cells that hold nothing, at training and inference."""
        samples = [self.nlp.preprocess(doc, supervision=True) for doc in self.docs]
        groups = by_size(samples, "tokens", self.job.batch_size)
        self.nlp.train(True)
        shares = {"training": self._padding_of(groups)}
        docs = [self.nlp.make_doc(text) for text in self.texts.values()]
        groups = by_size([self.nlp.preprocess(doc) for doc in docs], "words", INFERENCE_WORDS)
        self.nlp.train(False)
        shares["inference"] = self._padding_of(groups)
        return shares

    def _padding_of(self, groups: list[list[Any]]) -> float:
        num_cells = num_empty = 0
        for group in groups:
            collated = self.nlp.collate(group)["ner"]["embedding"]["embedding"]
            for table in collated["windows"]:
                num_cells += table["input_ids"].numel()
                mask = table.get("attention_mask")
                num_empty += 0 if mask is None else int((mask == 0).sum())
        return num_empty / num_cells

    def save_and_load(self) -> dict[str, Any]:
        """Write the pipeline and load it back."""
        folder = Path(tempfile.mkdtemp())
        self.nlp.to_disk(folder / "model")
        self.lib.load(folder / "model")
        shutil.rmtree(folder)
        return {}


def by_size(samples: list[Any], unit: str, limit: int) -> list[list[Any]]:
    """Group samples in order, under a limit of a statistic."""
    groups: list[list[Any]] = [[]]
    total = 0
    for sample in samples:
        size = sample["stats"][unit]
        if groups[-1] and total + size > limit:
            groups.append([])
            total = 0
        groups[-1].append(sample)
        total += size
    return groups


def relabel(docs: list[Any], num_labels: int) -> None:
    """Deal the entities out to so many labels, in turn."""
    names = [f"label_{i}" for i in range(num_labels)]
    turn = 0
    for doc in docs:
        spans = []
        for ent in doc.ents:
            spans.append(Span(doc, ent.start, ent.end, label=names[turn % num_labels]))
            turn += 1
        doc.ents = spans
