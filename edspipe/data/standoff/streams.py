"""read_standoff and write_standoff: brat folders as streams of Docs, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.data.sources import check_on_error, shape_source
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.files import StandoffDocument, list_standoff_files, read_record
from edspipe.data.standoff.parse import raise_problem
from edspipe.data.standoff.report import ReadReport
from edspipe.data.standoff.writer import StandoffWriter
from edspipe.errors import DataError
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
    on_error: str = "raise",
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
        on_error: `"raise"` at the first bad line, or `"skip"` to leave out and count bad lines, and
            documents that cannot be read.
        loop: Read again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: The folder holds no document; and, on reading, a bad line, with file and line.
    """
    check_on_error(on_error)
    on_problem = raise_problem if on_error == "raise" else _report
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
        on_error: `"raise"` or `"skip"`.
    """

    def __init__(
        self,
        conversion: dict[str, Any],
        suffixes: Sequence[str] | None,
        strict: bool,
        on_error: str,
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
            on_problem=raise_problem if self.on_error == "raise" else _report,
            report=report,
        )
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
) -> dict[str, int]:
    """Run a stream and write its Docs as brat files; the folder appears when it is whole.

    What was read with `read_standoff` and not changed is written back byte for byte; what the Doc
    no longer has goes, with what points at it.

    Args:
        data: A stream, or an iterable of Docs.
        path: The folder.
        span_getter: Which spans are written; all by default.
        span_attributes: Which span attributes are written; None writes all that were set.
        overwrite: False refuses a folder with files, True replaces it, `"append"` adds documents.

    Returns:
        What was counted: items read and delivered, lines kept, changed, removed, added.

    Raises:
        FileExistsError: The folder holds files, and `overwrite` is False.
        DataError: Two documents have the same id; nothing is written then.
    """
    getter = list(span_getter) if isinstance(span_getter, tuple) else span_getter
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    to_record = _ToRecord(getter, span_attributes)
    with (
        StandoffWriter(path, overwrite=overwrite) as writer,
        iter(stream.map(to_record)) as records,
    ):
        for record in records:
            writer.write(record)
        counts = records.counts
    report = writer.report.as_dict()
    return {**counts, **{key: value for key, value in report.items() if isinstance(value, int)}}


class _ToRecord:
    """Docs to records; a class, so that it pickles and has a name."""

    def __init__(self, span_getter: SpanGetter, span_attributes: Any) -> None:
        self.span_getter = span_getter
        self.span_attributes = span_attributes
        self.__qualname__ = "write_standoff"

    def __call__(self, doc: Any) -> Any:
        return doc_to_record(doc, self.span_getter, span_attributes=self.span_attributes)


def document_of(value: Any) -> str | None:
    """Name a document that is not read yet, for errors."""
    return value.note_id if isinstance(value, StandoffDocument) else None
