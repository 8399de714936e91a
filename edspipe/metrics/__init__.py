"""Scores of pipelines against gold annotations."""

from __future__ import annotations

from edspipe.metrics.bootstrap import Bootstrap, paired_test
from edspipe.metrics.ner import (
    NerExactMetric,
    NerOverlapMetric,
    NerTokenMetric,
    SpanAttributeMetric,
)

__all__ = [
    "Bootstrap",
    "NerExactMetric",
    "NerOverlapMetric",
    "NerTokenMetric",
    "SpanAttributeMetric",
    "paired_test",
]
