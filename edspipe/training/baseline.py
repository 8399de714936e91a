"""A classifier of documents without a network: TF-IDF and logistic regression.

What a fine-tuned encoder has to beat, on the same documents, by the same metric. Words are weighted
by term frequency, 1 + log(tf), and inverse document frequency, and each document has length 1
(Salton and Buckley, *Term-weighting approaches in automatic text retrieval*, 1988). On top is one
logistic regression for each label, or one over all labels where a document has exactly one.

How strong the regularisation is, and from which probability on a label is given, is chosen on
validation documents, or, without any, by cross-validation over the training documents whose folds
keep groups such as patients together. Test documents choose nothing.

scikit-learn is needed (the extra `baseline`). The same documents give the same figures. Nothing of
a fitted baseline is saved, as its vocabulary holds words of the notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc

from edspipe.doc.bare import bare_copy
from edspipe.doc.document_labels import (
    CATS,
    CUSTOM,
    declare_labels,
    gold_labels,
    named_labels,
)
from edspipe.errors import DataError
from edspipe.metrics.label_figures import MACRO, evaluate_labels
from edspipe.metrics.thresholds import fit_thresholds
from edspipe.optional import require
from edspipe.stream.shares import OWN, GroupBy, group_key, share_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
WORDS = r"(?u)\b\w+\b"
"""What a word is: scikit-learn's own pattern leaves out words of one letter."""
MAX_ITERATIONS = 2000
PURPOSE = "baseline"


@dataclass(frozen=True)
class LabelTask:
    """What is to be told of documents.

    Attributes:
        labels: The labels.
        mode: `"multi_label"` or `"single_label"`.
        attribute: Where gold labels are, `"cats"` or `"_.<name>"`.
        label_attribute: The name of the attribute of documents that decisions go to.
    """

    labels: list[str]
    mode: str = "multi_label"
    attribute: str = CATS
    label_attribute: str = "labels"

    def with_gold(self, docs: Sequence[Doc]) -> list[Doc]:
        """Return the documents whose labels are known."""
        return [doc for doc in docs if gold_labels(doc, self.attribute) is not None]

    def gold_array(self, docs: Sequence[Doc]) -> Bools:
        """Return which labels documents have. *Shape:* (documents, labels)

        Raises:
            DataError: One has several labels, under `mode="single_label"`.
        """
        rows = np.zeros((len(docs), len(self.labels)), dtype=bool)
        for row, doc in zip(rows, docs, strict=True):
            found = gold_labels(doc, self.attribute) or set()
            if len(found) > 1 and self.mode == "single_label":
                raise DataError(
                    f"expected one label in {self.attribute!r} under mode='single_label', got "
                    f"{len(found)}; take mode='multi_label'",
                    id=None if doc._.note_id is None else str(doc._.note_id),
                )
            row[:] = [label in found for label in self.labels]
        return rows


