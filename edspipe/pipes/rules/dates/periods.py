"""Periods: two dates with what joins them, "from March to June 2020"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from edspipe.pipes.rules.dates.finder import LOOK_BACK, Match, Text
from edspipe.pipes.rules.dates.grammar import Grammar
from edspipe.pipes.rules.dates.value import DateValue

MAX_JOIN = 4
"""Tokens between the two dates at most."""


def join_periods(
    text: Text, matches: Sequence[Match], grammar: Grammar
) -> tuple[list[Match], list[Match]]:
    """Return the periods that dates make, and the dates with the mode that they have in them.

    Args:
        text: The text.
        matches: What was found in it, in order.
        grammar: The forms of the language.
    """
    matches = list(matches)
    periods = []
    for place, (first, second) in enumerate(pairwise(matches)):
        if not _joined(text, first, second, grammar):
            continue
        value = _period(first.value, second.value)
        if value is None:
            continue
        start, until = value.value.split("/")
        ends = (
            replace(first.value, mode="from", value=start),
            replace(second.value, mode="until", value=until),
        )
        periods.append(Match(first.start, second.end, value, "period", ends))
        matches[place] = replace(matches[place], value=ends[0])
        matches[place + 1] = replace(second, value=ends[1])
    return periods, matches


def _joined(text: Text, first: Match, second: Match, grammar: Grammar) -> bool:
    if not all(match.value.type in ("DATE", "TIME") for match in (first, second)):
        return False
    join = text.codes[first.end : second.start]
    if not 0 < len(join) <= MAX_JOIN or join not in grammar.joins:
        return False
    if join == grammar.hyphen:
        return True
    if first.value.mode == "from":
        return join not in grammar.and_joins
    start = max(0, first.start - LOOK_BACK)
    return text.codes.endswith(grammar.period_starts, start, first.start)


def _period(first: DateValue, second: DateValue) -> DateValue | None:
    """Return the period; what the first date leaves out is as in the second."""
    start, end = first.value, second.value
    if start.startswith("XXXX") and end[:4].isdigit() and second.precision != "year":
        start = end[:4] + start[4:]
        if start > end:
            start = f"{int(end[:4]) - 1:04d}{start[4:]}"
    if start[:4].isdigit() and end[:4].isdigit() and start > end:
        return None
    if first.anchor == second.anchor == "context":
        return None  # "J1-J5": nothing tells when either was.
    return DateValue("PERIOD", f"{start}/{end}", second.precision)
