"""What a worker of Spark needs to know of a run: one broadcast, unpacked once a worker."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from edspipe.errors import WorkerError
from edspipe.stream.hooks import Shared, WrongValue, dumps, loads
from edspipe.stream.plan import Segment
from edspipe.stream.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PLANS = 2
"""Streams that a worker keeps unpacked; each may hold a model."""

MakeRow = Callable[[str, int, dict[str, Any]], Any]
"""Makes an item of the name of a partition, the number of a row in it from 1, and its values."""


class Encoder(Protocol):
    """Makes columns of records."""

    def encode(self, records: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        """Return a row for each record.

        Raises:
            DataError: One does not fit.
        """


@dataclass(frozen=True)
class Plan:
    """What a worker needs to know of a run.

    Attributes:
        segments: The ops, which run on a partition one after the other.
        settings: How the stream is run.
        seed: Of all random ops.
        starts: The number of the first row of each partition.
        sizes: Rows of each partition.
        schema: Of what a task hands back.
        encoder: Makes columns of records.
        make_row: `(partition, number, record)` -> item; None leaves records.
    """

    segments: tuple[Segment, ...]
    settings: Settings
    seed: int
    starts: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    schema: pa.Schema | None = None
    encoder: Encoder | None = None
    make_row: MakeRow | None = None


@dataclass
class LoadedPlan:
    """A plan in a worker, with the shared objects that it and its values refer to."""

    plan: Plan
    shared: Shared
    num_later: int = 0

    def keep(self, later: Sequence[bytes]) -> None:
        """Take in shared objects that came after the plan, as far as they are not here yet."""
        for data in later[self.num_later :]:
            self.shared.keep(loads(data, self.shared))
            self.num_later += 1


_LOADED: OrderedDict[str, LoadedPlan] = OrderedDict()


def pack_plan(plan: Plan) -> tuple[bytes, Shared]:
    """Turn a plan into bytes; objects of shared types are in it once.

    Raises:
        WrongValue: It holds something that cannot be pickled.
    """
    shared = Shared()
    body = dumps(plan, shared, collect=True)
    return pickle.dumps((shared.packed(), body), protocol=pickle.HIGHEST_PROTOCOL), shared


def unpack_plan(data: bytes) -> LoadedPlan:
    """Turn bytes of `pack_plan` back; they come from our own driver."""
    shared = Shared()
    objects, body = pickle.loads(data)  # noqa: S301
    for packed in objects:
        shared.keep(loads(packed, shared))
    return LoadedPlan(loads(body, shared), shared)


def load_plan(key: str, broadcast: Any) -> LoadedPlan:
    """Return the plan of a run, unpacked once a worker, and made ready.

    Args:
        key: The name of the run.
        broadcast: Holds the bytes, as `value`.
    """
    if key not in _LOADED:
        while len(_LOADED) >= MAX_PLANS:
            _LOADED.popitem(last=False)
        loaded = unpack_plan(broadcast.value)
        vars(broadcast).pop("_value", None)  # else the bytes would stay beside the model
        for segment in loaded.plan.segments:
            for op in segment.ops:
                op.worker_init()
        _LOADED[key] = loaded
    _LOADED.move_to_end(key)
    return _LOADED[key]


def packed_plan(plan: Plan) -> tuple[bytes, Shared]:
    """Return a plan as bytes.

    Raises:
        WorkerError: Something cannot be pickled; it is named.
    """
    try:
        return pack_plan(plan)
    except WrongValue as error:
        found = error
    for op in [op for segment in plan.segments for op in segment.ops]:
        try:
            dumps(op, Shared())
        except WrongValue as error:
            raise WorkerError(f"{op.stage} cannot run in a worker: {error}") from None
    raise WorkerError(f"the settings of the stream cannot be sent to a worker: {found}")


def warn_ignored(settings: Settings, names: Sequence[str]) -> None:
    """Say which settings were given and mean nothing here."""
    defaults = {field.name: field.default for field in fields(settings)}
    given = [name for name in names if getattr(settings, name) != defaults[name]]
    if given:
        logger.warning("on Spark these settings mean nothing: {}", ", ".join(given))
