"""The baseline on the documents of a training: read as the trainer does, scored, compared, written.

data = BaselineData.of_training(nlp, train_data, val_data, test_data=test_data)
print(run_baseline(data).text())
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from edspipe import atomic
from edspipe.data.converters.label_scores import LabelScoresConverter
from edspipe.data.formats import write_docs
from edspipe.errors import ConfigError, DataError
from edspipe.metrics.bootstrap import Bootstrap
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.label_evaluation import evaluate_documents, exact_line
from edspipe.metrics.tables import scores_table
from edspipe.pipeline.pipeline import Pipeline
from edspipe.stream.shares import GroupBy
from edspipe.stream.stream import Stream
from edspipe.training.baseline import (
    Baseline,
    BaselineSettings,
    LabelTask,
    find_labels,
    fit_baseline,
)
from edspipe.training.data import read_all
from edspipe.training.evaluation import is_doc_classifier, predict, read_metrics

SIGNIFICANT = 0.05
FILE = "baseline.json"
NAMES = {
    ("micro", "f"): "micro F1",
    ("macro", "f"): "macro F1",
    ("macro", "ap"): "mean average precision",
}


@dataclass(frozen=True)
class BaselineData:
    """Documents, and what is to be told of them.

    Attributes:
        docs: `"train"`, and where there are any, `"val"` and `"test"`.
        task: What is to be told.
        metric: Scores it; by default one on the decisions of the task.
        ci: Options of the bootstrap that the config gives.
        pipe: The name of the classifier of the config.
    """

    docs: Mapping[str, list[Doc]] = field(repr=False)
    task: LabelTask
    metric: DocumentLabelsMetric | None = None
    ci: Any = None
    pipe: str | None = None

    @classmethod
    def of_training(
        cls,
        nlp: Pipeline,
        train_data: Any,
        val_data: Any = None,
        test_data: Any = None,
        *,
        pipe: str | None = None,
        metrics: Any = None,
        ci: Any = None,
        **_: Any,
    ) -> BaselineData:
        """Read the documents of a training, all that its classifier learns from.

        Args:
            nlp: The pipeline with the classifier.
            train_data: As of `edspipe.train`, as are the two others.
            val_data: Documents to choose on.
            test_data: Documents to be scored on.
            pipe: The name of the classifier, where there are several.
            metrics: Those of the training; one on labels of documents is taken.
            ci: Options of the bootstrap.

        Raises:
            ConfigError: There is no classifier of documents, or several.
            DataError: No training document has a label.
        """
        name = _classifier(nlp, pipe)
        parts = {"train": train_data, "val": val_data, "test": test_data}
        docs = {
            role: [
                doc
                for one in read_all(data, f"{role}_data")
                if one.pipe_names is None or name in one.pipe_names
                for doc in one.documents()
            ]
            for role, data in parts.items()
            if data is not None
        }
        known = [
            m for m in read_metrics(metrics, nlp).values() if isinstance(m, DocumentLabelsMetric)
        ]
        task = task_of(nlp.get_pipe(name), docs["train"])
        metric = next((m for m in known if m.attribute == task.attribute), None)
        return cls(docs, task, metric, ci, name)


def _classifier(nlp: Pipeline, pipe: str | None) -> str:
    names = [name for name, one in nlp.torch_components() if is_doc_classifier(one)]
    if pipe is None and len(names) == 1:
        return names[0]
    if pipe is None or pipe not in names:
        found = ", ".join(names) or "none"
        said = "one" if pipe is None else repr(pipe)
        raise ConfigError(
            f"expected {said} among the pipes that classify documents; there are: {found}"
            + ("; name it (--pipe)" if len(names) > 1 and pipe is None else "")
        )
    return pipe


def task_of(pipe: Any, docs: list[Doc]) -> LabelTask:
    """Return what a classifier tells; labels that it does not know yet are those of documents."""
    labels = list(pipe.labels) or find_labels(docs, pipe.attribute, getattr(pipe, "min_count", 1))
    return LabelTask(labels, pipe.mode, pipe.attribute, pipe.label_attribute)


@dataclass(frozen=True)
class Report:
    """What came out.

    Attributes:
        baseline: The fitted baseline.
        evaluations: By split, as of `evaluate_documents`.
        predicted: The documents of each split, with probabilities and decisions.
        comparison: Paired tests of a model and the baseline; None without a model.
        model: The name of the model.
    """

    baseline: Baseline
    evaluations: dict[str, dict[str, Any]]
    predicted: dict[str, list[Doc]] = field(repr=False)
    comparison: dict[str, dict[str, Any]] | None = None
    model: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without text."""
        found = {"choice": self.baseline.choice, "labels": self.baseline.task.labels}
        if self.comparison is not None:
            found["comparison"] = {"model": self.model, "tests": self.comparison}
        return found

    def text(self) -> str:
        """Return what there is to read: a table for each split, and the tests."""
        choice = self.baseline.choice
        parts = [
            f"TF-IDF of {choice['num_features']:,} features and logistic regression, fitted on "
            f"{choice['num_train_docs']:,} documents; C = {choice['C']:g} and thresholds chosen on "
            f"{choice['chosen_on']}"
        ]
        for split, evaluation in self.evaluations.items():
            said = f"{split}: {exact_line(evaluation)}"
            if split == "val":
                said += "; they chose C and thresholds, so expect less elsewhere"
            parts.append(f"{said}\n{scores_table(evaluation['scores'])}")
        if self.comparison is not None:
            parts.append(_comparison_text(self.comparison, str(self.model)))
        return "\n\n".join(parts)

    def write(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write `baseline.json`, `evaluation/<split>.json` and `predictions/<split>.jsonl`.

        Raises:
            FileExistsError: There is a baseline in the folder, and `overwrite` is False.
        """
        if (folder / FILE).exists() and not overwrite:
            raise FileExistsError(f"{folder}: there is a baseline in it; replace it with overwrite")
        task = self.baseline.task
        for name in ("evaluation", "predictions"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for split, evaluation in self.evaluations.items():
            atomic.write_json(folder / "evaluation" / f"{split}.json", evaluation)
            write_docs(
                Stream.from_items(self.predicted[split]),
                folder / "predictions" / f"{split}.jsonl",
                converter=LabelScoresConverter(task.labels, [task.label_attribute]),  # type: ignore[arg-type]
                overwrite=True,
            )
        atomic.write_json(folder / FILE, self.to_dict())


def run_baseline(
    data: BaselineData,
    settings: BaselineSettings | None = None,
    *,
    group_by: GroupBy = None,
    ci: bool = True,
    model: Pipeline | None = None,
    model_name: str | None = None,
) -> Report:
    """Fit the baseline, score it on validation and test documents, and test a model against it.

    Args:
        data: The documents.
        settings: How it is fitted.
        group_by: What is kept together in folds and resamples: `doc._.<name>`, or a function. None
            takes what the config's `ci` says; folds then look at `doc._.group`.
        ci: Compute intervals.
        model: A trained pipeline; the paired test is on the test documents.
        model_name: What to call it.

    Raises:
        DataError: There is nothing to be scored on.
    """
    if not set(data.docs) - {"train"}:
        raise DataError("expected documents to score the baseline on: test or validation data")
    bootstrap = Bootstrap.from_options((data.metric.ci if data.metric else None) or data.ci or {})
    assert bootstrap is not None
    resampled = bootstrap.group_by if group_by is None else group_by
    bootstrap = Bootstrap(bootstrap.n_iterations, bootstrap.percentile, bootstrap.seed, resampled)
    baseline = fit_baseline(
        data.docs["train"],
        data.docs.get("val"),
        data.task,
        settings,
        group_by=resampled or "group",
    )
    metric = _metric(data, bootstrap if ci else None)
    predicted = {s: baseline.predict(docs) for s, docs in data.docs.items() if s != "train"}
    evaluations = {
        split: evaluate_documents(data.docs[split], docs, metric)
        for split, docs in predicted.items()
    }
    comparison = None
    if model is not None:
        split = "test" if "test" in predicted else "val"
        others = _predict(model, data, split)
        test = _metric(data, bootstrap)
        comparison = test.compare(data.docs[split], others, predicted[split])
    return Report(baseline, evaluations, predicted, comparison, model_name)


def _metric(data: BaselineData, ci: Bootstrap | None) -> DocumentLabelsMetric:
    task, given = data.task, data.metric
    decisions = f"_.{task.label_attribute}"
    return DocumentLabelsMetric(
        task.attribute,
        None if given is None else given.labels,
        decisions=None if decisions == task.attribute else decisions,
        ci=ci,
    )


def _predict(model: Pipeline, data: BaselineData, split: str) -> list[Doc]:
    """Return the predictions of a model, where those of the baseline are."""
    task = data.task
    same = data.pipe if data.pipe in model.pipes else None
    pipe = model.get_pipe(_classifier(model, same))
    found = predict(model, data.docs[split])
    own = task.attribute.removeprefix("_.")
    for doc in found:
        decided = doc._.get(pipe.label_attribute)
        if task.attribute not in ("cats", f"_.{task.label_attribute}"):
            doc._.set(own, {label: doc.cats[label] for label in pipe.labels})
        doc._.set(task.label_attribute, decided)
    return found


def _comparison_text(comparison: Mapping[str, Mapping[str, Any]], model: str) -> str:
    """Say in words what the paired tests found."""
    lines = []
    for (row, figure), name in NAMES.items():
        test = comparison.get(row, {}).get(figure)
        if test is None:
            continue
        low, high = test["ci"]
        verdict = "more than chance" if test["p_value"] < SIGNIFICANT else "which may be chance"
        lines.append(
            f"{name} of {model} less that of the baseline: {test['difference']:+.3f} "
            f"[{low:+.3f} {high:+.3f}], p = {test['p_value']:.3f}, {verdict}"
        )
    return "\n".join(lines)
