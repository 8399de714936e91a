"""Which words of documents are read: all of them, or the first ones, counting what is cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from loguru import logger
from spacy.attrs import IS_SPACE
from spacy.tokens import Doc

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.errors import CheckpointError, ConfigError

CUT_WORDS = "num_cut_words"
"""The attribute of documents that says how many of their words were not read."""


class ReadWords(NamedTuple):
    """What is read of a document.

    Attributes:
        places: The places of its words among its tokens. *Shape* `(words,)`, int32
        num_tokens: How many tokens are read.
        num_cut: How many words are not.
    """

    places: np.ndarray
    num_tokens: int
    num_cut: int


class DocWords:
    """Finds the words of documents, those tokens that are not blank, up to a limit.

    Args:
        name: Whose limit it is, for messages.
        max_length: Words that are read at most; None reads all.
        truncation: Whether words may be cut at all.

    Attributes:
        max_length: As given.
        num_cut: Words of the training documents that are not read.

    Raises:
        ConfigError: The limit is below 1, or only one of both is given.
    """

    def __init__(self, name: str | None, max_length: int | None, truncation: bool) -> None:
        if max_length is not None and max_length < 1:
            raise ConfigError(f"{name}.max_length: expected 1 word or more, got {max_length}")
        if max_length is not None and not truncation:
            raise ConfigError(
                f"{name}.max_length: nothing is cut unless truncation=True; set it, or leave "
                "max_length out: longer documents are read window by window"
            )
        if truncation and max_length is None:
            raise ConfigError(
                f"{name}.truncation: needs max_length, the number of words that are read"
            )
        self.name, self.max_length = name, max_length
        self.num_cut = 0

    def declare(self) -> None:
        """Make the attribute of documents exist, if words may be cut."""
        if self.max_length is not None:
            declare_doc_attribute(CUT_WORDS)

    def read(self, doc: Doc) -> ReadWords:
        """Find the words of a document."""
        places = np.flatnonzero(doc.to_array(IS_SPACE) == 0).astype(np.int32)
        if self.max_length is None or len(places) <= self.max_length:
            return ReadWords(places, len(doc), 0)
        kept = places[: self.max_length]
        return ReadWords(kept, int(kept[-1]) + 1, len(places) - len(kept))

    def note(self, doc: Doc, num_cut: int) -> None:
        """Write into a document how many of its words were not read, if words may be cut."""
        if self.max_length is not None:
            doc._.set(CUT_WORDS, num_cut)

    def count(self, docs: Iterable[Doc]) -> None:
        """Count the words of documents that are cut, and warn of them."""
        if self.max_length is None:
            return
        found = [self.read(doc) for doc in docs]
        self.num_cut = sum(one.num_cut for one in found)
        if self.num_cut:
            logger.warning(
                "{}: {} of {} documents are longer than max_length={}: {} of all {} words are cut",
                self.name,
                sum(one.num_cut > 0 for one in found),
                len(found),
                self.max_length,
                self.num_cut,
                self.num_cut + sum(len(one.places) for one in found),
            )

    def set_state(self, state: Any, file: Path) -> None:
        """Take back `num_cut`; None is that of a model from before words could be cut.

        Raises:
            CheckpointError: It is no number from 0 up.
        """
        number = 0 if state is None else state
        if type(number) is not int or number < 0:
            raise CheckpointError(f"{file}: expected a number from 0 up under '{CUT_WORDS}'")
        self.num_cut = number
