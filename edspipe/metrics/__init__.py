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

__all__ = [
    "Agreement",
    "Bootstrap",
    "Evaluation",
    "NerExactMetric",
    "NerOverlapMetric",
    "NerTokenMetric",
    "SpanAttributeMetric",
    "agreement",
    "evaluate_spans",
    "paired_test",
]
