"""Where the time of a training run goes: a few of its steps, and inference, by stage."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch
from spacy.tokens import Doc

from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.precision import DTYPES, resolve_precision
from edspipe.stream.executors.executor import StreamIterator
from edspipe.stream.stream import Stream
from edspipe.training.profile_hints import hints
from edspipe.training.profile_report import InferenceProfile, ProfileReport, Timings
from edspipe.training.profile_steps import RunSettings, TrainingRun
from edspipe.training.stage_timer import StageKey, StageTimer, device_clock, timed_methods

NUM_WARMUP_INFERENCE = 32
"""Texts that warm inference up."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def profile_run(
    nlp: Pipeline,
    train_docs: Stream,
    val_docs: Stream,
    settings: RunSettings | None = None,
    *,
    num_steps: int = 10,
    num_warmup_steps: int = 2,
) -> ProfileReport:
    """Measure where the time of a run goes: reading, some training steps, inference.

    The weights of the pipeline are changed by the steps; nothing is saved. On a GPU the program
    waits for it (`torch.cuda.synchronize`) at both ends of every stage, so that each is charged
    what it costs; a run that does not wait overlaps some of this, and is as fast or faster.

    Timers are wrapped around the methods of the components meanwhile. What workers do is not seen
    by them: the same work is then measured in this process, after the steps.

    Args:
        nlp: The pipeline; the labels of its pipes may be missing.
        train_docs: Documents with gold annotations.
        val_docs: Documents whose texts inference is measured on.
        settings: How the run trains.
        num_steps: Steps that are measured.
        num_warmup_steps: Steps before them, which are told apart.

    Raises:
        ValueError: A number is below 1, there are no documents, or no trainable pipe.
    """
    settings = settings or RunSettings()
    _at_least_one(num_steps=num_steps, num_warmup_steps=num_warmup_steps)
    if not any(True for _ in nlp.torch_components()):
        raise ValueError(
            "expected a pipeline with a trainable pipe that is switched on, found none"
        )
    device = settings.find_device()
    precision = _NAMES[resolve_precision(settings.precision, device)]
    timer = StageTimer(device_clock(device))
    docs, reading = _read(nlp, train_docs, timer)
    texts = [doc.text for doc in _some("val_docs", val_docs)]
    nlp.to(device)
    run = TrainingRun(nlp, docs, settings, timer)
    training = run.profile(num_steps, num_warmup_steps)
    workers = settings.num_preprocessing_workers
    report = ProfileReport(
        device=device.type,
        precision=precision,
        native_precision=_NAMES[resolve_precision("auto", device)],
        num_threads=torch.get_num_threads(),
        num_cores=_num_cores(),
        num_preprocessing_workers=workers,
        num_documents=len(docs),
        reading=reading,
        training=training,
        in_workers=run.prepare_here(num_steps) if workers else None,
        inference=_infer(nlp, texts, timer),
        peak_memory_mb=_peak_memory_mb(),
        peak_gpu_memory_mb=(
            torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
        ),
    )
    return replace(report, hints=hints(report))


def _at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}: expected 1 or more, got {number}")


def _some(name: str, stream: Stream | StreamIterator) -> list[Doc]:
    docs = list(stream)
    if not docs:
        raise ValueError(f"{name}: expected documents, found none")
    return docs


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _peak_memory_mb() -> float:
    """The peak of the resident set; the system counts in KiB, that of Apple in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


# ---- before the first step ------------------------------------------------------------------


def _read(nlp: Pipeline, stream: Stream, timer: StageTimer) -> tuple[list[Doc], Timings]:
    """Read the training documents and finish the components with them."""
    began = timer.clock()
    with iter(stream) as iterator:
        docs = _some("train_docs", iterator)
        stages = iterator.stats()
    read_s = timer.clock() - began
    del stages["wall"]
    seconds = {StageKey("read", "read", name): value for name, value in stages.items()}
    seconds[StageKey("read", "read", "")] = max(0.0, read_s - sum(stages.values()))
    began = timer.clock()
    nlp.post_init(docs)
    seconds[StageKey("post_init", "post_init", "")] = timer.clock() - began
    return docs, Timings.of(seconds)


# ---- inference ------------------------------------------------------------------------------


def _infer(nlp: Pipeline, texts: Sequence[str], timer: StageTimer) -> InferenceProfile:
    """Run `nlp.pipe` over texts as it comes: one process, its own batches and precision."""
    nlp.pipe(texts[:NUM_WARMUP_INFERENCE]).execute()
    with timed_methods(nlp, timer):
        timer.restart()
        nlp.pipe(texts).execute()
        timings = Timings.of(timer.read())
    num_words = sum(len(text.split()) for text in texts)
    return InferenceProfile(len(texts), num_words, num_words / timings.wall_s, timings)
