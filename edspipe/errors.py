"""Every exception that edspipe raises on purpose.

    EdspipeError
    ├── ConfigError          a config is wrong; the message carries the path in the config
    ├── MissingExtraError    an optional library is needed; the message says which extra brings it
    ├── DataError            a file or record is wrong; carries file, line and id
    ├── PipeError            an op or a pipe failed on a document; carries stage and document id
    ├── WorkerError          a worker process died, hung or could not start
    ├── TrainingError        a training cannot go on, e.g. its loss is not a number
    └── CheckpointError      a saved folder (model, checkpoint) is damaged or does not fit

Plain bad arguments stay `ValueError` and `TypeError`. A message says what was expected, what
came, where, and what to do. It never quotes clinical text: ids, offsets and lengths only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdspipeError(Exception):
    """The root of the tree: catch this one to catch them all."""


class ConfigError(EdspipeError):
    """A config, or an argument that came from one, is wrong."""


class MissingExtraError(EdspipeError, ImportError):
    """An optional library is not installed."""


class DataError(EdspipeError):
    """A file or a record cannot be read or written.

    Args:
        message: What was expected and what came, without clinical text.
        file: The file, if there is one.
        line: The line in the file, counted from 1.
        id: The id of the annotation or of the document.
    """

    def __init__(
        self,
        message: str,
        file: object | None = None,
        line: int | None = None,
        id: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.id = id
        super().__init__(message, file, line, id)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.id) if part is not None)
        return f"{where}: {self.message}" if where else self.message


class PipeError(EdspipeError):
    """An op or a pipe failed on a document.

    Args:
        stage: The op or pipe, e.g. `"map(split)"`.
        doc_id: The id of the document, or its index in the stream.
        error_type: The name of the original exception's type.
        frames: The traceback as text: file, line and function only.
        shown: The original message, only where `debug_show_text=True` asked for it.
    """

    def __init__(
        self,
        stage: str,
        doc_id: str,
        error_type: str,
        frames: str = "",
        shown: str = "",
    ) -> None:
        self.stage = stage
        self.doc_id = doc_id
        self.error_type = error_type
        self.frames = frames
        self.shown = shown
        super().__init__(stage, doc_id, error_type, frames, shown)

    def __str__(self) -> str:
        said = f": {self.shown}" if self.shown else ""
        hint = (
            ""
            if self.shown
            else "\n(the original message may quote the text of the note: see it with "
            "set_processing(debug_show_text=True))"
        )
        trace = f"\n{self.frames}" if self.frames else ""
        return f"{self.stage} failed on {self.doc_id} with {self.error_type}{said}{trace}{hint}"


class WorkerError(EdspipeError):
    """A worker process died, hung, or could not start."""


class TrainingError(EdspipeError):
    """A training cannot go on; the message names the step and the documents of its batch."""


class CheckpointError(EdspipeError):
    """A saved folder is damaged, or does not fit what it is loaded into."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known name, or an empty string.

    Args:
        name: What came.
        known: The names that exist.
    """
    near = difflib.get_close_matches(name, sorted({str(k) for k in known}), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def refuse_unknown(given: Iterable[object], known: Iterable[str], path: str, what: str) -> None:
    """Refuse names that do not exist in a block of a config.

    Args:
        given: The names that came.
        known: Those that exist.
        path: Where the block stands.
        what: What begins the list of those that exist, e.g. `"The settings are"`.

    Raises:
        ConfigError: With the nearest name.
    """
    known = list(known)
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{path}.{key}: unknown.{did_you_mean(str(key), known)} {what}: {', '.join(known)}"
            )
