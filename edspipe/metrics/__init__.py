"""Scores of pipelines against gold annotations."""

from __future__ import annotations

from edspipe.metrics.annotators import Agreement, agreement
from edspipe.metrics.bootstrap import Bootstrap, paired_test
from edspipe.metrics.evaluation import Evaluation, evaluate_spans
from edspipe.metrics.ner import (
    NerExactMetric,
    NerOverlapMetric,
    NerTokenMetric,
    SpanAttributeMetric,
)
from edspipe.metrics.tokens import TokenAccuracyMetric, evaluate_tags

__all__ = [
    "Agreement",
    "Bootstrap",
    "Evaluation",
    "NerExactMetric",
    "NerOverlapMetric",
    "NerTokenMetric",
    "SpanAttributeMetric",
    "TokenAccuracyMetric",
    "agreement",
    "evaluate_spans",
    "evaluate_tags",
    "paired_test",
]
