"""Bounds what vocabularies remember on long runs.

A Vocab keeps every word that it has seen, about 300 bytes each, and notes bring new ones (names,
numbers, misprints) without end. spaCy can forget what was added inside a *memory zone*, but then no
Doc of the zone may be alive. A Doc holds its Vocab, so the references to the Vocab tell: a zone
ends only while nobody holds more of them than when it began.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from weakref import WeakSet

from spacy.vocab import Vocab

from edspipe.stream.hooks import register_release

MAX_NEW_WORDS = 50_000
"""Words that a Vocab takes in between two cleanings: about 15 MB, and some 5,000 long notes."""

_HOLDERS: WeakSet[Any] = WeakSet()
_ZONES: dict[int, _Zone] = {}


class _Zone:
    """What one Vocab has learned since it was cleaned last."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab
        self._stack = ExitStack()
        self._num_words = len(vocab)
        self._num_references = 0

    def turn(self) -> None:
        """Forget, where much was learned and no Doc of it is alive."""
        if len(self.vocab) - self._num_words < MAX_NEW_WORDS:
            return
        gc.collect()
        if self._num_references and sys.getrefcount(self.vocab) > self._num_references:
            return
        self._stack.close()
        self._num_words = len(self.vocab)
        self._stack.enter_context(self.vocab.memory_zone())
        self._num_references = sys.getrefcount(self.vocab)


def watch(holder: Any) -> None:
    """Clean the Vocab of an object (`holder.vocab`) from time to time, where that is safe.

    What was learned before the first cleaning stays for good: the common words.
    """
    _HOLDERS.add(holder)


def forget_words(shared: Iterable[Any] = ()) -> None:
    """Clean all vocabularies that are watched, or shared with a worker; called between tasks."""
    vocabs = [thing for thing in shared if isinstance(thing, Vocab)]
    for vocab in [*vocabs, *(holder.vocab for holder in list(_HOLDERS))]:
        if id(vocab) not in _ZONES:
            _ZONES[id(vocab)] = _Zone(vocab)
        _ZONES[id(vocab)].turn()


register_release(forget_words)
