"""from_spark and to_spark: frames of Spark as streams, and back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from edspipe.config.registry import registry
from edspipe.data.parquet.arrow_batches import RecordEncoder, SchemaFinder, check_record, to_table
from edspipe.data.rows import Row, TableWriting, read_rows, write_rows
from edspipe.data.sources import shape_source
from edspipe.stream.executors.spark.failures import explained
from edspipe.stream.executors.spark.job import Columns, SparkRun, run_on_spark
from edspipe.stream.executors.spark.rows import SparkPartitions
from edspipe.stream.executors.spark.session import given_session, local_session
from edspipe.stream.executors.spark.types import arrow_type, parse_schema
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

__all__ = ["SparkRun", "from_spark", "local_session", "run_spark", "to_spark"]

STAGE = "to_spark"


@registry.readers.register("spark")
def from_spark(
    frame: Any,
    converter: Any = None,
    *,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Return a stream over the rows of a Spark frame, in its order, each as a dict.

    A stream that ends in `to_spark` runs on the executors of Spark. Iterated, it fetches one
    partition after the other.

    Args:
        frame: A DataFrame of Spark.
        converter: How rows become Docs: `"omop"`, `"text"`, another registered name, or a function;
            None leaves them as dicts.
        loop: Read the rows again and again.
        shuffle: `"dataset"`, `"fragment"` (a partition), or a block, as `"100 docs"`.
        seed: Seed of the shuffle.
        on_error: As of `set_processing`, for rows that are no documents.
        **kwargs: Arguments of the converter.

    Raises:
        ConfigError: The frame is of Spark Connect.
    """
    stream = Stream(FragmentSource(SparkPartitions(frame, Row)))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_rows(stream, converter, kwargs, "from_spark", on_error)


@registry.writers.register("spark")
def to_spark(
    data: Any,
    session: Any = None,
    schema: Any = None,
    converter: Any = None,
    *,
    store: str | None = None,
    **kwargs: Any,
) -> Any:
    """Run a stream, and return its records as a Spark frame.

    A stream over a Spark frame runs on the executors of Spark, now, so that an error is ours and
    what was counted is known; `set_processing(backend="simple")` or `"multiprocess"` runs it here.
    So does a stream over anything else, whose records pass through this process.

    Args:
        data: A stream, or an iterable of Docs (with a converter) or of dicts.
        session: A session, which stays as it is; None takes that of the frame, or the one that
            runs.
        schema: Of the records: `"note_id string, entities array<struct<...>>"` or a StructType;
            None finds it in the first records.
        converter: How Docs become records: `"omop"`, `"text"`, another registered name, or a
            function.
        store: A folder of Spark (`"hdfs://..."`, `"s3a://..."`) that does not exist yet, for
            records and books; None has the executors keep them, on disk where memory is short.
        **kwargs: Arguments of the converter.

    Raises:
        PipeError: An op failed on a document.
        DataError: A record does not fit the schema.
        ValueError: An op needs the order of all items, which Spark does not know; or `store` is
            given for what does not run on the executors.
        EdspipeError: There is no session.
    """
    writing = write_rows(data, converter, kwargs, STAGE)
    if writing.stream.settings.backend in (None, "spark"):
        run = _run(writing, schema, session, store)
        if run is not None:
            return run.records
    if store is not None:
        raise ValueError("store= is for a stream over a Spark frame that runs on its executors")
    return _from_here(writing, given_session(session), schema)


def run_spark(
    data: Stream,
    schema: Any = None,
    converter: Any = None,
    *,
    store: str | None = None,
    **kwargs: Any,
) -> SparkRun:
    """Run a stream over a Spark frame as `to_spark` does; return its records and its books.

    Args:
        data: A stream that begins with `from_spark`.
        schema: As of `to_spark`.
        converter: As of `to_spark`.
        store: As of `to_spark`.
        **kwargs: Arguments of the converter.

    Raises:
        TypeError: The stream does not read a Spark frame, or shuffles its partitions.
        EdspipeError: As of `to_spark`.
    """
    run = _run(write_rows(data, converter, kwargs, STAGE), schema, None, store)
    if run is None:
        raise TypeError(
            "run_spark takes a stream that begins with from_spark(frame), without shuffle="
        )
    return run


class _Schema:
    """Finds the columns that the first records need.

    Args:
        hint: Types for what they leave open.
    """

    def __init__(self, hint: pa.Schema | None) -> None:
        self.hint = hint

    def __call__(self, records: list[Any]) -> pa.Schema:
        finder = SchemaFinder(self.hint)
        for record in records:
            check_record(record, STAGE)
        finder.add(records)
        return finder.schema()


def _run(writing: TableWriting, schema: Any, session: Any, store: str | None) -> SparkRun | None:
    """Run on the executors, if the stream reads a frame of theirs in its order."""
    source = writing.stream.source
    if not isinstance(source, FragmentSource) or source.shuffled:
        return None
    if not isinstance(source.fragments, SparkPartitions):
        return None
    columns = Columns(_Schema(writing.hint) if schema is None else schema, RecordEncoder)
    return run_on_spark(writing.stream, source.fragments, columns, session, store)


def _from_here(writing: TableWriting, session: Any, schema: Any) -> Any:
    """Run a stream as it says, and hand its records to Spark."""
    type_ = None if schema is None else parse_schema(session, schema)
    fixed = None if type_ is None else pa.schema(list(arrow_type(type_)))
    table = to_table(writing.stream, STAGE, writing.hint, fixed)
    type_ = parse_schema(session, table.schema) if type_ is None else type_
    records = table.to_pylist(maps_as_pydicts="strict")
    with explained():
        return session.createDataFrame(records, type_)
