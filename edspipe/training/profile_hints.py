"""What to try, from the figures of a profile: each hint names the figure that it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edspipe.training.profile_report import (
    BACKWARD,
    CLIP,
    OPTIMIZER,
    WAIT,
    ProfileReport,
)
from edspipe.training.stage_timer import COLLATE, FORWARD, POSTPROCESS, PREPROCESS, TOKENIZER

MIN_WAITING = 0.15
"""Share of a step: below, another process could win little."""
MIN_PER_STEP = 0.20
"""Share of a step that does not depend on the size of its batch."""
MIN_COMPUTING = 0.50
"""Share of a step, or of inference, that must be meant for a hint about it."""


def hints(report: ProfileReport) -> tuple[str, ...]:
    """Return what is worth trying, the first things first; nothing that the figures don't show."""
    return tuple(hint for rule in _RULES for hint in rule(report))


def _waiting(report: ProfileReport) -> Iterator[str]:
    timings, now = report.training.timings, report.num_preprocessing_workers
    share = timings.share_of(WAIT)
    if share <= MIN_WAITING or report.num_cores <= now + 1:
        return
    most = "" if now else f" (most of it: {_most(report)})"
    yield (
        f"{share:.0%} of a step is waiting for its batch{most}: "
        f"num_preprocessing_workers={now + 1} lets {'one more' if now else 'another'} process "
        "prepare batches meanwhile"
    )


def _most(report: ProfileReport) -> str:
    stage = report.training.timings.largest_in(WAIT)
    return f"{stage.kind} {stage.part}" if stage.part else "reading, shuffling and batching"


def _precision(report: ProfileReport) -> Iterator[str]:
    share = report.training.timings.share_of(FORWARD, BACKWARD)
    native = report.native_precision
    if report.precision == "fp32" and native != "fp32" and share > MIN_COMPUTING:
        yield (
            f"{share:.0%} of a step is forward and backward in fp32, and this {report.device} has "
            f"instructions for {native}: precision={native} computes in it"
        )


def _threads(report: ProfileReport) -> Iterator[str]:
    share = report.training.timings.share_of(FORWARD, BACKWARD)
    free = report.num_cores - report.num_preprocessing_workers
    if report.device == "cpu" and report.num_threads < free and share > MIN_COMPUTING:
        yield (
            f"{share:.0%} of a step is forward and backward, on {report.num_threads} of "
            f"{report.num_cores} cores: OMP_NUM_THREADS={free} gives torch more of them"
        )


def _batch_size(report: ProfileReport) -> Iterator[str]:
    share = report.training.timings.share_of(CLIP, OPTIMIZER)
    if share > MIN_PER_STEP:
        yield (
            f"{share:.0%} of a step is clipping and the optimizer, whatever the batch holds: a "
            "larger batch_size takes fewer steps for the same words"
        )


def _inference(report: ProfileReport) -> Iterator[str]:
    share = report.inference.timings.share_of(TOKENIZER, PREPROCESS, COLLATE, POSTPROCESS)
    if share > MIN_COMPUTING and report.num_cores > 1:
        yield (
            f"{share:.0%} of inference is work on documents, not the model: "
            f"nlp.pipe(..., num_cpu_workers={report.num_cores}) shares it among processes"
        )


_RULES: tuple[Callable[[ProfileReport], Iterator[str]], ...] = (
    _waiting,
    _precision,
    _threads,
    _batch_size,
    _inference,
)
