"""Parts of the report about an evaluation: sums, and a table by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edspipe.viz.evaluation import (
    SMALL_SUPPORT,
    SUMS,
    LabelScore,
    label_scores,
    noun,
    number,
    of_documents,
    score_of,
)
from edspipe.viz.html import EMPTY, Html, bar, join, table, tag

HEADER = ("label", "F1", "95 % interval", "precision", "recall", "gold", "found")
DOC_HEADER = (*HEADER[:5], "specificity", "AUROC", "AP", *HEADER[5:])


def headline(evaluations: Mapping[str, Mapping[str, Any]]) -> Html:
    """Return the sums of each evaluation, as large numbers."""
    cells = [
        tag("div", tag("span", f"{split}, {sum_} F1", kind="soft"), Html("<br>"), *_large(score))
        for split, evaluation in evaluations.items()
        for sum_ in SUMS
        if (score := score_of(evaluation, sum_)).f is not None
    ]
    return tag("div", *cells, kind="scores") if cells else EMPTY


def _large(score: LabelScore) -> tuple[Html, str]:
    interval = "" if score.interval is None else f" {_interval(score)}"
    return tag("b", _figure(score.f)), interval


def scores_table(evaluation: Mapping[str, Any]) -> Html:
    """Return the scores by label, the best first, with bars by F1."""
    rows = label_scores(evaluation)
    sums = [score for score in (score_of(evaluation, s) for s in SUMS) if score.f is not None]
    if not rows and not sums:
        return EMPTY
    about = [_about(evaluation)]
    if any(row.is_small for row in rows):
        about.append(
            f"Yellow: fewer than {SMALL_SUPPORT} gold {noun(evaluation)}, so the score says little."
        )
    return join(
        [
            tag("p", " ".join(filter(None, about)), kind="soft"),
            table(
                DOC_HEADER if of_documents(evaluation) else HEADER,
                [_row(score, of_documents(evaluation)) for score in (*sums, *rows)],
            ),
        ]
    )


def _about(evaluation: Mapping[str, Any]) -> str:
    docs, words = number(evaluation.get("num_docs")), number(evaluation.get("num_words"))
    parts = [str(evaluation["metric"])] if evaluation.get("metric") else []
    parts += [] if docs is None else [f"{docs:,.0f} documents"]
    parts += [] if words is None else [f"{words:,.0f} words"]
    return f"{', '.join(parts)}." if parts else ""


def _row(score: LabelScore, has_more: bool) -> list[object]:
    is_sum = score.label in SUMS
    kind = "pale" if score.is_small and not is_sum else ""
    name = tag("b", score.label) if is_sum else score.label
    more = (score.specificity, score.auroc, score.ap) if has_more else ()
    return [
        tag("th" if is_sum else "td", name, scope="row" if is_sum else None),
        bar(_figure(score.f), score.f or 0.0, kind),
        tag("td", _interval(score), kind="num"),
        tag("td", _figure(score.p), kind="num"),
        tag("td", _figure(score.r), kind="num"),
        *(tag("td", _figure(value), kind="num") for value in more),
        tag("td", _count(score.support), kind="num"),
        tag("td", _count(score.positives), kind="num"),
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _interval(score: LabelScore) -> str:
    return "–" if score.interval is None else f"{score.interval[0]:.2f} to {score.interval[1]:.2f}"
