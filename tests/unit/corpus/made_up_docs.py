"""Documents for tests of corpora: words, spans, patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spacy.tokens import Doc, Span

import edspipe

NLP = edspipe.blank("eds")


def make_doc(
    note_id: Any = None,
    patient_id: Any = None,
    labels: Iterable[str] = (),
    *,
    text: str | None = None,
    group: str = "ents",
    cats: Mapping[str, float] | None = None,
) -> Doc:
    """Return a Doc with a span of one word for each label."""
    labels = list(labels)
    doc = NLP.make_doc(" ".join(["word"] * max(1, len(labels))) if text is None else text)
    doc._.note_id, doc._.patient_id = note_id, patient_id
    spans = [Span(doc, i, i + 1, label=label) for i, label in enumerate(labels)]
    if group == "ents":
        doc.ents = spans
    else:
        doc.spans[group] = spans
    doc.cats = dict(cats or {})
    return doc


def of_patients(sizes: Sequence[int], labels: Sequence[Sequence[str]] = ()) -> list[Doc]:
    """Return as many documents for each patient as the sizes say.

    Args:
        sizes: Documents by patient.
        labels: The labels that each document of a patient has, by patient.
    """
    return [
        make_doc(f"{patient}-{i}", f"p{patient}", labels[patient] if labels else ())
        for patient, size in enumerate(sizes)
        for i in range(size)
    ]


def ids(docs: Iterable[Doc]) -> list[Any]:
    """Return the ids of documents, in order."""
    return [doc._.note_id for doc in docs]
