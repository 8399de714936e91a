"""Which label is weakest, and which errors are most common? Said from an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edspipe.viz.confusion import confusion_of
from edspipe.viz.evaluation import (
    SMALL_SUPPORT,
    LabelScore,
    label_scores,
    mapping,
    noun,
    number,
    of_documents,
)
from edspipe.viz.series import VAL, Metrics
from edspipe.viz.trends import BAD, GOOD, UNKNOWN, WARN, Answer, main_score

MEANS = ("micro_f", "macro_f", "weighted_f")
GOOD_F, FAIR_F = 0.8, 0.5
"""F1 of the weakest label from which all is well, and below which it is bad."""

KINDS = {
    "missed": "missed",
    "spurious": "spurious",
    "wrong_label": "wrong label",
    "wrong_boundary": "wrong boundary",
    "wrong_label_and_boundary": "wrong label and boundary",
}
"""Kinds of errors, and how a report calls them."""

MEANINGS = {
    "missed": "gold, and nothing that was found is paired with it",
    "spurious": "found, and no gold entity is paired with it",
    "wrong_label": "the same characters, another label",
    "wrong_boundary": "some characters shared, the same label",
    "wrong_label_and_boundary": "some characters shared, another label",
}


def weakest(evaluation: Mapping[str, Any] | None, metrics: Metrics) -> Answer:
    """Say which label has the lowest F1, of an evaluation or else of the best validation."""
    question = "Which label is weakest?"
    scores = label_scores(evaluation) if evaluation is not None else _of_validation(metrics)
    known = [score for score in scores if score.f is not None and score.support != 0]
    if not known:
        return Answer(question, "Cannot be told", "No label was scored.", UNKNOWN)
    if len(known) > 1 and known[0].f == 0:
        figures = f"None of the {len(known)} labels was found right once."
        return Answer(question, "All of them: every F1 is 0", figures, BAD)
    last = known[-1]
    things = noun(evaluation or {}, 1), noun(evaluation or {})
    if len(known) == 1:
        said = _describe(last, things)
        return Answer(question, f"{last.label} is the only label", said, _tone(last))
    few = f", but only {last.support} gold" if last.is_small else ""
    return Answer(
        question, f"{last.label} (F1 {last.f:.2f}{few})", _compare(known, things), _tone(last)
    )


def _tone(score: LabelScore) -> str:
    f = score.f or 0.0
    return GOOD if f >= GOOD_F else WARN if f >= FAIR_F or score.is_small else BAD


def _compare(known: list[LabelScore], things: tuple[str, str]) -> str:
    """Describe the weakest label and, if that one is rare, the weakest of those that are not."""
    last, best = known[-1], known[0]
    common = [score for score in known if score.support is not None and not score.is_small]
    sentences = [_describe(last, things)]
    if last.is_small:
        sentences.append(f"Support is small (below {SMALL_SUPPORT}), so this says little.")
        if common:
            sentences.append(
                f"Weakest of those with more: {_describe(common[-1], things, named=True)}"
            )
    elif best is not last:
        sentences.append(f"Best: {_describe(best, things, named=True)}")
    return " ".join(sentences)


def _describe(score: LabelScore, things: tuple[str, str], *, named: bool = False) -> str:
    parts = [f"F1 {score.f:.3f}"]
    if score.interval is not None:
        parts.append(f"95 % interval {score.interval[0]:.2f} to {score.interval[1]:.2f}")
    if score.support is not None:
        parts.append(f"{score.support:,} gold {things[score.support != 1]}")
    name = f"{score.label}, " if named else ""
    return f"{name}{', '.join(parts)}."


def _of_validation(metrics: Metrics) -> list[LabelScore]:
    """Return F1 by label at the best validation: names as `DISO_f`, without support."""
    name, scores = main_score(metrics)
    if not len(scores):
        return []
    step = scores.steps[int(scores.values.argmax())]
    prefix = name.rpartition("/")[0]
    found = []
    for other in metrics.names(VAL):
        group, _, label = other.rpartition("/")
        at = metrics.series(VAL, other).finite().between(step, step)
        if group == prefix and label.endswith("_f") and label not in MEANS:
            found += [LabelScore(label.removesuffix("_f"), f=float(v)) for v in at.values]
    return sorted(found, key=lambda score: -(score.f or 0.0))


def error_counts(evaluation: Mapping[str, Any]) -> dict[str, int]:
    """Return how many errors of each kind there are, the most common first, with zeros."""
    counts = mapping(mapping(evaluation.get("errors")).get("counts"))
    found = {kind: int(number(counts.get(kind)) or 0) for kind in KINDS}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def common_errors(evaluation: Mapping[str, Any] | None) -> Answer:
    """Say which kinds of errors are most common, on which label, and which labels are mixed up."""
    question = "Which errors are most common?"
    if evaluation is not None and of_documents(evaluation):
        return _errors_of_documents(evaluation, question)
    if evaluation is None or not mapping(evaluation.get("errors")).get("counts"):
        figures = "The run has no evaluation that counts them."
        return Answer(question, "Cannot be told", figures, UNKNOWN)
    counts = error_counts(evaluation)
    total = sum(counts.values())
    if not total:
        return Answer(question, "There are none", "Every entity was found as it is.", GOOD)
    kinds = [kind for kind, count in counts.items() if count]
    shares = [f"{counts[k]:,} {KINDS[k]} ({counts[k] / total:.0%})" for k in kinds[:3]]
    errors = "1 error" if total == 1 else f"{total:,} errors"
    sentences = [f"Of {errors}: {', '.join(shares)}.", _where(evaluation, kinds[0])]
    sentences.append(_mixed_up(evaluation))
    verdict = f"{KINDS[kinds[0]].capitalize()}: {counts[kinds[0]] / total:.0%} of {total:,}"
    return Answer(question, verdict, " ".join(filter(None, sentences)), WARN)


def _errors_of_documents(evaluation: Mapping[str, Any], question: str) -> Answer:
    """Say whether labels are rather missed or given too often, and which ones."""
    labels, counts = confusion_of(evaluation)
    right = [int(counts[i, i]) for i in range(len(labels))]
    missed = [int(counts[i].sum()) - right[i] for i in range(len(labels))]
    spurious = [int(counts[:, i].sum()) - right[i] for i in range(len(labels))]
    sums = {"missed": sum(missed), "spurious": sum(spurious)}
    if not any(sums.values()):
        return Answer(question, "There are none", "Every document has its labels.", GOOD)
    first, rows = (
        ("missed", missed) if sums["missed"] >= sums["spurious"] else ("spurious", spurious)
    )
    worst = max(range(len(labels)), key=lambda i: rows[i])
    total = sum(sums.values())
    figures = f"{sums['missed']:,} labels missed, {sums['spurious']:,} given to documents without."
    sentences = [
        figures,
        f"Most {first}: {labels[worst]} ({rows[worst]:,}).",
        _mixed_up(evaluation),
    ]
    verdict = f"{first.capitalize()}: {sums[first] / total:.0%} of {total:,}"
    return Answer(question, verdict, " ".join(filter(None, sentences)), WARN)


def _where(evaluation: Mapping[str, Any], kind: str) -> str:
    by_label = mapping(mapping(evaluation.get("errors")).get("by_label"))
    counts = {label: int(number(mapping(row).get(kind)) or 0) for label, row in by_label.items()}
    if len(counts) < 2 or not any(counts.values()):
        return ""
    worst = max(counts, key=lambda label: counts[label])
    return f"Most {KINDS[kind]}: {worst} ({counts[worst]:,})."


def _mixed_up(evaluation: Mapping[str, Any]) -> str:
    labels, counts = confusion_of(evaluation)
    pairs = [
        (int(counts[i, j]), gold, found)
        for i, gold in enumerate(labels)
        for j, found in enumerate(labels)
        if i != j and counts[i, j]
    ]
    if not pairs:
        return ""
    count, gold, found = max(pairs, key=lambda pair: pair[0])
    return f"Most mixed up: {gold}, taken for {found} ({count:,})."
