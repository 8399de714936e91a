"""What embeddings are: components that give every word of a context a vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.pipeline.torch_component import Features, TorchComponent


class WordEmbedding(TorchComponent):
    """A component whose results hold one vector a word.

    A *context* is the text that is read at once: a Doc, or spans of it. Words of all contexts of a
    batch stand one after the other (there is no padding between pipes), with their numbers beside.

    `forward` returns

    - `embeddings`, float, *Shape* `(words, output_size)`: vectors of all words, context by context;
    - `lengths`, int64, *Shape* `(contexts,)`: how many words each context has;
    - `sizes`: the same as a tuple of Python ints. It never leaves the host, so that what stands
      above can plan shapes without waiting for a GPU.
    """

    output_size: int
    """Size of the vectors."""

    @abstractmethod
    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Turn a Doc into features.

        Args:
            doc: The Doc.
            contexts: Spans that are read apart; None reads the whole Doc as one context.
            prompts: A text a context that is read before it (a question, the name of a label).
        """


def context_sizes(below: dict[str, Any]) -> tuple[int, ...]:
    """Return the words of each context, on the host; embeddings without `sizes` make it wait."""
    sizes = below.get("sizes")
    return tuple(below["lengths"].tolist()) if sizes is None else sizes


class ContextualEmbedding(WordEmbedding):
    """An embedding on top of another one.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: The embedding below.
    """

    def __init__(self, nlp: Any, name: str | None, embedding: WordEmbedding) -> None:
        super().__init__(nlp, name)
        self.embedding = embedding

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        if contexts is None and not prompts:
            return {"embedding": self.embedding.preprocess(doc)}
        features = self.embedding.preprocess(doc, contexts=contexts, prompts=prompts)
        return {"embedding": features}
