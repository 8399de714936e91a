"""The values of a JSON array, one at a time: a file may be larger than memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from edspipe.data.raw import BLOCK_BYTES
from edspipe.errors import DataError

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"[-+.0-9eE]*")


def iterate_array(handle: Any, file: str) -> Iterator[Any]:
    """Yield the values of an array; where a file holds another value, yield that.

    Args:
        handle: What is read, in blocks; UTF-8, with or without a byte-order mark.
        file: Its name, for errors.

    Raises:
        DataError: The file is not valid JSON, or not UTF-8.
    """
    return _ArrayReader(handle, file).values()


def not_json(error: Exception, file: str, line: int | None) -> DataError:
    """Say why something is not JSON, without quoting it.

    Args:
        error: What the decoder of bytes or of JSON raised.
        file: Where it stands.
        line: Likewise; None where the error itself counts the lines of the file.
    """
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"not UTF-8 at byte {error.start}", file, line)
    if isinstance(error, json.JSONDecodeError):
        at = f"column {error.colno}" if line is not None else f"line {error.lineno}"
        return DataError(f"not valid JSON at {at} ({error.msg})", file, line)
    if isinstance(error, RecursionError):
        return DataError("not valid JSON: nested too deeply", file, line)
    return DataError("not valid JSON: a number has too many digits", file, line)


class _ArrayReader:
    """Holds the part of the text that is not parsed yet: a block, or the largest value."""

    def __init__(self, handle: Any, file: str) -> None:
        self._handle = handle
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._pos = 0
        self._num_bytes = 0
        self._num_lines = 0  # before the text that is held
        self._ended = False

    def values(self) -> Iterator[Any]:
        if self._peek() == "\ufeff":
            self._pos += 1
        if self._peek() != "[":
            yield self._value()
        else:
            self._pos += 1
            yield from self._members()
        if self._peek():
            raise self._problem("Extra data", self._pos)

    def _members(self) -> Iterator[Any]:
        following = self._peek()
        while following != "]":
            yield self._value()
            following = self._peek()
            if following not in ("]", ","):
                raise self._problem("Expecting ',' delimiter", self._pos)
            self._pos += following == ","
        self._pos += 1

    def _peek(self) -> str:
        """Skip blanks; return the next character, or nothing at the end."""
        while True:
            self._pos = _BLANKS.match(self._text, self._pos).end()  # type: ignore[union-attr]
            if self._pos < len(self._text):
                return self._text[self._pos]
            if not self._read_more():
                return ""

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._pos)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    raise self._problem(error.msg, error.pos) from None
                continue
            except (ValueError, RecursionError) as error:
                raise not_json(error, self._file, None) from None
            # a number may go on in the next block, also where it ends before a point or an e
            tail = _NUMBER.match(self._text, end).end()  # type: ignore[union-attr]
            if tail < len(self._text) or not self._read_more():
                self._pos = end
                return value

    def _read_more(self) -> bool:
        """Read a block; as much as is held, so that a large value is not parsed too often."""
        if self._ended:
            return False
        rest = self._text[self._pos :]
        block = self._handle.read(max(BLOCK_BYTES, len(rest)))
        self._ended = not block
        held = len(self._decoder.getstate()[0])
        try:
            new = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            start = self._num_bytes - held + error.start
            raise DataError(f"not UTF-8 at byte {start}", self._file) from None
        self._num_bytes += len(block)
        self._num_lines += self._text.count("\n", 0, self._pos)
        self._text, self._pos = rest + new, 0
        return not self._ended

    def _problem(self, what: str, pos: int) -> DataError:
        line = self._num_lines + self._text.count("\n", 0, pos) + 1
        return DataError(f"not valid JSON at line {line} ({what})", self._file)
