"""Scores of pipelines against gold annotations."""

from __future__ import annotations

from edspipe.metrics.annotators import Agreement, agreement
from edspipe.metrics.bootstrap import Bootstrap, paired_test
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.evaluation import Evaluation, evaluate_spans
from edspipe.metrics.label_figures import compare_labels, evaluate_labels
from edspipe.metrics.ner import (
    NerExactMetric,
    NerOverlapMetric,
    NerTokenMetric,
    SpanAttributeMetric,
)
from edspipe.metrics.thresholds import OperatingPoint, fit_threshold, fit_thresholds
from edspipe.metrics.tokens import TokenAccuracyMetric, evaluate_tags

__all__ = [
    "Agreement",
    "Bootstrap",
    "DocumentLabelsMetric",
    "Evaluation",
    "NerExactMetric",
    "NerOverlapMetric",
    "NerTokenMetric",
    "OperatingPoint",
    "SpanAttributeMetric",
    "TokenAccuracyMetric",
    "agreement",
    "compare_labels",
    "evaluate_labels",
    "evaluate_spans",
    "evaluate_tags",
    "fit_threshold",
    "fit_thresholds",
    "paired_test",
]
