"""After the last step: the pipelines are saved, and the chosen one is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edspipe import atomic
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.evaluation import evaluate_spans
from edspipe.metrics.label_evaluation import evaluate_documents, exact_line
from edspipe.metrics.ner import SpanMetric
from edspipe.metrics.tables import scores_table
from edspipe.metrics.tokens import TokenAccuracyMetric, accuracy_line, evaluate_tags
from edspipe.pipeline.loading import load_folder
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.callbacks.best_model import BestModel
from edspipe.training.callbacks.validation import Validation
from edspipe.training.corpus import Corpus
from edspipe.training.data import DEFAULT_BATCH
from edspipe.training.evaluation import LossOnDocs, Metric, confidences, predict, score
from edspipe.training.loss_figures import loss_figures
from edspipe.training.records import TEST
from edspipe.training.run import Run
from edspipe.training.run_files import RunFiles, copy_files, plain

MODEL_LAST = "model-last"
EVALUATION = "evaluation"
EVALUATED = (SpanMetric, TokenAccuracyMetric, DocumentLabelsMetric)
"""Metrics that more is known of than their scores."""


@dataclass(frozen=True)
class Finished:
    """What came out of a training.

    Attributes:
        output_dir: The folder of the run.
        model: The pipeline that was chosen: `model-best`, or `model-last` without validations.
        scores: Its scores by split, `{"val": {"micro_f": ...}, "test": {...}}`; empty for a
            training that was interrupted.
        step: The last step.
        stopped_by: Why the training ended.
        best: Step and value of the best validation, None without any.
        signal: The number of the signal that ended it, None without one.
    """

    output_dir: Path
    model: Path
    scores: dict[str, dict[str, float]]
    step: int
    stopped_by: str
    best: dict[str, Any] | None = None
    signal: int | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM ended it."""
        return self.stopped_by == "interrupted"

    def load(self) -> Pipeline:
        """Load the pipeline that was chosen."""
        return load_folder(self.model)


def finish(
    run: Run,
    files: RunFiles,
    metrics: Mapping[str, Metric],
    corpora: Mapping[str, Corpus],
    ci: Any = None,
    show: bool = True,
) -> Finished:
    """Save `model-last` and, where there is none, `model-best`; score the chosen one.

    Args:
        run: The run.
        files: Its folder.
        metrics: Metrics by name.
        corpora: Documents of validation and test.
        ci: Options of the intervals.
        show: Print the scores by label.
    """
    run.nlp.train(False)
    best = _best(run)
    folder = run.output_dir / (BestModel.folder(Path()) if best else MODEL_LAST)
    scores: dict[str, dict[str, float]] = {}
    if run.processes.is_main:
        run.nlp.to_disk(run.output_dir / MODEL_LAST)
        if best is None:
            _copy_model(run.output_dir / MODEL_LAST, BestModel.folder(run.output_dir))
        files.add(best=best, evaluated=folder.name)
        if not run.interrupted:
            scores = _score_chosen(run, folder, metrics, corpora, ci, show)
    run.processes.wait()
    scores = run.processes.from_main(scores)
    return Finished(
        run.output_dir, folder, scores, run.step, run.stopped_by or "", best, run.signal
    )


def _best(run: Run) -> dict[str, Any] | None:
    for callback in run.callbacks:
        if isinstance(callback, BestModel) and callback.best:
            kept = callback.best[0]
            return {"step": kept.step, "monitor": callback.monitor, "value": kept.value}
    return None


def _copy_model(source: Path, target: Path) -> None:
    with atomic.write_folder(target) as staging:
        copy_files(source, staging)


def _score_chosen(
    run: Run,
    folder: Path,
    metrics: Mapping[str, Metric],
    corpora: Mapping[str, Corpus],
    ci: Any,
    show: bool,
) -> dict[str, dict[str, float]]:
    """Score the chosen model on each corpus, once; the test scores are records too."""
    found: dict[str, dict[str, float]] = {}
    if not corpora:
        return found
    nlp = load_folder(folder).to(run.processes.device)
    changed = [callback.on_chosen(run, nlp, corpora) for callback in run.callbacks]
    if any(changed):
        nlp.to_disk(folder)
    for split, corpus in corpora.items():
        if not metrics:
            found[split] = _losses(run, nlp, corpus)
            predicted = []
        else:
            with confidences(nlp):
                predicted = predict(nlp, corpus.docs)
            found[split] = score(metrics, corpus.docs, predicted)
        tables = _write_evaluations(run.output_dir, split, metrics, corpus.docs, predicted, ci)
        if show and tables:
            print("\n".join(tables))
        if split == TEST:
            atomic.write_json(
                run.output_dir / "test_metrics.json",
                plain({"model": folder.name, **found[split]}),
            )
            for name, value in found[split].items():
                run.records.log(name, value, step=run.step, split=TEST)
            run.records.flush()
    return found


def _losses(run: Run, nlp: Pipeline, corpus: Corpus) -> dict[str, float]:
    """Return the loss of pipes that have no metric, and what follows from it."""
    sizes = [one.batch_size for one in run.callbacks if isinstance(one, Validation)]
    losses = LossOnDocs(
        nlp, corpus.docs, run.autocast, run.processes.device, (sizes or [DEFAULT_BATCH])[0]
    )
    return loss_figures(losses(), dict(nlp.torch_components()))


def _write_evaluations(
    output_dir: Path,
    split: str,
    metrics: Mapping[str, Metric],
    gold: Sequence[Any],
    predicted: Sequence[Any],
    ci: Any,
) -> list[str]:
    """Write what there is to know of each metric on spans, tags or labels of documents; return the
    tables to read."""
    tables = []
    known = [(name, m) for name, m in metrics.items() if isinstance(m, EVALUATED)]
    for number, (name, metric) in enumerate(known):
        evaluation, said = _evaluate(metric, gold, predicted, ci)
        file = f"{split}.json" if number == 0 else f"{split}-{name}.json"
        (output_dir / EVALUATION).mkdir(exist_ok=True)
        atomic.write_json(output_dir / EVALUATION / file, evaluation)
        title = f"{split}, {name}" if len(known) > 1 else split
        tables += [f"{title}: {said}" if said else title, scores_table(evaluation["scores"])]
    return tables


def _evaluate(
    metric: SpanMetric | TokenAccuracyMetric | DocumentLabelsMetric,
    gold: Sequence[Any],
    predicted: Sequence[Any],
    ci: Any,
) -> tuple[dict[str, Any], str]:
    """Return an evaluation as plain data, and what its table does not say."""
    if isinstance(metric, SpanMetric):
        return evaluate_spans(gold, predicted, metric.span_getter, ci=ci).to_dict(), ""
    if isinstance(metric, DocumentLabelsMetric):
        evaluation = evaluate_documents(gold, predicted, metric, ci=metric.ci or ci)
        return evaluation, exact_line(evaluation)
    evaluation = evaluate_tags(gold, predicted, metric.attribute, ci=ci)
    return evaluation, accuracy_line(evaluation)
