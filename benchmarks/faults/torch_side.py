"""How PyTorch's DataLoader is called: a dataset with an index, batches of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.faults.faults import (
    NUM_WORKERS,
    TIMEOUT_S,
    Fault,
    Injection,
    NotOffered,
    documents,
    make_injection,
)

HOW = (
    f"`DataLoader(..., batch_size=None, num_workers={NUM_WORKERS})`, with "
    f"`timeout={TIMEOUT_S:g}` where a worker is stuck (`spawn` for an exit at start)"
)


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


class Notes(Dataset):
    """The documents, each through a function."""

    def __init__(self, injection: Injection) -> None:
        self.docs = documents()
        self.injection = injection

    def __len__(self) -> int:
        return len(self.docs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(self.docs):
            raise IndexError(index)
        return self.injection(self.docs[index])


def run(fault: Fault, folder: Path, seed: int) -> Iterator[str]:
    """Yield the ids of the documents that come."""
    settings: dict[str, Any] = {"timeout": TIMEOUT_S} if fault.timeout else {}
    if fault.name == "start":
        settings["multiprocessing_context"] = "spawn"  # a forked worker unpickles nothing
    notes = Notes(make_injection(fault, folder, seed))
    for doc in DataLoader(notes, batch_size=None, num_workers=NUM_WORKERS, **settings):
        yield doc["note_id"]


def write_dataset(folder: Path, docs: list[dict[str, Any]]) -> Path:
    raise NotOffered("writes no dataset")


def read_dataset(path: Path) -> list[Any]:
    raise NotOffered("reads no dataset")


def write_standoff(folder: Path, ident: str) -> None:
    raise NotOffered("writes no brat")


def read_standoff(folder: Path) -> list[str]:
    raise NotOffered("reads no brat")


def batches(workers: int) -> list[list[str]]:
    notes = Notes(Injection("none", ""))
    return list(DataLoader(notes, batch_size=7, collate_fn=ids, num_workers=workers))


def ids(batch: list[dict[str, Any]]) -> list[str]:
    return [doc["note_id"] for doc in batch]
