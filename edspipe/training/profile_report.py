"""What a profile found: figures by stage, as data and as a table to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edspipe.training.stage_timer import (
    COLLATE,
    FORWARD,
    OTHER,
    POSTPROCESS,
    PREPROCESS,
    PROFILE,
    TOKENIZER,
    StageKey,
)

WAIT = "wait for the next batch"
BACKWARD, CLIP, OPTIMIZER = "backward", "clip the gradients", "optimizer"
ORDER = (
    TOKENIZER,
    WAIT,
    PREPROCESS,
    COLLATE,
    FORWARD,
    BACKWARD,
    CLIP,
    OPTIMIZER,
    POSTPROCESS,
    OTHER,
)
"""Groups as they are printed; what is not here stands before them, as it came."""
MIN_SHOWN_SHARE = 0.001
"""Stages below this share of the time stand in the data, but not in the table."""


@dataclass(frozen=True)
class StageTime:
    """The time of a stage.

    Attributes:
        group: The outermost stage that it is in; itself, if it is in none.
        kind: The stage, e.g. `"preprocess"`.
        part: The component or module, e.g. `"ner.embedding"`; empty for what no part took.
        seconds: Its own time, less that of stages inside.
        share: Of the wall time, 0 to 1.
    """

    group: str
    kind: str
    part: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Timings:
    """Stages, whose seconds add up to the wall time.

    Attributes:
        wall_s: Wall time, without what the profile did for itself.
        stages: The stages, by group and part.
    """

    wall_s: float
    stages: tuple[StageTime, ...]

    @classmethod
    def of(cls, seconds: Mapping[StageKey, float]) -> Timings:
        """Make timings of self times."""
        kept = {key: value for key, value in seconds.items() if key.group != PROFILE}
        wall_s = sum(kept.values())
        return cls(
            wall_s,
            tuple(
                StageTime(*key, seconds=kept[key], share=kept[key] / wall_s if wall_s else 0.0)
                for key in sorted(kept, key=_place)
            ),
        )

    def share_of(self, *groups: str) -> float:
        """Return the share of whole groups."""
        return sum(stage.share for stage in self.stages if stage.group in groups)

    def largest_in(self, group: str) -> StageTime:
        """Return the stage of a group that takes longest."""
        return max((s for s in self.stages if s.group == group), key=lambda s: s.seconds)


def _place(key: StageKey) -> tuple[int, bool, int, str]:
    """Order by group, stage and part, the rest of a group last; unknown groups as they came."""
    if key.group not in ORDER:
        return -1, False, 0, ""
    is_rest = key.kind == key.group and not key.part
    return ORDER.index(key.group), is_rest, ORDER.index(key.kind), key.part


@dataclass(frozen=True)
class TrainingProfile:
    """Figures of the measured steps.

    Attributes:
        num_steps: Steps that were measured.
        warmup_s: Seconds of each step before them, which are in no other figure.
        timings: Where the time of the measured steps went.
        words_per_s: Words (runs of non-blank characters) a second.
        pieces_per_s: Word pieces a second; None if no component counts `tokens`.
        documents_per_batch: In the mean.
        words_per_batch: In the mean.
        padding_share: Share of the encoder's cells that hold nothing; None without an encoder.
        row_width: Cells of a row of these, in the mean; None without any.
    """

    num_steps: int
    warmup_s: tuple[float, ...]
    timings: Timings
    words_per_s: float
    pieces_per_s: float | None
    documents_per_batch: float
    words_per_batch: float
    padding_share: float | None
    row_width: float | None


@dataclass(frozen=True)
class InferenceProfile:
    """Figures of inference over texts.

    Attributes:
        num_documents: The texts.
        num_words: Their words (runs of non-blank characters).
        words_per_s: Words a second.
        timings: Where the time went.
    """

    num_documents: int
    num_words: int
    words_per_s: float
    timings: Timings


@dataclass(frozen=True)
class ProfileReport:
    """Where the time of a run goes.

    Attributes:
        device: Where the models ran, e.g. `"cpu"`.
        precision: What training computed in: `"fp32"`, `"bf16"` or `"fp16"`.
        native_precision: What the device computes in at speed, likewise.
        num_threads: Threads of torch.
        num_cores: Cores that the process may use.
        num_preprocessing_workers: Processes that prepared batches.
        num_documents: Training documents that were read, after splitting.
        reading: Time before the first step: reading, and finishing the components.
        training: The steps.
        in_workers: What preparing as many batches takes in one process, where workers did it.
        inference: Texts to documents with predictions.
        peak_memory_mb: Largest resident memory of this process so far, in MB (10^6 bytes); its
            workers are not in it.
        peak_gpu_memory_mb: Largest memory of tensors on the GPU, in MB (10^6 bytes); None without.
        hints: What to try.
    """

    device: str
    precision: str
    native_precision: str
    num_threads: int
    num_cores: int
    num_preprocessing_workers: int
    num_documents: int
    reading: Timings
    training: TrainingProfile
    in_workers: Timings | None
    inference: InferenceProfile
    peak_memory_mb: float
    peak_gpu_memory_mb: float | None
    hints: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(
            [
                *_head(self),
                "",
                f"before the first step: {self.num_documents:,} documents",
                *_table(self.reading),
                "",
                *_training(self.training),
                *_workers(self),
                "",
                *_inference(self.inference),
                "",
                "what to try",
                *(f"- {hint}" for hint in self.hints or ("nothing stands out",)),
            ]
        )


def _head(report: ProfileReport) -> list[str]:
    workers = report.num_preprocessing_workers
    lines = [
        f"{report.device}, {report.precision}, torch on {report.num_threads} of "
        f"{report.num_cores} cores, {workers} preprocessing {_plural(workers, 'worker')}",
        f"peak memory of this process {report.peak_memory_mb:,.0f} MB",
    ]
    if report.peak_gpu_memory_mb is not None:
        lines[1] += f", of the GPU's tensors {report.peak_gpu_memory_mb:,.0f} MB"
    return lines


def _training(training: TrainingProfile) -> list[str]:
    n = training.num_steps
    warm = ", ".join(f"{seconds:.3f} s" for seconds in training.warmup_s)
    speed = f"{training.words_per_s:,.0f} words/s"
    if training.pieces_per_s is not None:
        speed += f", {training.pieces_per_s:,.0f} word pieces/s"
    batch = (
        f"a batch: {training.documents_per_batch:,.1f} documents, "
        f"{training.words_per_batch:,.0f} words"
    )
    if training.padding_share is not None:
        batch += f", {training.padding_share:.1%} padding"
    return [
        f"training: {n} {_plural(n, 'step')}, {training.timings.wall_s / n:.3f} s each "
        f"(before, for warming up: {warm})",
        speed,
        batch,
        *_table(training.timings),
    ]


def _workers(report: ProfileReport) -> list[str]:
    if report.in_workers is None:
        return []
    title = "prepared in the workers, beside this: what it takes in one process"
    return ["", title, *_table(report.in_workers)]


def _inference(inference: InferenceProfile) -> list[str]:
    title = (
        f"inference: {inference.num_documents:,} documents, {inference.num_words:,} words, "
        f"{inference.words_per_s:,.0f} words/s"
    )
    return [title, *_table(inference.timings)]


def _table(timings: Timings) -> list[str]:
    """Return a line a group, and below it a line a part."""
    rows: list[tuple[str, float]] = []
    for group in dict.fromkeys(stage.group for stage in timings.stages):
        stages = [stage for stage in timings.stages if stage.group == group]
        rows.append((group, sum(stage.seconds for stage in stages)))
        if len(stages) > 1:
            rows += [(f"  {_name(stage)}", stage.seconds) for stage in stages]
    shown = [row for row in rows if row[1] >= MIN_SHOWN_SHARE * timings.wall_s]
    width = max((len(name) for name, _ in shown), default=0)
    return [
        f"  {name:<{width}}  {seconds:>9.3f} s  {seconds / (timings.wall_s or 1.0):>6.1%}"
        for name, seconds in shown
    ]


def _name(stage: StageTime) -> str:
    if stage.kind == stage.group:
        return stage.part or "(the rest)"
    return f"{stage.kind} {stage.part}".rstrip()


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
