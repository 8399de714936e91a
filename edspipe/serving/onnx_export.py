"""Document classifiers as ONNX files, compared with the pipe before they are there."""

from __future__ import annotations

import contextlib
import copy
import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc

from edspipe import atomic
from edspipe.errors import CheckpointError, ConfigError
from edspipe.optional import require
from edspipe.pipeline.loading import load
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.torch_component import evaluating
from edspipe.pipes.trainable.doc_classifier import DocClassifier
from edspipe.pipes.trainable.embeddings.transformer import Transformer
from edspipe.serving.graph import ClassifierGraph, find_classifier
from edspipe.serving.onnx_runtime import (
    FORMAT,
    GRAPH,
    SETTINGS,
    TOKENIZER,
    DocReader,
    OnnxClassifier,
)
from edspipe.serving.windows_table import Reading, graph_inputs
from edspipe.version import __version__

OPSET = 18
"""The first operator set that can take the maximum of what is scattered."""
MAX_FILE_BYTES = 1_900_000_000
"""A protobuf file holds 2 GiB; the weights of larger models stand in a file beside."""
OUTPUTS = ("logits", "probabilities")
WORDS = ("the", "patient", "has", "no", "fever", "cough", "3", "days", ",", "pain", "été", ".\n")
"""Made-up texts are drawn from these."""
AXES: dict[str, tuple[str, ...]] = {
    "input_ids": ("windows", "width"),
    "attention_mask": ("windows", "width"),
    "windows": ("windows",),
    "num_windows": ("documents",),
    "cells": ("pairs",),
    "owners": ("pairs",),
    "num_pieces": ("tokens",),
    "words": ("words",),
    "docs": ("words",),
    "num_words": ("documents",),
    "num_tokens": ("documents",),
    "numbers": ("documents",),
}
"""What the graph takes, as of `graph_inputs`, and the names of the axes that may have any size."""


@dataclass(frozen=True)
class OnnxExport:
    """What was exported, and how near it is to the pipe.

    Attributes:
        folder: The folder.
        labels: The labels.
        opset: The operator set of the graph.
        num_docs: Made-up documents that both were compared on.
        max_difference: The largest difference of their probabilities.
        tolerance: The largest one that was allowed.
    """

    folder: Path
    labels: list[str]
    opset: int
    num_docs: int
    max_difference: float
    tolerance: float

    def __str__(self) -> str:
        return (
            f"{self.folder}: {len(self.labels)} labels, opset {self.opset}; probabilities of "
            f"{self.num_docs} made-up documents differ by {self.max_difference:.1e} at most "
            f"(tolerance {self.tolerance:.0e}), and labels are the same"
        )


