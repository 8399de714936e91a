"""Sentence starts on the gold sentences of E3C, but for the first of each document: F1."""

from __future__ import annotations

from pathlib import Path

import edspipe
from benchmarks.rules.annotations import LANGS, read_cases, show
from edspipe.pipes.rules.sentences import Sentences


def score(lang: str, folder: Path) -> None:
    """Print the figures of one set."""
    nlp = edspipe.blank("eds")
    pipe = Sentences(lang=lang)
    counts = []
    for text, entries in read_cases(folder):
        gold = sorted(entry.start for entry in entries if entry.type == "Sentence")[1:]
        found = [sentence.start_char for sentence in pipe(nlp.make_doc(text)).sents][1:]
        same = len(set(gold) & set(found))
        counts.append((same, len(gold), same, len(found)))
    show(f"e3c_{lang} sentences", counts)


def main(data: Path) -> None:
    """Print the figures of all sets."""
    for lang in LANGS:
        score(lang, data / f"e3c_{lang}")
