"""Sentence starts on the gold sentences of E3C, but for the first of each document: F1, words/s."""

from __future__ import annotations

import time
from pathlib import Path

import edspipe
from benchmarks.rules.annotations import LANGS, read_cases, show
from edspipe.pipes.rules.sentences import Sentences

NUM_ROUNDS = 3


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


def words_per_second(lang: str, folder: Path) -> tuple[float, int]:
    """Return words/s of the pipe alone, best of some rounds, and the number of words."""
    nlp = edspipe.blank("eds")
    pipe = Sentences(lang=lang)
    docs = [nlp.make_doc(text) for text, _ in read_cases(folder)]
    best = float("inf")
    for _ in range(NUM_ROUNDS):
        begin = time.process_time()
        for doc in docs:
            pipe(doc)
        best = min(best, time.process_time() - begin)
    num_words = sum(map(len, docs))
    return num_words / best, num_words


def main(data: Path) -> None:
    """Print the figures of all sets."""
    for lang in LANGS:
        score(lang, data / f"e3c_{lang}")
    for lang in LANGS:
        speed, num_words = words_per_second(lang, data / f"e3c_{lang}")
        print(f"e3c_{lang}: sentences {speed:>12,.0f} words/s of {num_words:,} words")
