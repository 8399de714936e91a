"""tensorboard: curves for TensorBoard, in a folder of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        folder: The folder, below that of the run, where `save_dir` is None.
        experiment: A folder below `save_dir`, which holds several runs.
        run_name: The name of the run; None is the name of the folder of the run.
        tags: Shown beside the curves, as text.
        description: Likewise.
        save_dir: Where logs go, for `tensorboard --logdir SAVE_DIR`: in
            `SAVE_DIR/<experiment>/<run_name>`. None is the folder of the run.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: str = "tensorboard",
        experiment: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        save_dir: str | Path | None = None,
    ) -> None:
        self.folder = folder
        self.experiment = experiment
        self.run_name = run_name
        self.tags = {str(key): str(value) for key, value in (tags or {}).items()}
        self.description = description
        self.save_dir = None if save_dir is None else Path(save_dir)
        require("tensorboard", "track", "the logger tensorboard")
        self._writer: Any = None

    def start(self, info: RunInfo) -> None:
        """Begin a file of events beside those that are there."""
        module = require("torch.utils.tensorboard", "track", "the logger tensorboard")
        self._writer = module.SummaryWriter(
            str(self.place(Path(info.output_dir))), purge_step=info.first_step + 1
        )
        for name, text in self._texts():
            self._writer.add_text(name, text, info.first_step)

    def place(self, output_dir: Path) -> Path:
        """Return the folder of the events.

        Args:
            output_dir: The folder of the run.
        """
        if self.save_dir is None:
            return output_dir / self.folder
        run_name = self.run_name or output_dir.absolute().name
        return self.save_dir / (self.experiment or "") / run_name

    def _texts(self) -> list[tuple[str, str]]:
        """Return what is said of the run; its name only where no folder is called so."""
        named = {"run_name": self.run_name, "experiment": self.experiment}
        texts = {} if self.save_dir is not None else named
        texts = {**texts, "description": self.description}
        if self.tags:
            rows = [f"| {key} | {value} |" for key, value in self.tags.items()]
            texts["tags"] = "\n".join(["| tag | value |", "|---|---|", *rows])
        return [(f"run/{name}", text) for name, text in texts.items() if text]

    def write(self, records: Sequence[Record]) -> None:
        """Hand the numbers to the thread that writes them."""
        for record in records:
            self._writer.add_scalar(record.key, record.value, record.step)

    def close(self, status: str) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
