"""How edspipe is called."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import edspipe
from benchmarks.faults.events import log
from benchmarks.faults.faults import NUM_WORKERS, TIMEOUT_S, Fault, documents, make_injection

HOW = (
    f"`from_iterable(...).map(f).set_processing(num_cpu_workers={NUM_WORKERS})`, with "
    f"`timeout_s={TIMEOUT_S:g}` where a worker is stuck"
)


def versions() -> dict[str, str]:
    return {
        "edspipe": edspipe.__version__,
        "spacy": metadata.version("spacy"),
        "torch": metadata.version("torch"),
    }


def run(fault: Fault, folder: Path, seed: int, **settings: Any) -> Iterator[str]:
    """Yield the ids of the documents that come."""
    if fault.timeout:
        settings["timeout_s"] = TIMEOUT_S
    stream = edspipe.data.from_iterable(documents()).map(make_injection(fault, folder, seed))
    iterator = iter(stream.set_processing(num_cpu_workers=NUM_WORKERS, **settings))
    for doc in iterator:
        yield doc["note_id"]
    log(folder, "counts", **{key: iterator.counts[key] for key in iterator.counts})


def write_dataset(folder: Path, docs: list[dict[str, Any]]) -> Path:
    path = folder / "notes.jsonl"
    edspipe.data.write_json(edspipe.data.from_iterable(docs), path, overwrite=True)
    return path


def read_dataset(path: Path) -> list[Any]:
    return list(edspipe.data.read_json(path))


def write_standoff(folder: Path, ident: str) -> None:
    doc = edspipe.blank("eds")("Compte rendu.")
    doc._.note_id = ident
    edspipe.data.write_standoff([doc], folder)


def read_standoff(folder: Path) -> list[str]:
    return [ent.text for doc in edspipe.data.read_standoff(folder) for ent in doc.ents]


def batches(workers: int) -> list[list[str]]:
    stream = edspipe.data.from_iterable(documents()).map(dict).batchify(7).map(ids)
    return list(stream.set_processing(num_cpu_workers=workers))


def ids(batch: list[dict[str, Any]]) -> list[str]:
    return [doc["note_id"] for doc in batch]
