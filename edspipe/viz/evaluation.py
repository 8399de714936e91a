"""What an evaluation file says, in a form that pictures and words can use."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edspipe.errors import DataError

FORMAT = 1
SUMS = ("micro", "macro")
OF_DOCUMENTS = "eds.document_labels"
"""The metric of evaluations whose labels are those of whole documents."""

SMALL_SUPPORT = 30
"""Gold entities below which a score says little: a 95 % interval is then often 0.3 wide."""


@dataclass(frozen=True)
class LabelScore:
    """The scores of a label; None where they are not known.

    Attributes:
        label: The label, or `"micro"` or `"macro"`.
        p: Precision, 0 to 1.
        r: Recall, 0 to 1.
        f: F1, 0 to 1.
        support: Gold entities, or documents with the label.
        positives: Found ones.
        interval: 95 % interval of F1, low and high.
        specificity: Of labels of documents, 0 to 1.
        auroc: Of labels of documents: area under the ROC curve, 0 to 1.
        ap: Of labels of documents: average precision, 0 to 1.
    """

    label: str
    p: float | None = None
    r: float | None = None
    f: float | None = None
    support: int | None = None
    positives: int | None = None
    interval: tuple[float, float] | None = None
    specificity: float | None = None
    auroc: float | None = None
    ap: float | None = None

    @property
    def is_small(self) -> bool:
        """Whether there are so few gold entities that the score says little."""
        return self.support is not None and self.support < SMALL_SUPPORT


def read_json(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It is not JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError("expected JSON; the file may be cut short", file, error.lineno) from None
    except UnicodeDecodeError:
        raise DataError("expected JSON in UTF-8", file) from None


def read_evaluation(file: str | Path) -> dict[str, Any]:
    """Read the evaluation of a run, as `RUN/evaluation/test.json`.

    Raises:
        DataError: It is no evaluation, or one of another version.
        FileNotFoundError: There is no such file.
    """
    file = Path(file)
    data = read_json(file)
    if not isinstance(data, dict) or not isinstance(data.get("scores"), dict):
        raise DataError('expected the object of an evaluation, with "scores"', file)
    if data.get("format", FORMAT) != FORMAT:
        cure = "Plot it with the version of edspipe that wrote it"
        text = f"expected an evaluation of format {FORMAT}, got format {data['format']!r}. {cure}"
        raise DataError(text, file)
    return data


def number(value: Any) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def of_documents(evaluation: Mapping[str, Any]) -> bool:
    """Whether labels are those of documents, not of entities in them."""
    return evaluation.get("metric") == OF_DOCUMENTS


def noun(evaluation: Mapping[str, Any], number: int = 2) -> str:
    """Return what has a label: an entity, or a document."""
    one, many = ("document", "documents") if of_documents(evaluation) else ("entity", "entities")
    return one if number == 1 else many


def label_scores(evaluation: Mapping[str, Any]) -> list[LabelScore]:
    """Return the scores of each label, the best F1 first; sums are left out."""
    scores = mapping(evaluation.get("scores"))
    no_labels = (*SUMS, "weighted", "exact_match") if of_documents(evaluation) else SUMS
    labels = [label for label in scores if label not in (*no_labels, "ci")]
    found = [score_of(evaluation, label) for label in labels]
    return sorted(found, key=lambda s: (math.inf if s.f is None else -s.f, s.label))


def score_of(evaluation: Mapping[str, Any], label: str) -> LabelScore:
    """Return the scores of one label, or of `"micro"` or `"macro"`."""
    scores = mapping(evaluation.get("scores"))
    figures = mapping(scores.get(label))
    support, positives = number(figures.get("support")), number(figures.get("positives"))
    return LabelScore(
        label,
        p=number(figures.get("p")),
        r=number(figures.get("r")),
        f=number(figures.get("f")),
        support=None if support is None else int(support),
        positives=None if positives is None else int(positives),
        interval=_interval(mapping(mapping(scores.get("ci")).get(label)).get("f")),
        specificity=number(figures.get("specificity")),
        auroc=number(figures.get("auroc")),
        ap=number(figures.get("ap")),
    )


def _interval(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return None if low is None or high is None else (low, high)


def curve_names(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the labels that have a precision-recall curve, the one of all labels first."""
    curves = mapping(mapping(evaluation.get("confidence")).get("precision_recall"))
    return sorted(curves, key=lambda name: name != "micro")
