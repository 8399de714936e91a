"""plot_file: the pictures of one file of numbers."""

from __future__ import annotations

from pathlib import Path

from edspipe.errors import DataError
from edspipe.viz.learning_rate import plot_learning_rate, read_learning_rates
from edspipe.viz.metrics_files import RATE_TABLE, kind_of, read_metrics
from edspipe.viz.series import TEST, TRAIN, VAL, WEIGHTS
from edspipe.viz.training import plot_training
from edspipe.viz.weights import plot_weights


def plot_file(file: str | Path, *, output: str | Path | None = None) -> list[Path]:
    """Write the pictures of one file of numbers as `.png`.

    Args:
        file: `metrics.jsonl`, `metrics.csv`, `learning_rate.tsv`, or a `loss.tsv` or `weights.txt`
            as Flair's trainer writes them.
        output: The folder to write to; None is that of the file.

    Returns:
        The paths that were written: `training.png`, `weights.png`, `learning_rate.png`.

    Raises:
        DataError: The file is something else, a line is wrong, or nothing was recorded.
        FileNotFoundError: There is no such file.
    """
    file = Path(file)
    folder = file.parent if output is None else Path(output)
    if kind_of(file) == RATE_TABLE:
        return [plot_learning_rate(read_learning_rates(file), folder / "learning_rate.png")]
    metrics = read_metrics(file)
    written = []
    if any(metrics.names(split) for split in (TRAIN, VAL, TEST)):
        written.append(plot_training(metrics, folder / "training.png"))
    if metrics.names(WEIGHTS):
        written.append(plot_weights(metrics, folder / "weights.png"))
    if not written:
        raise DataError("expected recorded numbers, found none: the training has not begun", file)
    return written
