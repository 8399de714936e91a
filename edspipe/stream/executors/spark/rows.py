"""The rows of a Spark frame as items: dicts, in the order of the frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, overload

import pyarrow as pa

from edspipe.optional import require
from edspipe.stream.executors.spark.failures import explained
from edspipe.stream.executors.spark.plans import MakeRow
from edspipe.stream.executors.spark.session import check_classic


def items_of(
    batches: Iterable[pa.RecordBatch], number: int, make_row: MakeRow | None, start: int = 0
) -> Iterator[Any]:
    """Yield the rows of a partition from a number on; structs and maps become dicts too.

    Args:
        batches: Of the whole partition.
        number: Of the partition.
        make_row: Makes items of the rows; None leaves dicts.
        start: How many rows to pass over.
    """
    row = 0
    for batch in batches:
        first = min(max(0, start - row), batch.num_rows)
        row += first
        for record in batch.slice(first).to_pylist(maps_as_pydicts="strict"):
            row += 1
            yield record if make_row is None else make_row(name_of(number), row, record)


def name_of(number: int) -> str:
    """Name a partition."""
    return f"partition {number}"


def count_rows(frame: Any) -> list[int]:
    """Return how many rows each partition has; for files, Spark mostly needs no more than footers.

    Raises:
        WorkerError: Spark failed.
    """
    functions = require("pyspark.sql.functions", "spark", "Spark")
    number = functions.spark_partition_id().alias("partition")
    with explained():
        counted = frame.groupBy(number).count().collect()
    found = {row["partition"]: row["count"] for row in counted}
    return [found.get(i, 0) for i in range(max(found, default=-1) + 1)]


class SparkPartition:
    """A partition, which is read as a whole, and alone.

    Args:
        partitions: All partitions of the frame.
        number: Which one this is.
    """

    def __init__(self, partitions: SparkPartitions, number: int) -> None:
        self.name = name_of(number)
        self._partitions = partitions
        self._number = number

    def read(self, start: int = 0) -> Iterator[Any]:
        """Yield the rows from a number on."""
        batches = self._partitions.batches(self._number)
        return items_of(batches, self._number, self._partitions.make_row, start)

    def num_items(self) -> int | None:
        """Return how many rows it has."""
        counts = self._partitions.counts
        return counts[self._number] if self._number < len(counts) else 0


class SparkPartitions(Sequence[SparkPartition]):
    """The partitions of a frame, in order. Nothing is read before one is asked for.

    Args:
        frame: A DataFrame of Spark.
        make_row: Makes items of the rows; None leaves dicts.
    """

    def __init__(self, frame: Any, make_row: MakeRow | None = None) -> None:
        check_classic(frame)
        self.frame = frame
        self.make_row = make_row

    @cached_property
    def counts(self) -> list[int]:
        """Rows of each partition."""
        return count_rows(self.frame)

    @cached_property
    def _packed(self) -> Any:
        return self.frame.mapInArrow(_pack, "data binary").rdd

    def __len__(self) -> int:
        with explained():
            return self._packed.getNumPartitions()

    @overload
    def __getitem__(self, index: int) -> SparkPartition: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SparkPartition]: ...
    def __getitem__(self, index: Any) -> Any:
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return SparkPartition(self, numbers)
        return [SparkPartition(self, number) for number in numbers]

    def batches(self, number: int) -> Iterator[pa.RecordBatch]:
        """Fetch a partition, and yield its batches."""
        context = self.frame.sparkSession.sparkContext
        with explained():
            rows = context.runJob(self._packed, list, [number])
        for row in rows:
            with pa.ipc.open_stream(row["data"]) as reader:
                yield from reader


def _pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn each batch into one value of bytes."""
    schema = pa.schema([("data", pa.binary())])
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.RecordBatch.from_pylist([{"data": sink.getvalue().to_pybytes()}], schema=schema)


def first_items(frame: Any, number: int, make_row: MakeRow | None) -> list[Any]:
    """Return some rows of a frame, as they are read here."""
    items = (i for part in SparkPartitions(frame.limit(number), make_row) for i in part.read())
    return list(islice(items, number))
