"""The score of a trial: from the validations of its trainings to one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, stdev


class Pruned(Exception):
    """A trial is given up: it is worse than others, or it has no score."""

    run_status = "pruned"


@dataclass
class TrialScores:
    """What the trainings of a trial report, one training after another.

    A pruner compares trials by one number at a time. It gets, after each report, the mean over
    those trainings of the trial that have come as far, at a step that goes on counting from one
    training to the next: the second training is compared with the second trainings of other
    trials.

    Attributes:
        tell: Gets step and mean, and says whether the trial is to be given up.
        mean_of_last: How many of the last reports make the score of a training.
        scores: The scores of the trainings that were finished, by seed.
    """

    tell: Callable[[int, float], bool]
    mean_of_last: int = 1
    scores: dict[int, float] = field(default_factory=dict)
    _curves: list[dict[int, float]] = field(default_factory=list)

    def begin(self) -> None:
        """Begin with a training."""
        self._curves.append({})

    def report(self, step: int, value: float, *, can_prune: bool = True) -> None:
        """Take the score of a validation.

        Args:
            step: When: a number that rises within a training.
            value: The score.
            can_prune: Whether the trial may be given up now.

        Raises:
            Pruned: The trial is given up.
            ValueError: The step is not above the one before.
        """
        *before, curve = self._curves
        if step < 0 or (curve and step <= max(curve)):
            raise ValueError(f"report: steps are 0 or more, and rise; got {step} in {list(curve)}")
        curve[step] = float(value)
        mean = fmean(c[step] for c in self._curves if step in c)
        if math.isnan(mean):
            return
        is_bad = self.tell(sum(max(c, default=0) + 1 for c in before) + step, mean)
        if is_bad and can_prune:
            raise Pruned(f"worse than other trials at report {sum(map(len, self._curves))}")

    def finish(self, seed: int, score: float | None = None) -> None:
        """End a training.

        Args:
            seed: Its seed.
            score: Its score; None is the mean of its last reports.

        Raises:
            Pruned: The score is not a finite number.
        """
        if score is None:
            curve = self._curves[-1]
            last = sorted(curve)[-self.mean_of_last :]
            score = fmean(curve[step] for step in last) if last else math.nan
        if not math.isfinite(score):
            raise Pruned(f"the score with seed {seed} is {score}")
        self.scores[seed] = score

    @property
    def mean(self) -> float:
        """The score of the trial."""
        return fmean(self.scores.values())

    @property
    def spread(self) -> float | None:
        """The standard deviation between seeds, of a sample; None of one."""
        return spread(list(self.scores.values()))


def spread(scores: list[float]) -> float | None:
    """Return the standard deviation of a sample; None of fewer than two scores."""
    return stdev(scores) if len(scores) > 1 else None
