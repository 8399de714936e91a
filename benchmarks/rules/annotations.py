"""Reading brat files of E3C, and F1 with intervals from counts that are not symmetric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LANGS = ("en", "fr", "es")
NUM_RESAMPLES = 1000
Span = tuple[int, int]
"""The first character, and the one behind the last."""


@dataclass
class Annotation:
    """An annotation.

    Attributes:
        type: As in the file.
        start: Its first character.
        end: The character behind the last.
        attributes: By name.
    """

    type: str
    start: int
    end: int
    attributes: dict[str, str] = field(default_factory=dict)


def overlap(a: Span, b: Span) -> bool:
    """Tell whether two spans have a character in common."""
    return a[0] < b[1] and b[0] < a[1]


def read_cases(folder: Path) -> Iterator[tuple[str, list[Annotation]]]:
    """Yield the text and the annotations of each file."""
    for path in sorted(folder.glob("*.ann")):
        with path.with_suffix(".txt").open(encoding="utf-8", newline="") as file:
            text = file.read()
        found: dict[str, Annotation] = {}
        for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            key, entry, *_ = [*line.split("\t"), ""]
            name, *rest = entry.replace(";", " ").split(" ")
            if key.startswith("T"):
                found[key] = Annotation(name, int(rest[0]), int(rest[-1]))
            elif key.startswith("A") and len(rest) > 1 and rest[0] in found:
                found[rest[0]].attributes[name] = rest[1]
        yield text, list(found.values())


def show(name: str, counts: list[tuple[int, int, int, int]]) -> float:
    """Print F1, precision and recall with intervals over documents, and return F1.

    Args:
        name: What is measured.
        counts: Of each document: gold that was found, gold, right among the found, found.
    """
    table = np.array(counts, dtype=float)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(table), [1 / len(table)] * len(table), size=NUM_RESAMPLES)
    whole = _figures(table.sum(axis=0, keepdims=True))[0]
    low, high = np.percentile(_figures(weights @ table), [2.5, 97.5], axis=0)
    cells = "  ".join(
        f"{key} {value:.3f} [{a:.3f}, {b:.3f}]"
        for key, value, a, b in zip("FPR", whole, low, high, strict=True)
    )
    _, gold, _, found = (int(n) for n in table.sum(axis=0))
    print(f"{name:<24} {cells}  gold {gold}  found {found}")
    return float(whole[0])


def _figures(sums: np.ndarray) -> np.ndarray:
    hit, gold, right, found = sums.T
    precision, recall = right / np.maximum(found, 1), hit / np.maximum(gold, 1)
    return np.stack(
        [2 * precision * recall / np.maximum(precision + recall, 1e-9), precision, recall], axis=1
    )