def export_onnx(
    nlp: Pipeline | str | Path,
    output: str | Path,
    *,
    pipe: str | None = None,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> OnnxExport:
    """Write an `eds.doc_classifier` on an `eds.transformer` as an ONNX graph.

    The folder holds `model.onnx`, from windows of pieces to logits and probabilities (correction
    and temperature are part of it), `classifier.json` (labels, thresholds, how texts are cut, what
    the graph takes, and how near it came to the pipe) and the `tokenizer`. Windows, pieces, words
    and documents may be any number. `OnnxClassifier` runs it.

    It is first run on made-up documents, from no word to several windows, alone and together. If a
    probability or a label is another than the pipe's, nothing is written.

    Args:
        nlp: The pipeline, or the folder of a saved one.
        output: The folder to write.
        pipe: Which classifier; None takes the only one.
        tolerance: The largest difference of probabilities that is allowed.
        overwrite: Replace the folder if it is there.

    Raises:
        ConfigError: There is no such pipe, it has no labels, or stands on something else.
        CheckpointError: The graph gives other results than the pipe.
        FileExistsError: The folder is not empty, and `overwrite` is False.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    for library in ("onnx", "onnxscript", "onnxruntime"):
        require(library, "export", "exporting to ONNX")
    nlp = nlp if isinstance(nlp, Pipeline) else load(nlp)
    classifier = find_classifier(nlp, pipe)
    transformer = _encoder_of(classifier)
    docs = made_up_docs(nlp, classifier, transformer.window)
    output = Path(output)
    with atomic.write_folder(output, overwrite=overwrite) as folder, evaluating(classifier):
        transformer.tokenizer.save_pretrained(folder / TOKENIZER)
        settings = settings_of(nlp, classifier, transformer)
        reader = DocReader(settings, folder / TOKENIZER / "tokenizer.json")
        example = graph_inputs([reader(doc) for doc in docs[1:]], reader.reading)
        write_graph(ClassifierGraph(classifier), example, folder / GRAPH)
        atomic.write_json(folder / SETTINGS, settings)
        difference = _compare(classifier, OnnxClassifier(folder), docs, tolerance, output)
        found = OnnxExport(output, classifier.labels, OPSET, len(docs), difference, tolerance)
        parity = {k: v for k, v in asdict(found).items() if k not in ("folder", "labels", "opset")}
        atomic.write_json(folder / SETTINGS, {**settings, "parity": parity})
    return found


def _encoder_of(pipe: DocClassifier) -> Transformer:
    if not isinstance(pipe.embedding, Transformer):
        raise ConfigError(
            f"{pipe.name}.embedding: expected eds.transformer, with nothing on it, got "
            f"{type(pipe.embedding).__name__}; only that can be exported to ONNX"
        )
    return pipe.embedding


def settings_of(nlp: Any, pipe: DocClassifier, transformer: Transformer) -> dict[str, Any]:
    """Return what stands beside the graph, plain data."""
    return {
        "format": FORMAT,
        "edspipe": __version__,
        "opset": OPSET,
        "inputs": AXES,
        "outputs": list(OUTPUTS),
        "labels": pipe.labels,
        "mode": pipe.mode,
        "thresholds": pipe.thresholds,
        "temperature": pipe.temperature,
        "correct_pos_weight": pipe.correct_pos_weight,
        "pos_weight": pipe.pos_weights,
        "pooling": pipe.pooling.mode,
        "features": pipe.features.get_state(),
        "max_length": pipe.words.max_length,
        "lang": nlp.lang,
        "reading": asdict(Reading.of(transformer)),
    }


# The graph


def write_graph(graph: ClassifierGraph, example: dict[str, np.ndarray], file: Path) -> None:
    """Write a classifier as an ONNX file.

    Args:
        graph: The classifier, in evaluation mode.
        example: Inputs with two or more of everything.
        file: Where it goes.

    Raises:
        ConfigError: The encoder has something that cannot be written.
    """
    if any(p.device.type != "cpu" for p in graph.parameters()):
        graph = copy.deepcopy(graph).to("cpu")
    size = sum(p.numel() * p.element_size() for p in graph.parameters())
    tensors = {name: torch.from_numpy(example[name]) for name in AXES}
    shapes = {name: dict(enumerate(axes)) for name, axes in AXES.items()}
    try:
        with _quiet_export():
            torch.onnx.export(
                graph.eval(),
                (),
                file,
                kwargs={"batch": tensors},
                input_names=list(AXES),
                output_names=list(OUTPUTS),
                dynamic_shapes={"batch": shapes},
                opset_version=OPSET,
                dynamo=True,
                external_data=size > MAX_FILE_BYTES,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        cause = error.__cause__ or error
        encoder = type(graph.encoder.transformer.encoder).__name__
        raise ConfigError(
            f"the encoder {encoder} cannot be exported to ONNX: {str(cause).strip()[:500]}"
        ) from error


@contextlib.contextmanager
def _quiet_export() -> Iterator[None]:
    """Silence what the exporter says of its own rooms: names of axes, libraries it looks for."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# Is it the same?


def made_up_docs(nlp: Any, pipe: DocClassifier, window: int) -> list[Doc]:
    """Make documents of no word, one, about one window, and several windows.

    Args:
        nlp: The pipeline.
        pipe: Its features are given numbers too, and some are missing.
        window: Pieces a window.
    """
    draw = random.Random(0)
    sizes = [0, 1, 3, max(4, window // 3), window, 3 * window, 5 * window // 2]
    texts = [" ".join(draw.choices(WORDS, k=size)) for size in sizes]
    docs = [nlp.make_doc(text) for text in texts]
    for i, doc in enumerate(docs):
        for j, name in enumerate(pipe.features.attributes):
            name = name.removeprefix("_.")
            if Doc.has_extension(name) and Doc.get_extension(name)[1] is None and i != j:
                doc._.set(name, draw.uniform(-1, 60))
    return docs


def _compare(
    pipe: DocClassifier,
    exported: OnnxClassifier,
    docs: Sequence[Doc],
    tolerance: float,
    output: Path,
) -> float:
    """Return the largest difference of probabilities, of documents alone and together.

    Raises:
        CheckpointError: It is above the tolerance, or a label is another one.
    """
    gaps: list[float] = []
    num_other = 0
    alone = [exported.predict([doc])[0] for doc in docs]
    together = exported.predict(docs)
    for doc, predictions in zip(docs, zip(alone, together, strict=True), strict=True):
        pipe.batch_process([doc])
        for found in predictions:
            gaps += [abs(p - doc.cats[label]) for label, p in found.probabilities.items()]
            num_other += found.labels != doc._.get(pipe.label_attribute)
    difference = float(np.max(gaps))  # NaN, where one is; max() would pass it over
    if not difference <= tolerance or num_other:
        raise CheckpointError(
            f"{output}: nothing was written, as the ONNX graph is not the pipe '{pipe.name}': "
            f"probabilities of made-up documents differ by {difference:.1e}, where tolerance="
            f"{tolerance:.0e} is allowed, and {num_other} of {2 * len(docs)} have other labels"
        )
    return difference
