"""What streams need to know about the things that flow in them, told by those who know.

Streams import neither spaCy nor torch. The rooms that own a type register here how it crosses
between processes, what it is called in an error, and how large it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import cloudpickle

Encode = Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]

_ENCODERS: dict[type, Encode] = {}
_SHARED: set[type] = set()
_DESCRIBERS: dict[type, Callable[[Any], str | None]] = {}
_WORD_COUNTERS: dict[type, Callable[[Any], int]] = {}
_ATTRIBUTES: dict[type, Callable[[Any, str], Any]] = {}
_IDENTITIES: dict[type, Callable[[Any], Identity]] = {}
_PLAIN: dict[type, Callable[[Any], Any]] = {}
_RELEASES: list[Callable[[Iterable[Any]], None]] = []

MAX_SHARED = 16
"""Objects that cross once: a run has one Vocab or two. Docs that each have a Vocab of their own are
no reason to keep them all."""

MIN_BUFFER_BYTES = 16 * 1024
"""Buffers that cross beside the pickled bytes: below, a copy costs less than the bookkeeping."""


class Identity(NamedTuple):
    """What the books of a run say about a document.

    Attributes:
        id: Its id.
        source: Where it was read, e.g. `notes.jsonl:17`.
        sha256: Of its text, or of the bytes that were read.
    """

    id: str | None = None
    source: str | None = None
    sha256: str | None = None

    def updated(self, other: Identity) -> Identity:
        """Return an identity in which what the other one knows has replaced ours."""
        return Identity(*(new or old for old, new in zip(self, other, strict=True)))


NOBODY = Identity()


class WrongValue(TypeError):
    """A value that streams cannot work with. Unlike that of a foreign error its message is safe:
    it quotes nothing."""


def register_transport(type_: type, encode: Encode) -> None:
    """Say how objects of a type cross to another process.

    Args:
        type_: The type itself; subclasses are not covered.
        encode: Returns `(function, arguments)`; the receiver calls it to get the object back.
    """
    _ENCODERS[type_] = encode


def register_shared(type_: type) -> None:
    """Say that objects of a type cross once, and are the same object on the other side after."""
    _SHARED.add(type_)


def register_describer(type_: type, describe: Callable[[Any], str | None]) -> None:
    """Say how to get the id of an object, for error messages."""
    _DESCRIBERS[type_] = describe


def register_identity(type_: type, identify: Callable[[Any], Identity]) -> None:
    """Say what the books of a run should know about objects of a type, without text."""
    _IDENTITIES[type_] = identify


def register_plain(type_: type, to_plain: Callable[[Any], Any]) -> None:
    """Say how objects of a type are written as plain data, e.g. into a quarantine."""
    _PLAIN[type_] = to_plain


def register_release(release: Callable[[Iterable[Any]], None]) -> None:
    """Have a function called between tasks, while no item is in hand, to give memory back.

    Args:
        release: Gets the shared objects of a worker.
    """
    _RELEASES.append(release)


def release_memory(shared: Iterable[Any] = ()) -> None:
    """Give memory back; no item may be in hand."""
    for release in _RELEASES:
        release(shared)


def register_word_counter(type_: type, count: Callable[[Any], int]) -> None:
    """Say how many words an object has, for batches by words."""
    _WORD_COUNTERS[type_] = count


def register_attributes(type_: type, read: Callable[[Any, str], Any]) -> None:
    """Say how to get an attribute of an object by its name; None where it has none of that name."""
    _ATTRIBUTES[type_] = read


def attribute_of(value: Any, name: str) -> Any:
    """Return an attribute of a document: of a Doc `doc._.<name>`, of a dict the value under a key;
    None for what has none."""
    if isinstance(value, dict):
        return value.get(name)
    read = _ATTRIBUTES.get(type(value))
    return None if read is None else read(value, name)


def id_of(value: Any) -> str | None:
    """Return the id of a document, None for what has none."""
    describer = _DESCRIBERS.get(type(value))
    found: Any = describer(value) if describer is not None else None
    if found is None and isinstance(value, dict):
        ids = (value.get(key) for key in ("note_id", "doc_id", "id"))
        found = next((ident for ident in ids if isinstance(ident, (str, int))), None)
    return None if found is None else str(found)


def describe(value: Any, index: int) -> str:
    """Name an item in an error: the id of the document, else its index; never its text."""
    ident = id_of(value)
    return f"item {index}" if ident is None else f"document '{ident}'"


def identity_of(value: Any) -> Identity:
    """Return what the books should know about a value."""
    identify = _IDENTITIES.get(type(value))
    if identify is not None:
        return identify(value)
    if isinstance(value, str):
        return Identity(sha256=sha256_of(value))
    text = _text_of(value) if isinstance(value, dict) else None
    return Identity(id_of(value), sha256=None if text is None else sha256_of(text))


def sha256_of(text: str) -> str:
    """Return the sha256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _text_of(record: dict[Any, Any]) -> str | None:
    found = (record.get(key) for key in ("note_text", "text"))
    return next((text for text in found if isinstance(text, str)), None)


