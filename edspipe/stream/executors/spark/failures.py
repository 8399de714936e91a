"""Errors between Spark and us: as data inside the text of an exception, so that none gets lost.

Spark hands on an exception of a task as text. Ours carry their name and arguments in that text;
from any other only what quotes nothing is passed on.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import traceback
from collections.abc import Iterator
from typing import Any

from edspipe.errors import EdspipeError, WorkerError
from edspipe.stream.executors.multiprocess.messages import open_error, pack_error

_MARK = re.compile(r"\[edspipe-error ([A-Za-z0-9+/=]+)\]")
_TASK = re.compile(r"Task (\d+) in stage")
_CRASHED = "Python worker exited unexpectedly"


class TaskFailure(RuntimeError):
    """What a task raises: a message for the logs of Spark, and the error as data."""


def task_failure(error: BaseException) -> TaskFailure:
    """Return what a task raises for an error."""
    if not isinstance(error, EdspipeError):
        frames = traceback.extract_tb(error.__traceback__)[1:]
        shown = [f'  File "{f.filename}", line {f.lineno}, in {f.name}' for f in frames]
        kind = type(error).__name__
        error = WorkerError("\n".join([f"a task of Spark failed with {kind}", *shown]))
    packed = pack_error(error)
    mark = base64.b64encode(json.dumps(packed).encode()).decode()
    return TaskFailure(f"{open_error(packed)}\n[edspipe-error {mark}]")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Inside, an exception of Spark becomes one of ours.

    Raises:
        EdspipeError: The one that a task raised.
        WorkerError: Anything else that went wrong in Spark.
    """
    try:
        yield
    except (EdspipeError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        if any(kind.__name__ == "AnalysisException" for kind in type(error).__mro__):
            raise  # about columns, types and paths, before anything was read
        raise _read(error) from None


def _read(error: Exception) -> EdspipeError:
    text = str(error)
    mark = _MARK.search(text)
    if mark is not None:
        name, args = json.loads(base64.b64decode(mark[1]))
        return open_error((name, tuple(args)))
    task = _TASK.search(text)
    where = "" if task is None else f" in task {task[1]}"
    if _CRASHED in text:
        return WorkerError(
            f"a Python worker of Spark died{where} (killed, out of memory, or a crash in native "
            "code), and so did those that tried again; see the logs of the executors"
        )
    condition = _condition(error) or type(error).__name__
    return WorkerError(f"Spark failed{where} with {condition}; see the logs of the executors")


def _condition(error: Any) -> str | None:
    """Return the name that Spark gives to what went wrong, e.g. `PATH_NOT_FOUND`."""
    for method in ("getCondition", "getErrorClass"):  # the latter is of Spark 3
        if hasattr(error, method):
            return getattr(error, method)()
    return None
