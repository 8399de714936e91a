"""Which words speak for a label of a document: integrated gradients.

Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017: the gradient of the
label's log-odds, averaged over the way from a baseline (each piece of the text replaced by one that
says nothing) to the text, times the difference of both, in the encoder's input embeddings. The
numbers of all pieces add up to what the text changes in the log-odds; whether they do is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from loguru import logger
from spacy.tokens import Doc
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from edspipe.errors import ConfigError, did_you_mean
from edspipe.pipeline.torch_component import evaluating
from edspipe.pipes.trainable.doc_classifier import DocClassifier
from edspipe.pipes.trainable.embeddings.transformer import Transformer
from edspipe.serving.graph import ClassifierGraph, find_classifier, find_transformer
from edspipe.serving.windows_table import ReadDoc, Reading, graph_inputs, lay_out_cells
from edspipe.viz.attributions import Attributions

Baseline = Literal["pad", "mask", "zero"]

TOLERANCE = 0.01
"""Share of the difference of log-odds that attributions may miss."""
LEAST_ERROR = 1e-3
"""What they may miss in any case: fp32 rounds."""
MAX_TIMES = 16
"""Steps are doubled until they suffice, up to so many times as many."""
MAX_CELLS = 4096
"""Cells whose activations are kept at once; those of longer documents are computed twice."""


def explain(
    nlp: Any,
    note: str | Doc,
    label: str,
    *,
    pipe: str | None = None,
    num_steps: int = 50,
    baseline: Baseline = "pad",
) -> Attributions:
    """Say what each token of a document adds to the log-odds of a label.

    Specials, positions and features beside the text are the same in text and baseline. A token has
    the sum of its pieces, over all windows that hold them; tokens that share a piece have equal
    parts of it.

    Args:
        nlp: A pipeline with an `eds.doc_classifier` on an `eds.transformer`, alone or below others.
        note: A text, which is cut into words and nothing else, or a Doc, which is not changed.
        label: The label.
        pipe: Which classifier; None takes the only one.
        num_steps: Points at which the gradient is taken (Gauss-Legendre); doubled, with no more
            than 16 times as many, until attributions add up.
        baseline: What a piece is replaced by: `"pad"` or `"mask"`, pieces of the tokenizer, or
            `"zero"`, a vector of zeros.

    Raises:
        ConfigError: There is no such classifier or label, the tokenizer has no such piece, or
            there are no steps.
    """
    classifier = find_classifier(nlp, pipe)
    transformer = find_transformer(classifier)
    if label not in classifier.labels:
        hint = did_you_mean(label, classifier.labels)
        raise ConfigError(f"label: {classifier.name} has no label '{label}'.{hint}")
    if num_steps < 1:
        raise ConfigError(f"num_steps: expected 1 or more, got {num_steps}")
    doc = nlp.make_doc(note) if isinstance(note, str) else note
    read = read_doc(classifier, transformer, doc)
    with evaluating(classifier), torch.inference_mode(False), torch.enable_grad():
        way = _Way(classifier, transformer, read, label, baseline)
        pieces, num_steps, error, allowed = _integrate(way, num_steps)
        row = way.probabilities()
    values, rest = to_tokens(pieces, read, len(doc))
    return Attributions(
        label=label,
        tokens=[token.text for token in doc],
        blanks=[token.whitespace_ for token in doc],
        values=values,
        rest=rest,
        num_read=len(read.num_owned),
        probability=row[classifier.labels.index(label)],
        threshold=None if classifier.mode == "single_label" else classifier.thresholds[label],
        has_label=label in classifier.decide(row),
        log_odds=way.at_text,
        baseline_log_odds=way.at_baseline,
        baseline=baseline,
        num_steps=num_steps,
        error=error,
        allowed_error=allowed,
    )


def read_doc(pipe: DocClassifier, transformer: Transformer, doc: Doc) -> ReadDoc:
    """Read a document as the pipe does."""
    words, num_tokens, _ = pipe.words.read(doc)
    found = transformer.read(doc, [doc[:num_tokens]], ())
    numbers = pipe.features.read(doc)
    return ReadDoc(found["pieces"][0], found["owned"][0], found["num_owned"][0], words, numbers)


def to_tokens(pieces: np.ndarray, read: ReadDoc, num_tokens: int) -> tuple[np.ndarray, float]:
    """Add pieces up to tokens.

    Args:
        pieces: The number of each piece. *Shape* `(pieces,)`
        read: Says which token owns which.
        num_tokens: Tokens of the document; those that are not read have 0.

    Returns:
        The number of each token, *Shape* `(tokens,)`, and the sum of pieces without a token.
    """
    num_owners = np.bincount(read.owned, minlength=len(pieces))
    owners = np.repeat(np.arange(len(read.num_owned)), read.num_owned)
    parts = pieces[read.owned] / num_owners[read.owned]
    return np.bincount(owners, parts, minlength=num_tokens), float(pieces[num_owners == 0].sum())


def _integrate(way: _Way, num_steps: int) -> tuple[np.ndarray, int, float, float]:
    """Return numbers of pieces, the steps that were needed, the error, and the allowed one."""
    target = way.at_text - way.at_baseline
    allowed = TOLERANCE * abs(target) + LEAST_ERROR
    limit = MAX_TIMES * num_steps
    while True:
        pieces = way.integrate(num_steps)
        error = float(pieces.sum()) - target
        if abs(error) <= allowed:
            break
        if 2 * num_steps > limit:
            logger.warning(
                "attributions add up to within {:.1e} of the difference of log-odds only, where "
                "{:.1e} is expected, after {} steps",
                abs(error),
                allowed,
                num_steps,
            )
            break
        num_steps *= 2
    return pieces, num_steps, error, allowed


class _Way:
    """The straight way from the baseline to the text, in input embeddings.

    Attributes:
        at_text: The log-odds of the text.
        at_baseline: Those of the baseline.
    """

    def __init__(
        self,
        pipe: DocClassifier,
        transformer: Transformer,
        read: ReadDoc,
        label: str,
        baseline: Baseline,
    ) -> None:
        reading = Reading.of(transformer)
        self.graph = ClassifierGraph(pipe)
        self.label = pipe.labels.index(label)
        self.cells = lay_out_cells([read.pieces], reading).pieces
        self.num_pieces = len(read.pieces)
        inputs = graph_inputs([read], reading)
        self.batch: dict[str, Any] = {
            name: torch.from_numpy(array).to(pipe.device) for name, array in inputs.items()
        }
        self.batch["sizes"] = (len(read.num_owned),)
        self.layer = transformer.encoder.get_input_embeddings()
        with torch.no_grad():
            ids = self.batch["input_ids"]
            is_piece = torch.from_numpy(self.cells >= 0).to(ids.device)
            self.start = self._baseline(transformer, baseline, ids, is_piece)
            self.change = self.layer(ids) - self.start
            self.at_text = float(self._log_odds(self.start + self.change))
            self.at_baseline = float(self._log_odds(self.start))

    def _baseline(
        self, transformer: Transformer, kind: Baseline, ids: Tensor, is_piece: Tensor
    ) -> Tensor:
        if kind == "zero":
            return self.layer(ids).masked_fill(is_piece.unsqueeze(-1), 0.0)
        if kind not in ("pad", "mask"):
            raise ConfigError(f"baseline: expected 'pad', 'mask' or 'zero', got {kind!r}")
        piece = getattr(transformer.tokenizer, f"{kind}_token_id")
        if piece is None:
            raise ConfigError(f"baseline: the tokenizer has no {kind} piece; take 'zero'")
        return self.layer(ids.masked_fill(is_piece, piece))

    def probabilities(self) -> list[float]:
        """Return the probabilities of all labels of the text."""
        with torch.no_grad():
            return self._score(self.start + self.change)[1][0].tolist()

    def integrate(self, num_steps: int) -> np.ndarray:
        """Return what each piece adds. *Shape* `(pieces,)`"""
        nodes, weights = np.polynomial.legendre.leggauss(num_steps)
        total = torch.zeros_like(self.change, dtype=torch.float64)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            point = (self.start + float(node) * self.change).requires_grad_()
            (gradient,) = torch.autograd.grad(self._log_odds(point), point)
            total += float(weight) * gradient.double()
        cells = (total * self.change.double()).sum(-1).cpu().numpy()
        of_text = self.cells >= 0
        return np.bincount(self.cells[of_text], cells[of_text], minlength=self.num_pieces)

    def _log_odds(self, point: Tensor) -> Tensor:
        return self.graph.log_odds(self._score(point)[0][0], self.label)

    def _score(self, point: Tensor) -> tuple[Tensor, Tensor]:
        rows = max(1, MAX_CELLS // point.shape[1])
        parts = zip(
            point.split(rows),
            self.batch["input_ids"].split(rows),
            self.batch["attention_mask"].split(rows),
            strict=True,
        )
        encode = self._encode
        if point.requires_grad and point.shape[0] > rows:
            encode = partial(checkpoint, self._encode, use_reentrant=False)
        vectors = torch.cat([encode(*part) for part in parts])
        return self.graph({**self.batch, "vectors": vectors})

    def _encode(self, point: Tensor, ids: Tensor, used: Tensor) -> Tensor:
        with _replaced(self.layer, point):
            return self.graph.encoder.cells(ids, used)


@contextmanager
def _replaced(layer: torch.nn.Module, output: Tensor) -> Iterator[None]:
    """Inside, a layer returns a given output, whatever comes in."""
    handle = layer.register_forward_hook(lambda *_: output)
    try:
        yield
    finally:
        handle.remove()
