"""report.html: a run in one file, the answers that a person looks for first on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edspipe import atomic
from edspipe.viz.html import EMPTY, Html, details, image, join, page, section, tag
from edspipe.viz.report_errors import errors_part
from edspipe.viz.report_run import best_line, data_part, details_table, run_line, speed_part
from edspipe.viz.report_scores import headline, scores_table
from edspipe.viz.run_files import RunFiles, figures_of, read_run
from edspipe.viz.style import save, to_svg
from edspipe.viz.trends import Answer, converged, overfits
from edspipe.viz.weaknesses import common_errors, weakest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT = "report.html"

SIGNS = {"good": "✓", "warn": "!", "bad": "✗", "unknown": "?"}
"""A verdict is told apart without its colour too."""

HOLDS_TEXT = "This report holds clinical text: keep it where the documents may be."

ALTERNATIVES = {
    "training": "Loss, scores, learning rate and gradient norm by step",
    "weights": "Traced weights by step",
    "learning_rate": "Loss by learning rate",
    "labels": "F1 by label with intervals, and gold ones",
    "confusion": "Confusion matrix",
    "precision_recall": "Precision by recall",
    "reliability": "Share that is right, by confidence",
}


def write_report(
    run_dir: str | Path,
    *,
    texts: Mapping[str, str] | None = None,
    output: str | Path | None = None,
) -> Path:
    """Write `report.html`: one file that needs no other file and no network.

    Args:
        run_dir: The folder of a run: `metrics.jsonl`, and as far as they are there `run.json`,
            `slowest_steps.json`, `learning_rate.tsv`, `evaluation/val.json` and `test.json`.
        texts: Texts by document id, to show errors in their context; None shows no text.
        output: The folder to write to; None is the run's own.

    Returns:
        The path of the report.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: It holds nothing of a run, or a file is wrong.
    """
    run = read_run(run_dir)
    return _write(run, figures_of(run), texts, Path(output or run_dir))


def plot_run(
    run_dir: str | Path,
    *,
    texts: Mapping[str, str] | None = None,
    output: str | Path | None = None,
) -> list[Path]:
    """Write every picture that a run has data for as `.png`, and its report.

    Args:
        run_dir: The folder of a run, as for `write_report`.
        texts: Texts by document id, to show errors in their context; None shows no text.
        output: The folder to write to; None is the run's own.

    Returns:
        The paths that were written; the report is the last.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: It holds nothing of a run, or a file is wrong.
    """
    run = read_run(run_dir)
    folder = Path(output or run_dir)
    figures = figures_of(run)
    written = [save(figure, folder / f"{name}.png") for name, figure in figures.items()]
    return [*written, _write(run, figures, texts, folder)]


def _write(
    run: RunFiles, figures: Mapping[str, Figure], texts: Mapping[str, str] | None, folder: Path
) -> Path:
    path = folder / REPORT
    atomic.write_text(path, _report(run, figures, texts))
    return path


def _report(run: RunFiles, figures: Mapping[str, Figure], texts: Mapping[str, str] | None) -> str:
    name = run.path.resolve().name
    pictures = {key: image(to_svg(figure), ALTERNATIVES[key]) for key, figure in figures.items()}

    def shown(*keys: str) -> Html:
        return join(pictures[key] for key in keys if key in pictures)

    return page(
        f"{name}: training report",
        tag("h1", name),
        tag("p", run_line(run), kind="soft"),
        "" if texts is None else tag("p", tag("b", HOLDS_TEXT)),
        _answers(run),
        headline(run.evaluations),
        tag("p", best_line(run)),
        section("Curves", shown("training")),
        section("Scores by label", shown("labels"), _by_split(run, scores_table)),
        section("Confusion", shown("confusion")),
        section("Errors", _by_split(run, lambda one: errors_part(one, texts))),
        section("Confidence", shown("reliability", "precision_recall")),
        section("Data", data_part(run)),
        section("Speed and slowest steps", speed_part(run)),
        section("Weights", shown("weights")),
        section("Learning-rate finder", shown("learning_rate")),
        section("Run", details_table(run)),
    )


def _answers(run: RunFiles) -> Html:
    """Return the four answers; about the training only where one was recorded."""
    answers: list[Answer] = []
    if run.metrics.last_step() is not None:
        answers += [converged(run.metrics), overfits(run.metrics)]
    if answers or run.evaluation is not None:
        answers += [weakest(run.evaluation, run.metrics), common_errors(run.evaluation)]
    return tag("div", *map(_answer, answers), kind="answers") if answers else EMPTY


def _answer(answer: Answer) -> Html:
    return tag(
        "div",
        tag("h2", answer.question),
        tag("p", f"{SIGNS[answer.tone]} {answer.verdict}", kind="verdict"),
        tag("p", answer.figures),
        kind=f"answer {answer.tone}",
    )


def _by_split(run: RunFiles, part: Callable[[Mapping[str, Any]], Html]) -> Html:
    """Return a part for each evaluation: of the first one as it is, of others to be opened."""
    found = {split: part(evaluation) for split, evaluation in run.evaluations.items()}
    found = {split: content for split, content in found.items() if content}
    first, *others = found or [""]
    if not found:
        return EMPTY
    return join(
        [
            tag("h3", f"On {first}"),
            found[first],
            *(details(f"The same on {split}", found[split]) for split in others),
        ]
    )
