r"""How the rules scale: words/s by the length of a text, and a terminology of a million terms.

    python -m benchmarks.rules.scale DATA
    python -m benchmarks.rules.scale DATA --num-terms 100000

Texts of 10 000 to 1 000 000 characters are made of the cases of a language, one after the other;
if time is linear in length, words/s are level. The pipeline is that of `speed`. Terms are of one
to five words, made up but for a tenth of the words of the cases, and are read from a CSV file by
`eds.terminology`. Seconds are those of the process, the best of some rounds.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import edspipe
from benchmarks.rules.speed import TERMS, Ours, read_texts
from edspipe.pipes.rules.terminology import Terminology

LENGTHS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
MAX_CHARS = 1_000_000
"""What is read in a round: short texts are read several times."""
NUM_ROUNDS = 3
LETTERS = "abcdefghijklmnop"


def show_lengths(data: Path, lang: str) -> None:
    """Print words/s of all pipes, without the tokenizer, by the length of the text."""
    cases = "\n\n".join(read_texts(data, lang))
    nlp = Ours(lang, []).nlp

    def run(text: str) -> tuple[int, float]:
        docs = [nlp.make_doc(text) for _ in range(max(1, MAX_CHARS // len(text) // 10))]
        start = time.process_time()
        for doc in docs:
            for _, pipe in nlp.pipes:
                pipe(doc)
        return len(text.split()) * len(docs), time.process_time() - start

    for length in LENGTHS:
        text = (cases * (length // len(cases) + 1))[:length]
        speeds = [words / seconds for words, seconds in (run(text) for _ in range(NUM_ROUNDS))]
        print(f"{lang}: {length:>9,} characters {max(speeds):>10,.0f} words/s")


def make_terms(words: list[str], num_terms: int) -> Iterator[str]:
    """Yield terms of made-up words, and of a tenth of the words of a text."""
    rng = random.Random(0)
    vocab = ["".join(rng.choices(LETTERS, k=rng.randint(3, 9))) for _ in range(100_000)]
    known = sorted({word.lower() for word in words if word.isalpha()})
    vocab += rng.sample(known, len(known) // 10)
    for _ in range(num_terms):
        yield " ".join(rng.choices(vocab, k=rng.randint(1, 5)))


def show_terminology(data: Path, lang: str, num_terms: int) -> None:
    """Print how long a terminology takes to load, and words/s of the pipe."""
    texts = read_texts(data, lang)
    words = [word for text in texts for word in text.split()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "terms.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("code,term\n")
            for number, term in enumerate(make_terms(words, num_terms)):
                file.write(f"C{number},{term}\n")
        start = time.process_time()
        pipe = Terminology(label="term", path=path, span_setter="terms")
        seconds = time.process_time() - start
    print(f"{len(pipe):,} terms load in {seconds:.1f} s")
    nlp = edspipe.blank("eds")
    found = 0

    def run() -> float:
        nonlocal found
        docs = [nlp.make_doc(text) for text in texts]
        start = time.process_time()
        for doc in docs:
            pipe(doc)
        found = sum(len(doc.spans["terms"]) for doc in docs)
        return time.process_time() - start

    seconds = min(run() for _ in range(NUM_ROUNDS))
    print(f"{lang}: {len(words) / seconds:,.0f} words/s, {found:,} found in {len(words):,} words")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules.scale", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of corpora")
    parser.add_argument("--num-terms", type=int, default=1_000_000)
    args = parser.parse_args()
    for lang in TERMS:
        show_lengths(args.data, lang)
    for lang in TERMS:
        show_terminology(args.data, lang, args.num_terms)


if __name__ == "__main__":
    main()
