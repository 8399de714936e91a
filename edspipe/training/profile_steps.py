"""The steps of a profile: they train as `train.py` does, under a timer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean
from typing import Any

import torch
from spacy.tokens import Doc

from edspipe.nested import iter_dicts
from edspipe.pipeline.pipeline import Pipeline
from edspipe.stream.batching import stat_batchify
from edspipe.stream.stream import Stream
from edspipe.training.profile_report import (
    BACKWARD,
    CLIP,
    OPTIMIZER,
    WAIT,
    Timings,
    TrainingProfile,
)
from edspipe.training.stage_timer import FORWARD, PROFILE, StageTimer, timed_methods


@dataclass(frozen=True)
class RunSettings:
    """How a run trains, as far as its speed depends on it.

    Attributes:
        batch_size: Word pieces a batch.
        lr: Learning rate.
        grad_max_norm: Gradients are clipped to this norm.
        num_preprocessing_workers: Processes that prepare batches; 0 prepares them in this one.
        precision: `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`, of the forward pass in training.
        device: Where the models run; None takes a GPU if there is one.
    """

    batch_size: int = 32 * 128
    lr: float = 1e-3
    grad_max_norm: float = 5.0
    num_preprocessing_workers: int = 0
    precision: str = "fp32"
    device: str | None = None

    def find_device(self) -> torch.device:
        """Return the device."""
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))


@dataclass
class BatchCounts:
    """What the batches of the measured steps held.

    Attributes:
        doc_ids: The documents.
        stats: Sums of what the components count.
        num_cells: Cells of all tables of `input_ids`.
        num_empty: Those that are 0 in the `attention_mask` beside it, if there is one.
        num_rows: Rows of all tables.
    """

    doc_ids: list[Any] = field(default_factory=list)
    stats: Counter[str] = field(default_factory=Counter)
    num_cells: int = 0
    num_empty: int = 0
    num_rows: int = 0

    def add(self, batch: dict[str, Any]) -> None:
        """Count a batch."""
        self.doc_ids += batch["doc_ids"]
        self.stats.update(batch["stats"])
        for table in _tables(batch):
            ids, mask = table["input_ids"], table.get("attention_mask")
            self.num_cells += ids.numel()
            self.num_empty += 0 if mask is None else int((mask == 0).sum())
            self.num_rows += ids.shape[0]


def _tables(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """Find the tables, each once: a component that is shared stands in several places."""
    found = {id(part["input_ids"]): part for part in iter_dicts(batch) if "input_ids" in part}
    return list(found.values())


def _words_by_id(docs: Sequence[Doc]) -> dict[Any, float]:
    """Count the words of the documents; those that share an id, or have none, get their mean."""
    counts: dict[Any, list[int]] = defaultdict(list)
    for doc in docs:
        counts[doc._.note_id].append(len(doc.text.split()))
    return {doc_id: fmean(numbers) for doc_id, numbers in counts.items()}


class TrainingRun:
    """Trains as `train.py` does, under a timer.

    Args:
        nlp: The pipeline, on its device.
        docs: The training documents.
        settings: How the run trains.
        timer: Is charged.
    """

    def __init__(
        self, nlp: Pipeline, docs: Sequence[Doc], settings: RunSettings, timer: StageTimer
    ) -> None:
        self.nlp, self.docs, self.settings, self.timer = nlp, docs, settings, timer
        self.device = settings.find_device()
        self.optimizer = torch.optim.AdamW(nlp.parameters(), lr=settings.lr, fused=True)
        self.num_words = _words_by_id(docs)

    def batches(self, num_workers: int) -> Stream:
        """Describe the batches."""
        return (
            Stream.from_items(self.docs)
            .loop()
            .shuffle("dataset")
            .map(self.nlp.preprocess, kwargs={"supervision": True})
            .batchify(batch_size=self.settings.batch_size, batch_by=stat_batchify("tokens"))
            .map(self.nlp.collate, kwargs={"device": self.device})
            .set_processing(num_cpu_workers=num_workers, process_start_method="spawn")
        )

    def profile(self, num_steps: int, num_warmup_steps: int) -> TrainingProfile:
        """Run the steps."""
        timer = self.timer
        self.nlp.train(True)
        seen = BatchCounts()
        warmup_s = []
        began = timer.clock()
        with self._timed_batches(self.settings.num_preprocessing_workers) as batches:
            for step in range(-num_warmup_steps, num_steps):
                if step == 0:
                    timer.restart()
                batch = self._step(batches)
                if step < 0:
                    now = timer.clock()
                    warmup_s.append(now - began)
                    began = now
                else:
                    with timer.stage(PROFILE):
                        seen.add(batch)
            timings = Timings.of(timer.read())
        return self._summary(tuple(warmup_s), num_steps, timings, seen)

    def prepare_here(self, num_steps: int) -> Timings:
        """Prepare as many batches in this process, and see where that time goes."""
        with self._timed_batches(0) as batches:
            self.timer.restart()
            for _ in range(num_steps):
                next(batches)
            return Timings.of(self.timer.read())

    @contextmanager
    def _timed_batches(self, num_workers: int) -> Iterator[Iterator[Any]]:
        """Yield the batches, with timers on the components.

        The first batch is made before, since workers, which start with it, must not get a copy of
        the timers.
        """
        with iter(self.batches(num_workers)) as batches:
            first = next(batches)
            with timed_methods(self.nlp, self.timer):
                yield chain([first], batches)

    def _step(self, batches: Iterator[Any]) -> dict[str, Any]:
        timer = self.timer
        with timer.stage(WAIT):
            batch = next(batches)
        with timer.stage(OPTIMIZER):
            self.optimizer.zero_grad()
        with timer.stage(FORWARD), self.nlp.cache(), self.nlp.autocast(self.settings.precision):
            loss = torch.zeros((), device=self.device)
            for name, component in self.nlp.torch_components():
                loss = loss + component(batch[name])["loss"]
        with timer.stage(BACKWARD):
            loss.backward()
        with timer.stage(CLIP):
            torch.nn.utils.clip_grad_norm_(list(self.nlp.parameters()), self.settings.grad_max_norm)
        with timer.stage(OPTIMIZER):
            self.optimizer.step()
        return batch

    def _summary(
        self, warmup_s: tuple[float, ...], num_steps: int, timings: Timings, seen: BatchCounts
    ) -> TrainingProfile:
        num_words = sum(self.num_words[doc_id] for doc_id in seen.doc_ids)
        has_pieces, has_masks = "tokens" in seen.stats, seen.num_cells > 0
        return TrainingProfile(
            num_steps=num_steps,
            warmup_s=warmup_s,
            timings=timings,
            words_per_s=num_words / timings.wall_s,
            pieces_per_s=seen.stats["tokens"] / timings.wall_s if has_pieces else None,
            documents_per_batch=len(seen.doc_ids) / num_steps,
            words_per_batch=num_words / num_steps,
            padding_share=seen.num_empty / seen.num_cells if has_masks else None,
            row_width=seen.num_cells / seen.num_rows if has_masks else None,
        )
