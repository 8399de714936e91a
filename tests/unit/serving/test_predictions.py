"""What a served model answers, as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from small_classifiers import tiny_classifier

from edspipe.serving.predictions import predict_rows, to_json_row


def test_labels_and_probabilities_of_each_text(encoder_dir: Path) -> None:
    nlp = tiny_classifier(encoder_dir)
    nlp.pipes.classifier.update_labels(["a", "b"])
    nlp.pipes.classifier.set_thresholds({"a": 0.0, "b": 1.0})
    first, second = predict_rows(nlp, ["fever", ""])
    assert first["labels"] == second["labels"] == ["a"]
    assert set(first["probabilities"]) == {"a", "b"}
    assert first["entities"] == []


def test_the_precision_may_be_chosen(encoder_dir: Path) -> None:
    nlp = tiny_classifier(encoder_dir, labels=["a", "b"])
    texts = ["fever and cough", "chest pain"]
    docs = nlp.pipe(map(nlp.make_doc, texts)).set_processing(precision="bf16")
    assert [row["probabilities"] for row in predict_rows(nlp, texts, "bf16")] == [
        doc.cats for doc in docs
    ]
    assert predict_rows(nlp, texts, "bf16") != predict_rows(nlp, texts, "fp32")


def test_entities_are_offsets_and_quote_nothing(tiny_nlp: Any) -> None:
    text = "The patient has no fever. Cough for 3 days, chest pain."
    (row,) = predict_rows(tiny_nlp, [text])
    spans = [(e["start"], e["end"], e["label"]) for e in row["entities"]]
    doc = tiny_nlp(text)
    found = {(s.start_char, s.end_char, s.label_) for s in doc.spans["gold-ner"]}
    assert set(spans) == found
    assert found
    assert row["labels"] == []
    assert row["probabilities"] == {}


def test_each_column_is_json() -> None:
    row = {"labels": ["é"], "probabilities": {"é": 0.5}, "entities": []}
    found = to_json_row(row)
    assert found["labels"] == '["é"]'
    assert {key: json.loads(value) for key, value in found.items()} == row
