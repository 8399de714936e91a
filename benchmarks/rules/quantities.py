"""Quantities on RML (results and measurements): overlap and exact, and words/s.

RML of E3C are results of examinations, with or without a number ("normal"), and hold words around
the number ("positive at"). Doses of drugs, sizes of incisions and the like are no RML, yet they are
quantities. So recall on RML with a digit tells how much is found; F1 on all RML is low by
convention, and precision by it is that of being a *result*.
"""

from __future__ import annotations

import time
from pathlib import Path

import edspipe
from benchmarks.rules.annotations import LANGS, read_cases, show
from edspipe.pipes.rules.quantities.quantities import Quantities

NUM_ROUNDS = 3

Span = tuple[int, int]


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


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
            hit = sum(any(_overlap(g, f) for f in found) for g in gold)
            right = sum(any(_overlap(g, f) for g in gold) for f in found)
            rows[name].append((hit, len(gold), right, len(found)))
        same = len(set(digits) & set(found))
        rows["exact"].append((same, len(digits), same, len(found)))
    for name, counts in rows.items():
        show(f"e3c_{lang} {name}", counts)


def words_per_second(lang: str, folder: Path) -> tuple[float, int]:
    """Return words/s of the pipe alone, best of some rounds, and the number of words."""
    nlp = edspipe.blank("eds")
    pipe = Quantities(lang=lang)
    texts = [text for text, _ in read_cases(folder)]
    best, num_words = float("inf"), 0
    for _ in range(NUM_ROUNDS):
        docs = list(map(nlp.make_doc, texts))
        num_words = sum(map(len, docs))
        begin = time.process_time()
        for doc in docs:
            pipe(doc)
        best = min(best, time.process_time() - begin)
    return num_words / best, num_words


def main(data: Path) -> None:
    """Print the figures of all sets."""
    for lang in LANGS:
        score(lang, data / f"e3c_{lang}")
    for lang in LANGS:
        speed, num_words = words_per_second(lang, data / f"e3c_{lang}")
        print(f"e3c_{lang}: quantities {speed:>12,.0f} words/s of {num_words:,} words")
