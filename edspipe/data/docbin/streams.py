"""read_docbin and write_docbin: spaCy's own files of Docs, `.spacy`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spacy.tokens import Doc
from spacy.vocab import Vocab

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.data.docbin.format import load_docs, pack_doc
from edspipe.data.docbin.sink import PACKED, SUFFIX, DocBinSink
from edspipe.data.output.writing import write_records
from edspipe.data.paths import is_remote, list_files
from edspipe.data.raw import open_file
from edspipe.data.sources import read_with, shape_source
from edspipe.errors import DataError
from edspipe.stream.account import RunReport
from edspipe.stream.hooks import Identity, register_describer, register_identity
from edspipe.stream.ops.map import Map
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

DOCS_PER_FILE = 1000


@registry.readers.register("docbin")
def read_docbin(
    path: str | Path,
    *,
    tokenizer: Any = None,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
) -> Stream:
    """Read Docs from files that spaCy or `write_docbin` wrote.

    A DocBin has one table of strings for all its Docs, so a file is loaded whole: many files of
    some thousand Docs are better than one. Docs come with all that a DocBin keeps: words,
    annotations, entities, span groups, `cats`, and attributes (`doc._.x`, `span._.x`), which are
    declared where they are not. Docs without `note_id` get the name of the file and their number.

    Args:
        path: A file, a folder of files, a pattern, or an address of these.
        tokenizer: Its vocabulary is used; None takes that of `edspipe.blank("eds")`.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer as `"100 docs"`, or `"fragment"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or `"skip"` to leave out and count files that are damaged.

    Raises:
        DataError: On reading, a file is no DocBin.
        FileNotFoundError: There is no such file or folder.
    """
    vocab = default_tokenizer(tokenizer).vocab
    files = [DocBinFile(file, _stem(file, path), vocab) for file in list_files(path, (SUFFIX,))]
    stream = Stream(FragmentSource(files))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_with(stream, _whole, "read_docbin", on_error)


def _stem(file: str, path: str | Path) -> str:
    below = not is_remote(path) and Path(path).is_dir()
    name = os.path.relpath(file, path) if below else file.rsplit("/", 1)[-1]
    return name.removesuffix(SUFFIX)


class Unreadable(NamedTuple):
    """A file that is no DocBin; what is wrong is raised by the op that reads."""

    file: str
    message: str


register_describer(Unreadable, lambda item: item.file)
register_identity(Unreadable, lambda item: Identity(None, item.file, None))


@dataclass
class DocBinFile:
    """A file of Docs.

    Attributes:
        name: Its path or address.
        stem: What ids begin with, where a Doc has none.
        vocab: The vocabulary of the Docs.
    """

    name: str
    stem: str
    vocab: Vocab

    def read(self, start: int = 0) -> Iterator[Doc | Unreadable]:
        """Yield Docs, from a number on."""
        try:
            with open_file(self.name) as handle:
                data = handle.read()
            for number, doc in enumerate(load_docs(data, self.vocab, start), start=start + 1):
                if doc._.note_id is None:
                    doc._.note_id = f"{self.stem}-{number}"
                yield doc
        except DataError as error:
            yield Unreadable(self.name, error.message)

    def num_items(self) -> int | None:
        """Return None: it takes loading the file."""
        return None


def _whole(item: Doc | Unreadable) -> Doc:
    if isinstance(item, Unreadable):
        raise DataError(item.message, item.file)
    return item


@registry.writers.register("docbin")
def write_docbin(
    data: Any,
    path: str | Path,
    *,
    docs_per_file: int = DOCS_PER_FILE,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
) -> RunReport:
    """Run a stream and write its Docs for spaCy.

    All of a Doc is kept but its `tensor`; attributes that are tuples come back as lists.

    Args:
        data: A stream, or an iterable of Docs.
        path: A folder of part files; or a `.spacy` file, whose Docs are all held in memory.
        docs_per_file: Docs a part.
        overwrite: False refuses what exists, True replaces it, `"append"` adds Docs.
        resume: Go on with a run that was broken off.
        receipt: Write a ledger of the documents.

    Returns:
        The report of the run.

    Raises:
        DataError: An attribute is no plain data; two Docs have the same id.
        FileExistsError: The target exists, and `overwrite` is False.
        ValueError: `docs_per_file` is not positive.
    """
    if docs_per_file < 1:
        raise ValueError(f"docs_per_file is at least 1, got {docs_per_file}")
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    op = Map(_pack)
    op.stage = "write_docbin"
    return write_records(
        stream.with_op(op),
        path,
        DocBinSink(path, docs_per_file),
        stage="write_docbin",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
    )


def _pack(doc: Any) -> dict[str, Any]:
    if not isinstance(doc, Doc):
        raise TypeError(f"write_docbin writes Docs, got a {type(doc).__name__}")
    ident = doc._.note_id
    return {"note_id": ident, "has_id": ident is not None, PACKED: pack_doc(doc)}
