"""Small classifiers that are exported and explained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import edspipe
import edspipe.pipes as eds
from edspipe.doc.attributes import declare_doc_attribute

LABELS = ["cough", "fever", "pain"]
NOTES = (
    "",
    " \n ",
    "Fever",
    "The patient has no fever, mild cough.",
    "Chest pain for 3 days.\nNo fever, no cough.  " * 9,
)


def make_classifier(
    encoder: Path,
    *,
    on_encoder: Any = None,
    num_layers: int = 2,
    layers: Sequence[int] = (-1,),
    **options: Any,
) -> edspipe.Pipeline:
    """Build a classifier with weights that make a difference, as the pipe `classifier`.

    Args:
        encoder: As `tiny_encoder` writes it.
        on_encoder: Makes another embedding of the encoder's.
        num_layers: Layers of the encoder that are kept.
        layers: Which layers are pooled.
        **options: Arguments of the classifier.
    """
    declare_doc_attribute("age")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        nlp = edspipe.blank("eds")
        embedding = eds.transformer(model=str(encoder), window=16, stride=12, layers=list(layers))
        embedding = embedding if on_encoder is None else on_encoder(embedding=embedding)
        options = {"labels": LABELS, **options}
        nlp.add_pipe(eds.doc_classifier(embedding=embedding, **options), name="classifier")
        pipe = nlp.pipes.classifier
        torch.nn.init.normal_(pipe.head.output.weight)
        if pipe.pooling.mode == "attention":
            torch.nn.init.normal_(pipe.pooling.query_D)
        if num_layers < 2:
            layers = pipe.embedding.encoder.encoder
            layers.layer = layers.layer[:num_layers]
            pipe.embedding.encoder.config.num_hidden_layers = num_layers
    nlp.train(False)
    return nlp


def make_docs(nlp: edspipe.Pipeline) -> list[Any]:
    """Make documents, some with an age."""
    docs = [nlp.make_doc(text) for text in NOTES]
    for age, doc in zip([None, 3, 40.5, None, 80], docs, strict=True):
        doc._.age = age
    return docs
