"""Words to documents: pooling of words that stand flat, and heads that score documents.

Letters: W words of all documents, P words that are pooled, N documents, D size of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edspipe.errors import ConfigError

DocPoolingMode = Literal["mean", "max", "attention", "cls"]


class DocPooling(torch.nn.Module):
    """Makes one vector of those of each document, e.g. of its words; without any it is zero.

    There is no padding, so a document's vector does not depend on the others of its batch.

    Args:
        mode: `"mean"`, `"max"`, or `"attention"`: a mean whose weights are a softmax, over the
            words of the document, of products with a learned vector (Yang et al. 2016, without
            their hidden layer). It begins as the mean. `"cls"` is for vectors of documents, one
            each: it leaves them as they are.
        size: Size of the vectors.
    """

    def __init__(self, mode: DocPoolingMode, size: int) -> None:
        super().__init__()
        self.mode = mode
        if mode == "attention":
            self.query_D = torch.nn.Parameter(torch.zeros(size))

    def forward(self, vectors_WD: Tensor, word_P: Tensor, first_N: Tensor, doc_P: Tensor) -> Tensor:
        """Pool, in fp32.

        Args:
            vectors_WD: Vectors of all words. *Shape* `(W, D)`
            word_P: Which of them are pooled, document by document. *Shape* `(P,)`
            first_N: Where each document begins in `word_P`. *Shape* `(N,)`
            doc_P: The document of each. *Shape* `(P,)`

        Returns:
            *Shape* `(N, D)`
        """
        vectors_WD = vectors_WD.float()
        if not len(vectors_WD):  # a bag of nothing cannot be taken from nothing
            return vectors_WD.new_zeros(len(first_N), vectors_WD.shape[1])
        if self.mode != "attention":
            mode = "mean" if self.mode == "cls" else self.mode
            return F.embedding_bag(word_P, vectors_WD, first_N, mode=mode)
        scores_P = (vectors_WD @ self.query_D.float()).index_select(0, word_P).float()
        weights_P = segment_softmax(scores_P, doc_P, len(first_N))
        return F.embedding_bag(
            word_P, vectors_WD, first_N, mode="sum", per_sample_weights=weights_P
        )


def flat_words(
    words: Sequence[np.ndarray], num_tokens: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where words of documents stand among all tokens of a batch.

    Args:
        words: The places of words in each document.
        num_tokens: How many tokens each document has.

    Returns:
        Places in the batch, *Shape* `(P,)`; where each document begins in them, *Shape* `(N,)`;
        the document of each, *Shape* `(P,)`.
    """
    starts = np.cumsum([0, *num_tokens])
    places = [part + start for part, start in zip(words, starts, strict=False)]
    sizes = np.array([len(part) for part in words])
    return (
        torch.from_numpy(np.concatenate(places).astype(np.int64)),
        torch.from_numpy(np.cumsum(sizes) - sizes),
        torch.from_numpy(np.repeat(np.arange(len(words)), sizes)),
    )


def segment_softmax(scores: Tensor, segments: Tensor, num_segments: int) -> Tensor:
    """Compute a softmax within each segment.

    Args:
        scores: *Shape* `(P,)`
        segments: The segment of each score. *Shape* `(P,)`
        num_segments: How many there are; some may be empty.

    Returns:
        Weights that add up to 1 in each segment. *Shape* `(P,)`
    """
    lowest = scores.new_full((num_segments,), -torch.inf)
    highest = lowest.scatter_reduce(0, segments, scores.detach(), "amax")
    exponentials = torch.exp(scores - highest.index_select(0, segments))
    sums = exponentials.new_zeros(num_segments).index_add(0, segments, exponentials)
    return exponentials / sums.index_select(0, segments)


def check_hidden_size(name: str, head: str, hidden_size: int | None) -> None:
    """Refuse a hidden size that a head cannot have.

    Args:
        name: The argument, for the message.
        head: `"linear"` or `"mlp"`.
        hidden_size: The size; None is left to the head.

    Raises:
        ConfigError: It is below 1, or the head has no hidden layer.
    """
    if hidden_size is not None and (head == "linear" or hidden_size < 1):
        raise ConfigError(
            f"{name}: expected a size from 1 up, of head='mlp', got {hidden_size} for head='{head}'"
        )


class DocHead(torch.nn.Module):
    """Scores documents: a linear layer, or two with a GELU and dropout between them.

    Args:
        input_size: Size of the vectors.
        hidden_size: Size between the layers; None makes it one linear layer.
        dropout: Share of the hidden values that is dropped in training.

    It has no labels before `set_rows`.
    """

    def __init__(self, input_size: int, hidden_size: int | None, dropout: float) -> None:
        super().__init__()
        self.hidden: torch.nn.Module = torch.nn.Identity()
        if hidden_size is not None:
            self.hidden = torch.nn.Sequential(
                torch.nn.Linear(input_size, hidden_size),
                torch.nn.GELU(),
                torch.nn.Dropout(dropout),
            )
        self.last_size = hidden_size or input_size
        self.output: torch.nn.Linear | None = None

    @torch.no_grad()
    def set_rows(self, num_labels: int, new: Tensor, old: Tensor) -> None:
        """Make room for a number of labels; rows `new` take what rows `old` had."""
        before = self.output
        output = torch.nn.Linear(self.last_size, num_labels)
        if before is not None:
            output.to(before.weight.device)
            output.weight[new] = before.weight[old]
            output.bias[new] = before.bias[old]
        self.output = output

    def forward(self, vectors: Tensor) -> Tensor:
        """Score.

        Returns:
            Logits. *Shape* `(documents, labels)`
        """
        assert self.output is not None
        return self.output(self.hidden(vectors))
