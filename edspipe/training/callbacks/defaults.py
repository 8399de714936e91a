"""Which callbacks a training has, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from confit.errors import ConfitValidationError

from edspipe.config.draft import config_error
from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.training.callbacks.best_model import BestModel
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.checkpoint import Checkpoint
from edspipe.training.callbacks.early_stopping import EarlyStopping
from edspipe.training.callbacks.embedding_cache import EmbeddingCache, frozen_embeddings
from edspipe.training.callbacks.mean_loss import MeanLoss
from edspipe.training.callbacks.plot_curves import PlotCurves
from edspipe.training.callbacks.progress import Progress
from edspipe.training.callbacks.slowest_steps import SlowestSteps
from edspipe.training.callbacks.trace_weights import TraceWeights
from edspipe.training.callbacks.unfreeze import Unfreeze
from edspipe.training.callbacks.validation import Validation
from edspipe.training.settings import Settings

PREFERRED = ("val/micro_f", "val/accuracy", "val/loss")
_BEFORE = (Unfreeze, TraceWeights, MeanLoss, Validation, BestModel, EarlyStopping)
_AFTER = (SlowestSteps, Checkpoint, PlotCurves, Progress)


def in_order(
    settings: Settings,
    metrics: Mapping[str, Any],
    val_docs: Sequence[Any],
    is_main: bool,
    pipes: Mapping[str, Any] = MappingProxyType({}),
) -> list[Callback]:
    """Return the callbacks: the default ones, unless one of their kind is given, and those given.

    What is recorded comes before what reads it, and checkpoints after all that they keep.

    Args:
        settings: The settings.
        metrics: Metrics of validation.
        val_docs: Documents of validation.
        is_main: Whether this process draws a progress bar.
        pipes: The pipes that have a loss.

    Raises:
        ConfigError: Something is no callback.
    """
    asked = settings.callbacks
    found = [_read(one) for one in ([asked] if isinstance(asked, str) else asked)]
    given = {type(one) for one in found}
    validation = next((one for one in found if isinstance(one, Validation)), None)
    if val_docs:
        if validation is None:
            validation = Validation(settings.interval)
            found.append(validation)
        validation.prepare(val_docs, metrics, pipes)
        if BestModel not in given:
            found.append(BestModel(_monitor(settings, validation)))
    for one in found:
        if isinstance(one, MeanLoss):
            one.has_validation = bool(val_docs)
    keeps = settings.embedding_cache is not None or any(
        one.cache.is_on for one in frozen_embeddings(pipes.values())
    )
    if keeps and EmbeddingCache not in given:
        found.append(_read_cache(settings.embedding_cache))
    if Checkpoint not in given:
        every = settings.checkpoint_every or settings.interval
        found.append(Checkpoint(every, keep=settings.keep_checkpoints))
    if SlowestSteps not in given:
        found.append(SlowestSteps())
    if settings.report and PlotCurves not in given:
        found.append(PlotCurves())
    if settings.progress and is_main and Progress not in given:
        best = next((one.monitor for one in found if isinstance(one, BestModel)), None)
        found.append(Progress(best))
    return sorted(found, key=_rank)


def _read_cache(value: Any) -> EmbeddingCache:
    """Read the setting; without it, the callback watches what pipes keep by themselves."""
    try:
        return EmbeddingCache(**(value if isinstance(value, Mapping) else {"cache": value}))
    except ConfitValidationError as error:
        raise config_error(error, "embedding_cache") from None


def _read(one: Any) -> Callback:
    if isinstance(one, str):
        return registry.callbacks.get(one)()
    if not isinstance(one, Callback):
        raise ConfigError(f"callbacks: expected callbacks or names, got a {type(one).__name__}")
    return one


def _monitor(settings: Settings, validation: Validation) -> str:
    if settings.monitor is not None:
        return settings.monitor
    names = validation.recorded()
    ours = [name for name in names if name.endswith("micro_f")]
    return next(iter([*(p for p in PREFERRED if p in names), *ours, *names]), PREFERRED[-1])


def _rank(one: Callback) -> int:
    for rank, kind in enumerate(_BEFORE):
        if isinstance(one, kind):
            return rank
    for rank, kind in enumerate(_AFTER):
        if isinstance(one, kind):
            return len(_BEFORE) + 1 + rank
    return len(_BEFORE)
