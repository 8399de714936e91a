"""Tiny classifiers of documents for tests, and documents each word of which is a canary."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds

CANARY = "ZZCANARY"


def tiny_classifier(encoder_dir: Path, **options: Any) -> edspipe.Pipeline:
    """Build `eds.doc_classifier` on a tiny encoder, as the pipe `classifier`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp = edspipe.blank("eds")
        encoder = eds.transformer(model=str(encoder_dir), window=32, stride=24)
        nlp.add_pipe(eds.doc_classifier(embedding=encoder, **options), name="classifier")
    return nlp


def canary_docs(nlp: edspipe.Pipeline, number: int = 4) -> list[Doc]:
    """Make labelled documents, each word of which is a canary of its own."""
    docs = []
    for index in range(number):
        doc = nlp.make_doc(" ".join(f"{CANARY}{index}x{i}" for i in range(4 + index)))
        doc._.note_id = f"note-{index}"
        doc.cats = {"fever": float(index % 2), "cough": 1.0}
        docs.append(doc)
    return docs


def has_canary(folder: Path) -> list[str]:
    """Return the files below a folder that have a canary in them."""
    found = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if CANARY.lower().encode() in content.lower() or CANARY.encode("utf-16-le") in content:
            found.append(path.name)
    return found


def client_of(uri: str) -> Any:
    """Return a client of a store, without what MLflow's libraries warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri)


def runs_of(uri: str) -> list[Any]:
    """Return all runs of a store."""
    client = client_of(uri)
    return list(client.search_runs([one.experiment_id for one in client.search_experiments()]))
