"""The four answers on top of a report, and the figures that they stand on."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from made_up_runs import evaluation

from edspipe.viz import Metrics
from edspipe.viz.trends import Answer, converged, overfits
from edspipe.viz.weaknesses import common_errors, weakest

NUM_STEPS = 200


def run(
    train: Callable[[float], float | None],
    val: Callable[[float], float] | None = None,
    score: Callable[[float], float] | None = None,
    num_steps: int = NUM_STEPS,
) -> Metrics:
    """Return a run whose numbers are functions of the part that is done, with some noise."""
    rng, metrics = random.Random(0), Metrics()
    for step in range(1, num_steps + 1):
        part = step / num_steps
        value = train(part)
        metrics.add(
            step, "train", "loss", None if value is None else value * (1 + rng.gauss(0, 0.02))
        )
        if step % 20 == 0:
            for name, function in (("loss", val), ("micro_f", score)):
                if function is not None:
                    metrics.add(step, "val", name, function(part))
    return metrics


def falls(part: float) -> float:
    return 0.2 + 2 * math.exp(-8 * part)


def saturates(part: float) -> float:
    return 0.7 * (1 - math.exp(-9 * part))


@pytest.mark.parametrize(
    ("metrics", "verdict", "figures"),
    [
        (
            run(falls),
            "Yes: the loss is flat",
            "The train loss went from 1.54 to 0.2; over the last quarter (from step 151 on)",
        ),
        (run(lambda part: 3 - 2 * part), "Not yet: the loss still falls", "it fell by 3"),
        (run(lambda p: 3 - 2 * p, score=saturates), "Yes: only the train loss", "micro_f gained"),
        (run(falls, score=lambda p: p), "Not yet: the score still rises", "micro_f gained 0.3"),
        (run(lambda part: 2.0), "No: it learned nothing", "from 1.99 to 1.99"),
        (run(lambda p: 2 - 6 * p + 5.5 * p * p), "No: the loss rises again", "it rose by"),
        (run(falls, score=lambda p: 0.0), "The loss fell, but nothing right", "at all 10 val"),
        (run(lambda p: 0.1, score=lambda p: 0.8), "The loss hardly moved", "0.800 to 0.800"),
        (run(falls, num_steps=5), "Too early to say", "5 train losses were recorded; 12"),
        (Metrics(), "Too early to say", "0 train losses"),
        (
            run(lambda part: 2.0 if part < 0.5 else None),
            "No: the loss broke",
            "at 101 of 200 steps, for the first time at 100.",
        ),
        (run(lambda p: None if p < 0.01 else falls(p)), "Yes: the loss is flat", "at 1 of 200"),
    ],
)
def test_whether_it_converged(metrics: Metrics, verdict: str, figures: str) -> None:
    answer = converged(metrics)
    assert answer.verdict.startswith(verdict)
    assert figures in answer.figures


def rises_late(part: float) -> float:
    return 0.5 + max(0.0, part - 0.5)


@pytest.mark.parametrize(
    ("metrics", "verdict", "figures"),
    [
        (
            run(lambda p: 3 - 2.5 * p, rises_late, lambda p: 0.7 - abs(p - 0.5)),
            "Yes: loss and score became worse",
            "(0.5) at step 20 of 200; since then it rose by 100% to 1, while train loss fell",
        ),
        (run(lambda p: 3 - 2.5 * p, rises_late, saturates), "A little: the loss says so", "rose"),
        (run(lambda p: 3 - 2.5 * p, rises_late), "Yes: the loss rises", "rose by 100% to 1"),
        (run(lambda p: 1 + p, rises_late, saturates), "Nothing to overfit", "train loss rose"),
        (run(falls, falls, saturates), "No sign of it", "of 200, the last one."),
        (run(falls, None, lambda p: 0.7 - abs(p - 0.5)), "Perhaps: the score", "the last one is"),
        (run(falls), "Cannot be told", "no validation: only the train loss is known"),
        (run(falls, falls, num_steps=39), "Too early to say", "There was one validation"),
        (run(falls, None, lambda p: 0.0), "Nothing to overfit yet", "at all 10 validations"),
    ],
)
def test_whether_it_overfits(metrics: Metrics, verdict: str, figures: str) -> None:
    answer = overfits(metrics)
    assert answer.verdict.startswith(verdict)
    assert figures in answer.figures


def scores(**labels: tuple[float | None, int | None]) -> dict[str, Any]:
    return {"scores": {name: {"f": f, "support": n} for name, (f, n) in labels.items()}}


@pytest.mark.parametrize(
    ("data", "verdict", "figures", "tone"),
    [
        (scores(A=(0.9, 50), B=(0.4, 60)), "B (F1 0.40)", "Best: A, F1 0.900, 50 gold", "bad"),
        (
            scores(A=(0.9, 50), B=(0.6, 40), C=(0.1, 1)),
            "C (F1 0.10, but only 1 gold)",
            "1 gold entity. Support is small (below 30), so this says little. "
            "Weakest of those with more: B, F1 0.600, 40 gold entities.",
            "warn",
        ),
        (scores(A=(0.9, 50), B=(0.85, 60)), "B (F1 0.85)", "F1 0.850", "good"),
        (scores(A=(0.9, 50), B=(0.0, 0)), "A is the only label", "50 gold entities", "good"),
        (scores(A=(0.0, 5), B=(0.0, 9)), "All of them: every F1 is 0", "None of the 2", "bad"),
        (scores(A=(None, 5)), "Cannot be told", "No label was scored", "unknown"),
        (scores(), "Cannot be told", "No label was scored", "unknown"),
    ],
)
def test_which_label_is_weakest(
    data: dict[str, Any], verdict: str, figures: str, tone: str
) -> None:
    answer = weakest(data, Metrics())
    assert (answer.verdict, answer.tone) == (verdict, tone)
    assert figures in answer.figures


def test_the_interval_of_the_weakest_label_is_said() -> None:
    data = scores(A=(0.9, 50), B=(0.4, 60))
    data["scores"]["ci"] = {"B": {"f": [0.31, 0.52]}}
    assert "95 % interval 0.31 to 0.52" in weakest(data, Metrics()).figures


def test_without_an_evaluation_labels_are_those_of_the_best_validation() -> None:
    metrics = Metrics()
    for step, f in ((1, 0.5), (2, 0.8), (3, 0.6)):
        metrics.add(step, "val", "micro_f", f)
        metrics.add(step, "val", "A_f", 0.9)
        metrics.add(step, "val", "B_f", f - 0.1)
    assert weakest(None, metrics).verdict == "B (F1 0.70)"
    assert weakest(None, Metrics()).verdict == "Cannot be told"


def test_which_errors_are_most_common() -> None:
    data = evaluation(("A", "B"))
    data["errors"]["counts"] = {"correct": 90, "spurious": 6, "missed": 3, "wrong_boundary": 1}
    data["errors"]["by_label"] = {"A": {"spurious": 2}, "B": {"spurious": 4}}
    data["confusion"]["matrix"] = [[8, 1, 2], [3, 5, 1], [3, 0, 0]]
    answer = common_errors(data)
    assert answer.verdict == "Spurious: 60% of 10"
    assert answer.figures == (
        "Of 10 errors: 6 spurious (60%), 3 missed (30%), 1 wrong boundary (10%). "
        "Most spurious: B (4). Most mixed up: B, taken for A (3)."
    )


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (None, "Cannot be told"),
        ({"scores": {}}, "Cannot be told"),
        ({"errors": {"counts": {"correct": 5}}}, "There are none"),
        ({"errors": {"counts": {"missed": 1}}}, "Missed: 100% of 1"),
    ],
)
def test_errors_of_little_data(data: dict[str, Any] | None, verdict: str) -> None:
    answer = common_errors(data)
    assert isinstance(answer, Answer)
    assert answer.verdict == verdict


def test_where_nothing_was_learned_there_is_nothing_to_overfit() -> None:
    answer = overfits(run(lambda part: 2.0, lambda part: 2.0, lambda part: 0.0))
    assert (answer.verdict, answer.tone) == ("Nothing to overfit: the loss hardly fell", "unknown")
    assert "since then it stayed where it was" in answer.figures
    assert "micro_f was 0 at all 10 validations." in answer.figures
