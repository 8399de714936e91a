"""Document classifiers on a tiny encoder, and documents for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds

TEXTS = (
    "The patient has no fever.",
    "Cough for 3 days,\nchest pain. Fever, and a cough with  chest pain of the left side.",
    "pain",
    "Fever, and a cough with  chest pain of the left side.",
)
ROWS = ((1, 1, 0), (0, 1, 1), (1, 1, 0), (0, 0, 1))
LABELS = ("A", "B", "C")


def transformer(encoder_dir: Path, **options: Any) -> Any:
    """Return a draft of an encoder with small windows."""
    return eds.transformer(model=str(encoder_dir), **{"window": 8, "stride": 6, **options})


def classifier(encoder_dir: Path, embedding: Any = None, **options: Any) -> edspipe.Pipeline:
    """Build a pipeline with the pipe `classifier`, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp = edspipe.blank("eds")
        below = transformer(encoder_dir) if embedding is None else embedding
        pipe = eds.doc_classifier(embedding=below, **{"labels": list(LABELS), **options})
        nlp.add_pipe(pipe, name="classifier")
    return nlp


def labelled_docs(nlp: edspipe.Pipeline, rows: Sequence[Sequence[int]] = ROWS) -> list[Doc]:
    """Make documents with gold labels."""
    docs = []
    for i, (text, row) in enumerate(zip(TEXTS, rows, strict=True)):
        docs.append(nlp.make_doc(text))
        docs[-1]._.note_id = f"note-{i}"
        docs[-1].cats = {x: float(v) for x, v in zip(LABELS, row, strict=True)}
    return docs


def batch_of(nlp: edspipe.Pipeline, docs: Sequence[Doc], *, supervision: bool = True) -> Any:
    """Collate documents for the classifier."""
    return nlp.collate([nlp.preprocess(doc, supervision=supervision) for doc in docs])["classifier"]


def cats_of(nlp: edspipe.Pipeline, texts: Sequence[str] = TEXTS) -> list[dict[str, float]]:
    """Return the probabilities of texts, computed in one batch."""
    return [doc.cats for doc in nlp.pipe(list(texts), batch_size="9 docs")]
