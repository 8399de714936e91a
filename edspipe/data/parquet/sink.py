"""The sink of parquet: one file, or a folder of parts, in groups of rows."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from edspipe import atomic
from edspipe.data.parquet.arrow_batches import RecordEncoder, SchemaFinder, check_record
from edspipe.data.parquet.arrow_journal import RowJournal
from edspipe.data.parquet.files import RowGroup, list_row_groups, open_parquet
from edspipe.data.parquet.parts import (
    OpenFile,
    check_same_columns,
    files_of,
    link_file,
    link_files,
)
from edspipe.data.rows import BATCH_ROWS, FitRow
from edspipe.errors import DataError

CHUNK_CHARS = 8 << 20
"""Characters of text at which records are encoded, if that comes before `BATCH_ROWS`."""
GROUP_BYTES = 64 << 20
"""Of rows in memory: a group of rows ends here at the latest."""
_PART = re.compile(r"part-([0-9]{6,})\.parquet")
_OLD = "old.parquet"


@dataclass(frozen=True)
class ParquetOptions:
    """How parquet files are laid out.

    Attributes:
        schema: The columns; None takes what the first group of rows needs.
        hint: Types for what the first rows leave open.
        compression: The codec of pages.
        group_rows: Rows of a group.
        part_rows: Rows of a part.
        id_key: The column of the id.
        stage: The name of the writer, for errors.
        fit: Makes room for what a record has and the columns have not; None refuses such a record.
    """

    schema: pa.Schema | None = None
    hint: pa.Schema | None = None
    compression: str = "zstd"
    group_rows: int = 10_000
    part_rows: int = 500_000
    id_key: str | None = "note_id"
    stage: str = "write_parquet"
    fit: FitRow | None = None

    def settings(self) -> dict[str, Any]:
        """Return what a resumed run must have in common with the one that broke off."""
        schema = None if self.schema is None else str(self.schema)
        return {**vars(self), "schema": schema, "hint": None, "fit": None}


class ParquetSink:
    """Writes records to one parquet file, or to a folder of parts.

    What `commit` returned is enough to go on after a kill: parts that were closed by then stay,
    and the rows of the one that was open are taken from its journal. Journals lie beside the
    folder that is written, in a folder of the same name with `.rows` behind it.

    Args:
        options: The layout.
        is_folder: Whether the target is a folder.

    Attributes:
        is_folder: Likewise.
        settings: The layout as plain data.
    """

    def __init__(self, options: ParquetOptions, is_folder: bool) -> None:
        self.is_folder = is_folder
        self.settings = options.settings()
        self._options = options
        self._encoder = None if options.schema is None else RecordEncoder(options.schema)
        self._finder = SchemaFinder(options.hint)
        self._chunk: list[dict[str, Any]] = []
        self._chunk_chars = 0
        self._group: list[pa.RecordBatch] = []
        self._unsaved: list[pa.RecordBatch] = []
        self._first_part = self._part = self._committed_part = self._oldest_journal = 0
        self._file: OpenFile | None = None
        self._old: list[RowGroup] = []
        self._opened_journal: RowJournal | None = None

    @property
    def _journal(self) -> RowJournal:
        """The journal of the file that is being written."""
        assert self._opened_journal is not None, "open comes first"
        return self._opened_journal

    def _begin_journal(self) -> None:
        if self._opened_journal is not None:
            self._opened_journal.close()
        self._opened_journal = RowJournal(self._scratch, self._part)

    # ---- the life of a sink --------------------------------------------------------------------

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on.

        Raises:
            DataError: The old output has other columns than `schema=`, or is damaged.
            CheckpointError: What is to be gone on with is damaged.
        """
        self._folder = folder
        self._scratch = folder.with_name(f"{folder.name}.rows")
        if not self._scratch.exists():
            atomic.FS.mkdir(self._scratch)
        if state is not None:
            self._go_on(state)
            return
        self._begin_journal()
        if not self.is_folder:
            self._open_file()  # whoever commits looks for it
        if old is not None:
            self._take_over(old)

    def write(self, record: Any) -> None:
        """Take a record.

        Raises:
            TypeError: It is no dict.
            DataError: It, or one shortly before it, does not fit the columns.
        """
        check_record(record, self._options.stage)
        self._chunk.append(record)
        self._chunk_chars += sum(len(value) for value in record.values() if type(value) is str)
        if len(self._chunk) >= BATCH_ROWS or self._chunk_chars >= CHUNK_CHARS:
            self._encode_chunk()

    def commit(self) -> dict[str, Any]:
        """Put all rows so far on the disk; return from where to go on."""
        self._encode_chunk()
        for number in range(self._oldest_journal, self._committed_part):
            RowJournal(self._scratch, number).remove()  # no commit needs it since the one before
        self._oldest_journal = self._committed_part
        self._journal.append(self._unsaved)
        self._unsaved = []
        self._committed_part = self._part
        return {
            "first_part": self._first_part,
            "part": self._part,
            "bytes": self._journal.commit(),
            "rows": self._journal.num_rows,
            "schema": None if self._encoder is None else _to_text(self._encoder.schema),
        }

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._encode_chunk()
        if self._encoder is None:
            self._fix_schema()
        self._write_group()
        if not (self.is_folder and self._file is None and (self._part > 0 or self._old)):
            self._begun_file()  # a file without rows says which columns there are
        self._close_file()
        self._journal.close()

    def abort(self) -> None:
        """Drop what is open."""
        if self._opened_journal is not None:
            self._opened_journal.close()
        if self._file is not None:
            self._file.drop()
            self._file = None

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the output that is added to."""
        key = self._options.id_key
        known = set() if self._encoder is None else set(self._encoder.schema.names)
        for group in self._old if key in known else ():
            for batch in group.batches([str(key)]):
                yield from (str(i) for i in batch.column(0).to_pylist() if i is not None)

    # ---- rows ----------------------------------------------------------------------------------

    def _encode_chunk(self) -> None:
        if not self._chunk:
            return
        batch = self._encoded(self._chunk)
        self._chunk, self._chunk_chars = [], 0
        self._unsaved.append(batch)
        self._add(batch)

    def _encoded(self, records: list[dict[str, Any]]) -> pa.RecordBatch:
        if self._encoder is None:
            return self._finder.add(records)
        fit, schema = self._options.fit, self._encoder.schema
        try:
            return self._encoder.encode(records)
        except DataError:
            if fit is None:
                raise
        return self._encoder.encode([fit(record, schema) for record in records])

    def _add(self, batch: pa.RecordBatch, may_close: bool = True) -> None:
        """Take a batch; write the group of rows that it completes."""
        self._group.append(batch)
        num_rows = sum(batch.num_rows for batch in self._group)
        size = sum(batch.nbytes for batch in self._group)
        if num_rows < self._options.group_rows and size < GROUP_BYTES:
            return
        if self._encoder is None:
            self._fix_schema()
        self._write_group()
        assert self._file is not None
        if may_close and self.is_folder and self._file.is_full(self._options.part_rows):
            self._close_file()
        else:
            self._journal.append(self._unsaved)
            self._unsaved = []

    def _fix_schema(self) -> None:
        """Decide on the columns, and bring what was taken before in their form."""
        self._encoder = RecordEncoder(self._finder.schema())
        self._group = [self._encoder.fit(batch) for batch in self._group]

    # ---- files ---------------------------------------------------------------------------------

    def _path(self, part: int) -> Path:
        return self._folder / (f"part-{part:06d}.parquet" if self.is_folder else "data")

    def _open_file(self) -> None:
        if self._file is None:
            self._file = OpenFile(self._path(self._part), self._options.compression)

    def _begun_file(self) -> OpenFile:
        """Return the file for the next group of rows; its columns are known now."""
        self._open_file()
        assert self._file is not None
        assert self._encoder is not None
        self._file.begin(self._encoder.schema)
        return self._file

    def _write_group(self) -> None:
        if self._group:
            self._begun_file().write(self._group)
            self._group = []

    def _close_file(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self._part += 1
        self._unsaved = []
        self._begin_journal()

    # ---- what is there already -----------------------------------------------------------------

    def _take_over(self, old: Path) -> None:
        """Begin with the old output; its columns are those of the new one."""
        files = files_of(old)
        if not files:
            return
        with open_parquet(files[0]) as parquet:
            schema = pa.schema([(field.name, field.type) for field in parquet.schema_arrow])
        if self._options.schema is not None:
            check_same_columns(schema, self._options.schema, old)
        self._encoder = RecordEncoder(schema)
        if self.is_folder:
            self._old = list_row_groups(files, None)
            link_files(old, self._folder)
            self._first_part = 1 + max(_part_numbers(self._folder), default=-1)
            self._part = self._committed_part = self._oldest_journal = self._first_part
            self._begin_journal()
        else:
            link_file(old, self._scratch / _OLD)
            self._add_old_rows()

    def _add_old_rows(self) -> None:
        """Begin a single file with the rows of the old one."""
        assert self._encoder is not None
        self._old = list_row_groups(self._scratch / _OLD, None)
        for group in self._old:
            for batch in group.batches():
                self._add(batch.cast(self._encoder.schema))

    def _go_on(self, state: dict[str, Any]) -> None:
        """Undo what was written after a commit, and take the rows up to it again."""
        self._first_part = state["first_part"]
        self._part = self._committed_part = state["part"]
        self._oldest_journal = self._part
        self._begin_journal()
        if state["schema"] is not None:
            self._encoder = RecordEncoder(_from_text(state["schema"]))
        self._remove_begun()
        if self.is_folder:
            new = {self._path(part) for part in range(self._first_part, self._part)}
            old = [file for file in files_of(self._folder) if Path(file) not in new]
            self._old = list_row_groups(old, None) if old else []
        else:
            self._open_file()
            if (self._scratch / _OLD).exists():
                self._add_old_rows()
        for batch in self._journal.restore(state["bytes"], state["rows"]):
            if self._encoder is None:
                batch = self._finder.add(batch.to_pylist())
            self._add(batch, may_close=False)

    def _remove_begun(self) -> None:
        """Delete the files that were not closed at the commit, and their journals."""
        begun = [self._path(n) for n in _part_numbers(self._folder) if n >= self._part]
        for path in begun if self.is_folder else [self._path(0)]:
            if path.exists():
                atomic.FS.unlink(path)
        for path in self._scratch.glob("rows-*.arrow"):
            if path > self._journal.path:
                atomic.FS.unlink(path)


def _part_numbers(folder: Path) -> list[int]:
    found = [_PART.fullmatch(file.name) for file in folder.iterdir()]
    return [int(match[1]) for match in found if match]


def _to_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def _from_text(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
