"""DocBin files (`.spacy`), one at a time: loaded whole, checked, and put together from Docs.

A DocBin is msgpack within zlib. `user_data` is msgpack too (spaCy's `srsly`), whose decoders build
plain data and numpy arrays of plain types: nothing is unpickled and no code is run. What the bytes
say of tokens and spans goes into C arrays of spaCy without a check, so it is checked here.
"""

from __future__ import annotations

import gc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import srsly
from spacy.attrs import ORTH
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from edspipe.doc.attributes import SPAN_TABLE, declare_doc_attribute, declare_span_attribute
from edspipe.errors import DataError

Packed = dict[str, Any]
"""A Doc as a DocBin keeps it: the entries of its lists, and the strings that it needs."""

_PACKER = srsly.msgpack.Packer(use_bin_type=True)
_DECODE_ARRAYS = srsly.msgpack_decoders.get("numpy")
_LISTS = ("tokens", "spaces", "cats", "flags", "span_groups", "user_data")
_OURS = "edspipe.doc.attributes"


def dumps(value: Any) -> bytes:
    """Do the same as `srsly.msgpack_dumps`, which looks for installed plug-ins at each call."""
    return _PACKER.pack(value)


def loads(data: bytes) -> Any:
    """Do the same as `srsly.msgpack_loads`, likewise; lists become tuples, to serve as keys."""
    return srsly.msgpack.unpackb(data, raw=False, use_list=False, object_pairs_hook=_decode)


def _decode(pairs: Any) -> Any:
    return _DECODE_ARRAYS(dict(pairs))


def pack_doc(doc: Doc) -> Packed:
    """Return what a DocBin keeps of a Doc: all but its tensor.

    Raises:
        DataError: `user_data` or `cats` hold what is no plain data.
    """
    try:
        doc_bin = DocBin(docs=[doc])
        doc_bin.user_data = [dumps(doc.user_data)]
        dumps(doc.cats)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            "an attribute, user_data or cats hold what is no plain data, so a DocBin cannot keep "
            f"it ({type(error).__name__})",
            id=None if doc._.note_id is None else str(doc._.note_id),
        ) from None
    packed = {name: getattr(doc_bin, name)[0] for name in _LISTS}
    return {**packed, "strings": sorted(doc_bin.strings)}


def name_packed(packed: Packed, note_id: str) -> Packed:
    """Give a packed Doc an id."""
    user_data = loads(packed["user_data"])
    user_data[("._.", "note_id", None, None)] = note_id
    return {**packed, "user_data": dumps(user_data)}


def add_packed(doc_bin: DocBin, packed: Packed) -> None:
    """Append a packed Doc to a DocBin."""
    for name in _LISTS:
        getattr(doc_bin, name).append(packed[name])
    doc_bin.strings.update(packed["strings"])


def load_docs(data: bytes, vocab: Vocab, start: int = 0) -> Iterator[Doc]:
    """Yield the Docs of a DocBin, from a number on; the DocBin is loaded whole.

    Raises:
        DataError: It is no DocBin, or a damaged one.
    """
    with _explained():
        doc_bin = _load(data, start)
        kept, doc_bin.user_data = doc_bin.user_data, []  # spaCy is slow to unpack it
        docs = zip(doc_bin.get_docs(vocab), kept, strict=False)
    while True:
        with _explained():
            doc, user_data = next(docs, (None, None))
            if doc is not None:
                if user_data is not None:
                    doc.user_data.update(loads(user_data))
                for spans in (doc.ents, *doc.spans.values()):
                    list(spans)  # spaCy refuses those that cannot be when they are asked for
                _tidy(doc)
        if doc is None:
            return
        yield doc


@contextmanager
def _explained() -> Iterator[None]:
    collects = gc.isenabled()
    try:
        yield
    except Exception as error:
        if isinstance(error, (DataError, MemoryError)):
            raise
        message = "not a DocBin (a .spacy file), or a damaged one"
        raise DataError(f"{message} ({type(error).__name__})") from None
    finally:
        if collects:
            gc.enable()  # srsly switches it off, and after an error not on again


def _load(data: bytes, start: int) -> DocBin:
    """Return a DocBin with the Docs from a number on.

    Raises:
        DataError: Its parts do not fit together.
    """
    message = srsly.msgpack_loads(zlib.decompress(data))
    lengths = np.frombuffer(message["lengths"], dtype="int32")
    num, width = len(lengths), len(message["attrs"])
    words = np.frombuffer(message["tokens"], dtype="uint64").reshape(-1, width)
    spaces = np.frombuffer(message["spaces"], dtype=bool).reshape(-1, 1)
    if np.any(lengths < 0) or not lengths.sum() == len(words) == len(spaces):
        raise DataError("a damaged DocBin: it has not as many words as it says")
    behind = np.cumsum(lengths)[:-1]
    parts: dict[str, list[Any]] = {
        "tokens": np.split(words, behind) if num else [],
        "spaces": np.split(spaces, behind) if num else [],
        "cats": message["cats"],
        "flags": message.get("flags", [{}] * num),
        "span_groups": message.get("span_groups", [b""] * num),
        "user_data": message.get("user_data", [None] * num),
    }
    if any(not isinstance(part, list) or len(part) != num for part in parts.values()):
        raise DataError("a damaged DocBin: its parts do not fit together")
    doc_bin = DocBin(store_user_data=True)
    doc_bin.attrs, doc_bin.strings = list(message["attrs"]), set(message["strings"])
    if np.any(words[:, doc_bin.attrs.index(ORTH)] == 0):
        raise DataError("a damaged DocBin: an empty word")
    for name, part in parts.items():
        setattr(doc_bin, name, part[start:])
    return doc_bin


def _tidy(doc: Doc) -> None:
    """Make the attributes that come with a Doc known, and lists of the tuples in their values."""
    native: list[tuple[Any, Any]] = []
    for key, value in list(doc.user_data.items()):
        doc.user_data[key] = value = _listed(value)
        if not (isinstance(key, tuple) and len(key) >= 4 and key[0] == "._."):
            continue
        if key[2] is None:
            declare_doc_attribute(key[1])
        elif key[3] is not None:
            native.append((key, value))
    for values in doc.user_data.get(SPAN_TABLE, {}).values():
        for name in values:
            declare_span_attribute(name)
    if native:
        _adopt(doc, native)


def _adopt(doc: Doc, native: list[tuple[Any, Any]]) -> None:
    """Make values that spaCy keeps by the characters of a span those of all spans on them."""
    spans = [*doc.ents, *(span for group in doc.spans.values() for span in group)]
    for (_, name, start, end, *_), value in native:
        declare_span_attribute(name)
        setter = Span.get_extension(name)[3]
        if getattr(setter, "__module__", None) != _OURS:
            continue  # declared elsewhere: whoever did so knows where its values are
        for span in spans:
            if (span.start_char, span.end_char) == (start, end):
                span._.set(name, value)


def _listed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_listed(item) for item in value]
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value
