"""A document classifier as one graph of fixed operations, for export and for gradients.

The pipe pools with bags, whose sizes are looked at; here pieces, words and documents are summed by
index. Letters: C cells, Q pairs of a piece and its word, T tokens, P words, N documents, D size of
a vector, L labels.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from edspipe.errors import ConfigError, did_you_mean
from edspipe.pipes.trainable.doc_classifier import DocClassifier
from edspipe.pipes.trainable.embeddings.base import ContextualEmbedding, WordEmbedding
from edspipe.pipes.trainable.embeddings.transformer import Transformer
from edspipe.pipes.trainable.layers.doc_pooling import DocPooling, segment_softmax
from edspipe.pipes.trainable.layers.label_loss import label_probabilities


def find_classifier(nlp: Any, pipe: str | None = None) -> DocClassifier:
    """Return a document classifier of a pipeline.

    Args:
        nlp: The pipeline.
        pipe: Its name; None takes the only one.

    Raises:
        ConfigError: There is none, or there are several, or it has no labels yet.
    """
    found = {name: x for name, x in nlp.pipes if isinstance(x, DocClassifier)}
    if pipe is None and len(found) != 1:
        names = ", ".join(found) or "none"
        raise ConfigError(
            f"pipe: expected one document classifier in the pipeline, found {names}; say which "
            "with pipe="
            if found
            else f"pipe: expected a document classifier in the pipeline, found {names}"
        )
    name = next(iter(found)) if pipe is None else pipe
    if name not in found:
        raise ConfigError(
            f"pipe: there is no document classifier '{name}' in the pipeline."
            f"{did_you_mean(name, found)}"
        )
    if not found[name].labels:
        raise ConfigError(f"{name} has no labels yet: train it first")
    return found[name]


def find_transformer(pipe: DocClassifier) -> Transformer:
    """Return the encoder that a classifier stands on, maybe below others.

    Raises:
        ConfigError: It stands on something else.
    """
    embedding: WordEmbedding = pipe.embedding
    while isinstance(embedding, ContextualEmbedding):
        embedding = embedding.embedding
    if not isinstance(embedding, Transformer):
        raise ConfigError(
            f"{pipe.name}.embedding: expected eds.transformer, alone or below others, got "
            f"{type(embedding).__name__}"
        )
    return embedding


def on_other_encoder(embedding: WordEmbedding, bottom: torch.nn.Module) -> Any:
    """Return an embedding with another module in the place of its encoder; weights are shared.

    Args:
        embedding: The encoder, or what stands on it.
        bottom: What stands in for the encoder.
    """
    if not isinstance(embedding, ContextualEmbedding):
        return bottom
    changed = copy.copy(embedding)
    changed._modules = dict(embedding._modules)
    changed._modules["embedding"] = on_other_encoder(embedding.embedding, bottom)
    return changed


def nested_batch(embedding: WordEmbedding, batch: Any) -> Any:
    """Return a batch for an encoder as one for what stands on it."""
    if not isinstance(embedding, ContextualEmbedding):
        return batch
    return {"embedding": nested_batch(embedding.embedding, batch)}


class TableEncoder(torch.nn.Module):
    """An encoder over one table of windows, whose cells are then pooled to tokens.

    Args:
        transformer: The encoder.
    """

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self.transformer = transformer

    def cells(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute vectors of cells. *Shape* `(windows, width, D)`"""
        pooling = self.transformer.pooling
        # Not called, as an encoder that was to be compiled cannot be traced.
        return pooling(
            self.transformer.encoder.forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                output_hidden_states=pooling.needs_all,
            )
        )

    def tokens(self, vectors_CD: Tensor, cells: Tensor, owners: Tensor, sizes: Tensor) -> Tensor:
        """Average the pieces of each token; one without pieces has a learned vector.

        Args:
            vectors_CD: Vectors of cells. *Shape* `(C, D)`
            cells: The cell of each pair. *Shape* `(Q,)`
            owners: The token of each pair. *Shape* `(Q,)`
            sizes: Pieces of each token. *Shape* `(T,)`

        Returns:
            *Shape* `(T, D)`
        """
        return self._means(vectors_CD.index_select(0, cells), owners, sizes)

    def _means(self, vectors: Tensor, segments: Tensor, sizes: Tensor) -> Tensor:
        means = segment_mean(vectors, segments, sizes)
        return torch.where((sizes == 0).unsqueeze(1), self.transformer.empty_word, means)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Compute the vectors of tokens.

        Args:
            batch: As of `ClassifierGraph`.

        Returns:
            As of embeddings; `cls`, of each document the mean over its windows of their first
            cell, *Shape* `(N, D)`.
        """
        vectors = batch.get("vectors")
        if vectors is None:
            vectors = self.cells(batch["input_ids"], batch["attention_mask"])
        tokens = self.tokens(
            vectors.flatten(0, 1), batch["cells"], batch["owners"], batch["num_pieces"]
        )
        return {
            "embeddings": tokens,
            "cls": self._means(vectors[:, 0], batch["windows"], batch["num_windows"]),
            "lengths": batch["num_tokens"],
            # On the host they would be those of the example: what needs them is not exported.
            "sizes": batch.get("sizes", ()),
        }


class ClassifierGraph(torch.nn.Module):
    """A document classifier from a table of windows to logits and probabilities.

    Args:
        pipe: The classifier.

    Raises:
        ConfigError: It stands on no `eds.transformer`.
    """

    weight_L: Tensor | None

    def __init__(self, pipe: DocClassifier) -> None:
        super().__init__()
        self.encoder = TableEncoder(find_transformer(pipe))
        self.embedding = on_other_encoder(pipe.embedding, self.encoder)
        self.pooling, self.head = pipe.pooling, pipe.head
        self.register_buffer("weight_L", pipe.weight_L if pipe.correct_pos_weight else None)
        self.temperature = pipe.temperature
        self.only_one = pipe.mode == "single_label"

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Score documents.

        Args:
            batch: As of `graph_inputs`, as tensors; `vectors`, those of the cells, where they are
                known already; and `sizes`, tokens by document, as a tuple.

        Returns:
            Logits and probabilities. *Shape* `(N, L)` each.
        """
        below = self.embedding(nested_batch(self.embedding, batch))
        if self.pooling.mode == "cls":
            pooled = below["cls"].float() * (batch["num_words"] > 0).unsqueeze(1)
        else:
            words = below["embeddings"].float().index_select(0, batch["words"])
            pooled = pool_documents(self.pooling, words, batch["docs"], batch["num_words"])
        logits = self.head(torch.cat([pooled, batch["numbers"]], dim=1))
        found = label_probabilities(logits, self.weight_L, self.temperature, only_one=self.only_one)
        return logits, found

    def log_odds(self, logits_L: Tensor, label: int) -> Tensor:
        """Return the logarithm of p / (1 - p) of a label, where p is its probability.

        Args:
            logits_L: Those of one document, as `forward` gives them. *Shape* `(L,)`
            label: The number of the label.

        Returns:
            A scalar; the logit itself for an only label, whose probability is always 1.
        """
        if self.weight_L is not None:
            logits_L = logits_L - self.weight_L.log()
        logits_L = logits_L / self.temperature
        others = torch.cat([logits_L[:label], logits_L[label + 1 :]])
        if not self.only_one or not others.shape[0]:
            return logits_L[label]
        return logits_L[label] - others.logsumexp(0)


