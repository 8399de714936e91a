"""brat's standoff format: folders of `.txt` and `.ann` files.

The rooms behind: `standoff_format` (lines), `standoff_parse` (checks), `standoff_record` (records),
`standoff_render` (records to lines), `standoff_files` (folders), `standoff_writer`, and
`converters.standoff` (records to Docs and back).
"""

from __future__ import annotations

from edspipe.data.standoff_files import (
    StandoffDocument,
    list_standoff_files,
    locate_document,
    read_record,
    read_records,
)
from edspipe.data.standoff_report import ReadReport, WriteReport
from edspipe.data.standoff_writer import StandoffWriter, write_record

__all__ = [
    "ReadReport",
    "StandoffDocument",
    "StandoffWriter",
    "WriteReport",
    "list_standoff_files",
    "locate_document",
    "read_record",
    "read_records",
    "write_record",
]
