"""What runs in a Python worker of Spark: one partition, as if it were a stream of its own.

The description of the stream comes as one broadcast, which is unpacked once a worker and kept for
its further tasks. A partition keeps books of its own, which go back in rows beside the records: an
attempt that fails leaves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.stream.account import Account
from edspipe.stream.events import Events
from edspipe.stream.executors.spark.envelope import RECORD, pack_rows
from edspipe.stream.executors.spark.failures import task_failure
from edspipe.stream.executors.spark.plans import Plan, load_plan
from edspipe.stream.executors.spark.rows import items_of
from edspipe.stream.hooks import Identity, WrongValue, identity_of
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import LocalEvents, Segment

BATCH_ROWS = 512
"""Records that go back to Spark at once: enough that Arrow costs nothing, few enough to hold."""
STAGE = "to_spark"


class FoundFailures:
    """A quarantine in memory: the documents of a partition that were left out."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, documents: Sequence[tuple[Any, Any]], failure: Any) -> None:
        """Keep documents that failed together; see `Quarantine.add`."""
        alone = len(documents) == 1
        for (epoch, index, _), document in documents:
            known = document.identity._asdict() | failure._asdict()
            row = {**known, "epoch": epoch, "index": index, "attempts": document.attempts}
            row["document"] = json.dumps(failure.document) if alone else None
            self.rows.append(row)


def new_run(plan: Plan) -> tuple[Run, FoundFailures]:
    """Return a run with books of its own, and where its left-out documents go."""
    failures = FoundFailures()
    account = Account(quarantine=failures, keeps_entries=True)  # type: ignore[arg-type]
    return Run(plan.settings, plan.seed, books=account), failures


class RowEvents(Events):
    """Rows as items, entered in the books.

    Args:
        rows: The items of a partition.
        start: The number of the first one among those of all partitions.
        run: The run.
    """

    def __init__(self, rows: Iterator[Any], start: int, run: Run) -> None:
        self._rows = rows
        self._run = run
        self._start = start
        self.num_read = 0

    def __next__(self) -> Item:
        item = Item(next(self._rows), 0, self._start + self.num_read)
        self.num_read += 1
        place = Identity(source=f"row {item.source_index}")
        self._run.account.read(item, place.updated(identity_of(item.value)))
        return item

    def get_state(self) -> Any:
        """A partition is begun anew, never in the middle."""


def run_partition(
    batches: Iterator[pa.RecordBatch], key: str, broadcast: Any
) -> Iterator[pa.RecordBatch]:
    """Run a stream over one partition; yield records, then the books.

    Args:
        batches: The rows.
        key: The name of the run.
        broadcast: Its plan.

    Raises:
        TaskFailure: Anything that went wrong, as data in the text of the exception.
    """
    try:
        plan = load_plan(key, broadcast).plan
        task = require("pyspark", "spark", "Spark").TaskContext.get()
        yield from _run(batches, plan, task.partitionId(), task.attemptNumber())
    except Exception as error:
        raise task_failure(error) from None


def _run(
    batches: Iterator[pa.RecordBatch], plan: Plan, number: int, attempt: int
) -> Iterator[pa.RecordBatch]:
    assert plan.schema is not None
    run, failures = new_run(plan)
    start = plan.starts[number] if number < len(plan.starts) else 0
    rows = RowEvents(items_of(batches, number, plan.make_row), start, run)
    delivered = 0
    for records in _records(rows, plan, run):
        delivered += len(records)
        yield pack_rows(RECORD, records, plan.schema)
        yield from _books(run, failures, plan.schema)
    size = plan.sizes[number] if number < len(plan.sizes) else 0
    if rows.num_read != size:
        raise DataError(
            f"partition {number} had {size} rows when they were counted, and {rows.num_read} when "
            "they were read: the frame is not the same twice. Write it to files and read those, or "
            "call frame.localCheckpoint() before"
        )
    run.account.check()
    yield from _books(run, failures, plan.schema)
    summary = {
        "partition": number,
        "attempt": attempt,
        "read": rows.num_read,
        "delivered": delivered,
        "totals": dict(run.account.totals),
        "counts": dict(run.counts),
        "seconds": dict(run.seconds),
    }
    yield pack_rows("partition", [summary], plan.schema)


def _books(run: Run, failures: FoundFailures, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    entries = [entry._asdict() for entry in run.account.drain()]
    if entries:
        yield pack_rows("entry", entries, schema)
    if failures.rows:
        yield pack_rows("failure", failures.rows, schema)
        failures.rows = []


def link(events: Events, segments: Sequence[Segment], run: Run) -> Events:
    """Return what becomes of items in all segments."""
    for segment in segments:
        events = LocalEvents(events, segment, run)
    return events


def _records(rows: Events, plan: Plan, run: Run) -> Iterator[pa.StructArray]:
    """Yield arrays of the records that come out; each is entered as delivered."""
    waiting: list[Item] = []
    for event in link(rows, plan.segments, run):
        if isinstance(event, Item):
            waiting.append(event)
        if len(waiting) == BATCH_ROWS:
            yield _to_array(waiting, plan, run)
            waiting = []
    if waiting:
        yield _to_array(waiting, plan, run)


def _to_array(items: list[Item], plan: Plan, run: Run) -> pa.StructArray:
    """Turn records into an array; those that do not fit are dealt with as the stream says."""
    records = []
    for item in items:
        with run.guard(STAGE, [item]):
            _check_record(item.value)
            records.append(item)
    try:
        array = _encode(records, plan)
    except DataError:
        parts = [_encode([], plan), *_one_by_one(records, plan, run)]
        return pa.concat_arrays(parts)
    for item in records:
        run.account.deliver(item)
    return array


def _one_by_one(items: list[Item], plan: Plan, run: Run) -> Iterator[pa.StructArray]:
    for item in items:
        with run.guard(STAGE, [item]) as guard:
            array = _encode([item], plan)
        if not guard.caught:
            run.account.deliver(item)
            yield array


def _encode(items: list[Item], plan: Plan) -> pa.StructArray:
    assert plan.encoder is not None
    return plan.encoder.encode([item.value for item in items]).to_struct_array()


def _check_record(record: Any) -> None:
    if not isinstance(record, dict):
        raise WrongValue(
            f"{STAGE} writes records (dicts), got a {type(record).__name__}; pass converter="
        )