def pool_documents(
    pooling: DocPooling, words_PD: Tensor, docs_P: Tensor, sizes_N: Tensor
) -> Tensor:
    """As `DocPooling`, by index.

    Args:
        pooling: How.
        words_PD: Vectors of words. *Shape* `(P, D)`
        docs_P: The document of each. *Shape* `(P,)`
        sizes_N: Words of each document. *Shape* `(N,)`

    Returns:
        *Shape* `(N, D)`; zero for a document without words.
    """
    if pooling.mode == "mean":
        return segment_mean(words_PD, docs_P, sizes_N)
    zeros = words_PD.new_zeros(sizes_N.shape[0], words_PD.shape[1])
    if pooling.mode == "attention":
        scores_P = (words_PD * pooling.query_D.float()).sum(
            1
        )  # no product of matrices, maybe empty
        weights_P = segment_softmax(scores_P, docs_P, sizes_N.shape[0])
        return zeros.index_add(0, docs_P, words_PD * weights_P.unsqueeze(1))
    places = docs_P.unsqueeze(1).expand_as(words_PD)
    highest = zeros.scatter_reduce(0, places, words_PD, "amax", include_self=False)
    return torch.where((sizes_N == 0).unsqueeze(1), zeros, highest)


def segment_mean(vectors: Tensor, segments: Tensor, sizes: Tensor) -> Tensor:
    """Average the vectors of each segment; an empty one is zero.

    Args:
        vectors: *Shape* `(Q, D)`
        segments: The segment of each. *Shape* `(Q,)`
        sizes: Vectors of each segment. *Shape* `(segments,)`

    Returns:
        *Shape* `(segments, D)`
    """
    sums = vectors.new_zeros(sizes.shape[0], vectors.shape[1]).index_add(0, segments, vectors)
    return sums / sizes.clamp(min=1).unsqueeze(1).to(sums.dtype)
