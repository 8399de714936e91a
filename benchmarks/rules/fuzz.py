r"""Hostile texts for all rule pipes: none of them may take over two seconds, or raise.

    python -m benchmarks.rules.fuzz --minutes 10
    python -m benchmarks.rules.fuzz --seed 123 --number 1

Each text has up to 100 000 characters and is made of what the patterns look for: the words of the
languages' own files, digits, separators, spaces, line breaks, bullets, units, marks and letters of
other scripts; repeated, in pairs, in random order, in one endless line or word. Every rule pipe
runs on it, in an order in which each reads what the ones before have written. Seconds are those of
the process, so that a busy machine does not count. A text is made of its seed alone, which is
printed with what was found; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

import edspipe.lang
from benchmarks.rules.pipelines import LANGS, build_all

MAX_CHARS = 100_000
MAX_SECONDS = 2.0
GIVE_UP_SECONDS = 30
"""After this a pipe is stopped: it has failed anyway."""

SIGNS = [*".,;:!?-–/\\|+*=<>()[]{}%°'\"’«»_#@&~^$€µ²³½…•·", "\n", "\r\n", "\t", " ", "  ", "\u00a0"]
ODD = [
    "\u0301",
    "\u200b",
    "\u00ad",
    "\ufb01",
    "\u0130",
    "ß",
    "漢",
    "👩‍⚕️",
    "\U0001f1eb",
    "\ud7ff",
    "\x0c",
    "\u2028",
]
NUMBERS = [
    "0",
    "1",
    "12",
    "2020",
    "1e9",
    "1,5",
    "3.14",
    "12/03/2020",
    "01-02-03",
    "10:30",
    "7h",
    "1 000",
]
UNITS = [
    "mg",
    "kg/m2",
    "mmHg",
    "°C",
    "mmol/L",
    "%",
    "ml/min/1,73m2",
    "x",
    "UI/L",
    "cm",
    "jours",
    "days",
]

Recipe = Callable[[random.Random, list[str]], str]


def words_of(lang: str) -> list[str]:
    """Return the texts in the word files of a language, patterns without their signs."""
    found: dict[str, None] = {}
    for file in sorted((Path(edspipe.lang.__file__).parent / lang).glob("*.yml")):
        for value in _leaves(yaml.safe_load(file.read_bytes())):
            text = "".join(" " if c in "\\()[]{}|?*+^$" else c for c in str(value))
            found[" ".join(text.split())] = None
    return [word for word in found if word]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif value is not None:
        yield value


def _piece(rng: random.Random, words: list[str]) -> str:
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(words)
    return rng.choice(rng.choice([SIGNS, ODD, NUMBERS, UNITS]))


def _repeated(rng: random.Random, words: list[str]) -> str:
    """A few pieces with a separator, again and again."""
    separator = rng.choice(["", " ", "  ", "\n", "\t", ", ", "|", " | ", "-", "."])
    unit = separator.join(_piece(rng, words) for _ in range(rng.randint(1, 4))) + separator
    return unit * (MAX_CHARS // len(unit) + 1) if unit else ""


def _mixed(rng: random.Random, words: list[str]) -> str:
    """Pieces in random order."""
    few = [_piece(rng, words) for _ in range(rng.choice([5, 50, 500]))]
    separator = rng.choice(["", " ", " ", "\n", ", "])
    return separator.join(rng.choices(few, k=MAX_CHARS // 4))


def _run(rng: random.Random, words: list[str]) -> str:
    """A piece, an endless run of one character, and a piece."""
    run = rng.choice([*SIGNS, *ODD, "0", "9", "a", "A", "I", "é"]) * MAX_CHARS
    start, end = _piece(rng, words), _piece(rng, words)
    return start + run[: MAX_CHARS - len(start) - len(end)] + end


def _lines(rng: random.Random, words: list[str]) -> str:
    """Lines that look alike, as in tables and headings."""
    cells = [_piece(rng, words) for _ in range(rng.randint(1, 8))]
    separator = rng.choice(["|", " | ", "\t", "   ", " : ", ":"])
    line = rng.choice(["", "- ", "1. ", "  "]) + separator.join(cells)
    line = line.upper() if rng.random() < 0.5 else line
    return (line + rng.choice(["\n", "\n\n", " \n"])) * (MAX_CHARS // max(len(line), 1) + 1)


def _digits(rng: random.Random, words: list[str]) -> str:
    """Digits, and what stands between and behind them."""
    signs = rng.choices([*SIGNS, *UNITS, "h", "e"], k=3)
    return "".join(rng.choices([*"0123456789", *NUMBERS, *signs], k=MAX_CHARS))


def _unicode(rng: random.Random, words: list[str]) -> str:
    """Any characters."""
    top = rng.choice([0x7F, 0x24F, 0x2FFF, 0xFFFF, 0x10FFFF])
    codes = (rng.randint(1, top) for _ in range(MAX_CHARS))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)


RECIPES: tuple[Recipe, ...] = (
    _repeated,
    _repeated,
    _mixed,
    _mixed,
    _run,
    _lines,
    _digits,
    _unicode,
)


def make_text(seed: int, words: list[str]) -> tuple[str, str]:
    """Return the text of a seed, and the recipe's name."""
    rng = random.Random(seed)
    recipe = rng.choice(RECIPES)
    length = MAX_CHARS if rng.random() < 0.7 else rng.randint(0, MAX_CHARS)
    return recipe(rng, words)[:length], recipe.__name__.strip("_")


