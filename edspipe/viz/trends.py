"""Did a training converge, and does it overfit? Said from the recorded losses and scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edspipe.viz.series import TRAIN, VAL, Metrics, Series, score_names

MIN_POINTS = 12
"""Training losses below which nothing is said about their slope."""

STILL_FALLING = 0.10
"""Share of its level that the loss may fall in the last quarter and still count as flat."""

STILL_MOVING = 0.01
"""Share of its whole fall: less is no movement, however small the loss has become."""

LEARNED_NOTHING = 0.05
"""Share of its first level by which a loss falls at least if anything is learned."""

MIN_SLOPE_ERRORS = 2.0
"""Standard errors that a slope must be away from 0 to be more than noise."""

SCORE_GAIN = 0.01
"""Score (of 1) gained in the last quarter above which more steps are likely to help."""

LOSS_RISE = 0.05
"""Share by which the validation loss rises above its lowest value where a model overfits."""

SCORE_DROP = 0.01
"""Score (of 1) that is lost since the best step where a model has become worse."""

GOOD, WARN, BAD, UNKNOWN = "good", "warn", "bad", "unknown"


@dataclass(frozen=True)
class Answer:
    """What a report says about a question.

    Attributes:
        question: What a person asks.
        verdict: A few words.
        figures: Sentences with the figures that the verdict stands on.
        tone: `"good"`, `"warn"`, `"bad"` or `"unknown"`.
    """

    question: str
    verdict: str
    figures: str
    tone: str


@dataclass(frozen=True)
class Trend:
    """How a loss moved.

    Attributes:
        first: Mean of the first tenth.
        last: Mean of the last tenth.
        since: The step where the last quarter begins.
        change: Movement over the last quarter, by a straight line; negative where it falls.
        level: Value of that line where the last quarter begins.
        is_noise: Whether the slope is within two standard errors of 0.
    """

    first: float
    last: float
    since: float
    change: float
    level: float
    is_noise: bool

    @property
    def hardly_fell(self) -> bool:
        """Whether the loss fell by so little in all that nothing can have been learned."""
        return self.first - self.last < LEARNED_NOTHING * abs(self.first)

    @property
    def share(self) -> float:
        """The change over the last quarter as a share of the level before it."""
        return self.change / abs(self.level) if self.level else 0.0


def trend_of(series: Series) -> Trend | None:
    """Return how a loss moved, or None of fewer than `MIN_POINTS` finite points."""
    series = series.finite()
    num = len(series)
    if num < MIN_POINTS:
        return None
    tenth = max(1, num // 10)
    tail = Series(series.steps[-max(4, num // 4) :], series.values[-max(4, num // 4) :])
    slope, error, start = _line(tail)
    return Trend(
        first=float(series.values[:tenth].mean()),
        last=float(series.values[-tenth:].mean()),
        since=float(tail.steps[0]),
        change=slope * float(tail.steps[-1] - tail.steps[0]),
        level=start,
        is_noise=abs(slope) <= MIN_SLOPE_ERRORS * error,
    )


def _line(series: Series) -> tuple[float, float, float]:
    """Return slope, its standard error, and the value at the first step, by least squares."""
    x = series.steps - series.steps.mean()
    spread = float((x**2).sum())
    slope = float((x * series.values).sum()) / spread if spread else 0.0
    rest = series.values - series.values.mean() - slope * x
    error = math.sqrt(float((rest**2).sum()) / max(1, len(x) - 2) / spread) if spread else 0.0
    return slope, error, float(series.values.mean() + slope * x[0])


def converged(metrics: Metrics) -> Answer:
    """Say whether the training loss has stopped falling."""
    question = "Did it converge?"
    series = metrics.series(TRAIN, "loss")
    about_lost = _about_lost(series, metrics.unit)
    if about_lost and not np.isfinite(series.values[-1]):
        return Answer(question, "No: the loss broke", about_lost, BAD)
    trend = trend_of(series)
    if trend is None:
        figures = f"{len(series)} train losses were recorded; {MIN_POINTS} are needed to tell."
        return Answer(question, "Too early to say", figures, UNKNOWN)
    whole = f"The train loss went from {trend.first:.3g} to {trend.last:.3g}"
    if trend.hardly_fell:
        return _hardly_fell(question, f"{whole}.", metrics)
    gain, about_gain = _gain(metrics)
    sentences = [f"{whole}; {_last_quarter(trend, metrics.unit)}.", about_gain, about_lost]
    figures = " ".join(filter(None, [*sentences, _zero_scores(metrics)]))
    if _zero_scores(metrics):
        return Answer(question, "The loss fell, but nothing right is found", figures, BAD)
    return _judge(question, trend, gain, figures)


def _about_lost(series: Series, unit: str) -> str:
    """Return a sentence on losses that were not finite, or an empty text."""
    lost = series.steps[~np.isfinite(series.values)]
    if not len(lost):
        return ""
    many = f"at {len(lost):,} of {len(series):,} {unit}s"
    return f"The train loss was not a finite number {many}, for the first time at {lost[0]:g}."


def _hardly_fell(question: str, about: str, metrics: Metrics) -> Answer:
    """Tell a model that learns nothing from one that began well, as after `init_from`."""
    name, scores = main_score(metrics)
    if not len(scores) or scores.values.max() <= 0:
        figures = f"{about} {_zero_scores(metrics)}".strip()
        return Answer(question, "No: it learned nothing", figures, BAD)
    went = f"{name} went from {scores.values[0]:.3f} to {scores.values[-1]:.3f}."
    return Answer(question, "The loss hardly moved", f"{about} {went}", WARN)


def _judge(question: str, trend: Trend, gain: float | None, figures: str) -> Answer:
    """Weigh the movement of the loss and the gain of the score over the last quarter."""
    moves = abs(trend.change) > STILL_MOVING * (trend.first - trend.last) and not trend.is_noise
    if moves and trend.share > STILL_FALLING:
        return Answer(question, "No: the loss rises again", figures, BAD)
    if gain is not None and gain > SCORE_GAIN:
        return Answer(question, "Not yet: the score still rises", figures, WARN)
    if not moves or trend.share >= -STILL_FALLING:
        return Answer(question, "Yes: the loss is flat", figures, GOOD)
    if gain is not None:
        return Answer(question, "Yes: only the train loss still falls", figures, GOOD)
    return Answer(question, "Not yet: the loss still falls", figures, WARN)


def _gain(metrics: Metrics) -> tuple[float | None, str]:
    """Return what the best score of the last quarter has over the best before it, in a sentence."""
    name, scores = main_score(metrics)
    last = metrics.last_step() or 0.0
    before, after = scores.between(0, 0.75 * last), scores.between(0.75 * last, last)
    if len(before) < 2 or not len(after):
        return None, ""
    gain = float(after.values.max() - before.values.max())
    said = f"gained {gain:.3f}" if gain > 0 else "gained nothing"
    return gain, f"In that quarter {name} {said}."


def _last_quarter(trend: Trend, unit: str) -> str:
    quarter = f"over the last quarter (from {unit} {trend.since:g} on)"
    if trend.is_noise:
        return f"{quarter} it moved by {trend.share:+.0%}, which is within its noise"
    moved = f"{'fell' if trend.change < 0 else 'rose'} by {abs(trend.share):.0%}"
    whole = trend.first - trend.last
    part = f", {abs(trend.change) / whole:.1%} of the whole way" if whole > 0 else ""
    return f"{quarter} it {moved}{part}"


def _zero_scores(metrics: Metrics) -> str:
    """Return a sentence if the score is 0 at every validation, else an empty text."""
    name, scores = main_score(metrics)
    if not len(scores) or scores.values.max() > 0:
        return ""
    times = "the one validation" if len(scores) == 1 else f"all {len(scores)} validations"
    return f"{name} was 0 at {times}."


def main_score(metrics: Metrics) -> tuple[str, Series]:
    """Return name and finite points of the score that sums up a validation, empty without one."""
    for name in score_names(metrics.names(VAL)):
        series = metrics.series(VAL, name).finite()
        if len(series):
            return name, series
    return "", Series(np.zeros(0), np.zeros(0))


def overfits(metrics: Metrics) -> Answer:
    """Say whether the validation became worse while the training loss went on falling."""
    question = "Is it overfitting?"
    losses, (name, scores) = metrics.series(VAL, "loss").finite(), main_score(metrics)
    longest = max(len(losses), len(scores))
    if longest == 0:
        figures = "The run had no validation: only the train loss is known."
        return Answer(question, "Cannot be told", figures, UNKNOWN)
    if longest == 1:
        figures = "There was one validation; two are needed to see a direction."
        return Answer(question, "Too early to say", figures, UNKNOWN)
    if scores.values.max(initial=0.0) == 0 and not len(losses):
        return Answer(question, "Nothing to overfit yet", _zero_scores(metrics), UNKNOWN)
    loss_rose, about_loss = _about_loss(metrics, losses)
    score_fell, about_score = _about_score(metrics, name, scores)
    figures = " ".join(text for text in (about_loss, about_score) if text)
    if loss_rose and score_fell:
        return Answer(question, "Yes: loss and score became worse", figures, BAD)
    if loss_rose:
        verdict = "A little: the loss says so, the score does not"
        return Answer(
            question, verdict if len(scores) > 1 else "Yes: the loss rises", figures, WARN
        )
    if score_fell:
        return Answer(question, "Perhaps: the score has fallen", figures, WARN)
    trend = trend_of(metrics.series(TRAIN, "loss"))
    if trend is not None and trend.hardly_fell:
        return Answer(question, "Nothing to overfit: the loss hardly fell", figures, UNKNOWN)
    return Answer(question, "No sign of it", figures, GOOD)


def _about_loss(metrics: Metrics, losses: Series) -> tuple[bool, str]:
    """Return whether the validation loss rose while the train loss fell, and a sentence."""
    if not len(losses):
        return False, ""
    at, unit = int(np.argmin(losses.values)), metrics.unit
    low, low_step = losses.values[at], losses.steps[at]
    last, last_step = losses.values[-1], losses.steps[-1]
    text = f"Validation loss was lowest ({low:.3g}) at {unit} {low_step:g} of {last_step:g}"
    if at == len(losses) - 1:
        return False, f"{text}, the last one."
    rise = (last - low) / abs(low) if low else 0.0
    fall = _fall_of_train(metrics, low_step)
    verb = "fell" if fall is not None and fall > 0 else "rose"
    both = "" if fall is None else f", while train loss {verb} by {abs(fall):.0%}"
    rose = rise > LOSS_RISE and (fall is None or fall > 0)
    moved = f"rose by {rise:.0%} to {last:.3g}" if rise >= 0.005 else "stayed where it was"
    return rose, f"{text}; since then it {moved}{both}."


def _fall_of_train(metrics: Metrics, since: float) -> float | None:
    """Return the share by which the mean train loss fell from around a step to the end."""
    series = metrics.series(TRAIN, "loss").finite()
    if len(series) < 2:
        return None
    half = max(1, len(series) // 20)
    at = int(np.searchsorted(series.steps, since))
    before = series.values[max(0, at - half) : at + half + 1]
    after = series.values[-min(2 * half + 1, len(series)) :]
    level = float(before.mean()) if len(before) else 0.0
    return (level - float(after.mean())) / abs(level) if level else None


def _about_score(metrics: Metrics, name: str, scores: Series) -> tuple[bool, str]:
    """Return whether the score fell since its best, and a sentence."""
    if len(scores) < 2 or _zero_scores(metrics):
        return False, _zero_scores(metrics)
    at, unit = int(np.argmax(scores.values)), metrics.unit
    best, last = scores.values[at], scores.values[-1]
    text = f"{name} was best ({best:.3f}) at {unit} {scores.steps[at]:g} of {scores.steps[-1]:g}"
    if at == len(scores) - 1:
        return False, f"{text}, the last one."
    return best - last > SCORE_DROP, f"{text}; the last one is {last:.3f}."
