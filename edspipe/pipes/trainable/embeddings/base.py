"""What embeddings are: components that give every word of a context a vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from spacy.tokens import Doc, Span

from edspipe.errors import ConfigError
from edspipe.pipeline.batch_cache import cache_scope
from edspipe.pipeline.torch_component import Features, TorchComponent, evaluating, to_device

EMBED_WORDS, EMBED_DOCS = 4096, 64
"""Words and Docs that `embed` computes at once: some 100 MB for a small encoder."""


class WordEmbedding(TorchComponent):
    """A component whose results hold one vector a word.

    A *context* is the text that is read at once: a Doc, or spans of it. Words of all contexts of a
    batch stand one after the other (there is no padding between pipes), with their numbers beside.

    `forward` returns

    - `embeddings`, float, *Shape* `(words, output_size)`: vectors of all words, context by context;
    - `lengths`, int64, *Shape* `(contexts,)`: how many words each context has;
    - `sizes`: the same as a tuple of Python ints. It never leaves the host, so that what stands
      above can plan shapes without waiting for a GPU;
    - `cls`, where `with_cls` is set, float, *Shape* `(contexts, output_size)`: of each context the
      mean, over the windows that it is read in, of the vectors of their first special piece.
    """

    output_size: int
    """Size of the vectors."""
    gives_cls: bool = False
    """Whether there is a vector of a special piece before the words, `[CLS]` or `<s>`."""
    with_cls: bool = False
    """Whether `forward` returns `cls`. Who needs it sets it, where `gives_cls` says that it can."""
    frozen: bool = False
    """Whether it is never trained, and stays in evaluation mode."""

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

    # ---- frozen ----------------------------------------------------------------------------

    def freeze(self) -> None:
        """Never train this embedding, nor those that it is built on, and keep them in evaluation
        mode. It may be called again, when new parameters may have come."""
        for module in self.modules():
            if isinstance(module, WordEmbedding):
                module.frozen = True
        self._keep_frozen()

    def _keep_frozen(self) -> None:
        if self.frozen:
            self.requires_grad_(False)
            self.train(False)

    def train(self, mode: bool = True) -> Any:
        """Set training mode, or evaluation mode; a frozen embedding stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def from_disk(self, path: Path, *, exclude: set[int] | None = None) -> None:
        """Read weights and tables back, which may bring new parameters; they are frozen too."""
        super().from_disk(path, exclude=exclude)
        self._keep_frozen()

    # ---- vectors of Docs -------------------------------------------------------------------

    @overload
    def embed(self, docs: Doc) -> np.ndarray: ...

    @overload
    def embed(self, docs: Iterable[Doc]) -> list[np.ndarray]: ...

    def embed(self, docs: Doc | Iterable[Doc]) -> np.ndarray | list[np.ndarray]:
        """Return the vectors of the words of one Doc, or of each of several.

        They are computed in evaluation mode, in full precision, without gradients, a bounded
        number of words at once. `eds.transformer(model=...).embed(doc)` works too, without a
        pipeline.

        Args:
            docs: A Doc, or several.

        Returns:
            float32, *Shape* `(words, output_size)`; for several Docs a list of such arrays.

        Raises:
            TypeError: Something else than a Doc came, e.g. a text.
        """
        if isinstance(docs, Doc):
            return self.embed([docs])[0]
        found: list[np.ndarray] = []
        with evaluating(self), torch.inference_mode():
            for batch in _bounded(docs):
                with cache_scope():
                    found.extend(self.embed_batch(batch))
        return found

    def embed_batch(self, docs: Sequence[Doc]) -> list[np.ndarray]:
        """As `embed`, of a few Docs at once, in the modes that are set."""
        if not docs:
            return []
        inputs = [self.preprocess(doc) for doc in docs]
        results = self(to_device(self.collate(inputs), self.device))
        words = results["embeddings"].detach().float().cpu().numpy()
        ends = np.cumsum(context_sizes(results))
        return [part.copy() for part in np.split(words, ends[:-1])]


def _bounded(docs: Iterable[Doc]) -> Iterator[list[Doc]]:
    """Group Docs, up to some number of words."""
    batch: list[Doc] = []
    num_words = 0
    for doc in docs:
        if not isinstance(doc, Doc):
            raise TypeError(
                f"embed takes Docs, got {type(doc).__name__}; nlp.make_doc(text) makes one"
            )
        if batch and (num_words + len(doc) > EMBED_WORDS or len(batch) == EMBED_DOCS):
            yield batch
            batch, num_words = [], 0
        batch.append(doc)
        num_words += len(doc)
    if batch:
        yield batch


def ask_for_cls(name: str, embedding: WordEmbedding) -> None:
    """Make an embedding return `cls`.

    Args:
        name: The argument that needs it, for the message.
        embedding: The embedding.

    Raises:
        ConfigError: It has none.
    """
    if not embedding.gives_cls:
        origin = getattr(embedding, "_origin", None)
        kind = type(embedding).__name__ if origin is None else origin.factory
        raise ConfigError(
            f"{name}: 'cls' is the vector of an encoder's first special piece, and {kind} has "
            "none. eds.transformer has one, if its tokenizer begins texts with a special piece, "
            "and if it stands here itself, below no other embedding; or take 'attention', 'mean' "
            "or 'max'"
        )
    embedding.with_cls = True


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
