"""Run: the loop of a training, and all that changes while it goes.

while not over:
    batch -> forward, backward -> gradients of all processes -> update -> records -> callbacks
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from loguru import logger

from edspipe.errors import CheckpointError, TrainingError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.batches import Batches, TaskBatch
from edspipe.training.callbacks.callback import Callback
from edspipe.training.carried import carried_tensors, take_carried
from edspipe.training.checkpoint import (
    TrainingState,
    list_checkpoints,
    read_state,
    save_checkpoint,
)
from edspipe.training.gradients import NoSpikePolicy, clip, scale
from edspipe.training.interrupts import Interrupts
from edspipe.training.loss_figures import loss_figures
from edspipe.training.processes import Processes
from edspipe.training.randomness import rng_state, set_rng_state
from edspipe.training.records import Records
from edspipe.training.scheduled_optimizer import ScheduledOptimizer
from edspipe.training.schedules import Progress
from edspipe.training.step import Computed, StepComputer

PLANNED = ("max_steps", "max_epochs")
"""Why a training ends that was not ended by anything else."""
MAX_IDS = 50
"""Documents that a message names."""
MAX_OVERFLOWS = 30
"""Updates in a row that fp16 may leave out: while its scale falls, some are to be expected."""
MAX_NAMES = 3
"""Weights that a message names."""


@dataclass(frozen=True)
class Plan:
    """How long a training goes on.

    Attributes:
        max_steps: Its steps, or None.
        max_epochs: Its epochs, or None.
        docs_per_epoch: Documents of an epoch (of the first training data).
    """

    max_steps: int | None
    max_epochs: int | None
    docs_per_epoch: int

    def progress(self, step: int, num_docs: int) -> Progress:
        """Say how far a training is, that took these steps over these documents."""
        if self.max_steps is not None:
            fraction = step / self.max_steps
        else:
            fraction = num_docs / max(1, self.docs_per_epoch * (self.max_epochs or 1))
        return Progress(step, self.max_steps, min(1.0, fraction))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "max_steps": self.max_steps,
            "max_epochs": self.max_epochs,
            "docs_per_epoch": self.docs_per_epoch,
        }


class Run:
    """A training that goes on.

    Attributes:
        nlp: The pipeline.
        output_dir: The folder of the run.
        step: Steps that were taken (in `before_step`: the number of the one that comes).
        epoch: Epochs that ended.
        epochs_ended: Epochs that the step was the last one of, mostly 0 or 1.
        first_step: Steps that were taken before this process began.
        num_docs_seen: Documents (of the first training data) that were trained on.
        stopped_by: Why the training ended, or is about to; None so far.
        interrupted: Whether that was Ctrl-C or SIGTERM.
        signal: The number of the signal that this process received, None so far.
        tasks: The batches of the step.
        step_s: Seconds that the step took, its batch included.
        facts: What a checkpoint keeps besides, as plain data.

    Args:
        nlp: The pipeline, in training mode, on its device.
        batches: What it is trained on.
        optimizer: Updates it.
        computer: Computes losses and gradients.
        plan: How long.
        records: Where figures go.
        callbacks: What happens besides.
        processes: Who trains.
        output_dir: The folder of the run.
        autocast: Makes the context that models compute in.
        grad_max_norm: Gradients are clipped to this norm; None leaves them.
        spikes: What becomes of gradients that are far larger than before.
        scaler: Scales losses in fp16, and does nothing else.
        log_every: Steps from one record of the training loss to the next.
    """

    def __init__(
        self,
        nlp: Pipeline,
        batches: Batches,
        optimizer: ScheduledOptimizer,
        computer: StepComputer,
        plan: Plan,
        records: Records,
        callbacks: Sequence[Callback],
        processes: Processes,
        *,
        output_dir: Path,
        autocast: Callable[[], AbstractContextManager[Any]],
        grad_max_norm: float | None,
        spikes: NoSpikePolicy,
        scaler: torch.amp.GradScaler,
        log_every: int = 1,
    ) -> None:
        self.nlp, self.batches, self.optimizer, self.computer = nlp, batches, optimizer, computer
        self.plan = self.schedule_plan = plan
        self.records, self.callbacks, self.processes = records, list(callbacks), processes
        self.output_dir, self.autocast = output_dir, autocast
        self.grad_max_norm, self.spikes, self.scaler = grad_max_norm, spikes, scaler
        self.log_every = log_every
        self.step = self.epoch = self.first_step = self.num_docs_seen = 0
        self.epochs_ended, self.interrupted = 0, False
        self.stopped_by: str | None = None
        self.signal: int | None = None
        self.tasks: Sequence[TaskBatch] = ()
        self.step_s = 0.0
        self.facts: dict[str, Any] = {}
        self._parameters = list(nlp.parameters())
        self._pipes = list(computer.components)
        self._num_overflows = 0
        self._began = perf_counter()

    # ---- where it stands -------------------------------------------------------------------

    @property
    def max_steps(self) -> int | None:
        """Its steps, where their number is given."""
        return self.plan.max_steps

    @property
    def num_docs_planned(self) -> int:
        """Documents of all epochs, where these are given."""
        return self.plan.docs_per_epoch * (self.plan.max_epochs or 1)

    @property
    def ends_epoch(self) -> bool:
        """Whether the step was the last one of an epoch."""
        return self.epochs_ended > 0

    @property
    def is_last(self) -> bool:
        """Whether no step comes after this one."""
        return self.stopped_by is not None

    def stop(self, reason: str) -> None:
        """End the training after this step."""
        self.stopped_by = self.stopped_by or reason

    # ---- the loop --------------------------------------------------------------------------

    def loop(self) -> None:
        """Take all steps."""
        self._look_at_plan()
        try:
            self._fire("on_start")
            with Interrupts() as interrupts:
                while not self.is_last:
                    start = perf_counter()
                    self.tasks = next(self.batches)
                    self.step += 1
                    self._fire("before_step")
                    self._take_step(interrupts)
                    self.step_s = perf_counter() - start
                    self._record_time()
                    self._look_at_plan()
                    self._fire("on_step")
                    self.records.flush()
                self._look_at_signals(interrupts)
            self._fire("on_end")
            self.records.flush()
        except BaseException as error:
            for callback in self.callbacks:
                callback.on_error(self, error)
            raise
        finally:
            self.batches.close()

    def _look_at_signals(self, interrupts: Interrupts) -> None:
        """Note a signal that came after the last look, as what follows takes its time too."""
        (number,) = self.processes.add([float(interrupts.received is not None)])
        if number:
            self.interrupted, self.signal = True, interrupts.received
            self.stopped_by = "interrupted"

    def _fire(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self)

    def validated(self) -> None:
        """Tell schedules and callbacks that there are new scores."""

        def latest(key: str) -> float | None:
            record = self.records.latest(key)
            return None if record is None else record.value

        self.optimizer.observe(latest)
        if self.optimizer.exhausted:
            self.stop("the learning rate fell below its minimum")
        self._fire("on_validation")

    def _look_at_plan(self) -> None:
        steps, epochs = self.plan.max_steps, self.plan.max_epochs
        if steps is not None and self.step >= steps:
            self.stop("max_steps")
        if epochs is not None and self.epoch >= epochs:
            self.stop("max_epochs")

    # ---- one step --------------------------------------------------------------------------

    def _take_step(self, interrupts: Interrupts) -> None:
        keys = [(n, pipe) for n in range(len(self.tasks)) for pipe in self._pipes]
        sizes = self.computer.sizes(self.tasks)
        totals = self.processes.add([sizes.get(key, 0.0) for key in keys])
        self.optimizer.zero_grad()
        computed = self.computer(self.tasks, dict(zip(keys, totals, strict=True)))
        self.processes.add_gradients(self._parameters)
        losses, norm, num_signals = self._finish_gradients(computed, interrupts)
        verdict = self.spikes.judge(norm)
        if verdict.scale not in (0.0, 1.0):
            clipped = min(norm, self.grad_max_norm or norm)
            scale(self._parameters, min(1.0, verdict.scale * norm / clipped))
        progress = self.schedule_plan.progress(self.step - 1, self.num_docs_seen)
        self.optimizer.apply(progress)
        if verdict.scale != 0.0:
            self._update()
        elif self.scaler.is_enabled():
            self.scaler.update()
        self._count()
        if num_signals:
            self.interrupted, self.signal = True, interrupts.received
            self.stop("interrupted")
        if self.step % self.log_every == 0 or self.step == 1:
            self._record(losses, norm, verdict.is_spike)

    def _finish_gradients(
        self, computed: Computed, interrupts: Interrupts
    ) -> tuple[dict[str, float], float, float]:
        """Clip the gradients, and look at loss and norm: the one moment that waits for a GPU.

        Returns:
            The losses by pipe, the norm before it was clipped, and how many processes received a
            signal.

        Raises:
            TrainingError: The loss, or the norm, is not finite.
        """
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer.optimizer)
        norm = clip(self._parameters, self.grad_max_norm)
        zero = torch.zeros((), device=norm.device)
        losses = [computed.losses.get(pipe, zero) for pipe in self._pipes]
        received = torch.full_like(zero, float(interrupts.received is not None))
        added = self.processes.add_tensor(torch.stack([*losses, received]))
        *values, num_signals, found_norm = torch.cat([added, norm.to(added.dtype)[None]]).tolist()
        finite = all(map(math.isfinite, values))
        self._num_overflows = 0 if math.isfinite(found_norm) else self._num_overflows + 1
        allowed = MAX_OVERFLOWS if self.scaler.is_enabled() else 0
        if not finite or self._num_overflows > allowed:
            raise self._not_finite(sum(values) if not finite else found_norm, finite)
        return dict(zip(self._pipes, values, strict=True)), found_norm, num_signals

    def _update(self) -> None:
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()

    def _count(self) -> None:
        self.num_docs_seen += len(self.tasks[0].doc_ids)
        self.epochs_ended = self.batches.epochs_ended
        self.epoch += self.epochs_ended

    def _not_finite(self, value: float, in_gradients: bool) -> TrainingError:
        what = "the norm of the gradients" if in_gradients else "the loss"
        ids = [str(doc_id) for task in self.tasks for doc_id in task.doc_ids]
        more = f" and {len(ids) - MAX_IDS} more" if len(ids) > MAX_IDS else ""
        return TrainingError(
            f"{what} is {value} at step {self.step}, before its update, which was not done. "
            f"Documents of the batch: {', '.join(ids[:MAX_IDS])}{more}. {self._last_good()}. Try a "
            "lower learning rate, precision='fp32', or leave out a document that causes it"
        )

    def _check_weights(self) -> None:
        bad = [name for name, p in self.nlp.named_parameters() if not p.isfinite().all()]
        if bad:
            more = f" and {len(bad) - MAX_NAMES} more" if len(bad) > MAX_NAMES else ""
            raise TrainingError(
                f"weights are not finite after step {self.step} ({', '.join(bad[:MAX_NAMES])}"
                f"{more}), and no checkpoint is written. {self._last_good()}. Try a lower learning "
                "rate, or precision='fp32'"
            )

    def _last_good(self) -> str:
        saved = [str(path) for path in list_checkpoints(self.output_dir)[:1]]
        return f"The last good checkpoint is {saved[0]}" if saved else "There is no checkpoint yet"

    # ---- records ---------------------------------------------------------------------------

    def _record(self, losses: Mapping[str, float], norm: float, is_spike: bool) -> None:
        log = self.records.log
        for name, value in loss_figures(losses, self.computer.components).items():
            log(name, value, step=self.step)
        log("grad_norm", norm, step=self.step)
        for name, value in self.optimizer.values().items():
            log(name, value, step=self.step)
        if is_spike:
            log("grad_spike", norm, step=self.step)
        log("epoch", self.num_docs_seen / max(1, self.plan.docs_per_epoch), step=self.step)
        log("num_words", sum(task.num_words for task in self.tasks), step=self.step)

    def _record_time(self) -> None:
        if self.step % self.log_every == 0 or self.step == 1:
            self.records.log("step_s", self.step_s, step=self.step)
            self.records.log("time_s", perf_counter() - self._began, step=self.step)

    def recorded(self) -> list[str]:
        """Return the names of the records that this training writes, with their splits."""
        names = ["grad_norm", "epoch", "num_words", "step_s", "time_s"]
        names += loss_figures(dict.fromkeys(self._pipes, 0.0), self.computer.components)
        names += list(self.optimizer.values())
        found = [f"train/{name}" for name in names]
        for callback in self.callbacks:
            found += callback.recorded()
        return found

    # ---- saved and taken back --------------------------------------------------------------

    def save_checkpoint(self, folder: Path) -> None:
        """Write a checkpoint; all processes call it, the main one writes.

        Records go out before it, so that none is missing after a kill.

        Raises:
            TrainingError: A weight is not finite: it would be of no use, and push out one that is.
        """
        self.records.flush()
        self._check_weights()
        tensors, plain = rng_state()
        everyone = self.processes.gather((tensors, plain))
        if self.processes.is_main:
            state = {
                **self.facts,
                "step": self.step,
                "epoch": self.epoch,
                "num_docs_seen": self.num_docs_seen,
                "plan": self.schedule_plan.to_dict(),
                "batches": self.batches.get_state(),
                "optimizer": self.optimizer.state_dict(),
                "spikes": self.spikes.state_dict(),
                "scaler": self.scaler.state_dict(),
                "stopped_by": self.stopped_by,
                "records": self.records.state_dict(),
                "callbacks": self._callback_states(),
                "random": [plain for _, plain in everyone],
            }
            random = [tensors for tensors, _ in everyone]
            moments, carried = self.optimizer.tensors(), carried_tensors(self.nlp)
            save_checkpoint(folder, self.nlp, TrainingState(state, moments, random, carried))
        self.processes.wait()

    def load_checkpoint(self, folder: Path) -> dict[str, Any]:
        """Go to where a checkpoint was written, whose weights the pipeline has already.

        Returns:
            The plain part of the checkpoint.

        Raises:
            CheckpointError: It is damaged, or of another training.
        """
        state = read_state(folder, self.processes.rank)
        plain = state.plain
        take_carried(self.nlp, state.carried)
        try:
            self.batches.set_state(plain["batches"])
            self._take_callback_states(plain["callbacks"])
            self.spikes.load_state_dict(plain["spikes"])
            self.scaler.load_state_dict(plain["scaler"])
            self.records.load_state_dict(plain["records"])
            self.step = self.first_step = plain["step"]
            self.epoch, self.num_docs_seen = plain["epoch"], plain["num_docs_seen"]
            self.optimizer.load(state.optimizer, plain["optimizer"])
            own = plain["random"][min(self.processes.rank, len(plain["random"]) - 1)]
            set_rng_state(state.random[0], own)
        except CheckpointError as error:
            raise CheckpointError(f"{folder}: training/optimizer.safetensors: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(
                f"{folder}: the checkpoint does not fit this training ({error}). It is resumed "
                "with the data, batches and callbacks that it was started with"
            ) from None
        reason = plain.get("stopped_by")
        if reason not in (None, "interrupted", *PLANNED) and plain["plan"] == self.plan.to_dict():
            self.stopped_by = reason  # the training was over, and only its end is missing
        if len(plain["random"]) != self.processes.world_size:
            logger.warning(
                "the checkpoint is of {} processes, and there are {}: gradients are the same, "
                "the random numbers of dropout are not",
                len(plain["random"]),
                self.processes.world_size,
            )
        return plain

    def _callback_states(self) -> list[list[Any]]:
        return [[type(one).__name__, one.state_dict()] for one in self.callbacks]

    def _take_callback_states(self, states: Sequence[Sequence[Any]]) -> None:
        """Give each callback its state: the first of a kind that of the first, and so on."""
        left = [list(state) for state in states]
        for callback in self.callbacks:
            name = type(callback).__name__
            found = next((state for state in left if state[0] == name), None)
            if found is None:
                logger.info("the checkpoint has no state of {}: it begins anew", name)
                continue
            left.remove(found)
            callback.load_state_dict(found[1])
