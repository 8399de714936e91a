"""Embeddings that can be frozen, and whose vectors can then be kept.

    preprocess    a Doc -> its contexts, each with the key of its content; known ones are not read
    collate       contexts, one after the other
    forward       vectors of known contexts are looked up; the others are read, and computed at once

Without a cache each step is what the embedding does itself.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from spacy.attrs import ORTH, SPACY
from spacy.tokens import Doc, Span

from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import Batch, Features, to_device
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.embeddings.cache import (
    DEFAULT_BYTES,
    DIGEST_BYTES,
    VectorCache,
    Vectors,
    joined,
)

CONTEXTS = "contexts"


class Context:
    """A context whose vectors may be known.

    It is read when its features are needed, and before it crosses to another process.

    Args:
        key: A digest of its words, the blanks behind them, and its prompt.
        num_words: Its words.
        read: Returns its features.
    """

    __slots__ = ("_features", "_read", "key", "num_words")

    def __init__(self, key: bytes, num_words: int, read: Callable[[], Features]) -> None:
        self.key, self.num_words = key, num_words
        self._read: Callable[[], Features] | None = read
        self._features: Features | None = None

    def features(self) -> Features:
        """Return the features of this context alone."""
        if self._features is None:
            assert self._read is not None
            self._features, self._read = self._read(), None
        return self._features

    def __getstate__(self) -> tuple[bytes, int, Features]:
        return self.key, self.num_words, self.features()

    def __setstate__(self, state: tuple[bytes, int, Features]) -> None:
        self.key, self.num_words, self._features = state
        self._read = None


class FreezableEmbedding(WordEmbedding):
    """An embedding whose vectors can be kept once it is frozen.

    A subclass calls `set_frozen` at the end of its constructor. Vectors of a context must not
    depend on the other contexts of its batch; `reads_exactly` says when not even by rounding.
    """

    cache: VectorCache

    # ---- what a subclass does --------------------------------------------------------------

    @abstractmethod
    def read(self, doc: Doc, spans: Sequence[Span], prompts: Sequence[str]) -> Features:
        """Turn contexts of a Doc into features, with `stats`.

        Args:
            doc: The Doc.
            spans: The contexts.
            prompts: A text a context, or none at all.
        """

    @abstractmethod
    def collate_features(self, batch: Sequence[Features]) -> Batch:
        """Turn what `read` returned into a batch, with `lengths` and `sizes`."""

    @abstractmethod
    def encode(self, batch: Batch) -> torch.Tensor:
        """Compute the vectors of the words of a batch, and with `with_cls` those of its contexts
        after them. *Shape* `(words, output_size)`, or `(words + contexts, output_size)`"""

    @abstractmethod
    def reading_settings(self) -> tuple[Any, ...]:
        """Return what vectors depend on besides text and weights; each has a telling `repr`."""

    # ---- frozen, and kept ------------------------------------------------------------------

    def set_frozen(
        self, frozen: bool, cache: str, cache_bytes: int, cache_dir: str | Path | None
    ) -> None:
        """Freeze the embedding, or not, and say where its vectors are kept.

        Raises:
            ConfigError: As of `set_cache`.
        """
        self.frozen = frozen
        self._keep_frozen()
        self.set_cache(cache, cache_bytes, cache_dir)

    def set_cache(
        self,
        cache: str = "none",
        cache_bytes: int = DEFAULT_BYTES,
        cache_dir: str | Path | None = None,
    ) -> None:
        """Say where vectors are kept from now on; those that were kept in memory are let go.

        Args:
            cache: `"none"`, `"cpu"`, `"gpu"` (where the embedding is) or `"disk"`.
            cache_bytes: Room for them, in this process or in the folder.
            cache_dir: The folder, for `"disk"`: vectors go to `edspipe-vectors` in it, which its
                owner alone may open.

        Raises:
            ConfigError: The embedding trains, or an argument is wrong.
        """
        new = VectorCache(cache, cache_bytes, cache_dir, self.name)
        if new.is_on and any(p.requires_grad for p in self.parameters()):
            raise ConfigError(
                f"cache: '{cache}' keeps the vectors of a frozen embedding, and this one trains: "
                "its vectors change with each step; set frozen=True, or cache='none'"
            )
        if "cache" in self.__dict__:
            self.cache.flush()
        self.cache = new

    @property
    def reads_exactly(self) -> bool:
        """Whether a context must get the same vectors, to the bit, whatever is in its batch.

        So it is on a CPU for what is kept, since a run that is resumed starts with an empty cache,
        and for what is trained on, so that a cache changes no result.
        """
        if self.cache.is_on:
            return self.device.type == "cpu"
        return self.frozen and not (torch.is_inference_mode_enabled() or torch.cuda.is_available())

    # ---- the steps -------------------------------------------------------------------------

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Turn a Doc into features.

        Raises:
            ValueError: There are prompts, but not one a context.
        """
        spans = [doc[:]] if contexts is None else contexts
        if prompts and len(prompts) != len(spans):
            raise ValueError(f"expected a prompt a context, got {len(prompts)} for {len(spans)}")
        if not self.cache.is_on:
            return self.read(doc, spans, prompts)
        keys = content_keys(doc, spans, prompts)
        found = [
            Context(keys[at], len(span), partial(self._read_one, doc, spans, prompts, at))
            for at, span in enumerate(spans)
        ]
        stats: Counter[str] = Counter()
        for context in found:
            stats.update(self._stats_of(context))
        return {CONTEXTS: found, "stats": dict(stats)}

    def _read_one(
        self, doc: Doc, spans: Sequence[Span], prompts: Sequence[str], at: int
    ) -> Features:
        return self.read(doc, spans[at : at + 1], prompts[at : at + 1])

    def _stats_of(self, context: Context) -> dict[str, int]:
        stats = self.cache.stats(context.key)
        if stats is None:
            stats = context.features()["stats"]
            self.cache.note_stats(context.key, stats)
        return stats

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Turn features into a batch.

        Returns:
            `lengths`, the words of each context, *Shape* `(contexts,)`; `sizes`, the same as a
            tuple of ints; and what `encode` needs, or, with a cache, `contexts`.
        """
        if not self.cache.is_on or not all(CONTEXTS in sample for sample in batch):
            return self.collate_features([one for sample in batch for one in _read(sample)])
        contexts = [context for sample in batch for context in sample[CONTEXTS]]
        sizes = tuple(context.num_words for context in contexts)
        lengths = torch.tensor(sizes, dtype=torch.int64)
        return {CONTEXTS: contexts, "lengths": lengths, "sizes": sizes}

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute, or look up, the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`; `lengths`, *Shape* `(contexts,)`;
            `sizes`, the same as a tuple of ints; and with `with_cls` `cls`, *Shape*
            `(contexts, output_size)`.

        Raises:
            ConfigError: There is a cache, and the embedding trains.
        """
        vectors = self._look_up(batch[CONTEXTS]) if CONTEXTS in batch else self.encode(batch)
        sizes = {"lengths": batch["lengths"], "sizes": batch["sizes"]}
        if not self.with_cls:
            return {"embeddings": vectors, **sizes}
        num_words = sum(batch["sizes"])
        return {"embeddings": vectors[:num_words], "cls": vectors[num_words:], **sizes}

    def _look_up(self, contexts: Sequence[Context]) -> torch.Tensor:
        if not self.cache.is_on:  # it was switched off after the batch was made
            return self._compute(contexts)
        device = self.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else "as is"
        settings = (dtype, torch.__version__, spacy.__version__, *self.reading_settings())
        if self.with_cls:
            settings += ("cls",)  # a row more a context
        kept = self.cache.vectors(self, settings)
        keys = list(dict.fromkeys(context.key for context in contexts))
        found = dict(zip(keys, kept.get(keys), strict=True))
        new: dict[bytes, Context] = {}
        for context in contexts:
            if found[context.key] is None:
                new.setdefault(context.key, context)  # the first one, which may be read already
        if new:
            found.update(self._learn(list(new.values()), kept))
        num_missed = sum(context.key in new for context in contexts)
        self.cache.count(len(contexts) - num_missed, num_missed)
        parts: list[torch.Tensor] = [found[context.key] for context in contexts]  # type: ignore[misc]
        if not parts:
            return self.empty()
        if self.with_cls:
            parts = [*(part[:-1] for part in parts), *(part[-1:] for part in parts)]
        return to_device(joined(parts), self.device)

    def _learn(self, contexts: Sequence[Context], kept: Vectors) -> dict[bytes, torch.Tensor]:
        vectors = self._compute(contexts)
        if self.cache.kind != "gpu":
            vectors = vectors.cpu()
        sizes = [context.num_words for context in contexts]
        parts = vectors[: sum(sizes)].split(sizes)
        if self.with_cls:
            rows = vectors[sum(sizes) :].split(1)
            parts = tuple(torch.cat(pair) for pair in zip(parts, rows, strict=True))
        for context, part in zip(contexts, parts, strict=True):
            kept.add(context.key, part)
        return {context.key: part for context, part in zip(contexts, parts, strict=True)}

    def _compute(self, contexts: Sequence[Context]) -> torch.Tensor:
        """Compute vectors that may be used in training, also when this is called in inference."""
        with torch.inference_mode(False), torch.no_grad():
            batch = self.collate_features([context.features() for context in contexts])
            return self.encode(to_device(batch, self.device))

    def empty(self) -> torch.Tensor:
        """Return the vectors of no words. *Shape* `(0, output_size)`"""
        return torch.zeros(0, self.output_size, device=self.device)


def _read(sample: Features) -> list[Features]:
    """Return the features of a sample, which may hold contexts that were not read."""
    return [c.features() for c in sample[CONTEXTS]] if CONTEXTS in sample else [sample]


def content_keys(doc: Doc, spans: Sequence[Span], prompts: Sequence[str]) -> list[bytes]:
    """Return a digest of the content of each context.

    spaCy knows a word by a 64-bit hash of its letters, the same in each process.

    Args:
        doc: The Doc.
        spans: The contexts.
        prompts: A text a context, or none at all.
    """
    words, blanks = doc.to_array(ORTH), doc.to_array(SPACY).astype(np.uint8)
    keys = []
    for at, span in enumerate(spans):
        digest = hashlib.blake2b(len(span).to_bytes(8, "little"), digest_size=DIGEST_BYTES)
        digest.update(words[span.start : span.end].tobytes())
        digest.update(blanks[span.start : span.end].tobytes())
        if prompts:
            digest.update(b"\xff" + prompts[at].encode("utf-8", "surrogatepass"))
        keys.append(digest.digest())
    return keys
