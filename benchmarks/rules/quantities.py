"""Quantities on RML (results and measurements): overlap and exact F1.

RML of E3C are results of examinations, with or without a number ("normal"), and hold words around
the number ("positive at"). Doses of drugs, sizes of incisions and the like are no RML, yet they are
quantities. So recall on RML with a digit tells how much is found; F1 on all RML is low by
convention, and precision by it is that of being a *result*.
"""

from __future__ import annotations

from pathlib import Path

import edspipe
from benchmarks.rules.annotations import LANGS, Span, overlap, read_cases, show
from edspipe.pipes.rules.quantities.quantities import Quantities


def find(pipe: Quantities, nlp: edspipe.Pipeline, text: str) -> list[Span]:
    """Return the spans that the pipe finds."""
    doc = pipe(nlp.make_doc(text))
    return [(span.start_char, span.end_char) for span in doc.spans["quantities"]]


def score(lang: str, folder: Path) -> None:
    """Print the figures of one set: all RML, those with a digit, and exact spans of these."""
    nlp = edspipe.blank("eds")
    pipe = Quantities(lang=lang)
    rows: dict[str, list[tuple[int, int, int, int]]] = {"all RML": [], "digit": [], "exact": []}
    for text, entries in read_cases(folder):
        golds = [(entry.start, entry.end) for entry in entries if entry.type == "RML"]
        digits = [g for g in golds if any(char.isdigit() for char in text[slice(*g)])]
        found = find(pipe, nlp, text)
        for name, gold in (("all RML", golds), ("digit", digits)):
            hit = sum(any(overlap(g, f) for f in found) for g in gold)
            right = sum(any(overlap(g, f) for g in gold) for f in found)
            rows[name].append((hit, len(gold), right, len(found)))
        same = len(set(digits) & set(found))
        rows["exact"].append((same, len(digits), same, len(found)))
    for name, counts in rows.items():
        show(f"e3c_{lang} {name}", counts)


def main(data: Path) -> None:
    """Print the figures of all sets."""
    for lang in LANGS:
        score(lang, data / f"e3c_{lang}")
