"""Dates, times, durations and frequencies on TIMEX3: overlap and exact F1.

The classes DATE, TIME, DURATION and SET count. The convention of E3C differs from what a clinician
wants in two places, so each set has two figures:

- a found span on a TIMEX3 of another class (a count such as "twice", "postoperative") is wrong by
  the convention; the second figure, `neutral`, leaves such spans out;
- "2 years" in "2 years after surgery" is a DURATION there; whether the label agrees is not scored.
"""

from __future__ import annotations

from pathlib import Path

import edspipe
from benchmarks.rules.annotations import LANGS, Annotation, Span, overlap, read_cases, show
from edspipe.pipes.rules.dates.dates import Dates

CLASSES = ("DATE", "TIME", "DURATION", "SET")
GROUPS = ("dates", "durations", "frequencies", "periods")


def _split(annotations: list[Annotation]) -> tuple[list[Span], list[Span]]:
    """Return the spans of the classes that count, and those of the others."""
    timexes = [entry for entry in annotations if entry.type == "TIMEX3"]
    kept = [e for e in timexes if e.attributes.get("TimexClass") in CLASSES]
    other = [e for e in timexes if e.attributes.get("TimexClass") not in CLASSES]
    return [(e.start, e.end) for e in kept], [(e.start, e.end) for e in other]


def find(pipe: Dates, nlp: edspipe.Pipeline, text: str) -> list[Span]:
    """Return the spans that the pipe finds."""
    doc = pipe(nlp.make_doc(text))
    return [(span.start_char, span.end_char) for group in GROUPS for span in doc.spans[group]]


def score(lang: str, folder: Path) -> None:
    """Print the figures of one set."""
    nlp = edspipe.blank("eds")
    pipe = Dates(lang=lang)
    rows: dict[str, list[tuple[int, int, int, int]]] = {"overlap": [], "exact": [], "neutral": []}
    for text, entries in read_cases(folder):
        gold, other = _split(entries)
        found = find(pipe, nlp, text)
        neutral = [f for f in found if any(overlap(f, g) for g in gold)]
        neutral += [f for f in found if not any(overlap(f, g) for g in (*gold, *other))]
        for name, spans in (("overlap", found), ("neutral", neutral)):
            hit = sum(any(overlap(g, f) for f in spans) for g in gold)
            right = sum(any(overlap(g, f) for g in gold) for f in spans)
            rows[name].append((hit, len(gold), right, len(spans)))
        same = len(set(gold) & set(found))
        rows["exact"].append((same, len(gold), same, len(found)))
    for name, counts in rows.items():
        show(f"e3c_{lang} dates, {name}", counts)


def main(data: Path) -> None:
    """Print the figures of all sets."""
    for lang in LANGS:
        score(lang, data / f"e3c_{lang}")
