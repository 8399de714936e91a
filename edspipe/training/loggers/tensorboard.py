"""tensorboard: curves for TensorBoard, in a folder of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.optional import require
from edspipe.training.records import Record, RunInfo


@registry.loggers.register("tensorboard")
class TensorboardLogger:
    """Writes events for `tensorboard --logdir RUN/tensorboard`; names are `split/name`.

    A run that is resumed tells TensorBoard to hide what the killed run wrote of later steps.

    Args:
        folder: The folder, below that of the run.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: str = "tensorboard") -> None:
        self.folder = folder
        require("tensorboard", "track", "the logger tensorboard")
        self._writer: Any = None

    def start(self, info: RunInfo) -> None:
        """Begin a file of events beside those that are there."""
        module = require("torch.utils.tensorboard", "track", "the logger tensorboard")
        self._writer = module.SummaryWriter(
            str(Path(info.output_dir) / self.folder), purge_step=info.first_step + 1
        )

    def write(self, records: Sequence[Record]) -> None:
        """Hand the numbers to the thread that writes them."""
        for record in records:
            self._writer.add_scalar(record.key, record.value, record.step)

    def close(self, status: str) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
