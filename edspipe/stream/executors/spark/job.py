"""Streams over a Spark frame, whose partitions the executors of Spark work on."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
from loguru import logger

from edspipe.errors import EdspipeError
from edspipe.stream.account import Failure, RunReport
from edspipe.stream.executors.executor import Description, draw_seed
from edspipe.stream.executors.spark.envelope import KIND, RECORD, envelope_ddl
from edspipe.stream.executors.spark.failures import explained
from edspipe.stream.executors.spark.plans import Encoder, Plan, packed_plan, warn_ignored
from edspipe.stream.executors.spark.rows import SparkPartitions, first_items
from edspipe.stream.executors.spark.session import session_of
from edspipe.stream.executors.spark.task import RowEvents, link, new_run, run_partition
from edspipe.stream.executors.spark.types import arrow_type, parse_schema
from edspipe.stream.hooks import Identity
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Op
from edspipe.stream.plan import Segment, plan
from edspipe.stream.quarantine import Quarantine
from edspipe.stream.settings import Settings

SAMPLE_ROWS = 50
"""Rows that are worked on here to find the schema, where none is given."""
IGNORED = ("num_cpu_workers", "num_gpu_workers", "timeout_s", "ordered", "prefetch", "devices")
"""Settings that Spark has its own for."""
CURES = {
    "Shuffle": "frame.orderBy(pyspark.sql.functions.rand(seed)) before from_spark shuffles rows",
    "Take": "frame.limit(n) before from_spark takes rows",
    "Batchify": "map_batches groups items where the groups do not show in the result",
}


@dataclass
class SparkRun:
    """A run that has ended well: its records, and its books.

    Attributes:
        records: What came out; the rows of a partition in the order of its source rows.
        account: A row for each document that was read: id, source, sha256, status, attempts, error.
        quarantined: A row for each document that was left out under
            `on_error="quarantine:..."`, with the reason and, as JSON, the document.
        report: What became of the documents, and what was counted besides.
        seconds: Where the time went, by stage, of all workers together.
    """

    records: Any
    account: Any
    quarantined: Any
    report: RunReport
    seconds: dict[str, float] = field(default_factory=dict)
    _kept: Any = None

    def close(self) -> None:
        """Let go of what the executors keep of the results; the frames are not used any more."""
        if self._kept is not None:
            self._kept.unpersist()


@dataclass(frozen=True)
class Columns:
    """How records become columns, told by those who know records.

    Attributes:
        schema: A StructType, `"note_id string, ..."`, a schema of Arrow, or a function that returns
            one of these for the first records.
        make_encoder: Returns what encodes records in a schema of Arrow.
    """

    schema: Any
    make_encoder: Callable[[pa.Schema], Encoder]


def run_on_spark(
    stream: Description,
    partitions: SparkPartitions,
    columns: Columns,
    session: Any = None,
    store: str | None = None,
) -> SparkRun:
    """Run the ops of a stream over the rows of a frame, now.

    Args:
        stream: Its ops and settings are run; its source is not read.
        partitions: The rows.
        columns: What becomes of the records at the end.
        session: The session of the frame; None takes that one.
        store: A folder, which Spark makes, for records and books; None has the executors keep them.

    Raises:
        PipeError: An op failed on a document, under `on_error="raise"`.
        DataError: A record does not fit the schema.
        ValueError: An op needs the order of all items.
        WorkerError: Something cannot be sent to the workers, or Spark failed.
    """
    settings = stream.settings
    segments = local_segments(stream.ops, settings, stream.looping)
    warn_ignored(settings, IGNORED)
    frame = partitions.frame
    session = session_of(frame) if session is None else session
    seed = draw_seed() if settings.seed is None else settings.seed
    start = Plan(segments, settings, seed, make_row=partitions.make_row)
    record_type = parse_schema(session, _schema(columns, frame, start))
    types = parse_schema(session, envelope_ddl(record_type.simpleString()))
    sizes = tuple(partitions.counts)
    whole = replace(
        start,
        starts=tuple([0, *accumulate(sizes)][: len(sizes)]),
        sizes=sizes,
        schema=pa.schema(list(arrow_type(types))),
        encoder=columns.make_encoder(pa.schema(list(arrow_type(record_type)))),
    )
    results = frame.mapInArrow(_work(session, whole), types)
    return _collect(session, results, settings, sum(sizes), store)


def local_segments(ops: Sequence[Op], settings: Settings, looping: bool) -> tuple[Segment, ...]:
    """Return the ops as segments, ready to travel.

    Raises:
        ValueError: An op needs the order of all items, or the stream does not end.
    """
    if looping:
        raise ValueError("a stream with loop() never ends: leave it out on Spark")
    segments = []
    for stage in plan(ops, replace(settings, num_gpu_workers=0)):
        if not isinstance(stage, Segment):
            cure = CURES.get(type(stage).__name__, "run it without Spark")
            raise ValueError(
                f"{stage.stage} needs the order of all items, which no partition of Spark knows: "
                f"{cure}"
            )
        if stage.chunk_items == float("inf"):
            raise ValueError(
                f"{stage.stage} wants all items at once, and a partition of Spark is a part of "
                "them: give a batch_size such as '128 docs'"
            )
        segment, arrivals = stage.for_worker()
        if arrivals:
            raise ValueError(
                f"{stage.stage} makes tensors on a device of this process; records of Spark are "
                "plain data"
            )
        segments.append(segment)
    return tuple(segments)


def _schema(columns: Columns, frame: Any, plan: Plan) -> Any:
    """Return the schema, if need be by running the stream here over the first rows."""
    if not callable(columns.schema):
        return columns.schema
    run, _ = new_run(replace(plan, settings=replace(plan.settings, on_error="skip")))
    rows = RowEvents(iter(first_items(frame, SAMPLE_ROWS, plan.make_row)), 0, run)
    events = link(rows, plan.segments, run)
    return columns.schema([event.value for event in events if isinstance(event, Item)])


def _work(session: Any, plan: Plan) -> Any:
    """Return the function that Spark calls with a partition; the plan is a broadcast in it."""
    data, _ = packed_plan(plan)
    broadcast = session.sparkContext.broadcast(data)
    key = uuid.uuid4().hex

    def edspipe_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return run_partition(batches, key, broadcast)

    return edspipe_partition


def _collect(
    session: Any, results: Any, settings: Settings, expected: int, store: str | None
) -> SparkRun:
    """Run the job, and read its books."""
    if store is None:
        results.persist()
    try:
        with explained():
            if store is not None:
                results.write.partitionBy(KIND).parquet(store)
                results = session.read.schema(results.schema).parquet(store)
            parts = _of_kind(results, "partition").collect()
        report, seconds = _balance(parts, expected)
        quarantined = _of_kind(results, "failure")
        _write_quarantine(quarantined, settings)
    except BaseException:
        if store is None:
            results.unpersist(blocking=True)
        raise
    logger.info("of {:,} documents read: {}", report.read, report)
    records, account = _of_kind(results, RECORD), _of_kind(results, "entry")
    kept = results if store is None else None
    return SparkRun(records, account, quarantined, report, seconds, kept)


def _of_kind(results: Any, kind: str) -> Any:
    return results.where(f"{KIND} = '{kind}'").select(f"{kind}.*")


def _balance(parts: Sequence[Any], expected: int) -> tuple[RunReport, dict[str, float]]:
    """Add up the books of all partitions.

    Raises:
        EdspipeError: They do not balance.
    """
    totals: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for part in parts:
        totals.update(part["totals"])
        counts.update(part["counts"])
        counts.update(delivered=part["delivered"], retried_partitions=int(part["attempt"] > 0))
        for stage, number in part["seconds"].items():
            seconds[stage] += number
    report = RunReport(totals, counts, 0)
    num_read = sum(part["read"] for part in parts)
    if not num_read == report.read == expected or not report.balanced:
        raise EdspipeError(
            f"the books of the run do not balance: {expected} rows were counted, {num_read} read; "
            f"{report}"
        )
    return report, dict(seconds)


class _LeftOut(NamedTuple):
    identity: Identity
    attempts: int


def _write_quarantine(quarantined: Any, settings: Settings) -> None:
    """Write the documents that were left out to the file of `on_error`."""
    path = settings.quarantine_path
    if path is None:
        return
    quarantine = Quarantine(path)
    quarantine.begin()
    with explained():
        rows = quarantined.toLocalIterator()
        for row in rows:
            known = _LeftOut(Identity(row["id"], row["source"], row["sha256"]), row["attempts"])
            document = None if row["document"] is None else json.loads(row["document"])
            failure = Failure(row["stage"], row["error"], row["message"], document)
            quarantine.add([((row["epoch"], row["index"], ()), known)], failure)
    quarantine.close()
