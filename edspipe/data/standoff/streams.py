"""read_standoff and write_standoff: brat folders as streams of Docs, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.data.output.writing import write_records
from edspipe.data.sources import check_on_error, shape_source
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.files import StandoffDocument, list_standoff_files, read_record
from edspipe.data.standoff.parse import raise_problem
from edspipe.data.standoff.report import ReadReport, WriteReport
from edspipe.data.standoff.writer import COUNTS, StandoffSink, render_files
from edspipe.errors import DataError
from edspipe.stream.account import RunReport
from edspipe.stream.hooks import (
    Identity,
    register_describer,
    register_identity,
    register_plain,
    sha256_of,
)
from edspipe.stream.markers import Item
from edspipe.stream.ops.map import Map
from edspipe.stream.ops.op import Run
from edspipe.stream.stream import Stream
from edspipe.types import SpanGetter, SpanSetter


@registry.readers.register("standoff")
def read_standoff(
    path: str | Path,
    *,
    tokenizer: Any = None,
    span_setter: SpanSetter = "ents",
    span_attributes: Any = None,
    bool_attributes: Sequence[str] = (),
    suffixes: Sequence[str] | None = None,
    strict: bool = False,
    on_error: str | None = None,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
) -> Stream:
    """Read a folder of brat's `.txt` and `.ann` files, and its sub-folders, as Docs.

    The text is read byte for byte; line ends and byte-order marks stay. Entities whose offsets
    fall inside a word are widened to the word and counted (`snapped`); writing gives their own
    offsets back. All kinds of lines are kept for writing.

    Args:
        path: The folder, or one `.txt` file.
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
        span_setter: Where entities go, e.g. `["ents", "gold-ner"]`.
        span_attributes: Names of brat attributes to read (or `{brat's: ours}`); None reads all.
        bool_attributes: Attributes that are False where brat has none.
        suffixes: Suffixes of the annotation files; None is `.ann`, or `.a1` and `.a2`.
        strict: Whether a text without annotation files is an error.
        on_error: `"raise"` at the first bad line; `"skip"` to leave out and count bad lines, and
            documents that cannot be read; None raises at a bad line too, and the stream's own
            `on_error` says what becomes of the document.
        loop: Read again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: The folder holds no document; and, on reading, a bad line, with file and line.
    """
    check_on_error(on_error)
    on_problem = _report if on_error == "skip" else raise_problem
    documents = list_standoff_files(path, suffixes=suffixes, on_problem=on_problem)
    stream = shape_source(Stream.from_items(documents), loop=loop, shuffle=shuffle, seed=seed)
    conversion = {
        "tokenizer": default_tokenizer(tokenizer),
        "span_setter": span_setter,
        "span_attributes": span_attributes,
        "bool_attributes": list(bool_attributes),
    }
    return stream.with_op(ReadStandoff(conversion, suffixes, strict, on_error))


def _report(problem: DataError) -> None:
    logger.warning("skipped: {}", problem)


class ReadStandoff(Map):
    """Reads one document; what is odd about it is counted in the run.

    Args:
        conversion: Arguments of `record_to_doc`.
        suffixes: Suffixes of the annotation files.
        strict: Whether a text without annotation files is an error.
        on_error: `"raise"`, `"skip"`, or None to do as the stream does.
    """

    def __init__(
        self,
        conversion: dict[str, Any],
        suffixes: Sequence[str] | None,
        strict: bool,
        on_error: str | None,
    ) -> None:
        super().__init__(record_to_doc, on_error=on_error)
        self.stage = "read_standoff"
        self.conversion = conversion
        self.suffixes = suffixes
        self.strict = strict

    def _one(self, item: Item, run: Run) -> list[Item]:
        report = ReadReport()
        record = read_record(
            item.value,
            suffixes=self.suffixes,
            strict=self.strict,
            on_problem=_report if self.on_error == "skip" else raise_problem,
            report=report,
        )
        if run.keeps_ids:
            run.books.identify(item, Identity(sha256=sha256_of(record["text"])))
        doc = record_to_doc(record, report=report, **self.conversion)
        for name in ("unknown_lines", "skipped_lines", "txt_without_ann", "snapped", "unplaced"):
            if number := getattr(report, name):
                run.counts[name] += number
        return [item._replace(value=doc)]


@registry.writers.register("standoff")
def write_standoff(
    data: Any,
    path: str | Path,
    *,
    span_getter: SpanGetter = ("ents", "*"),  # type: ignore[assignment]
    span_attributes: Any = None,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
) -> RunReport:
    """Run a stream and write its Docs as brat files; the folder appears when it is whole.

    What was read with `read_standoff` and not changed is written back byte for byte; what the Doc
    no longer has goes, with what points at it.

    Args:
        data: A stream, or an iterable of Docs.
        path: The folder; also an address that fsspec knows.
        span_getter: Which spans are written; all by default.
        span_attributes: Which span attributes are written: names, or `{ours: brat's}`; None writes
            all that were set. A record, as `date`, becomes an attribute a field (`date_type`,
            `date_value`), and a field may be named by itself.
        overwrite: False refuses a folder with files, True replaces it, `"append"` adds documents.
        resume: Go on with a run that was broken off, if there is one.
        receipt: Leave a receipt in the folder, for `edspipe audit`.

    Returns:
        What was counted: documents read and done, lines kept, changed, removed, added.

    Raises:
        FileExistsError: The folder holds files, and `overwrite` is False.
        DataError: Two documents have the same id; nothing is seen then.
        CheckpointError: What is there to resume belongs to another run.
    """
    getter = list(span_getter) if isinstance(span_getter, tuple) else span_getter
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    return write_records(
        stream.map(_ToFiles(getter, span_attributes)),
        path,
        StandoffSink(),
        stage="write_standoff",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
    )


class _ToFiles:
    """Docs to the bytes of files; a class, so that it pickles and has a name."""

    def __init__(self, span_getter: SpanGetter, span_attributes: Any) -> None:
        self.span_getter = span_getter
        self.span_attributes = span_attributes
        self.__qualname__ = "write_standoff"

    def __call__(self, doc: Any) -> Any:
        report = WriteReport()
        attributes = self.span_attributes
        record = doc_to_record(doc, self.span_getter, span_attributes=attributes, report=report)
        files = render_files(record)
        others = {"foreign_source": report.foreign_source, "unwritten": report.unwritten.total()}
        return {**files, COUNTS: {**files[COUNTS], **others}}


def _identify(document: StandoffDocument) -> Identity:
    return Identity(document.note_id, document.txt)


register_identity(StandoffDocument, _identify)
register_describer(StandoffDocument, lambda document: document.note_id)
register_plain(StandoffDocument, lambda document: {"note_id": document.note_id})
