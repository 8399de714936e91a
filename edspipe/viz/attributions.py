"""A page that shows a document, its words coloured by what they add to a label's log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edspipe import atomic
from edspipe.viz.html import EMPTY, Html, bar, join, page, section, table, tag

MAX_ROWS = 12
"""Words in the table of the strongest."""

STYLE = """
:root { --for: #0072B2; --against: #D55E00; }
@media (prefers-color-scheme: dark) { :root { --for: #56B4E9; --against: #ff8a4c; } }
.text { font-size: 1.05rem; line-height: 1.9; overflow-wrap: anywhere; }
.text span { border-radius: 3px; padding: .1em .05em; print-color-adjust: exact;
  -webkit-print-color-adjust: exact;
  background: color-mix(in srgb, var(--tone) var(--share), transparent); }
.pro { --tone: var(--for); } .con { --tone: var(--against); }
.text .con { text-decoration: underline dotted; text-underline-offset: .25em; }
.text .unread { background: none; color: var(--soft); text-decoration: line-through; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .6rem; }
.scale { width: 14rem; height: .9rem; border-radius: 3px; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; background: linear-gradient(to right,
  color-mix(in srgb, var(--against) 60%, transparent), transparent,
  color-mix(in srgb, var(--for) 60%, transparent)); }
.bar.pro, .bar.con { --bar: color-mix(in srgb, var(--tone) 35%, transparent); }
"""
DEEPEST = 60
"""Percent of colour behind the strongest word: letters must stay readable."""


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each token of a document adds to the log-odds of a label.

    Attributes:
        label: The label.
        tokens: The texts of the tokens; they are left out where this is shown.
        blanks: The blank behind each, or nothing.
        values: What each adds, float64. *Shape* `(tokens,)`
        rest: What pieces that belong to no token add.
        num_read: How many tokens the classifier reads: it may cut long documents.
        probability: That of the label.
        threshold: From where on a document has the label; None where the most probable one is it.
        has_label: Whether the label is predicted.
        log_odds: Those of the text.
        baseline_log_odds: Those of the baseline.
        baseline: What a piece is replaced by: the padding or mask piece, or zeros.
        num_steps: Points between both at which the gradient was taken.
        error: What the sum of all attributions differs from the difference of log-odds by.
        allowed_error: Up to where that is called complete.
    """

    label: str
    tokens: list[str] = field(repr=False)
    blanks: list[str] = field(repr=False)
    values: np.ndarray = field(repr=False)
    rest: float
    num_read: int
    probability: float
    threshold: float | None
    has_label: bool
    log_odds: float
    baseline_log_odds: float
    baseline: str
    num_steps: int
    error: float
    allowed_error: float

    @property
    def is_complete(self) -> bool:
        """Whether attributions add up."""
        return abs(self.error) <= self.allowed_error

    def __str__(self) -> str:
        limit = "" if self.threshold is None else f", threshold {self.threshold:.3f}"
        verdict = "adds up" if self.is_complete else "does NOT add up"
        return (
            f"{self.label}: probability {self.probability:.3f}{limit}; log-odds "
            f"{self.log_odds:+.3f}, of the baseline ({self.baseline}) "
            f"{self.baseline_log_odds:+.3f}; the sum of attributions {verdict}: it is off by "
            f"{self.error:+.1e} (tolerance {self.allowed_error:.1e}, {self.num_steps} steps)"
        )


def write_attributions(found: Attributions, path: str | Path) -> Path:
    """Write the page of a document and a label: one file, which holds the document's text.

    Args:
        found: The document with what each word adds.
        path: The file; it is replaced whole.

    Returns:
        The path.
    """
    path = Path(path)
    atomic.write_text(path, attributions_page(found))
    return path


def attributions_page(found: Attributions) -> str:
    """Return the page as HTML."""
    return page(
        f"{found.label}: what speaks for it",
        tag("style", Html(STYLE)),
        tag("h1", "What speaks for ", tag("em", found.label)),
        tag("p", "This page holds the text of a document.", kind="soft"),
        _verdicts(found),
        section("Text", _legend(found), tag("p", *_words(found), kind="text")),
        section("Strongest words", _strongest(found)),
    )


def _verdicts(found: Attributions) -> Html:
    if found.threshold is None:
        limit = "the most probable label is taken"
    else:
        limit = f"from {found.threshold:.3f} on a document has the label"
    complete = "They add up" if found.is_complete else "They do not add up"
    change = found.log_odds - found.baseline_log_odds
    return tag(
        "div",
        _answer(
            "Probability",
            f"{found.probability:.3f}: " + ("has the label" if found.has_label else "has it not"),
            f"Threshold: {limit}. Log-odds {found.log_odds:+.3f}.",
            "good" if found.has_label else "unknown",
        ),
        _answer(
            "Do attributions add up?",
            complete,
            f"The text changes the log-odds by {change:+.3f}, from {found.baseline_log_odds:+.3f} "
            f"of the baseline ({found.baseline}); the sum of all words is off by "
            f"{found.error:+.1e}, where {found.allowed_error:.1e} is allowed "
            f"({found.num_steps} steps).",
            "good" if found.is_complete else "bad",
        ),
        kind="answers",
    )


def _answer(question: str, verdict: str, why: str, tone: str) -> Html:
    words = tag("p", verdict, kind="verdict")
    return tag("div", tag("h2", question), words, tag("p", why), kind=f"answer {tone}")


def _largest(found: Attributions) -> float:
    return float(np.abs(found.values).max(initial=0.0)) or 1.0


def _legend(found: Attributions) -> Html:
    largest = _largest(found)
    strong = f"{largest:.3f}"
    return tag(
        "div",
        tag("span", f"against it, −{strong}"),
        tag("span", kind="scale", title="orange: against it; blue: for it"),
        tag("span", f"+{strong}, for it"),
        tag("span", "(log-odds that a word adds; dotted: against)", kind="soft"),
        kind="legend",
    )


def _words(found: Attributions) -> list[Html]:
    largest = _largest(found)
    total = float(np.abs(found.values).sum()) or 1.0
    parts: list[Html] = []
    for place, (word, blank) in enumerate(zip(found.tokens, found.blanks, strict=True)):
        value = float(found.values[place])
        if word.isspace():
            parts.append(Html("<br>") if "\n" in word else join([" "]))
        elif place >= found.num_read:
            parts.append(tag("span", word, kind="unread", title="not read by the classifier"))
        else:
            parts.append(
                tag(
                    "span",
                    word,
                    kind="con" if value < 0 else "pro",
                    style=f"--share:{DEEPEST * abs(value) / largest:.1f}%",
                    title=f"{value:+.4f}, {100 * abs(value) / total:.1f} % of all",
                )
            )
        parts.append(join([blank]) if blank else EMPTY)
    return parts


def _strongest(found: Attributions) -> Html:
    order = np.argsort(-np.abs(found.values), kind="stable")[:MAX_ROWS].tolist()
    rows: list[Sequence[object]] = []
    for place in order:
        value = float(found.values[place])
        if value:
            kind = "con" if value < 0 else "pro"
            share = abs(value) / _largest(found)
            rows.append((found.tokens[place], place + 1, bar(f"{value:+.4f}", share, kind)))
    if not rows:
        return tag("p", "No word changes the log-odds.", kind="soft")
    return table(("Word", "Its place", "Log-odds that it adds"), rows)
