"""How EDS-NLP is called: its public interface, with its default settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edsnlp
import spacy
import torch

from benchmarks.faults.faults import NUM_WORKERS, Fault, documents, make_injection

HOW = f"`from_iterable(...).map(f).set_processing(num_cpu_workers={NUM_WORKERS})`"


def versions() -> dict[str, str]:
    return {
        "EDS-NLP": edsnlp.__version__,
        "spacy": spacy.__version__,
        "torch": torch.__version__,
    }


def run(fault: Fault, folder: Path, seed: int) -> Iterator[str]:
    """Yield the ids of the documents that come."""
    stream = edsnlp.data.from_iterable(documents()).map(make_injection(fault, folder, seed))
    for doc in stream.set_processing(num_cpu_workers=NUM_WORKERS):
        yield doc["note_id"]


def write_dataset(folder: Path, docs: list[dict[str, Any]]) -> Path:
    path = folder / "notes.jsonl"
    edsnlp.data.write_json(edsnlp.data.from_iterable(docs), path, lines=True, overwrite=True)
    return path


def read_dataset(path: Path) -> list[Any]:
    return list(edsnlp.data.read_json(path, converter="omop"))


def write_standoff(folder: Path, ident: str) -> None:
    docs = edsnlp.data.from_iterable(
        [{"note_id": ident, "note_text": "Compte rendu."}], converter="omop"
    )
    edsnlp.data.write_standoff(docs.map_pipeline(edsnlp.blank("eds")), folder)


def read_standoff(folder: Path) -> list[str]:
    return [ent.text for doc in edsnlp.data.read_standoff(folder) for ent in doc.ents]


def batches(workers: int) -> list[list[str]]:
    stream = edsnlp.data.from_iterable(documents()).map(dict).batchify(batch_size=7).map(ids)
    return list(stream.set_processing(num_cpu_workers=workers))


def ids(batch: list[dict[str, Any]]) -> list[str]:
    return [doc["note_id"] for doc in batch]
