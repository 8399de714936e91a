"""The cache of frozen embeddings: the vectors of a context are computed once.

A vector is kept under a digest of all that it depends on: the words of its context, the weights
that read them, the settings of the reading, and the precision. Nothing is kept on Docs.

The weights are digested again where a lookup finds that they were written to. PyTorch counts what
is written to a tensor, but not through its `.data`: so some values of each tensor are compared too.
What remains unseen is a write through `.data` that leaves all of them as they were, such as one to
a few rows of a large table; after such a write call `set_cache` again.

Where there is no more room, what is there stays, and what is new is not kept. A training reads its
documents once an epoch, in another order each time: of a cache with room for half of them, half
are found that way, and hardly any if new ones pushed old ones out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from loguru import logger

from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.disk_vectors import OWN_FOLDER, DiskVectors

CacheKind = Literal["none", "cpu", "gpu", "disk"]
KINDS = ("none", "cpu", "gpu", "disk")
DEFAULT_BYTES = 4 * 2**30
"""Room for the vectors (384 numbers each) of 2.8 million words."""
MAX_STATS = 200_000
"""Contexts whose counts are remembered, at most; about 60 MB. Then the memory starts anew."""
FIRST_REPORT = 1000
"""Contexts that were looked up when the hit rate is logged first; then at each doubling."""
DIGEST_BYTES = 16
SAMPLE_SIZE = 32
"""Values of each tensor that are compared at each lookup, at most twice as many."""


class Vectors(Protocol):
    """Keeps tensors under keys, within a number of bytes."""

    @property
    def num_bytes(self) -> int:
        """How much is kept."""

    @property
    def is_full(self) -> bool:
        """Whether there was no room for a tensor."""

    def get(self, keys: Sequence[bytes]) -> list[torch.Tensor | None]:
        """Return what is kept under keys; it is to be read."""

    def add(self, key: bytes, vectors: torch.Tensor) -> None:
        """Keep a tensor, if there is room."""

    def flush(self) -> None:
        """Bring everything to where it outlives the process, if it does."""


@dataclass
class Room:
    """Room in memory, which several share.

    Attributes:
        num_bytes: Bytes that are taken by all of them.
        max_bytes: Bytes that there are.
    """

    num_bytes: int
    max_bytes: int


class MemoryVectors:
    """Keeps tensors in memory.

    Args:
        room: Room for their numbers.
        device: Where they are kept.

    Attributes:
        num_bytes: Bytes that are taken here.
        is_full: Whether there was no room for a tensor.
    """

    def __init__(self, room: Room, device: torch.device) -> None:
        self.room, self.device = room, device
        self.num_bytes = 0
        self.is_full = False
        self._kept: dict[bytes, torch.Tensor] = {}

    def get(self, keys: Sequence[bytes]) -> list[torch.Tensor | None]:
        """Return what is kept under keys; it is to be read."""
        return [self._kept.get(key) for key in keys]

    def add(self, key: bytes, vectors: torch.Tensor) -> None:
        size = vectors.numel() * vectors.element_size()
        if self.room.num_bytes + size > self.room.max_bytes:
            self.is_full = True
        elif key not in self._kept:
            # A copy: a part of a batch would keep the whole batch.
            self._kept[key] = vectors.to(self.device, copy=True)
            self.num_bytes += size
            self.room.num_bytes += size

    def flush(self) -> None:
        """Do nothing: memory ends with the process."""


@dataclass
class _Weights:
    """Weights as they were digested.

    Attributes:
        seen: Where each tensor was, and how often it had been written to.
        views: Some values of each, by type and device; they change with the weights.
        sample: These values as they were.
        digest: The digest.
    """

    seen: Sequence[Any] = ()
    views: Sequence[Sequence[torch.Tensor]] = ()
    sample: bytes = b""
    digest: str = ""


class VectorCache:
    """Where one embedding keeps its vectors, and how often they were found.

    A copy of it, also in another process, has its settings, and starts empty.

    Args:
        kind: `"none"`, `"cpu"`, `"gpu"` or `"disk"`.
        max_bytes: Room for vectors: of this process, or of the folder.
        folder: Where they are kept on disk: in `edspipe-vectors` in it, which its owner alone may
            open, also where others may read the folder itself.
        name: Whose vectors they are, for messages.

    Attributes:
        num_found: Contexts that were looked up and found.
        num_missed: Contexts that were looked up and had to be computed.
        reports: Whether the hit rate is logged here, at each doubling of what was looked up.

    Raises:
        ConfigError: The kind does not exist, the folder is missing or of no use, or there is no
            room at all.
    """

    def __init__(
        self,
        kind: str = "none",
        max_bytes: int = DEFAULT_BYTES,
        folder: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ConfigError(f"cache: expected one of {', '.join(KINDS)}, got {kind!r}")
        if kind == "disk" and folder is None:
            raise ConfigError(
                "cache_dir: missing; cache='disk' needs a folder. As the vectors of a note can "
                f"tell what it says, they are kept in a folder '{OWN_FOLDER}' in it, which only "
                "its owner may open"
            )
        if kind != "disk" and folder is not None:
            raise ConfigError(f"cache_dir: only cache='disk' has a folder, and cache is '{kind}'")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise ConfigError(f"cache_bytes: expected a whole number above 0, got {max_bytes!r}")
        self.kind, self.max_bytes, self.name = kind, max_bytes, name
        self.folder = None if folder is None else Path(folder)
        self._reset()

    def _reset(self) -> None:
        self.num_found = self.num_missed = 0
        self.reports = True
        self._next_report = FIRST_REPORT
        self._told_full = False
        self._stats: dict[bytes, dict[str, int]] = {}
        self._room = Room(0, self.max_bytes)
        self._opened: dict[str, Vectors] = {}
        self._weights = _Weights()

    def __getstate__(self) -> dict[str, Any]:
        names = ("kind", "max_bytes", "folder", "name")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self.kind != "none"

    @property
    def num_bytes(self) -> int:
        """How much is kept."""
        return sum(vectors.num_bytes for vectors in self._opened.values())

    # ---- counts of contexts ----------------------------------------------------------------

    def stats(self, key: bytes) -> dict[str, int] | None:
        """Return the counts of a context that were noted in this process."""
        return self._stats.get(key)

    def note_stats(self, key: bytes, stats: dict[str, int]) -> None:
        """Note the counts of a context, so that it need not be read to know them."""
        if len(self._stats) >= MAX_STATS:
            self._stats.clear()
        self._stats[key] = stats

    # ---- vectors ---------------------------------------------------------------------------

    def vectors(self, module: torch.nn.Module, settings: Sequence[Any]) -> Vectors:
        """Return the vectors of a frozen module.

        Args:
            module: What computes them.
            settings: What else they depend on; each is told apart by its `repr`.

        Raises:
            ConfigError: The module trains, or is not on a GPU and `kind` says so.
        """
        tensors = self._tensors_of(module)
        device = tensors[0].device
        if self.kind == "gpu" and device.type == "cpu":
            raise ConfigError(
                f"{self.name}: cache='gpu' keeps vectors where the embedding is, and that is the "
                "CPU; move the pipeline to a GPU, or set cache='cpu'"
            )
        place = repr((device.type, self._digest_weights(module, tensors), *settings))
        if place not in self._opened:
            self._opened[place] = self._open(device, place)
        return self._opened[place]

    def _tensors_of(self, module: torch.nn.Module) -> list[torch.Tensor]:
        """Return the parameters and buffers of a module that is frozen.

        Each batch comes here, so that the modules are walked once, and names come later.
        """
        tensors: list[torch.Tensor] = []
        for child in module.modules():
            if child.training:
                raise self._refusal(
                    f"a {type(child).__name__} in it is in training mode, whose dropout makes "
                    "vectors random"
                )
            tensors += [p for p in child._parameters.values() if p is not None]
            tensors += [b for b in child._buffers.values() if b is not None]
        if any(tensor.requires_grad for tensor in tensors):
            names = (name for name, p in module.named_parameters() if p.requires_grad)
            raise self._refusal(f"its parameter '{next(names)}' trains")
        return tensors

    def _refusal(self, reason: str) -> ConfigError:
        return ConfigError(
            f"{self.name}: cache='{self.kind}' keeps the vectors of a frozen embedding, and "
            f"{reason}; set frozen=True, or cache='none'"
        )

    def _digest_weights(self, module: torch.nn.Module, tensors: Sequence[torch.Tensor]) -> str:
        """Return a digest of all weights; it is computed again where one was written to.

        A write through `.data` that changes none of the sampled values is not seen.
        """
        seen = [(tensor.data_ptr(), tensor._version, tensor.device) for tensor in tensors]
        known = self._weights
        if known.seen != seen or known.sample != _values(known.views):
            digest = digest_tensors(_named_tensors(module))
            if digest != known.digest:  # what other weights computed is of no more use
                self.flush()
                self._room.num_bytes = 0
                self._opened.clear()
            views = _sample_views(tensors)
            self._weights = _Weights(seen, views, _values(views), digest)
        return self._weights.digest

    def _open(self, device: torch.device, place: str) -> Vectors:
        if self.folder is None:
            where = device if self.kind == "gpu" else torch.device("cpu")
            return MemoryVectors(self._room, where)
        name = hashlib.blake2b(place.encode("utf-8"), digest_size=DIGEST_BYTES).hexdigest()
        try:
            return DiskVectors(self.folder, name, self.max_bytes)
        except OSError as error:
            raise ConfigError(
                f"{self.name}: cache_dir: {self.folder} cannot be used ({error.strerror}); choose "
                f"a folder of yours that can be written to, where '{OWN_FOLDER}' is no link"
            ) from None

    def count(self, num_found: int, num_missed: int) -> None:
        """Count contexts that were looked up, and log the hit rate now and then."""
        self.num_found += num_found
        self.num_missed += num_missed
        is_full = any(vectors.is_full for vectors in self._opened.values())
        if is_full and not self._told_full:
            self._told_full = True
            logger.info(
                "{}: the cache is full ({:,} bytes): what is not in it yet is computed each time",
                self.name,
                self.num_bytes,
            )
        if self.reports and self.num_found + self.num_missed >= self._next_report:
            while self._next_report <= self.num_found + self.num_missed:
                self._next_report *= 2
            logger.info("{}", self.report(self.num_found, self.num_missed))

    def report(self, num_found: int, num_missed: int) -> str:
        """Return a line with the hit rate of so many contexts."""
        total = num_found + num_missed
        return (
            f"{self.name}: {num_found / max(1, total):.1%} of {total:,} contexts were found in the "
            f"cache ({self.kind}, {self.num_bytes / 1e6:,.1f} MB of {self.max_bytes / 1e6:,.1f})"
        )

    def flush(self) -> None:
        """Bring everything to where it outlives the process, if it does."""
        for vectors in self._opened.values():
            vectors.flush()


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join rows, as `torch.cat`; without a copy where several lie one behind the other.

    A single part is copied, as it may be what is kept, and nobody may write to that.
    """
    if len(parts) == 1:
        return parts[0].clone()
    first, storage = parts[0], parts[0].untyped_storage()
    end = first.storage_offset()
    for part in parts:
        if (
            part.untyped_storage().data_ptr() != storage.data_ptr()
            or part.storage_offset() != end
            or part.dtype != first.dtype
            or not part.is_contiguous()
        ):
            return torch.cat(list(parts))
        end += part.numel()
    num_rows = sum(len(part) for part in parts)
    return first.as_strided((num_rows, *first.shape[1:]), first.stride())


def _named_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield all parameters and buffers, also the buffers that are not saved."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _sample_views(tensors: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Return views of values spread over each tensor, by type and device.

    Views are made once, as that takes longer than to read them.
    """
    groups: dict[Any, list[torch.Tensor]] = {}
    for tensor in tensors:
        plain = tensor.detach()
        if plain.is_contiguous():
            values = plain.view(-1)
        else:  # it has no view in one line; its diagonal has
            values = plain.as_strided((min(plain.shape),), (sum(plain.stride()),))
        # Mostly another column in each row, as an odd step seldom divides the rows.
        values = values[:: len(values) // SAMPLE_SIZE | 1]
        groups.setdefault((tensor.dtype, tensor.device), []).append(values)
    return list(groups.values())


def _values(views: Sequence[Sequence[torch.Tensor]]) -> bytes:
    """Return the values in some views now, as bytes: NaN is equal to itself."""
    joint = (torch.cat(list(group)).cpu() for group in views)
    return b"".join(values.view(torch.uint8).numpy().tobytes() for values in joint)


def digest_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Return a digest of tensors with their names, types and shapes."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()
