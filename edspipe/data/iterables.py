"""from_iterable and to_iterable: anything in Python as a stream, and back."""

from __future__ import annotations

from typing import Any

from edspipe.config.registry import registry
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.sources import shape_source
from edspipe.stream.stream import Stream


@registry.readers.register("iterable")
def from_iterable(
    items: Any,
    converter: Any = None,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    **kwargs: Any,
) -> Stream:
    """Return a stream over texts, Docs, records, or anything else.

    Args:
        items: An iterable, or a function without arguments that returns a fresh one.
        converter: How records become Docs: a registered name, or a function; None leaves items
            as they are.
        loop: Read the items again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.
        **kwargs: Arguments of the converter.
    """
    stream = items if isinstance(items, Stream) else Stream.from_items(items)
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    to_doc = reading_function(converter, kwargs)
    return stream if to_doc is None else stream.map(to_doc)


@registry.writers.register("iterable")
def to_iterable(data: Any, converter: Any = None, **kwargs: Any) -> Stream:
    """Return a stream of records; nothing runs until it is iterated.

    Args:
        data: A stream, or an iterable of Docs.
        converter: How Docs become records: a registered name, or a function; None leaves them.
        **kwargs: Arguments of the converter.
    """
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    to_record = writing_function(converter, kwargs)
    return stream if to_record is None else stream.map(to_record)
