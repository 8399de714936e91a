"""How spaCy is called: `nlp.pipe` over a blank pipeline with one component."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import minibatch

from benchmarks.faults.faults import (
    NUM_WORKERS,
    Fault,
    Injection,
    NotOffered,
    documents,
    make_injection,
)

BATCH = 20
"""The default of 1000 would give all documents to one worker."""
HOW = f"`nlp.pipe(..., n_process={NUM_WORKERS}, batch_size={BATCH})` (`spawn` for an exit at start)"


def versions() -> dict[str, str]:
    return {"spaCy": spacy.__version__}


class Component:
    """A component that brings a fault about."""

    def __init__(self, injection: Injection) -> None:
        self.injection = injection

    def __call__(self, doc: Doc) -> Doc:
        changed = self.injection({"note_id": _id_of(doc)})
        doc.user_data.update({key: changed[key] for key in changed if key != "note_id"})
        return doc


class BatchComponent:
    """A component that notes which documents came together."""

    def __call__(self, doc: Doc) -> Doc:
        raise NotImplementedError("this component sees batches only")

    def pipe(self, docs: Any, batch_size: int) -> Iterator[Doc]:
        for batch in minibatch(docs, batch_size):
            together = [_id_of(doc) for doc in batch]
            for doc in batch:
                doc.user_data["together"] = together
                yield doc


def _id_of(doc: Doc) -> str:
    return doc.text.split(" ", 1)[0]


def _pipeline(component: Any) -> Language:
    Language.component("fault", func=component)
    nlp = spacy.blank("fr")
    nlp.add_pipe("fault")
    return nlp


def _texts(docs: list[dict[str, Any]]) -> list[str]:
    return [doc["note_text"] for doc in docs]


def run(fault: Fault, folder: Path, seed: int) -> Iterator[str]:
    """Yield the ids of the documents that come."""
    if fault.name == "start":
        multiprocessing.set_start_method("spawn")  # nothing is unpickled in a forked worker
    nlp = _pipeline(Component(make_injection(fault, folder, seed)))
    for doc in nlp.pipe(_texts(documents()), n_process=NUM_WORKERS, batch_size=BATCH):
        yield _id_of(doc)


def write_dataset(folder: Path, docs: list[dict[str, Any]]) -> Path:
    path = folder / "notes.spacy"
    DocBin(docs=spacy.blank("fr").pipe(_texts(docs))).to_disk(path)
    return path


def read_dataset(path: Path) -> list[Any]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("fr").vocab))


def write_standoff(folder: Path, ident: str) -> None:
    raise NotOffered("writes no brat")


def read_standoff(folder: Path) -> list[str]:
    raise NotOffered("reads no brat")


def batches(workers: int) -> list[list[str]]:
    nlp = _pipeline(BatchComponent())
    docs = nlp.pipe(_texts(documents()), n_process=max(1, workers), batch_size=7)
    found: list[list[str]] = []
    for doc in docs:
        if not found or found[-1] != doc.user_data["together"]:
            found.append(doc.user_data["together"])
    return found
