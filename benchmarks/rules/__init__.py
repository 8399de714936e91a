"""Scores of the rule pipes on real notes: `python -m benchmarks.rules`."""
