"""What a task hands back: one kind of row for records, and others for the books of the run.

All of it is one frame, so that records and books are of the same attempt of a task, whatever Spark
repeats. A row has a kind, and the column of that kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

KIND = "kind"
KINDS = {
    "entry": "struct<id: string, source: string, sha256: string, status: string, attempts: int, "
    "error: string>",
    "failure": "struct<id: string, source: string, sha256: string, epoch: bigint, index: bigint, "
    "stage: string, error: string, message: string, attempts: int, document: string>",
    "partition": "struct<partition: int, attempt: int, read: bigint, delivered: bigint, "
    "totals: map<string, bigint>, counts: map<string, bigint>, seconds: map<string, double>>",
}
RECORD = "record"


def envelope_ddl(record_ddl: str) -> str:
    """Return the schema of all rows, as Spark writes it.

    Args:
        record_ddl: The type of a record, `"struct<...>"`.
    """
    columns = {RECORD: record_ddl, **KINDS}
    return ", ".join([f"{KIND} string", *(f"{name} {ddl}" for name, ddl in columns.items())])


def pack_rows(kind: str, values: Sequence[Any] | pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows of one kind.

    Args:
        kind: `"record"`, or one of `KINDS`.
        values: Dicts, or an array of the column's type.
        schema: Of all rows.
    """
    number = len(values)
    columns = []
    for field in schema:
        if field.name == KIND:
            columns.append(pa.array([kind] * number, pa.string()))
        elif field.name == kind:
            given = isinstance(values, pa.Array)
            columns.append(values if given else pa.array(values, field.type))
        else:
            columns.append(pa.nulls(number, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
