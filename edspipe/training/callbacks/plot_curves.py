"""PlotCurves: pictures of the curves, and the report."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from loguru import logger

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.viz import plot_run

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("plot_curves")
class PlotCurves(Callback):
    """Writes `training.png` and the other pictures, and `report.html`, at the end.

    Without matplotlib, or without `metrics.jsonl`, it writes nothing and says so.

    Args:
        live: Write them after each validation too.
    """

    def __init__(self, live: bool = False) -> None:
        self.live = live

    def on_validation(self, run: Run) -> None:
        if self.live:
            run.records.flush()
            self._plot(run)

    def on_finish(self, run: Run) -> None:
        self._plot(run)

    def _plot(self, run: Run) -> None:
        if not run.processes.is_main:
            return
        if find_spec("matplotlib") is None:
            logger.info("no report is drawn without matplotlib: pip install 'edspipe[plot]'")
        elif (run.output_dir / "metrics.jsonl").is_file():
            try:
                plot_run(run.output_dir)
            except Exception as error:  # a training is worth more than its pictures
                logger.warning("the report was not written: {}: {}", type(error).__name__, error)
