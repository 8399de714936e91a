"""BestModel: keeps the pipeline that scored best."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loguru import logger

from edspipe import atomic
from edspipe.config.registry import registry
from edspipe.pipeline.json_files import read_json
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.monitor import Mode, find_mode, is_better
from edspipe.training.run_files import copy_files

if TYPE_CHECKING:
    from edspipe.training.run import Run

FOLDER = "model-best"
TIE_BREAKER = "val/loss"


class Kept(NamedTuple):
    """A pipeline that is kept: its step, what it scored, and a SHA-256 of its weights."""

    step: int
    value: float
    loss: float
    digest: str = ""


@registry.callbacks.register("best_model")
class BestModel(Callback):
    """Writes `model-best/` whenever a validation is better than all before; of equal ones, the one
    with the lower loss is.

    Args:
        monitor: What is compared, e.g. `"val/micro_f"` or `"val/loss"`.
        mode: `"max"` or `"min"`; None is `"min"` for losses and `"max"` for the rest.
        top_k: How many are kept; beside `model-best/` there are then `model-best-2/`, ...

    Attributes:
        best: Those that are kept, the best first.
    """

    def __init__(
        self, monitor: str = "val/micro_f", mode: Mode | None = None, top_k: int = 1
    ) -> None:
        if top_k < 1:
            raise ValueError(f"top_k is 1 or more, got {top_k}")
        self.monitor, self.mode, self.top_k = monitor, find_mode(monitor, mode), top_k
        self.best: list[Kept] = []

    def on_start(self, run: Run) -> None:
        if run.first_step == 0:
            self.best = []
        if self.best:
            kept = self._find_again(run.output_dir) if run.processes.is_main else []
            self.best = [Kept(*one) for one in run.processes.from_main([list(one) for one in kept])]

    def _find_again(self, output_dir: Path) -> list[Kept]:
        """Put the models of a checkpoint back in their places, and return those that are there.

        After a kill, or from an older checkpoint, better ones that were written later have taken
        their places; what these pushed out, they push out again.
        """
        folders = [self.folder(output_dir, place) for place in range(self.top_k)]
        digests = [_digest(folder) for folder in folders]
        found = [kept for kept in self.best if kept.digest in digests]
        for place, kept in enumerate(found):
            if digests[place] != kept.digest:
                self._copy(output_dir, digests.index(kept.digest), place)
        if lost := [str(kept.step) for kept in self.best if kept not in found]:
            logger.warning(
                "the best models of before, of step {}, are not in {}: the next ones take their "
                "place",
                ", ".join(lost),
                output_dir,
            )
        return found

    def on_validation(self, run: Run) -> None:
        record = run.records.latest(self.monitor)
        if record is None or record.step != run.step or math.isnan(record.value):
            return
        loss = run.records.latest(TIE_BREAKER)
        new = Kept(run.step, record.value, math.inf if loss is None else loss.value)
        place = next(
            (i for i, kept in enumerate(self.best) if self._beats(new, kept)), len(self.best)
        )
        if place >= self.top_k:
            return
        self.best.insert(place, new)
        del self.best[self.top_k :]
        if run.processes.is_main:
            self._save(run, place)
            digest = _digest(self.folder(run.output_dir, place))
            self.best[place] = new._replace(digest=digest)

    def _beats(self, new: Kept, kept: Kept) -> bool:
        if new.value == kept.value:
            return new.loss < kept.loss
        return is_better(new.value, kept.value, self.mode)

    def _save(self, run: Run, place: int) -> None:
        for lower in range(len(self.best) - 1, place, -1):
            self._copy(run.output_dir, lower - 1, lower)
        run.nlp.to_disk(self.folder(run.output_dir, place))

    def _copy(self, output_dir: Path, source: int, target: int) -> None:
        folder = self.folder(output_dir, source)
        if folder.exists():
            with atomic.write_folder(self.folder(output_dir, target)) as staging:
                copy_files(folder, staging)

    @staticmethod
    def folder(output_dir: Path, place: int = 0) -> Path:
        """Return the folder of the best (0), the second best (1), ..."""
        return output_dir / (FOLDER if place == 0 else f"{FOLDER}-{place + 1}")

    def monitored(self) -> list[str]:
        return [self.monitor]

    def state_dict(self) -> dict[str, Any]:
        return {"best": [list(kept) for kept in self.best]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best = [Kept(*kept) for kept in state["best"]]


def _digest(folder: Path) -> str:
    """Return one SHA-256 for the weights in a folder; tables may change after the training, as a
    temperature does."""
    manifest = folder / atomic.MANIFEST
    if not manifest.is_file():
        return ""
    files = read_json(manifest)["files"]
    weights = {name: files[name]["sha256"] for name in files if name.endswith(".safetensors")}
    return hashlib.sha256(repr(sorted(weights.items())).encode()).hexdigest()