def make_pipeline(lang: str, words: list[str]) -> Any:
    """Return a pipeline of all rule pipes that have words of the language, without its tokenizer.

    The matcher makes entities of the shortest words, so that qualifiers have thousands of spans.
    """
    short = sorted((word for word in words if word.isalpha()), key=lambda word: (len(word), word))
    context = {
        "source": "c",
        "terms": short[:50],
        "exclude": {"regex": [r"\bno\b"], "window": 5},
        "assign": [{"name": "n", "regex": r"(\d+)", "window": 10}],
    }
    return build_all(
        lang,
        {
            "matcher": {"terms": {"term": short[: len(short) // 2]}},
            "terminology": {"label": "t", "terms": {str(i): w for i, w in enumerate(words)}},
            "contextual_matcher": {"label": "c", "patterns": [context]},
            "score": {"score_name": "s", "terms": short[-20:], "highest": 10},
        },
    )


class Gave(Exception):
    """A pipe took too long to wait for."""


def _stop(*_: Any) -> None:
    raise Gave


def run_text(nlp: Any, text: str) -> tuple[dict[str, float], dict[str, str]]:
    """Run all pipes on a text.

    Returns:
        Seconds by pipe, and what went wrong by pipe.
    """
    seconds: dict[str, float] = {}
    wrong: dict[str, str] = {}
    signal.signal(signal.SIGALRM, _stop)
    doc = nlp.make_doc(text)
    for name, pipe in nlp.pipes:
        signal.alarm(GIVE_UP_SECONDS)
        start = time.process_time()
        try:
            pipe(doc)
        except Gave:
            wrong[name] = f"given up after {GIVE_UP_SECONDS} s"
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"[:200]
        finally:
            signal.alarm(0)
        seconds[name] = time.process_time() - start
        if seconds[name] > MAX_SECONDS:
            wrong.setdefault(name, f"took {seconds[name]:.1f} s")
    return seconds, wrong


def main(minutes: float, seed: int, number: int | None, lang: str | None) -> int:
    """Run texts for some minutes, or so many, and print what was found."""
    languages = (lang,) if lang else LANGS
    words = {one: words_of(one) for one in languages}
    pipelines = {one: make_pipeline(one, words[one]) for one in languages}
    slowest: dict[str, tuple[float, int, str]] = {}
    failures: Counter[str] = Counter()
    end, count = time.monotonic() + minutes * 60, 0
    while time.monotonic() < end and count != number:
        one = languages[(seed + count) % len(languages)]
        text, recipe = make_text(seed + count, words[one])
        seconds, wrong = run_text(pipelines[one], text)
        for name, value in seconds.items():
            slowest[name] = max(slowest.get(name, (0.0, 0, "")), (value, seed + count, one))
        for name, problem in wrong.items():
            failures[name] += 1
            if failures[name] <= 5:
                print(
                    f"{name}: {problem} (seed {seed + count}, {one}, {recipe}, {len(text)} chars)"
                )
                sys.stdout.flush()
        count += 1
    print(f"{count} texts; {sum(failures.values())} failures in {len(failures)} pipes")
    for name, (value, of, one) in sorted(slowest.items(), key=lambda item: -item[1][0])[:15]:
        print(f"{name:<28} at most {value:.2f} s (seed {of}, {one})")
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first text")
    parser.add_argument("--number", type=int, help="of texts, at most")
    parser.add_argument("--lang", choices=LANGS)
    options = parser.parse_args()
    sys.exit(main(options.minutes, options.seed, options.number, options.lang))
