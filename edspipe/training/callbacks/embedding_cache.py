"""EmbeddingCache: frozen embeddings are computed once, and how often they were found is logged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from loguru import logger

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.cache import DEFAULT_BYTES
from edspipe.pipes.trainable.embeddings.freezable import FreezableEmbedding
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.unfreeze import Unfreeze

if TYPE_CHECKING:
    from edspipe.training.run import Run

WORTH_A_LINE = 0.005
"""The hit rate is logged again when it has changed by so much."""


@registry.callbacks.register("embedding_cache")
class EmbeddingCache(Callback):
    """Keeps the vectors of frozen embeddings during a training, and logs how many were found.

    Embeddings that train, or that have a cache already, are left as they are. Afterwards what was
    kept in memory is let go.

    Args:
        cache: Where they are kept, `"cpu"`, `"gpu"` or `"disk"`; None leaves all embeddings as they
            are.
        cache_bytes: Room for the vectors of each embedding.
        cache_dir: The folder, for `"disk"`.

    Raises:
        ConfigError: `unfreeze` would train an embedding whose vectors are kept.
    """

    def __init__(
        self,
        cache: str | None = "cpu",
        cache_bytes: int = DEFAULT_BYTES,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.cache, self.cache_bytes, self.cache_dir = cache, cache_bytes, cache_dir
        self._watched: list[FreezableEmbedding] = []
        self._ours: list[FreezableEmbedding] = []

    def on_start(self, run: Run) -> None:
        thawed = _later_trained(run)
        self._watched, self._ours = [], []
        for embedding in frozen_embeddings(pipe for _, pipe in run.nlp.torch_components()):
            names = [name for p in embedding.parameters() if (name := thawed.get(id(p)))]
            if embedding.cache.is_on and names:
                raise ConfigError(
                    f"unfreeze: '{names[0]}' would be trained, and vectors of '{embedding.name}' "
                    f"are kept (cache='{embedding.cache.kind}'): set cache='none', or leave it "
                    "frozen"
                )
            if self.cache is not None and not embedding.cache.is_on and not names:
                embedding.set_cache(self.cache, self.cache_bytes, self.cache_dir)
                self._ours.append(embedding)
            if embedding.cache.is_on:
                embedding.cache.reports = False
                self._watched.append(embedding)
        self._counted = [(e.cache.num_found, e.cache.num_missed) for e in self._watched]
        self._told: list[float | None] = [None] * len(self._watched)

    def on_step(self, run: Run) -> None:
        if not run.ends_epoch:
            return
        for i, embedding in enumerate(self._watched):
            cache, (found, missed) = embedding.cache, self._counted[i]
            self._counted[i] = (cache.num_found, cache.num_missed)
            found, missed = cache.num_found - found, cache.num_missed - missed
            rate, told = found / max(1, found + missed), self._told[i]
            if told is None or abs(rate - told) >= WORTH_A_LINE:
                logger.info("epoch {}: {}", run.epoch, cache.report(found, missed))
                self._told[i] = rate
            cache.flush()

    def on_end(self, run: Run) -> None:
        for embedding in self._watched:
            embedding.cache.flush()
            embedding.cache.reports = True
        for embedding in self._ours:
            embedding.set_cache("none")
        self._watched, self._ours = [], []

    def on_error(self, run: Run, error: BaseException) -> None:
        self.on_end(run)


def frozen_embeddings(pipes: Iterable[torch.nn.Module]) -> list[FreezableEmbedding]:
    """Return the embeddings in some pipes that are frozen for good, each once."""
    found = {
        id(module): module
        for pipe in pipes
        for module in pipe.modules()
        if isinstance(module, FreezableEmbedding) and module.frozen
    }
    return list(found.values())


def _later_trained(run: Run) -> dict[int, str]:
    """Return the parameters that `unfreeze` trains sooner or later: identities and names."""
    patterns = [one.pattern for one in run.callbacks if isinstance(one, Unfreeze)]
    return {
        id(parameter): name
        for name, parameter in run.nlp.named_parameters()
        if any(pattern.search(name) for pattern in patterns)
    }
