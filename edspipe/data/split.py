"""from_split: one side of a split, for configs that train, calibrate and test on one source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from edspipe.config.registry import registry
from edspipe.corpus.id_pattern import IdPattern
from edspipe.corpus.split_file import read_split
from edspipe.data.iterables import from_iterable
from edspipe.errors import DataError
from edspipe.stream.hooks import id_of
from edspipe.stream.shares import SIDES
from edspipe.stream.stream import Stream


@registry.readers.register("split")
def from_split(
    data: Any,
    *,
    side: Literal["train", "dev", "test"],
    ratios: Sequence[float] = (0.8, 0.1, 0.1),
    group_by: Any = "patient_id",
    group_pattern: str | None = None,
    seed: int = 0,
    missing: Literal["error", "own"] = "error",
    file: str | Path | None = None,
) -> Stream:
    """Keep the documents of one side of a split; the other sides are read by further calls.

    The sides of the same data, with the same arguments, never share a document or a group, and
    together they are all documents. They are those of `Stream.train_dev_test_split`.

    Args:
        data: A stream, e.g. another reader of the config, or an iterable.
        side: Which documents to keep.
        ratios: Of train, dev and test; they add up to 1. A side of ratio 0 gets nothing.
        group_by: An attribute `doc._.<name>`, a function of the document, or None, which says that
            no two documents belong together. A group is never on two sides.
        group_pattern: Instead, a regular expression over ids: the group is what its parentheses
            hold.
        seed: Another seed, another split.
        missing: What becomes of a document without a group: `"error"`, or `"own"` to make it a
            group of its own.
        file: Take the split that `edspipe split` or `train_dev_test_split(save=)` kept in this
            file; ratios, groups and seed do not count.

    Raises:
        DataError: The file is no split; on reading, it does not name a document, or a document has
            no group.
        ValueError: Ratios do not add up to 1, or there is no such side.
        TypeError: The source is a generator, which can be read only once.
    """
    stream = from_iterable(data)
    if file is not None:
        return stream.filter(_OnSide(file, side))
    groups = group_by if group_pattern is None else IdPattern(group_pattern)
    sides = stream.train_dev_test_split(ratios, group_by=groups, seed=seed, missing=missing)
    return sides[SIDES.index(side)]


class _OnSide:
    """Whether a file says that a document is on a side; a class, so that it pickles."""

    def __init__(self, file: str | Path, side: str) -> None:
        self.file, self.side = str(file), side
        self.sides = read_split(file)
        self.__qualname__ = "on_side"

    def __call__(self, doc: Any) -> bool:
        ident = id_of(doc)
        if ident is None or ident not in self.sides:
            raise DataError(
                "this file does not name the document; leave it out, add a line for it, or split "
                "anew",
                file=self.file,
                id=ident,
            )
        return self.sides[ident] == self.side
