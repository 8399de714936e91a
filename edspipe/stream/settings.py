"""How a stream is run: what `set_processing` takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from edspipe.errors import did_you_mean
from edspipe.stream.batching import BatchBy, BatchSize

BACKENDS = ("simple", "multiprocess", "spark")
START_METHODS = ("forkserver", "spawn", "fork")
QUARANTINE = "quarantine:"
MODEL_BATCH = "16000 padded_words"
"""Documents times the longest one: enough to fill a processor, whether notes are short or long, and
a bound for what is laid out as a rectangle."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Settings:
    """How a stream is run.

    Attributes:
        num_cpu_workers: Processes that run the ops; 0 runs them in this process.
        num_gpu_workers: Processes that run the models; 0 leaves them with the CPU workers, or
            (`map_gpu`) in this process.
        devices: Devices of the GPU workers, in turn; None takes all CUDA devices, or the CPU.
        backend: `"simple"`, `"multiprocess"`, `"spark"`, or None for the one that the workers
            imply.
        batch_size: Batch of models at inference, `"32 docs"`, `"2000 words"`, or a number; None
            is `MODEL_BATCH`.
        batch_by: Unit or measure where `batch_size` is a number.
        process_start_method: `"forkserver"`, `"spawn"` or `"fork"`.
        precision: `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`, for models at inference.
        show_progress: Draw a progress bar.
        on_error: `"raise"`; `"skip"` to leave out (and count) documents that fail; or
            `"quarantine:<path>.jsonl"` to write them, with the error, to a file too.
        timeout_s: Seconds that a worker may take for an item (for a batch: times its items); None
            for no limit. It needs workers.
        ordered: Whether items come in the order of the source. False hands out what is ready
            first, for a little throughput; batches then depend on chance.
        prefetch: Items made ahead of need in a thread; None is 2 for batches that workers make,
            else 0.
        seed: Seed of all random ops; None draws one when iteration starts.
        ends_in_writer: Whether what comes out is written and forgotten; writers set it.
        debug_show_text: Let error messages quote what failed. They may quote clinical text.
    """

    num_cpu_workers: int = 0
    num_gpu_workers: int = 0
    devices: tuple[str, ...] | None = None
    backend: str | None = None
    batch_size: int | str | None = None
    batch_by: BatchBy | None = None
    process_start_method: str = "forkserver"
    precision: str = "auto"
    show_progress: bool = False
    on_error: str = "raise"
    timeout_s: float | None = None
    ordered: bool = True
    prefetch: int | None = None
    seed: int | None = None
    ends_in_writer: bool = False
    debug_show_text: bool = False

    def updated(self, *, autocast: bool | None = None, **changes: Any) -> Settings:
        """Return settings with some values changed; None leaves a value as it is.

        Args:
            autocast: Another way to say `precision`: True is `"auto"`, False is `"fp32"`.
            **changes: Settings by name.

        Raises:
            TypeError: A setting does not exist.
            ValueError: A value is not one of those allowed.
        """
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
        check_on_error(new.on_error)
        for name in ("num_cpu_workers", "num_gpu_workers", "seed", "prefetch"):
            value = getattr(new, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is 0 or more, got {value}")
        if new.timeout_s is not None and not new.timeout_s > 0:
            raise ValueError(f"timeout_s is more than 0, got {new.timeout_s}")
        BatchSize(new.batch_size, new.batch_by)
        return new

    @property
    def model_batch(self) -> BatchSize:
        """The batch of models at inference."""
        if self.batch_size is None and self.batch_by is None:
            return BatchSize(MODEL_BATCH)
        return BatchSize(self.batch_size, self.batch_by)

    @property
    def executor(self) -> str:
        """The executor to run on."""
        if self.backend is not None:
            return self.backend
        return "multiprocess" if self.num_cpu_workers + self.num_gpu_workers > 0 else "simple"

    @property
    def quarantine_path(self) -> str | None:
        """The file of the quarantine, if there is one."""
        is_quarantine = self.on_error.startswith(QUARANTINE)
        return self.on_error.removeprefix(QUARANTINE) if is_quarantine else None


def check_on_error(on_error: str) -> None:
    """Refuse what is not a policy.

    Raises:
        ValueError: It is none of `"raise"`, `"skip"` and `"quarantine:<path>.jsonl"`.
    """
    is_quarantine = on_error.startswith(QUARANTINE) and on_error.endswith(".jsonl")
    if on_error not in ("raise", "skip") and not is_quarantine:
        raise ValueError(
            f"on_error is 'raise', 'skip' or 'quarantine:<path>.jsonl'; got {on_error!r}"
        )


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(f"{name} is one of {shown}; got {value!r}")
