"""What a served model answers: labels, probabilities and entities of texts, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from spacy.tokens import Doc

from edspipe.doc.span_access import get_spans
from edspipe.pipeline.pipeline import Pipeline

COLUMNS = ("labels", "probabilities", "entities")


def predict_rows(
    nlp: Pipeline, texts: Iterable[str], precision: str = "auto"
) -> list[dict[str, Any]]:
    """Return what a pipeline says of texts, without quoting them.

    Args:
        nlp: The pipeline.
        texts: The texts.
        precision: What models compute in, as of streams.

    Returns:
        A row for each text: `labels`, the decisions of pipes that give documents labels;
        `probabilities` by label; `entities`, all spans with `start`, `end` (characters) and
        `label`.
    """
    docs = nlp.pipe([nlp.make_doc(text) for text in texts])
    return [_row(nlp, doc) for doc in docs.set_processing(precision=precision)]


def _row(nlp: Pipeline, doc: Doc) -> dict[str, Any]:
    labels: list[str] = []
    known: list[str] = []
    for _, pipe in nlp.pipes:
        if hasattr(pipe, "label_attribute"):
            labels += doc._.get(pipe.label_attribute) or []
            known += pipe.labels
    return {
        "labels": list(dict.fromkeys(labels)),
        "probabilities": {label: doc.cats[label] for label in known if label in doc.cats},
        "entities": [
            {"start": span.start_char, "end": span.end_char, "label": span.label_}
            for span in get_spans(doc, ["ents", "*"])
        ],
    }


def to_json_row(row: dict[str, Any]) -> dict[str, str]:
    """Return a row with JSON in each of its columns."""
    return {name: json.dumps(row[name], ensure_ascii=False) for name in COLUMNS}
