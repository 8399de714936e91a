"""Gold entities of brat files, and exact F1: apart from the libraries that are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Entity = tuple[str, str, int, int]


def read_gold(folder: Path) -> set[Entity]:
    """Read the entities of a brat folder, each from its first to its last fragment."""
    entities: set[Entity] = set()
    for file in folder.glob("*.ann"):
        for line in file.read_text("utf-8").splitlines():
            if line.startswith("T"):
                label, places = line.split("\t")[1].split(" ", 1)
                offsets = places.replace(";", " ").split()
                name = f"{folder.name}/{file.stem}"
                entities.add((name, label, int(offsets[0]), int(offsets[-1])))
    return entities


def exact_f1(gold: set[Entity], found: dict[str, Any]) -> float:
    """Compare labels and offsets."""
    predicted = {(name, *entity) for name, entities in found.items() for entity in entities}
    shared = len(gold & predicted)
    return 2 * shared / max(1, len(gold) + len(predicted))
