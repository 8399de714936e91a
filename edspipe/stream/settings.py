"""How a stream is run: what `set_processing` takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from edspipe.errors import did_you_mean
from edspipe.stream.batching import BatchBy, BatchSize

BACKENDS = ("simple", "multiprocess")
START_METHODS = ("forkserver", "spawn", "fork")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Settings:
    """How a stream is run.

    Attributes:
        num_cpu_workers: Processes that run the ops; 0 runs them in this process.
        backend: `"simple"`, `"multiprocess"`, or None for the one that `num_cpu_workers` implies.
        batch_size: Batch of models at inference, `"32 docs"`, `"2000 words"`, or a number.
        batch_by: Unit or measure where `batch_size` is a number.
        process_start_method: `"forkserver"`, `"spawn"` or `"fork"`.
        precision: `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`, for models at inference.
        show_progress: Draw a progress bar.
        on_error: `"raise"`, or `"skip"` to leave out (and count) items that fail.
        timeout_s: Seconds that a worker may take for a task (a batch, or a few items); None for no
            limit.
        seed: Seed of all random ops; None draws one when iteration starts.
        debug_show_text: Let error messages quote what failed. They may quote clinical text.
    """

    num_cpu_workers: int = 0
    backend: str | None = None
    batch_size: int | str | None = None
    batch_by: BatchBy | None = None
    process_start_method: str = "forkserver"
    precision: str = "auto"
    show_progress: bool = False
    on_error: str = "raise"
    timeout_s: float | None = None
    seed: int | None = None
    debug_show_text: bool = False

    def updated(
        self, *, autocast: bool | None = None, num_gpu_workers: int | None = None, **changes: Any
    ) -> Settings:
        """Return settings with some values changed; None leaves a value as it is.

        Args:
            autocast: Another way to say `precision`: True is `"auto"`, False is `"fp32"`.
            num_gpu_workers: 0 only: models run on the device of the pipeline, in this process.
            **changes: Settings by name.

        Raises:
            TypeError: A setting does not exist.
            ValueError: A value is not one of those allowed.
        """
        if num_gpu_workers:
            raise ValueError(
                f"num_gpu_workers is 0, got {num_gpu_workers}: models run in this process, on the "
                "device of the pipeline (nlp.to('cuda')), fed by num_cpu_workers"
            )
        if autocast is not None:
            precision = "auto" if autocast else "fp32"
            given = changes.setdefault("precision", precision)
            if given != precision:
                raise ValueError(f"autocast={autocast} and precision={given!r} differ")
        known = [field.name for field in fields(self)]
        for key in changes:
            if key not in known:
                raise TypeError(
                    f"set_processing has no setting '{key}'.{did_you_mean(key, known)} "
                    f"Settings are: {', '.join(known)}"
                )
        new = replace(self, **{key: value for key, value in changes.items() if value is not None})
        _check_choice("backend", new.backend, (None, *BACKENDS))
        _check_choice("process_start_method", new.process_start_method, START_METHODS)
        _check_choice("precision", new.precision, PRECISIONS)
        _check_choice("on_error", new.on_error, ("raise", "skip"))
        if new.num_cpu_workers < 0:
            raise ValueError(f"num_cpu_workers is 0 or more, got {new.num_cpu_workers}")
        if new.seed is not None and new.seed < 0:
            raise ValueError(f"seed is 0 or more, got {new.seed}")
        if new.timeout_s is not None and not new.timeout_s > 0:
            raise ValueError(f"timeout_s is more than 0, got {new.timeout_s}")
        BatchSize(new.batch_size, new.batch_by)
        return new

    @property
    def model_batch(self) -> BatchSize:
        """The batch of models at inference."""
        return BatchSize(self.batch_size, self.batch_by)

    @property
    def executor(self) -> str:
        """The executor to run on."""
        if self.backend is not None:
            return self.backend
        return "multiprocess" if self.num_cpu_workers > 0 else "simple"


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(f"{name} is one of {shown}; got {value!r}")
