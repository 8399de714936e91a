"""Readers turn files and tables into streams of Docs, writers turn Docs into files and tables.

Every registered reader `x` is `read_x` here (`from_x` for things in memory), every writer is
`write_x` (or `to_x`); a Stream has the writers as methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edspipe.config.registry import registry
from edspipe.data.output.receipt import audit
from edspipe.errors import did_you_mean

if TYPE_CHECKING:
    from edspipe.data.conll.streams import read_conll, write_conll
    from edspipe.data.csv.streams import read_csv, write_csv
    from edspipe.data.docbin.streams import read_docbin, write_docbin
    from edspipe.data.frames.hf_datasets import from_hf_dataset, to_hf_dataset
    from edspipe.data.frames.pandas import from_pandas, to_pandas
    from edspipe.data.frames.polars import from_polars, to_polars
    from edspipe.data.frames.spark import from_spark, to_spark
    from edspipe.data.iterables import from_iterable, to_iterable
    from edspipe.data.json.streams import read_json, write_json
    from edspipe.data.parquet.streams import read_parquet, write_parquet
    from edspipe.data.split import from_split
    from edspipe.data.standoff.streams import read_standoff, write_standoff
    from edspipe.data.text.streams import read_text, write_text

__all__ = [
    "audit",
    "from_hf_dataset",
    "from_iterable",
    "from_pandas",
    "from_polars",
    "from_spark",
    "from_split",
    "read_conll",
    "read_csv",
    "read_docbin",
    "read_json",
    "read_parquet",
    "read_standoff",
    "read_text",
    "to_hf_dataset",
    "to_iterable",
    "to_pandas",
    "to_polars",
    "to_spark",
    "write_conll",
    "write_csv",
    "write_docbin",
    "write_json",
    "write_parquet",
    "write_standoff",
    "write_text",
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