@dataclass(frozen=True)
class BaselineSettings:
    """How the baseline is fitted.

    Args:
        ngrams: Shortest and longest sequence of words that is a feature.
        char_ngrams: Likewise of letters inside words, beside those of words; None takes none.
        min_df: Sequences in fewer training documents are no features.
        inverse_regularisations: The values of C that are tried: larger ones regularise less.
        class_weight: `"balanced"` makes rare labels weigh as much as frequent ones.
        num_folds: Of the cross-validation, where there are no validation documents.
        seed: Of the folds.
    """

    ngrams: tuple[int, int] = (1, 2)
    char_ngrams: tuple[int, int] | None = None
    min_df: int = 2
    inverse_regularisations: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    class_weight: Literal["balanced"] | None = None
    num_folds: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Attributes:
        task: What it tells.
        vectors: Texts to numbers.
        models: Of each label; of all in one, for a single label.
        thresholds: From this probability on a label is given; empty for a single label.
        choice: What was chosen and by what, as plain data.
    """

    task: LabelTask
    vectors: TextVectors = field(repr=False)
    models: list[Any] = field(repr=False)
    thresholds: dict[str, float]
    choice: dict[str, Any]

    def probabilities(self, docs: Sequence[Doc]) -> Floats:
        """Return the probability of each label. *Shape:* (documents, labels)"""
        return _probabilities(self.models, self.vectors.transform(docs), self.task)

    def predict(self, docs: Sequence[Doc]) -> list[Doc]:
        """Return copies without annotations, with probabilities and decisions where
        `eds.doc_classifier` would put them."""
        task = self.task
        declare_labels(f"{CUSTOM}{task.label_attribute}")
        name = task.attribute.removeprefix(CUSTOM)
        copies = [bare_copy(doc, {name, task.label_attribute}) for doc in docs]
        for copy, row in zip(copies, self.probabilities(docs).tolist(), strict=True):
            copy.cats = dict(zip(task.labels, row, strict=True))
            if task.attribute != CATS:
                copy._.set(name, dict(copy.cats))
            copy._.set(task.label_attribute, self._decide(row))
        return copies

    def _decide(self, row: Sequence[float]) -> list[str]:
        labels = self.task.labels
        if self.task.mode == "single_label":
            return [labels[int(np.argmax(row))]]
        return [x for x, p in zip(labels, row, strict=True) if p >= self.thresholds[x]]


def find_labels(docs: Sequence[Doc], attribute: str = CATS, min_count: int = 1) -> list[str]:
    """Return the labels that documents have or say that they have not, sorted.

    Args:
        docs: Training documents.
        attribute: Where gold labels are.
        min_count: Labels of fewer documents are left out.

    Raises:
        DataError: There are none.
    """
    counts: Counter[str] = Counter()
    for doc in docs:
        counts.update(gold_labels(doc, attribute) or ())
        counts.update(dict.fromkeys(named_labels(doc, attribute), 0))
    found = sorted(label for label, count in counts.items() if count >= min_count)
    if not found:
        raise DataError(
            f"expected labels in {attribute!r} of the training documents, found none that "
            f"{min_count} or more of {len(docs):,} documents have"
        )
    return found


def fit_baseline(
    train_docs: Sequence[Doc],
    val_docs: Sequence[Doc] | None,
    task: LabelTask,
    settings: BaselineSettings | None = None,
    *,
    group_by: GroupBy = None,
) -> Baseline:
    """Fit the baseline on training documents.

    C is that with the highest mean average precision over labels (with the highest accuracy, for a
    single label), the smaller one of two that are equal; each label's threshold then is that with
    the best F1, as `edspipe.metrics.thresholds` finds it.

    Args:
        train_docs: Documents to fit on; those without gold labels are left out.
        val_docs: Documents to choose on; None chooses by cross-validation.
        task: What is to be told.
        settings: How.
        group_by: Of the cross-validation: `doc._.<name>` or a function that gives the group of a
            document; documents without one are groups of their own.

    Raises:
        DataError: There are no documents with gold labels, too few groups for folds, or no word is
            frequent enough.
        MissingExtraError: scikit-learn is not installed.
    """
    settings = settings or BaselineSettings()
    docs = _labelled(train_docs, task, "training")
    gold_NL = task.gold_array(docs)
    vectors = TextVectors(settings).fit(docs)
    if val_docs is None:
        chosen_on = f"{settings.num_folds}-fold cross-validation over the training documents"
        scores, held_gold_NL = _scores_by_folds(docs, gold_NL, task, settings, group_by)
    else:
        chosen_on = "validation documents"
        val = _labelled(val_docs, task, "validation")
        features, held = vectors.transform(docs), vectors.transform(val)
        scores = _scores_by_cost(features, gold_NL, held, task, settings)
        held_gold_NL = task.gold_array(val)
    figures = {cost: _figure(held_gold_NL, one, task) for cost, one in scores.items()}
    best = min(figures, key=lambda cost: (-figures[cost], cost))
    thresholds = {}
    if task.mode != "single_label":
        points = fit_thresholds(scores[best], held_gold_NL, task.labels)
        thresholds = {label: min(1.0, max(0.0, p.threshold)) for label, p in points.items()}
    choice = {
        "chosen_on": chosen_on,
        "C": best,
        "accuracy" if task.mode == "single_label" else "mean_ap": {
            str(cost): value for cost, value in figures.items()
        },
        "thresholds": thresholds,
        "num_features": vectors.num_features,
        "num_train_docs": len(docs),
    }
    models = _fit(vectors.transform(docs), gold_NL, best, task, settings)
    return Baseline(task, vectors, models, thresholds, choice)


def _labelled(docs: Sequence[Doc], task: LabelTask, what: str) -> list[Doc]:
    found = task.with_gold(docs)
    if not found:
        raise DataError(
            f"expected {what} documents with labels in {task.attribute!r}, got {len(docs):,} "
            "without; say in which columns labels are"
        )
    return found


class TextVectors:
    """Texts as sparse vectors of TF-IDF.

    Args:
        settings: Which sequences are features.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """

    def __init__(self, settings: BaselineSettings) -> None:
        text = require("sklearn.feature_extraction.text", "baseline", "the baseline")
        options = {"min_df": settings.min_df, "sublinear_tf": True, "dtype": np.float64}
        words = text.TfidfVectorizer(ngram_range=settings.ngrams, token_pattern=WORDS, **options)
        self.parts = [words]
        if settings.char_ngrams is not None:
            letters = {"analyzer": "char_wb", "ngram_range": settings.char_ngrams}
            self.parts.append(text.TfidfVectorizer(**letters, **options))
        self.min_df = settings.min_df

    @property
    def num_features(self) -> int:
        """How many features there are."""
        return sum(len(part.vocabulary_) for part in self.parts)

    def fit(self, docs: Sequence[Doc]) -> TextVectors:
        """Take the features of training documents.

        Raises:
            DataError: No sequence is frequent enough.
        """
        texts = [doc.text for doc in docs]
        try:
            for part in self.parts:
                part.fit(texts)
        except ValueError:
            raise DataError(
                f"no word stands in {self.min_df} or more of {len(docs):,} training documents; "
                "take a smaller min_df, or more documents"
            ) from None
        return self

    def transform(self, docs: Sequence[Doc]) -> Any:
        """Return a sparse matrix. *Shape:* (documents, features)"""
        texts = [doc.text for doc in docs]
        found = [part.transform(texts) for part in self.parts]
        return require("scipy.sparse", "baseline", "the baseline").hstack(found, format="csr")


def _scores_by_cost(
    features: Any, gold_NL: Bools, held: Any, task: LabelTask, settings: BaselineSettings
) -> dict[float, Floats]:
    """Return, for each C, the probabilities of held-out documents."""
    return {
        cost: _probabilities(_fit(features, gold_NL, cost, task, settings), held, task)
        for cost in settings.inverse_regularisations
    }


def _scores_by_folds(
    docs: Sequence[Doc],
    gold_NL: Bools,
    task: LabelTask,
    settings: BaselineSettings,
    group_by: GroupBy,
) -> tuple[dict[float, Floats], Bools]:
    """Return, for each C, the probabilities of all documents by models that did not see them."""
    keys = [group_key(doc, group_by, OWN) for doc in docs]
    fold_N = np.array(
        [int(share_of(PURPOSE, settings.seed, str(key)) * settings.num_folds) for key in keys]
    )
    folds = np.unique(fold_N)
    if len(folds) < 2:
        raise DataError(
            f"expected documents of several groups to choose by cross-validation, got "
            f"{len(set(keys))}; give validation documents"
        )
    scores = {c: np.zeros(gold_NL.shape) for c in settings.inverse_regularisations}
    for fold in folds:
        inside, outside = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
        seen = [docs[int(i)] for i in inside]
        vectors = TextVectors(settings).fit(seen)
        held = vectors.transform([docs[int(i)] for i in outside])
        found = _scores_by_cost(vectors.transform(seen), gold_NL[inside], held, task, settings)
        for cost, one in found.items():
            scores[cost][outside] = one
    return scores, gold_NL


def _fit(
    features: Any, gold_NL: Bools, cost: float, task: LabelTask, settings: BaselineSettings
) -> list[Any]:
    """Return a model for each label, or one for all; a share where there is nothing to tell."""
    linear = require("sklearn.linear_model", "baseline", "the baseline")
    common = {"C": cost, "class_weight": settings.class_weight, "max_iter": MAX_ITERATIONS}
    if task.mode == "single_label":
        known = gold_NL.any(axis=1)
        target_N = gold_NL[known].argmax(axis=1)
        if len(np.unique(target_N)) < 2:
            return [gold_NL.mean(axis=0)]
        return [linear.LogisticRegression(**common).fit(features[known], target_N)]
    models: list[Any] = []
    for gold_N in gold_NL.T:
        if gold_N.all() or not gold_N.any():
            models.append(float(gold_N.mean()))
            continue
        # the dual problem takes a tenth of the time: there are more features than documents
        model = linear.LogisticRegression(solver="liblinear", dual=True, random_state=0, **common)
        models.append(model.fit(features, gold_N))
    return models


def _probabilities(models: Sequence[Any], features: Any, task: LabelTask) -> Floats:
    num_docs = features.shape[0]
    found = np.zeros((num_docs, len(task.labels)))
    if task.mode == "single_label":
        model = models[0]
        if isinstance(model, np.ndarray):
            return np.tile(model, (num_docs, 1))
        found[:, model.classes_] = model.predict_proba(features)
        return found
    for column, model in enumerate(models):
        constant = isinstance(model, float)
        found[:, column] = model if constant else model.predict_proba(features)[:, 1]
    return found


def _figure(gold_NL: Bools, scores_NL: Floats, task: LabelTask) -> float:
    """Return what C is chosen by: mean average precision, or accuracy."""
    if task.mode == "single_label":
        known = gold_NL.any(axis=1)  # of the others no answer is right
        right_N = gold_NL[known].argmax(axis=1) == scores_NL[known].argmax(axis=1)
        return float(right_N.mean()) if known.any() else 0.0
    found = evaluate_labels(gold_NL, scores_NL, gold_NL, task.labels)[MACRO]["ap"]
    return 0.0 if found is None else found
