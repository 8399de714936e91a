"""Pipelines of every kind of component, and a fingerprint of what they hold and say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Doc, Span
from support import TEXTS, gold_docs, tiny_pipeline

import edspipe
import edspipe.pipes as eds


@edspipe.registry.factory.register("test.pooled")
class Pooled(edspipe.TorchComponent):
    """Pools the first words of a Doc: an embedding that is no pipe by itself, made one."""

    def __init__(self, nlp: Any = None, name: str | None = None, *, pooler: Any) -> None:
        super().__init__(nlp, name)
        self.pooler = pooler
        self.linear = torch.nn.Linear(pooler.output_size, 2)
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.rand(3))

    def preprocess(self, doc: Doc) -> dict[str, Any]:
        return {"pooler": self.pooler.preprocess(doc, spans=[doc[:2], doc[1:4]])}

    def collate(self, batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"pooler": self.pooler.collate([sample["pooler"] for sample in batch])}

    def forward(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {
            "scores": self.linear(self.pooler(batch["pooler"])["embeddings"]) * self.scale.sum()
        }


def _transformer(encoder: Path, **options: Any) -> Any:
    return eds.transformer(model=str(encoder), window=32, stride=24, **options)


def _with(*pipes: tuple[str, Any], lang: str = "eds") -> edspipe.Pipeline:
    nlp = edspipe.blank(lang)
    for name, pipe in pipes:
        nlp.add_pipe(pipe, name=name)
    return nlp


def _learned_labels(encoder: Path) -> edspipe.Pipeline:
    nlp = tiny_pipeline(encoder, labels=None, mode="marginal", dropout=0.5)
    nlp.post_init(gold_docs(nlp))
    torch.nn.init.zeros_(nlp.pipes.ner.classifier.bias)
    return nlp


def _shared(encoder: Path) -> edspipe.Pipeline:
    shared = _transformer(encoder, layers=[0, 1, 2], layer_pooling="scalar_mix")
    one = eds.ner_crf(embedding=shared, labels=["B", "A"], mode="independent")
    two = eds.ner_crf(
        embedding=eds.text_cnn(embedding=shared, kernel_sizes=[1, 4], normalize="post"),
        labels=["C"],
        window=0,
    )
    return _with(("one", one), ("two", two))


def _ruler(encoder: Path) -> edspipe.Pipeline:
    nlp = edspipe.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": "fever"}])
    return nlp


MODELS: dict[str, Callable[[Path], edspipe.Pipeline]] = {
    "ner": lambda encoder: tiny_pipeline(encoder, confidence=True),
    "learned_labels": _learned_labels,
    "shared": _shared,
    "new_tokens": lambda encoder: _with(
        (
            "ner",
            eds.ner_crf(
                embedding=_transformer(
                    encoder,
                    new_tokens=["thoracique", "amlodipine"],
                    layers=[-1, 1],
                    layer_pooling="concat",
                ),
                labels=["A"],
                learn_transitions=False,
            ),
        )
    ),
    "span_pooler": lambda encoder: _with(
        (
            "p",
            edspipe.registry.factory.get("test.pooled")(
                pooler=eds.span_pooler(embedding=_transformer(encoder), pooling_mode="max")
            ),
        ),
    ),
    "rules": lambda encoder: _with(("s", eds.sentences(punct_chars=["."])), lang="en"),
    "spacy": lambda encoder: _with(("s", "sentencizer"), lang="en"),
    "ruler": _ruler,
}
"""A pipeline for each kind of component, on a tiny encoder."""


def fingerprint(nlp: edspipe.Pipeline) -> dict[str, Any]:
    """Return what a pipeline holds and computes, each tensor by the hash of its bytes."""
    outputs: dict[str, Any] = {}
    with torch.inference_mode():
        for name, component in nlp.torch_components():
            component.eval()
            batch = component.collate([component.preprocess(nlp.make_doc(t)) for t in TEXTS])
            results = component(batch)
            outputs[name] = {key: _hash(value) for key, value in results.items()}
            below = component.child_components()
            outputs[name]["below"] = [_hash(t) for _, c in below for t in c.state_dict().values()]
    return {
        "pipes": nlp.pipe_names,
        "tensors": {
            f"{name}.{key}": _hash(tensor)
            for name, component in nlp.all_torch_components()
            for key, tensor in component.state_dict().items()
        },
        "outputs": outputs,
        "said": [_describe(doc) for doc in nlp.pipe(TEXTS, precision="fp32")],
    }


def _hash(tensor: torch.Tensor) -> str:
    data = tensor.detach().contiguous().numpy()
    return f"{data.dtype}{data.shape}{hashlib.sha256(data.tobytes()).hexdigest()[:16]}"


def _describe(doc: Doc) -> Any:
    spans = [*doc.ents, *(span for group in doc.spans.values() for span in group)]
    found = [[span.label_, span.start_char, span.end_char, _score(span)] for span in spans]
    return [*found, *(token.is_sent_start for token in doc)]


def _score(span: Span) -> Any:
    return span._.ner_confidence_score if span.has_extension("ner_confidence_score") else None
