"""What all readers share: `loop=`, `shuffle=`, `seed=`, and what happens to bad records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edspipe.stream.batching import FRAGMENT
from edspipe.stream.ops.map import Map
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream


def shape_source(
    stream: Stream, *, loop: bool, shuffle: str | int | None, seed: int | None
) -> Stream:
    """Apply `loop=` and `shuffle=` of a reader; they mean what the ops of that name mean.

    `shuffle="fragment"` reads files (or groups of rows) in another order each epoch too.
    """
    if loop:
        stream = stream.loop()
    if shuffle == FRAGMENT and isinstance(stream.source, FragmentSource):
        stream = replace(stream, source=replace(stream.source, shuffled=True, seed=seed))
    if shuffle is not None and shuffle is not False:
        stream = stream.shuffle("dataset" if shuffle is True else shuffle, seed=seed)
    return stream


def read_with(
    stream: Stream, function: Callable[[Any], Any], stage: str, on_error: str | None
) -> Stream:
    """Append the op that reads records.

    Args:
        stream: The stream of what is to be read.
        function: Reads one; may raise.
        stage: The name in errors.
        on_error: `"raise"`, `"skip"`, or None to do as the stream does.

    Raises:
        ValueError: `on_error` is none of these.
    """
    check_on_error(on_error)
    op = Map(function, on_error=on_error)
    op.stage = stage
    return stream.with_op(op)


def check_on_error(on_error: str | None) -> None:
    """Refuse what is not a policy.

    Raises:
        ValueError: `on_error` is neither None, `"raise"` nor `"skip"`.
    """
    if on_error not in (None, "raise", "skip"):
        raise ValueError(f"on_error is 'raise' or 'skip', got {on_error!r}")