def plain(value: Any) -> Any:
    """Return a value as plain data, None where it has no such form."""
    to_plain = _PLAIN.get(type(value))
    if to_plain is not None:
        value = to_plain(value)
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return value


def count_words(value: Any) -> int:
    """Return the words of an item: a Doc's tokens, a text's blank-separated runs, a feature's
    `stats["words"]`.

    Raises:
        WrongValue: Nobody said how to count words in this type.
    """
    counter = _WORD_COUNTERS.get(type(value))
    if counter is not None:
        return counter(value)
    if isinstance(value, str):
        return len(value.split())
    stats = value.get("stats") if isinstance(value, dict) else None
    if isinstance(stats, dict) and "words" in stats:
        return stats["words"]
    raise WrongValue(f"cannot count words in a {type(value).__name__}; give batch_by= a function")


class Shared:
    """The objects that cross once between two processes, by number; each side keeps them all.

    The main process collects them while it packs, and sends the new ones ahead of what needs them.
    """

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._packed: list[bytes] = []

    def number(self, value: Any, collect: bool) -> int | None:
        """Return the number of an object; an unknown one gets a number only while collecting."""
        if collect and id(value) not in self._numbers and len(self._objects) < MAX_SHARED:
            self.keep(value)
        return self._numbers.get(id(value))

    def keep(self, value: Any) -> None:
        """Remember an object; holding it keeps its identity from being used again."""
        self._numbers[id(value)] = len(self._objects)
        self._objects.append(value)

    def packed(self, start: int = 0) -> list[bytes]:
        """Return the objects from a number on as bytes."""
        new = self._objects[len(self._packed) :]
        self._packed += [cloudpickle.dumps(value) for value in new]
        return self._packed[start:]

    def __getitem__(self, number: int) -> Any:
        return self._objects[number]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


class _Pickler(cloudpickle.Pickler):
    """cloudpickle, with the registered types in their own form; nothing global is patched."""

    def __init__(
        self,
        file: io.BytesIO,
        shared: Shared,
        collect: bool,
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._shared = shared
        self._collect = collect

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in _SHARED:  # here and not in persistent_id, which is called for every string
            number = self._shared.number(obj, self._collect)
            if number is not None:
                return _shared_object, (number,)
        encode = _ENCODERS.get(type(obj))
        return encode(obj) if encode is not None else super().reducer_override(obj)


class Packer:
    """Turns values into bytes, one after the other, for a process on this machine.

    Args:
        shared: The objects that both sides have.
        collect: Take objects of shared types that are not known yet in among them.
        with_buffers: Leave large buffers (of arrays and tensors) out of the bytes, without a copy.
    """

    def __init__(self, shared: Shared, collect: bool = False, with_buffers: bool = False) -> None:
        self._file = io.BytesIO()
        self._buffers: list[memoryview] = []
        callback = self._leave_out if with_buffers else None
        self._pickler = _Pickler(self._file, shared, collect, callback)

    def pack(self, value: Any) -> tuple[bytes, list[memoryview]]:
        """Return a value as bytes, and the buffers that these leave out.

        Raises:
            WrongValue: The value, or something in it, cannot be pickled.
        """
        self._buffers = []
        self._file.seek(0)
        self._file.truncate()
        self._pickler.clear_memo()
        try:
            self._pickler.dump(value)
        except Exception as error:
            raise WrongValue(
                f"a {type(value).__name__} cannot cross to another process: {_culprit(error)}"
            ) from None
        return self._file.getvalue(), self._buffers

    def _leave_out(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer; true for one that is too small, which stays among the bytes."""
        raw = buffer.raw()
        if raw.nbytes < MIN_BUFFER_BYTES:
            return True
        self._buffers.append(raw)
        return False


def dumps(value: Any, shared: Shared, collect: bool = False) -> bytes:
    """Turn a value into bytes for a process on this machine.

    Args:
        value: The value.
        shared: The objects that both sides have.
        collect: Take objects of shared types that are not known yet in among them.

    Raises:
        WrongValue: The value, or something in it, cannot be pickled.
    """
    return Packer(shared, collect).pack(value)[0]


def _culprit(error: Exception) -> str:
    """Say what cannot be pickled: only messages that name a type and nothing else are passed on."""
    found = re.fullmatch(r"cannot pickle '([\w. ]+)' object", str(error))
    return f"it holds a {found[1]}" if found else f"pickling failed with {type(error).__name__}"


class _Loading(threading.local):
    """The shared objects of the value that this thread is rebuilding."""

    shared: Shared | None = None


_LOADING = _Loading()


def _shared_object(number: int) -> Any:
    assert _LOADING.shared is not None
    return _LOADING.shared[number]


def loads(
    data: bytes | memoryview, shared: Shared, buffers: Iterable[bytes | memoryview] = ()
) -> Any:
    """Turn bytes of `dumps` back; they only ever come from our own processes.

    Args:
        data: The bytes.
        shared: The objects that both sides have.
        buffers: The buffers that a `Packer` left out; the value goes on using them.
    """
    before, _LOADING.shared = _LOADING.shared, shared
    try:
        return pickle.loads(data, buffers=buffers)  # noqa: S301
    finally:
        _LOADING.shared = before
