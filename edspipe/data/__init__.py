"""Readers turn files and tables into streams of Docs, writers turn Docs into files and tables.

Every registered reader `x` is `read_x` here (`from_x` for things in memory), every writer is
`write_x` (or `to_x`); a Stream has the writers as methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edspipe.config.registry import registry
from edspipe.errors import did_you_mean

if TYPE_CHECKING:
    from edspipe.data.iterables import from_iterable, to_iterable
    from edspipe.data.json import read_json, write_json
    from edspipe.data.standoff.streams import read_standoff, write_standoff

__all__ = [
    "from_iterable",
    "read_json",
    "read_standoff",
    "to_iterable",
    "write_json",
    "write_standoff",
]


def __getattr__(name: str) -> Any:
    verb, _, kind = name.partition("_")
    names = {"read": registry.readers, "from": registry.readers}
    names |= {"write": registry.writers, "to": registry.writers}
    if name in __all__ and kind in names[verb]:
        return names[verb].get(kind)
    raise AttributeError(f"edspipe.data has no '{name}'.{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return __all__
