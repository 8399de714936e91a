"""Short trainings of a classifier of documents, for tests: notes whose words say their labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds

WORDS = {"fever": "A", "cough": "B", "pain": "C"}
LABELS = tuple(WORDS.values())
FILLERS = ("the", "patient", "has", "no", "with", "in", "chest", "days")


def classifier(encoder_dir: Path, labels: Sequence[str] | None = None, **options: Any) -> Any:
    """Build a pipeline with a classifier on a tiny encoder, as the pipe `classifier`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp = edspipe.blank("eds")
        embedding = eds.transformer(model=str(encoder_dir), window=32, stride=24)
        nlp.add_pipe(
            eds.doc_classifier(
                embedding=embedding,
                labels=None if labels is None else list(labels),
                **{"dropout": 0.0, **options},
            ),
            name="classifier",
        )
    return nlp


def notes(nlp: Any, number: int = 60, *, seed: int = 0, single: bool = False) -> list[Doc]:
    """Make notes of which some labels are wrong, so that nothing can be learned perfectly."""
    rng = random.Random(seed)
    docs = []
    for index in range(number):
        named = [rng.choice(list(WORDS))] if single else [w for w in WORDS if rng.random() < 0.4]
        words = [*named, *rng.choices(FILLERS, k=rng.randint(3, 8))]
        rng.shuffle(words)
        held = {WORDS[word] for word in named}
        if rng.random() < 0.25:
            held = {rng.choice(LABELS)} if single else held ^ {rng.choice(LABELS)}
        doc = nlp.make_doc(" ".join(words))
        doc._.note_id = f"note-{seed}-{index}"
        doc.cats = {label: float(label in held) for label in LABELS}
        docs.append(doc)
    return docs
