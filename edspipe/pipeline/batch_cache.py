"""The cache inside `nlp.cache()`: a sub-module that two parents share runs once a batch.

Keys are explicit. Features carry an `"_id"` and collated batches a `"_key"`, both unique in time
and over processes; a Doc is known by itself, and the entry holds it, so that its identity cannot
be used again. Leaving the scope, also by an exception, forgets everything.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple

_counter = itertools.count()
_store: ContextVar[dict[Any, Entry] | None] = ContextVar("edspipe_cache", default=None)


class Entry(NamedTuple):
    """A result, and what it was computed from."""

    result: Any
    holds: tuple[Any, ...]


def unique_key() -> tuple[int, int]:
    """Return a key that no other call, in any process of this run, returns."""
    return os.getpid(), next(_counter)


@contextmanager
def cache_scope() -> Iterator[None]:
    """Remember results inside; an inner scope has a memory of its own."""
    token = _store.set({})
    try:
        yield
    finally:
        _store.reset(token)


def cached(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `preprocess`, `preprocess_supervised`, `collate` or `forward` of a component."""
    key_of, mark = _KINDS[method.__name__]

    @wraps(method)
    def wrapper(self: Any, subject: Any, *args: Any, **kwargs: Any) -> Any:
        store = _store.get()
        inner = None if args or kwargs else key_of(subject)
        if store is None or inner is None:
            return mark(method(self, subject, *args, **kwargs))
        key = (id(self), method.__qualname__, inner)
        if key not in store:
            store[key] = Entry(mark(method(self, subject)), (self, subject))
        return store[key].result

    return wrapper


def _doc_key(doc: Any) -> Any:
    return id(doc)


def _samples_key(samples: Any) -> Any:
    keys = tuple(sample.get("_id") if isinstance(sample, dict) else None for sample in samples)
    return None if None in keys else keys


def _batch_key(batch: Any) -> Any:
    return batch.get("_key") if isinstance(batch, dict) else None


def _mark_features(features: Any) -> Any:
    if isinstance(features, dict):
        features["_id"] = unique_key()
    return features


def _mark_batch(batch: Any) -> Any:
    if isinstance(batch, dict):
        batch["_key"] = unique_key()
    return batch


_KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "preprocess": (_doc_key, _mark_features),
    "preprocess_supervised": (_doc_key, _mark_features),
    "collate": (_samples_key, _mark_batch),
    "forward": (_batch_key, lambda output: output),
}
