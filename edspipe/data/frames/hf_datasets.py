"""from_hf_dataset and to_hf_dataset: datasets of Hugging Face as streams, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.frames.base import SlicedTable, read_table
from edspipe.data.parquet.arrow_batches import to_table
from edspipe.data.rows import Row, write_rows
from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.stream.stream import Stream


@registry.readers.register("hf_dataset")
def from_hf_dataset(
    dataset: Any,
    converter: Any = None,
    *,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Return a stream over the rows of one split of a dataset, a slice at a time.

    The classes of integer tags (`ClassLabel`) are handed to the converter `"hf_ner"`, unless it is
    given `tag_names`.

    Args:
        dataset: A `datasets.Dataset` or `datasets.IterableDataset`.
        converter: How rows become Docs: `"hf_text"`, `"hf_ner"`, another registered name, or a
            function; None leaves them as dicts.
        loop: Read again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or what else the stream's `on_error` takes, for rows that the converter
            refuses. None does as the stream does.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with the row (counted from 1), one that the converter refuses.
        MissingExtraError: The library `datasets` is not installed.
        TypeError: It is no dataset, or all splits of one.
    """
    datasets = require("datasets", "hf", "from_hf_dataset")
    if isinstance(dataset, datasets.Dataset):
        plain = dataset.with_format(None)
        table: Any = SlicedTable("Dataset", len(plain), _Slices(plain))
    elif isinstance(dataset, datasets.IterableDataset):
        table = _IterableTable(dataset)
    else:
        raise TypeError(
            "from_hf_dataset takes a Dataset or an IterableDataset, got a "
            f"{type(dataset).__name__}; choose a split of a DatasetDict: dataset['train']"
        )
    if converter == "hf_ner":
        kwargs = {**_tag_names(dataset, kwargs), **kwargs}
    return read_table(
        table,
        converter,
        kwargs,
        stage="from_hf_dataset",
        loop=loop,
        shuffle=shuffle,
        seed=seed,
        on_error=on_error,
    )


def _tag_names(dataset: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the names of the classes of the tags, where the dataset knows them."""
    column = (dataset.features or {}).get(kwargs.get("ner_tags_column", "ner_tags"))
    names = getattr(getattr(column, "feature", None), "names", None)
    return {} if names is None else {"tag_names": list(names)}


class _Slices:
    """Rows of a dataset as records."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __call__(self, first: int, behind: int) -> list[dict[str, Any]]:
        columns = self.dataset[first:behind]
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]


class _IterableTable:
    """A dataset that can only be read in order."""

    def __init__(self, dataset: Any) -> None:
        self.name = "IterableDataset"
        self.dataset = dataset

    def num_items(self) -> None:
        """Nobody knows before the end."""

    def read(self, start: int = 0) -> Iterator[Row]:
        """Yield rows; shards that lie before the start are skipped."""
        rows = self.dataset.skip(start) if start else self.dataset
        for number, record in enumerate(rows, start=start + 1):
            yield Row(self.name, number, record)


@registry.writers.register("hf_dataset")
def to_hf_dataset(data: Any, converter: Any = None, *, features: Any = None, **kwargs: Any) -> Any:
    """Run a stream, and return its records as a dataset in memory.

    What is larger than memory goes through `write_parquet` and `datasets.load_dataset("parquet")`.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        converter: How Docs become rows: `"hf_text"`, `"hf_ner"`, another registered name, or a
            function.
        features: The `datasets.Features` that it is to have; None takes what the records need.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: A column holds values of several kinds, or that do not fit `features`.
        MissingExtraError: The library `datasets` is not installed.
        TypeError: An item is no record.
    """
    datasets = require("datasets", "hf", "to_hf_dataset")
    rows = write_rows(data, converter, kwargs, "to_hf_dataset")
    with iter(rows.stream) as records:
        table = to_table(records, "to_hf_dataset", rows.hint)
    if features is None:
        return datasets.Dataset(table)
    try:
        return datasets.Dataset(datasets.table.table_cast(table, features.arrow_schema))
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"the records do not fit the features ({kind})") from None
