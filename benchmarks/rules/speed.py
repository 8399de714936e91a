r"""Words per second of the rule pipes, beside EDS-NLP and medspaCy as black boxes.

    python -m benchmarks.rules.speed DATA
    python -m benchmarks.rules.speed DATA --peer /other/venv/bin/python
    python -m benchmarks.rules.speed DATA --medspacy /third/venv/bin/python
    python -m benchmarks.rules.speed DATA --every

`DATA` holds the folders `e3c_en`, `e3c_fr`, `e3c_es`. The pipeline is normalizer, sentences,
matcher, four qualifiers, dates, quantities and sections, of one language, on one process. Both
sides get the same texts, the same terms, and their own tokenizer; words are those between blanks.
Two figures are given: from the text (with the tokenizer), and of the pipes alone.

A peer runs in a process of its own, which only imports it and answers (`peers.py`). Rounds are
interleaved, so that a slow moment of the machine meets both; the figures are medians over rounds,
and the ratio is the median of the ratios of each round.

`--every` gives words/s of every rule pipe in the three languages, in seconds of the process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import edspipe
from benchmarks.rules.peers import NAMES as PIPES
from benchmarks.rules.pipelines import build_all
from benchmarks.rules.qualifiers import Example, read_context, read_e3c

TERMS = {
    "en": ["fracture", "fever", "pain", "diabetes", "tumor", "lesion"],
    "fr": ["fracture", "fièvre", "douleur", "diabète", "tumeur", "lésion"],
    "es": ["fractura", "fiebre", "dolor", "diabetes", "tumor", "lesión"],
}
NUM_ROUNDS = 5
Times = dict[str, float]


class Ours:
    """Our side: seconds of each pipe, and of all from the texts.

    Args:
        lang: The language.
        texts: What is read.
    """

    def __init__(self, lang: str, texts: list[str]) -> None:
        self.texts = texts
        self.nlp = edspipe.blank("eds")
        for name in PIPES:
            config: dict[str, Any] = {} if name == "matcher" else {"lang": lang}
            if name == "matcher":
                config["terms"] = {"term": TERMS[lang]}
            self.nlp.add_pipe(f"eds.{name}", name=name, config=config)

    def round(self) -> Times:
        """Read the texts twice: from the text, and pipe by pipe."""
        start = time.perf_counter()
        for text in self.texts:
            self.nlp(text)
        times = {"all": time.perf_counter() - start}
        docs = [self.nlp.make_doc(text) for text in self.texts]
        for name, pipe in self.nlp.pipes:
            start = time.perf_counter()
            for doc in docs:
                pipe(doc)
            times[name] = time.perf_counter() - start
        return times


class Peer:
    """Another tool, in another process of another environment.

    Args:
        python: The interpreter of that environment.
        tool: `"edsnlp"` or `"medspacy"`.
        lang: The language.
        texts: What is read.
    """

    def __init__(self, python: str, tool: str, lang: str, texts: list[str]) -> None:
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("peers.py")), tool],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self.version = self.ask({"lang": lang, "texts": texts, "terms": TERMS[lang]})

    def ask(self, request: Any) -> Any:
        """Send a request and return the answer.

        Raises:
            RuntimeError: The process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with code {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def read_texts(data: Path, lang: str) -> list[str]:
    """Return the texts of a language's cases."""
    files = sorted((data / f"e3c_{lang}").glob("*.txt"))
    return [file.read_text(encoding="utf-8") for file in files]


def compare(
    data: Path, lang: str, peer: Peer | None, rounds: int = NUM_ROUNDS
) -> tuple[list[Times], list[Times]]:
    """Run interleaved rounds of both sides, after one of each that does not count.

    Returns:
        The times of our rounds and of the peer's.
    """
    ours, own, theirs = Ours(lang, read_texts(data, lang)), [], []
    for number in range(rounds + 1):
        own_times = ours.round()
        peer_times = peer.ask("round") if peer else {}
        if number:
            own.append(own_times)
            theirs.append(peer_times)
    return own, theirs


def show(num_words: int, own: list[Times], theirs: list[Times]) -> None:
    """Print words/s of each pipe and of all, and how many times the peer's they are."""
    for times in (*own, *theirs):
        if times:
            times["pipes"] = sum(value for name, value in times.items() if name != "all")
    for name in ("all", "pipes", *PIPES):
        line = f"{name:<12}{num_words / median(t[name] for t in own):>12,.0f} words/s"
        if theirs and name in theirs[0]:
            ratios = [b[name] / a[name] for a, b in zip(own, theirs, strict=True)]
            line += f"{num_words / median(t[name] for t in theirs):>12,.0f}"
            line += f"  x {median(ratios):.1f} [{min(ratios):.1f}, {max(ratios):.1f}]"
        print(line)


def score_negation(peer: Peer, examples: list[Example]) -> float:
    """Return F1 of a peer's negation on gold spans.

    Args:
        peer: A peer that can judge spans.
        examples: Texts with their spans.
    """
    asked = [{"text": e.text, "spans": [span[:2] for span in e.spans]} for e in examples]
    answers = peer.ask({"judge": asked})
    right = found = gold = 0
    for example, values in zip(examples, answers, strict=True):
        for (_, _, said), value in zip(example.spans, values, strict=True):
            if "negation" in said:
                right += said["negation"] and value
                found += value
                gold += said["negation"]
    return 2 * right / max(found + gold, 1)


def main(data: Path, lang: str = "fr", edsnlp: str | None = None, rounds: int = NUM_ROUNDS) -> None:
    """Print the figures of one language."""
    texts = read_texts(data, lang)
    num_words = sum(len(text.split()) for text in texts)
    peer = Peer(edsnlp, "edsnlp", lang, texts) if edsnlp else None
    print(f"{lang}: {len(texts)} texts, {num_words} words", peer.version if peer else "")
    show(num_words, *compare(data, lang, peer, rounds))
    if peer:
        peer.close()


def main_medspacy(data: Path, python: str, rounds: int = NUM_ROUNDS) -> None:
    """Print words/s and the F1 of negation of medspaCy, in English, beside ours."""
    texts = read_texts(data, "en")
    num_words = sum(len(text.split()) for text in texts)
    peer = Peer(python, "medspacy", "en", texts)
    print(f"en: {len(texts)} texts, {num_words} words", peer.version)
    show(num_words, *compare(data, "en", peer, rounds))
    sets = {
        "context_en": read_context(data / "context_en.tsv"),
        "e3c_en": read_e3c(data / "e3c_en"),
    }
    for name, examples in sets.items():
        print(f"negation on {name}: F1 {score_negation(peer, examples):.3f} of the peer")
    peer.close()


def show_every(data: Path, rounds: int = NUM_ROUNDS) -> None:
    """Print words/s of every rule pipe by language, one after the other over the same Docs."""
    speeds: dict[str, dict[str, float]] = {}
    for lang, terms in TERMS.items():
        texts = read_texts(data, lang)
        num_words = sum(len(text.split()) for text in texts)
        nlp = build_all(
            lang,
            {
                "matcher": {"terms": {"term": terms}},
                "terminology": {"label": "t", "terms": dict(enumerate(terms))},
                "contextual_matcher": {"label": "c", "patterns": [{"source": "c", "terms": terms}]},
                "score": {"score_name": "s", "terms": terms, "highest": 10},
            },
        )
        for _ in range(rounds):
            docs = [nlp.make_doc(text) for text in texts]
            for name, pipe in nlp.pipes:
                start = time.process_time()
                for doc in docs:
                    pipe(doc)
                speed = num_words / (time.process_time() - start)
                known = speeds.setdefault(name, {})
                known[lang] = max(known.get(lang, 0), speed)
    print(f"{'words/s':<30}" + "".join(f"{lang:>12}" for lang in TERMS))
    for name, by_lang in speeds.items():
        print(f"{name:<30}" + "".join(f"{by_lang[lang]:>12,.0f}" for lang in TERMS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules.speed", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of corpora")
    parser.add_argument("--lang", choices=sorted(TERMS), default="fr")
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment with edsnlp")
    parser.add_argument("--medspacy", metavar="PYTHON", help="of an environment with medspacy")
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    parser.add_argument("--every", action="store_true", help="every rule pipe, without a peer")
    args = parser.parse_args()
    if args.every:
        show_every(args.data, args.rounds)
    elif args.medspacy:
        main_medspacy(args.data, args.medspacy, args.rounds)
    else:
        main(args.data, args.lang, args.peer, args.rounds)
