"""Stream: a lazy, immutable description of work over documents.

```python
stream = edspipe.data.read_standoff("notes/").map(split).filter(has_entities)
for doc in stream: ...
```

Nothing runs until a stream is iterated, executed or written; iterating again runs it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edspipe.config.draft import Draft
from edspipe.config.registry import registry
from edspipe.errors import did_you_mean
from edspipe.stream.account import RunReport
from edspipe.stream.batching import BatchBy, BatchSize
from edspipe.stream.executors.executor import Executor, StreamIterator
from edspipe.stream.executors.multiprocess.executor import MultiprocessExecutor
from edspipe.stream.executors.simple import SimpleExecutor
from edspipe.stream.executors.spark.executor import SparkExecutor
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.ops.filter import Filter
from edspipe.stream.ops.flatten import Flatten
from edspipe.stream.ops.keep_share import KeepShare, KeepSide
from edspipe.stream.ops.map import Map
from edspipe.stream.ops.map_batches import MapBatches
from edspipe.stream.ops.map_gpu import DeviceStep, Prepare
from edspipe.stream.ops.map_pipeline import MapPipeline
from edspipe.stream.ops.op import Op
from edspipe.stream.ops.shuffle import Shuffle
from edspipe.stream.ops.take import Take
from edspipe.stream.quarantine import read_quarantine
from edspipe.stream.settings import Settings
from edspipe.stream.shares import GroupBy, bounds, check_missing
from edspipe.stream.source import IterableSource, MixSource, OnlySource, Source


@dataclass(frozen=True)
class Stream:
    """A source, ops, and how to run them. Every method returns a new stream.

    Attributes:
        source: Where the items come from.
        ops: What happens to them, in order.
        settings: How the stream is run.
        looping: Whether the source is read again and again.
    """

    source: Source
    ops: tuple[Op, ...] = ()
    settings: Settings = field(default_factory=Settings)
    looping: bool = False

    @classmethod
    def from_items(cls, items: Iterable[Any] | Callable[[], Iterable[Any]]) -> Stream:
        """Return a stream over an iterable, or over what a function returns each time."""
        return cls(IterableSource(items))

    # ---- ops -------------------------------------------------------------------------------

    def map(
        self, pipe: Callable[..., Any] | Draft, kwargs: Mapping[str, Any] | None = None
    ) -> Stream:
        """Call a function on each item; a generator's yields become items.

        Args:
            pipe: The function, or a draft such as `eds.split(...)`. With a parameter `rng` it gets
                a `numpy.random.Generator` that depends on the seed and the item only.
            kwargs: Further arguments of each call.
        """
        return self.with_op(Map(_callable("map", pipe), kwargs))

    def map_batches(
        self,
        pipe: Callable[..., Any] | Draft,
        batch_size: int | str | None = None,
        batch_by: BatchBy | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Stream:
        """Call a function on lists of items; what it returns or yields becomes items."""
        size = BatchSize(batch_size, batch_by)
        return self.with_op(MapBatches(_callable("map_batches", pipe), size, kwargs))

    def batchify(
        self,
        batch_size: int | str | None = None,
        batch_by: BatchBy | None = None,
        *,
        across_epochs: bool = True,
    ) -> Stream:
        """Group items; the groups become items.

        Args:
            batch_size: `"32 docs"`, `"2000 words"`, `"4096 padded_words"`, `"dataset"`, or
                a number.
            batch_by: For a number: a unit, or a function that measures an item.
            across_epochs: Whether a batch of a looping stream may hold the end of one epoch and
                the beginning of the next; False closes the last batch of each epoch as it is.
        """
        return self.with_op(Batchify(BatchSize(batch_size, batch_by), across_epochs))

    def filter(self, pipe: Callable[[Any], Any]) -> Stream:
        """Keep the items for which a function is true."""
        return self.with_op(Filter(_callable("filter", pipe)))

    def flatten(self) -> Stream:
        """Make items of the members of each item."""
        return self.with_op(Flatten("flatten"))

    def unbatch(self) -> Stream:
        """Undo `batchify`."""
        return self.with_op(Flatten("unbatch"))

    def take(self, number: int) -> Stream:
        """Keep the first items: of the stream after `loop()`, of each epoch before it."""
        return self.with_op(Take(number, per_epoch=not self.looping))

    def sample(self, fraction: float, *, seed: int = 0) -> Stream:
        """Keep a part of the items: about this fraction, always the same ones.

        Whether a document stays depends on its id and the seed alone; without an id on its text,
        without a text on its index in the source. A larger fraction keeps those of a smaller one.

        Raises:
            ValueError: The fraction is not from 0 to 1.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction is a number from 0 to 1, got {fraction:g}")
        return self.with_op(KeepShare("sample", seed, 0.0, fraction))

    def train_dev_test_split(
        self,
        ratios: Sequence[float] = (0.8, 0.1, 0.1),
        *,
        group_by: GroupBy = "patient_id",
        seed: int = 0,
        missing: str = "error",
    ) -> tuple[Stream, Stream, Stream]:
        """Return three streams that part the items, by a hash of their groups; nothing is read.

        `edspipe.train_dev_test_split` puts the same documents on the same sides. It reads them all,
        and so can also balance labels, count, and keep the split in a file.

        Args:
            ratios: Of train, dev and test; they add up to 1.
            group_by: An attribute `doc._.<name>` (of a dict: its key), a function of the document,
                or None to part documents one by one. A group is never on two sides.
            seed: Another seed, another split.
            missing: What becomes of a document without a group: `"error"`, or `"own"` to make it a
                group of its own.

        Raises:
            ValueError: The ratios do not add up to 1.
            TypeError: The source is a generator, which can be read only once.
        """
        check_missing(missing)
        train, dev, test = bounds(ratios)
        try:
            self.source.check_repeatable()
        except TypeError:
            raise TypeError(
                "each side of a split reads the source anew, and a generator can be read only "
                "once: pass a list, or a function that returns a fresh generator"
            ) from None
        return (
            self.with_op(KeepSide(train, seed, group_by, missing)),
            self.with_op(KeepSide(dev, seed, group_by, missing)),
            self.with_op(KeepSide(test, seed, group_by, missing)),
        )

    def shuffle(self, size: int | str = "dataset", *, seed: int | None = None) -> Stream:
        """Shuffle each epoch.

        Args:
            size: `"dataset"` (holds an epoch in memory), `"fragment"` (a file, or a group of rows)
                or a block, `"100 docs"`.
            seed: None takes the seed of the run.
        """
        return self.with_op(Shuffle(BatchSize(size), seed))

    def loop(self) -> Stream:
        """Read the source again and again; ops run anew each epoch.

        Raises:
            TypeError: The source is a generator, which can be read only once.
        """
        self.source.check_repeatable()
        return replace(self, looping=True)

    @staticmethod
    def mix(*streams: Stream, weights: Sequence[float] | None = None) -> Stream:
        """Draw items of several streams at random, by weight, until all have ended.

        Raises:
            ValueError: There are not as many weights as streams, or one is not positive.
        """
        weights = [1.0] * len(streams) if weights is None else list(weights)
        if len(weights) != len(streams) or not streams or min(weights) <= 0:
            raise ValueError(
                f"mix takes one positive weight a stream, got {len(weights)} for {len(streams)}"
            )
        return Stream(MixSource(streams, weights))

    def map_pipeline(
        self,
        nlp: Any,
        *,
        batch_size: int | str | None = None,
        batch_by: BatchBy | None = None,
        embedding: str | None = None,
    ) -> Stream:
        """Run a pipeline over texts or Docs; which pipes run is fixed now.

        With `embedding`, the place of one (`nlp.find_embedding`), items become pairs of a Doc and
        the vectors of its words.
        """
        size = None if batch_size is None else BatchSize(batch_size, batch_by)
        return self.with_op(MapPipeline(nlp, nlp.active_names, size, embedding=embedding))

    def map_gpu(
        self,
        prepare: Callable[[Any], Any] | None,
        forward: Callable[[list[Any]], Any],
        postprocess: Callable[[list[Any], Any], Any] | None = None,
        *,
        batch_size: int | str = "32 docs",
    ) -> Stream:
        """Prepare items one by one, run `forward` on groups of them, then `postprocess`.

        Args:
            prepare: Item -> features, in the workers; None takes items as they are.
            forward: List of features -> result, in the main process.
            postprocess: `(items, result)` -> items, likewise; None takes the members of the result.
            batch_size: Items a call of `forward`.
        """
        size = BatchSize(batch_size)
        prepared = self.with_op(Prepare(prepare))
        return prepared.with_op(DeviceStep(forward, postprocess, size))

    # ---- how to run ------------------------------------------------------------------------

    def set_processing(self, **settings: Any) -> Stream:
        """Say how to run the stream: see `Settings` for the names.

        Raises:
            TypeError: A setting does not exist.
        """
        return replace(self, settings=self.settings.updated(**settings))

    def __iter__(self) -> StreamIterator:
        executor: Executor
        if self.settings.executor == "multiprocess":
            executor = MultiprocessExecutor(self.settings)
        elif self.settings.executor == "spark":
            executor = SparkExecutor(self.settings)
        else:
            executor = SimpleExecutor()
        return StreamIterator(self, executor)

    def execute(self) -> RunReport:
        """Run the stream for what it does; return what became of its documents."""
        with iter(self) as iterator:
            for _ in iterator:
                pass
            return iterator.report

    def only(self, quarantine: str | Path) -> Stream:
        """Return a stream over those documents of the source that a quarantine lists.

        Args:
            quarantine: A file that a run of this stream wrote, under
                `on_error="quarantine:<path>.jsonl"`.
        """
        wanted = {record["index"]: record["sha256"] for record in read_quarantine(quarantine)}
        return replace(self, source=OnlySource(self.source, wanted))

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("write_", "to_")):
            kind = name.partition("_")[2]
            if kind in registry.writers:
                writer = registry.writers.get(kind)
                return lambda *args, **kwargs: writer(self, *args, **kwargs)
            names = [f"{name.partition('_')[0]}_{known}" for known in registry.writers.names()]
            raise AttributeError(f"no writer '{name}'.{did_you_mean(name, names)}")
        raise AttributeError(
            f"Stream has no attribute '{name}'.{did_you_mean(name, dir(type(self)))}"
        )

    def with_op(self, op: Op) -> Stream:
        """Append an op."""
        op.place = len(self.ops)
        return replace(self, ops=(*self.ops, op))


def _callable(name: str, pipe: Any) -> Callable[..., Any]:
    if isinstance(pipe, Draft):
        return pipe.build()
    if not callable(pipe):
        raise TypeError(f"{name} takes a function, got {type(pipe).__name__}")
    return pipe
