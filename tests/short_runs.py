"""Short trainings for tests: quiet settings, documents of unequal lengths, and what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from spacy.tokens import Doc, Span
from support import TEXTS

import edspipe
import edspipe.pipes as eds
from edspipe import atomic
from edspipe.training.callbacks.callback import Callback
from edspipe.training.data import TrainingData
from edspipe.training.finishing import Finished
from edspipe.training.trainer import train

QUIET: dict[str, Any] = {"loggers": ["jsonl"], "progress": False, "report": False, "ci": None}


def train_shortly(
    nlp: edspipe.Pipeline, data: Any, folder: Path, val: Any = None, **settings: Any
) -> Finished:
    """Train without noise, four steps unless something else is asked for."""
    length = {} if "max_epochs" in settings else {"max_steps": 4}
    return train(nlp, data, val, output_dir=folder, **{**QUIET, **length, **settings})


def train_again(nlps: Any, folder: Path, **settings: Any) -> Any:
    """Train as the fixture `finished` was, but for some settings."""
    nlp = nlps(labels=None)
    docs = unequal_docs(nlp, 3)
    given = {"max_steps": 6, "evaluate_every": 3, "checkpoint_every": 3, "keep_checkpoints": None}
    if "max_epochs" in settings:
        given.pop("max_steps")
    data = settings.pop("data", None) or data_of(nlp, 7, sub_batch_size="2 splits")
    return train_shortly(nlp, data, folder, docs, **{**given, "lr": 3e-3, **settings})


def unequal_docs(
    nlp: edspipe.Pipeline, number: int = 6, labels: str = "AB", *, with_empty: bool = False
) -> list[Doc]:
    """Make documents of 3 words and more, each longer than the one before, with entities of all
    labels, some of which overlap; an empty one may stand in the middle."""
    words = " ".join(TEXTS).split()
    docs = [nlp.make_doc(" ".join(words[i : 2 * i + 3])) for i in range(number)]
    if with_empty:
        docs.insert(number // 2, nlp.make_doc(""))
    for index, doc in enumerate(docs):
        doc._.note_id = f"note-{index}"
        doc.spans["gold-ner"] = [
            Span(doc, start, min(start + 1 + index % 2, len(doc)), label)
            for start, label in zip(range(len(doc)), labels, strict=False)
        ]
    return docs


def data_of(nlp: edspipe.Pipeline, number: int = 6, **options: Any) -> TrainingData:
    """Return training data of such documents, two a batch."""
    return TrainingData(unequal_docs(nlp, number), **{"batch_size": "2 docs", **options})  # type: ignore[arg-type]


def two_pipes(encoder_dir: Path, labels: Sequence[str] | None = ("A", "B")) -> edspipe.Pipeline:
    """Build two `eds.ner_crf`, `first` and `second`, on one encoder; their gold entities are in
    `gold-first` and `gold-second`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp = edspipe.blank("eds")
        encoder = eds.transformer(model=str(encoder_dir), window=32, stride=24)
        for name in ("first", "second"):
            pipe = eds.ner_crf(
                embedding=encoder,
                mode="joint",
                labels=None if labels is None else list(labels),
                target_span_getter=f"gold-{name}",
            )
            nlp.add_pipe(pipe, name=name)
    return nlp


def docs_for_two(nlp: edspipe.Pipeline, number: int = 6, labels: str = "AB") -> list[Doc]:
    """Make documents with gold entities for both pipes of `two_pipes`."""
    docs = unequal_docs(nlp, number, labels)
    for doc in docs:
        spans = list(doc.spans["gold-ner"])
        doc.spans["gold-first"], doc.spans["gold-second"] = spans, spans[:1]
    return docs


def without_dropout(nlp: edspipe.Pipeline) -> edspipe.Pipeline:
    """Set the share of all dropout to 0, also inside the encoder; return the pipeline."""
    for _, component in nlp.torch_components():
        for module in component.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    return nlp


def weights_of(nlp: edspipe.Pipeline) -> dict[str, torch.Tensor]:
    """Return copies of all parameters."""
    return {name: p.detach().clone() for name, p in nlp.named_parameters()}


def same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors have the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def records_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    """Read the lines of `metrics.jsonl` of one split."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["split"] == split]


def losses_of(folder: Path) -> list[tuple[int, str]]:
    """Return step and loss, every bit of it, of each step."""
    return [(record["step"], record["loss"].hex()) for record in records_of(folder)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Watch(Callback):
    """Calls functions at hooks: `Watch(on_step=lambda run: ...)`."""

    def __init__(self, **hooks: Any) -> None:
        for hook, function in hooks.items():
            setattr(self, hook, function)


@contextmanager
def not_forced_to_disk() -> Iterator[None]:
    """Inside, files are not forced to the disk, which takes most of the time of a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(atomic.FS), "fsync", lambda self, path: None)
        yield
