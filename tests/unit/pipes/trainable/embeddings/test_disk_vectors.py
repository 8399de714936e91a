"""Vectors on disk: found by other runs and processes, checked, and bounded."""

from __future__ import annotations

import gc
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edspipe import atomic
from edspipe.pipes.trainable.embeddings import disk_vectors
from edspipe.pipes.trainable.embeddings.disk_vectors import OWN_FOLDER, DiskVectors, flush_all

MUCH = 10**9
ROWS = 10
SIZE = ROWS * 8 * 4


def place_of(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def vectors_of(number: int) -> torch.Tensor:
    return torch.full((ROWS, 8), float(number))


def key_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def fill(kept: DiskVectors, numbers: range) -> None:
    for number in numbers:
        kept.add(key_of(number), vectors_of(number))


def found(kept: DiskVectors, numbers: range) -> list[int]:
    """Which tensors are found; what is found must be what was added."""
    there = []
    for number in numbers:
        (vectors,) = kept.get([key_of(number)])
        if vectors is not None:
            assert torch.equal(vectors, vectors_of(number))
            there.append(number)
    return there


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{OWN_FOLDER}/*/*.safetensors"))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def open_folder(tmp_path: Path) -> Callable[..., DiskVectors]:
    """Opens a place in one folder."""

    def make(place: str = "a", max_bytes: int = MUCH) -> DiskVectors:
        return DiskVectors(tmp_path / "vectors", place_of(place), max_bytes)

    return make


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of places in that folder."""
    return tmp_path / "vectors" / OWN_FOLDER


# Kept


def test_another_run_finds_what_was_written(open_folder: Callable[..., DiskVectors]) -> None:
    kept = open_folder()
    fill(kept, range(5))
    assert found(kept, range(6)) == list(range(5)), "also what is not written yet"
    kept.flush()
    assert found(kept, range(6)) == list(range(5))
    assert found(open_folder(), range(6)) == list(range(5))
    assert found(open_folder("b"), range(6)) == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(3, 8), (0, 8)])
def test_types_and_shapes_come_back(
    open_folder: Callable[..., DiskVectors], dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    value = torch.randn(shape).to(dtype)
    kept = open_folder()
    kept.add(key_of(0), value)
    kept.flush()
    (read,) = open_folder().get([key_of(0)])
    assert read is not None
    assert read.dtype == dtype
    assert torch.equal(read, value)


@pytest.mark.parametrize("written", [0, 3, 6])
def test_several_are_read_at_once(open_folder: Callable[..., DiskVectors], written: int) -> None:
    kept = open_folder()
    fill(kept, range(written))
    kept.flush()
    fill(kept, range(written, 6))
    for keys in ([5, 0, 9, 3, 0], [], [1], range(6)):
        vectors = kept.get([key_of(number) for number in keys])
        for number, found_here in zip(keys, vectors, strict=True):
            assert (found_here is None) == (number == 9)
            assert found_here is None or torch.equal(found_here, vectors_of(number))


def test_many_vectors_are_written_on_the_way(
    open_folder: Callable[..., DiskVectors], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(disk_vectors, "SHARD_BYTES", 4 * SIZE)
    kept = open_folder(max_bytes=10**5)
    fill(kept, range(10))
    assert len(shards(tmp_path / "vectors")) == 2
    assert found(open_folder(), range(10)) == list(range(8))


def test_another_process_sees_new_shards(open_folder: Callable[..., DiskVectors]) -> None:
    one, other = open_folder(), open_folder()
    for number in range(3):
        fill(one, range(number, number + 1))
        assert found(other, range(number, number + 1)) == []
        one.flush()
        assert found(other, range(number, number + 1)) == [number]


def test_two_processes_that_write_the_same_do_no_harm(
    open_folder: Callable[..., DiskVectors],
) -> None:
    one, other = open_folder(), open_folder()
    fill(one, range(4))
    fill(other, range(2, 6))
    one.flush()
    other.flush()
    assert found(open_folder(), range(6)) == list(range(6))


def test_the_end_of_a_process_writes_what_waits(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from edspipe.pipes.trainable.embeddings.disk_vectors import DiskVectors\n"
        f"kept = DiskVectors(Path(sys.argv[1]), '{place_of('a')}', 10**9)\n"
        f"kept.add((3).to_bytes(16, 'big'), torch.full(({ROWS}, 8), 3.0))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, check=True, timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert found(DiskVectors(tmp_path, place_of("a"), MUCH), range(5)) == [3]


def test_all_open_folders_are_written_at_the_end(open_folder: Callable[..., DiskVectors]) -> None:
    kept = open_folder()
    fill(kept, range(2))
    flush_all()
    assert found(open_folder(), range(2)) == [0, 1]


def test_only_its_owner_may_read_the_folder(
    open_folder: Callable[..., DiskVectors], own: Path
) -> None:
    open_folder()
    for folder in (own.parent, own, own / place_of("a")):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_may_read_stays_so_and_ours_in_it_is_private(
    open_folder: Callable[..., DiskVectors], own: Path
) -> None:
    for folder in (own.parent, own):
        folder.mkdir()
        folder.chmod(0o755)
    open_folder()
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (own.parent, own)] == [0o755, 0o700]


@pytest.mark.parametrize("linked", ["folder", "place"])
def test_a_link_is_not_written_through(
    open_folder: Callable[..., DiskVectors], own: Path, tmp_path: Path, linked: str
) -> None:
    link = own if linked == "folder" else own / place_of("a")
    link.parent.mkdir(parents=True)
    (tmp_path / "foreign").mkdir(mode=0o755)
    link.symlink_to(tmp_path / "foreign")
    with pytest.raises(OSError, match="Not a directory"):
        open_folder()
    assert list((tmp_path / "foreign").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "foreign").stat().st_mode) == 0o755


@pytest.mark.parametrize("place", ["", "a", "..", "A" * 32, "a" * 32 + "/b"])
def test_a_place_that_is_no_digest_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ValueError, match="place: expected 32 hex digits, got '"):
        DiskVectors(tmp_path, place, MUCH)


# Damaged


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (flip_last, 3),
        (lambda data: data[:-1], 3),
        (lambda data: data[:100], 3),
        (lambda data: b"", 3),
        (lambda data: b"\xff" * len(data), 3),
        (lambda data: data.replace(b'"crc32"', b'"crc33"'), 3),
        (lambda data: data.replace(b"F32", b"F16"), 3),
        (lambda data: data.replace(b"[10,8]", b"[9,80]"), 3),
        (lambda data: data.replace(b'"shape"', b'"shaqe"'), 3),
    ],
    ids=["bit", "cut", "header cut", "empty", "noise", "sums", "type", "shape", "key"],
)
def test_a_damaged_shard_is_not_trusted(
    open_folder: Callable[..., DiskVectors],
    tmp_path: Path,
    log: list[str],
    damage: Callable[[bytes], bytes],
    lost: int,
) -> None:
    kept = open_folder()
    fill(kept, range(3))
    kept.flush()
    fill(kept, range(3, 5))
    kept.flush()
    first = next(file for file in shards(tmp_path / "vectors") if key_of(0).hex() in text(file))
    whole = first.read_bytes()
    damaged = damage(whole)
    assert damaged != whole
    first.write_bytes(damaged)
    again = open_folder()
    there = [n for n in reversed(range(5)) if found(again, range(n, n + 1))]
    assert there == [4, 3]
    assert not first.exists()
    assert [line for line in log if "damaged, and deleted" in line and first.name in line]
    fill(again, range(lost))
    again.flush()
    assert found(open_folder(), range(5)) == list(range(5))


def test_types_that_are_not_known_are_passed_over(
    open_folder: Callable[..., DiskVectors],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    log: list[str],
) -> None:
    kept = open_folder()
    kept.add(key_of(7), vectors_of(7).double())
    fill(kept, range(2))
    kept.flush()
    monkeypatch.delitem(disk_vectors._DTYPES, "F64")
    again = open_folder()
    assert again.get([key_of(7)]) == [None]
    assert found(again, range(2)) == [0, 1]
    assert len(shards(tmp_path / "vectors")) == 1
    assert log == []


def test_types_that_could_not_be_read_are_not_written(
    open_folder: Callable[..., DiskVectors], tmp_path: Path
) -> None:
    kept = open_folder()
    kept.add(key_of(0), vectors_of(0).to(torch.complex64))
    kept.flush()
    assert shards(tmp_path / "vectors") == []


def text(file: Path) -> str:
    return file.read_bytes().decode("latin-1")


def test_what_is_deleted_meanwhile_is_not_found(
    open_folder: Callable[..., DiskVectors], tmp_path: Path
) -> None:
    kept = open_folder()
    fill(kept, range(3))
    kept.flush()
    for file in shards(tmp_path / "vectors"):
        file.unlink()
    assert found(kept, range(3)) == []
    fill(kept, range(3))
    kept.flush()
    assert found(open_folder(), range(3)) == [0, 1, 2]


def test_what_a_killed_write_left_is_not_read(
    open_folder: Callable[..., DiskVectors], own: Path
) -> None:
    kept = open_folder()
    (own / place_of("a") / f".{'0' * 16}.safetensors.edspipe-1-ab").write_bytes(b"half")
    assert found(open_folder(), range(3)) == []
    fill(kept, range(1))
    kept.flush()
    assert found(open_folder(), range(3)) == [0]


# Bounded


def test_a_folder_is_never_larger_than_its_bound(
    open_folder: Callable[..., DiskVectors], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(disk_vectors, "SHARD_BYTES", 3 * SIZE)
    bound = 20 * SIZE
    one, other = open_folder(max_bytes=bound), open_folder(max_bytes=bound)
    for number in range(0, 40, 2):
        fill(one, range(number, number + 1))
        fill(other, range(number + 1, number + 2))
        assert size_of(tmp_path / "vectors") <= bound
    one.flush()
    other.flush()
    assert one.is_full
    assert size_of(tmp_path / "vectors") <= bound
    there = found(open_folder(), range(40))
    assert there[:3] == [0, 1, 2], "what came first stays"
    assert 8 < len(there) < 20


def test_a_tensor_that_has_no_room_at_all_is_not_kept(
    open_folder: Callable[..., DiskVectors], tmp_path: Path
) -> None:
    kept = open_folder(max_bytes=SIZE)
    fill(kept, range(2))
    assert kept.is_full
    assert shards(tmp_path / "vectors") == []


def test_room_is_made_by_deleting_what_was_used_longest_ago(
    open_folder: Callable[..., DiskVectors], own: Path
) -> None:
    for age, place in enumerate(("older", "old", "used")):
        kept = open_folder(place)
        fill(kept, range(4))
        kept.flush()
        os.utime(own / place_of(place), (1000 + age, 1000 + age))
    in_use = open_folder("used")
    del kept
    gc.collect()
    os.utime(own / place_of("used"), (500, 500))
    bound = size_of(own) + 5 * SIZE
    new = open_folder("new", max_bytes=bound)
    fill(new, range(4))
    new.flush()
    assert not new.is_full
    names = {file.name for file in own.iterdir()}
    assert names == {place_of(place) for place in ("old", "used", "new")}
    assert found(in_use, range(4)) == [0, 1, 2, 3]


def test_nothing_of_somebody_else_is_deleted_to_make_room(
    open_folder: Callable[..., DiskVectors], own: Path, tmp_path: Path
) -> None:
    kept = open_folder("old")
    fill(kept, range(4))
    kept.flush()
    del kept
    gc.collect()
    (ours,) = shards(tmp_path / "vectors")
    old, shard, outside = own / place_of("old"), f"{'0' * 16}.safetensors", tmp_path / "outside"
    leftover = old / f".{shard}.edspipe-1-ab"
    leftover.write_bytes(b"half")
    foreign = [
        *(own.parent / name / shard for name in ("notes", place_of("beside"))),
        own.parent / shard,
        own / "notes" / shard,
        own / shard,
        *(old / name for name in ("mine.safetensors", f".{shard}", f"{shard}.txt")),
        old / "notes" / shard,
        old / shard / "a.txt",
        outside / shard,
    ]
    for file in foreign:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"mine" * 1000)
    links = [own / place_of("linked"), old / "linked", old / f"{'1' * 16}.safetensors"]
    for link in links:
        link.symlink_to(outside / shard if link.suffix else outside)
    new = open_folder("new", max_bytes=8 * SIZE)
    fill(new, range(4))
    new.flush()
    assert [file for file in foreign if file.read_bytes() != b"mine" * 1000] == []
    assert [link for link in links if not link.is_symlink()] == []
    assert not leftover.exists()
    assert not ours.exists()
    assert not new.is_full, "what is somebody else's takes no room"
    assert found(open_folder("new"), range(4)) == [0, 1, 2, 3]


def test_a_file_of_somebody_else_is_not_called_damaged(
    open_folder: Callable[..., DiskVectors], own: Path, log: list[str]
) -> None:
    open_folder()
    foreign = own / place_of("a") / "mine.safetensors"
    foreign.write_bytes(b"mine")
    assert found(open_folder(), range(1)) == []
    assert foreign.read_bytes() == b"mine"
    assert log == []


def test_a_disk_that_cannot_be_written_ends_the_cache_and_nothing_else(
    open_folder: Callable[..., DiskVectors], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    kept = open_folder()
    fill(kept, range(2))
    monkeypatch.setattr(atomic.FS, "rename", full)
    kept.flush()
    assert kept.is_full
    assert "vectors cannot be written" in log[-1]
    fill(kept, range(2, 4))
    kept.flush()
    assert found(kept, range(4)) == []


def test_a_file_system_without_locks_will_do(
    open_folder: Callable[..., DiskVectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(disk_vectors.fcntl, "flock", refuse)
    kept = open_folder()
    fill(kept, range(2))
    kept.flush()
    assert found(open_folder(), range(2)) == [0, 1]
