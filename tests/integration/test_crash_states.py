"""A save is cut anywhere, by a kill, a full disk or a loss of power: old or new is left."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from crash_simulator import (
    CRASHED,
    FINISHED,
    FaultyFileSystem,
    Killed,
    RecordingFileSystem,
    Tree,
    WatchedFileSystem,
    build_tree,
    power_loss_states,
    read_tree,
    run_and_crash,
)
from loguru import logger

from edspipe import atomic
from edspipe.atomic import find_folder, verify_manifest, write_file, write_folder

SMALL = {"weights.bin": 3, "ner/labels.json": 2}
BIG = {f"{pipe}/{name}.bin": 3000 * k for k, pipe in enumerate("abc", 1) for name in "xyz"}
MAX_OPERATIONS = 1000

exchange_or_not = pytest.mark.parametrize("has_exchange", [True, False], ids=["swap", "no-swap"])
sizes = pytest.mark.parametrize(
    "sizes", [SMALL, pytest.param(BIG, marks=pytest.mark.slow)], ids=["small", "big"]
)


def payload(version: int, sizes: dict[str, int]) -> dict[str, bytes]:
    # the second version is longer, and leaves one file of the first out
    files = {name: bytes([version]) * size * version for name, size in sizes.items()}
    return files | {f"only-in-{version}": b"here"}


def save(target: Path, version: int, sizes: dict[str, int] = SMALL) -> None:
    with write_folder(target) as staging:
        for name, data in payload(version, sizes).items():
            if not (staging / name).parent.exists():
                atomic.FS.mkdir((staging / name).parent)
            with atomic.FS.open(staging / name) as handle:
                handle.write(data)


def save_file(target: Path, version: int) -> None:
    with write_file(target) as handle:
        handle.write(bytes([version]) * 10)
        handle.flush()
        handle.write(bytes([version]) * 10)


def version_read(target: Path, sizes: dict[str, int] = SMALL) -> int:
    """Load as a reader does, and return which version it is: any other content is an error."""
    folder = find_folder(target)
    verify_manifest(folder)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != atomic.MANIFEST
    }
    (version,) = [v for v in (1, 2, 3) if files == payload(v, sizes)]
    return version


def file_version_read(target: Path) -> int:
    data = target.read_bytes()
    assert data == data[:1] * 20
    return data[0]


@contextmanager
def file_system(fs: atomic.FileSystem) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "FS", fs)
        yield


def crash(k: int, has_exchange: bool, action: Callable[[], None]) -> int:
    def child() -> None:
        atomic.FS = FaultyFileSystem(
            lambda count, _: count == k, lambda: os._exit(CRASHED), has_exchange
        )
        action()

    return run_and_crash(child)


def crash_points(
    prepare: Callable[[], None], has_exchange: bool, action: Callable[[], None]
) -> Iterator[int]:
    """Crash the action at its first operation, its second, ... until it comes through."""
    for k in range(1, MAX_OPERATIONS):
        prepare()
        code = crash(k, has_exchange, action)
        if code == FINISHED:
            assert k > 5, "hardly an operation goes through FS"
            return
        assert code == CRASHED
        yield k
    pytest.fail("the save never came to its end")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A target alone in its folder, so that each other name there is a leftover."""
    (tmp_path / "models").mkdir()
    with file_system(WatchedFileSystem()):
        yield tmp_path / "models" / "model"


def start_over(target: Path, saved: Tree) -> None:
    shutil.rmtree(target.parent)
    build_tree(target.parent, saved)


# A kill


@sizes
@exchange_or_not
def test_kill_at_any_operation_leaves_the_old_or_the_new_folder(target, has_exchange, sizes):
    save(target, 1, sizes)
    old = read_tree(target.parent)
    seen = []
    for _ in crash_points(
        lambda: start_over(target, old), has_exchange, lambda: save(target, 2, sizes)
    ):
        seen.append(version_read(target, sizes))
        for previous in target.parent.glob(".model.previous"):
            verify_manifest(previous)  # what may be read one day is always whole
        with file_system(WatchedFileSystem(has_exchange)):
            save(target, 3, sizes)
        assert version_read(target, sizes) == 3
        assert os.listdir(target.parent) == [target.name]
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


@exchange_or_not
def test_kill_during_the_first_save_leaves_nothing_or_the_new_folder(target, has_exchange):
    seen = []
    for _ in crash_points(lambda: start_over(target, {}), has_exchange, lambda: save(target, 1)):
        try:
            seen.append(version_read(target))
        except FileNotFoundError:
            seen.append(0)
        save(target, 3)
        assert version_read(target) == 3
        assert os.listdir(target.parent) == [target.name]
    assert set(seen) == {0, 1}


@pytest.mark.parametrize("exists", [True, False], ids=["replace", "first"])
def test_kill_at_any_operation_leaves_the_old_or_the_new_file(target, exists):
    seen = []
    old: Tree = {target.name: bytes([1]) * 20} if exists else {}
    for _ in crash_points(lambda: start_over(target, old), True, lambda: save_file(target, 2)):
        seen.append(file_version_read(target) if target.exists() else 0)
        save_file(target, 3)
        assert file_version_read(target) == 3
        assert os.listdir(target.parent) == [target.name]
    assert set(seen) == {int(exists), 2}


@pytest.mark.slow
@exchange_or_not
def test_kill_of_the_save_after_a_kill_leaves_a_whole_folder(target, has_exchange):
    save(target, 1)
    before = read_tree(target.parent)
    for after_one in states_of_kills(target, before, has_exchange, 2):
        for _ in states_of_kills(target, after_one, has_exchange, 3):
            assert version_read(target) in (1, 2, 3)


def states_of_kills(target: Path, before: Tree, has_exchange: bool, version: int) -> Iterator[Tree]:
    for k in range(1, MAX_OPERATIONS):
        start_over(target, before)
        if run_killed(WatchedFileSystem(has_exchange), k, lambda: save(target, version)):
            return
        yield read_tree(target.parent)
    pytest.fail("the save never came to its end")


def test_folder_is_found_between_the_two_renames_with_a_warning(target, warnings_of_loguru):
    save(target, 1)
    target.rename(target.parent / ".model.previous")
    assert version_read(target) == 1
    (said,) = warnings_of_loguru
    assert "cut short" in said
    assert ".model.previous" in said


def test_refused_save_over_a_cut_swap_restores_the_folder(target):
    save(target, 1)
    target.rename(target.parent / ".model.previous")
    with pytest.raises(FileExistsError), write_folder(target, overwrite=False):
        pass
    assert os.listdir(target.parent) == [target.name]
    assert version_read(target) == 1


@pytest.fixture
def warnings_of_loguru():
    said: list[str] = []
    number = logger.add(lambda message: said.append(str(message)), level="WARNING")
    yield said
    logger.remove(number)


# A full disk


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_once(k: int) -> Callable[[int, str], bool]:
    return lambda count, name: count == k


def is_until_space_is_made(k: int) -> Callable[[int, str], bool]:
    # a full disk still deletes, and renames within a folder
    return lambda count, name: count >= k and name in ("open", "write", "mkdir", "fsync")


def is_for_good(k: int) -> Callable[[int, str], bool]:
    return lambda count, name: count >= k


def failures(
    is_due: Callable[[int], Callable[[int, str], bool]],
    start: Callable[[], None],
    has_exchange: bool,
    action: Callable[[], None],
) -> Iterator[tuple[list[str], OSError | None]]:
    """Fail the action at its first operation, its second, ...: yield what was done, the error."""
    for k in range(1, MAX_OPERATIONS):
        start()
        fs = FaultyFileSystem(is_due(k), disk_full, has_exchange)
        error = None
        with file_system(fs):
            try:
                action()
            except OSError as caught:
                error = caught
        if fs.count < k:
            assert k > 5, "hardly an operation goes through FS"
            return
        yield fs.done, error
    pytest.fail("the save never came to its end")


def assert_names_path_and_space(error: OSError | None, target: Path) -> None:
    assert error is not None
    assert error.errno == errno.ENOSPC
    assert re.search(rf"{re.escape(str(target))}: not saved .* \d+ bytes are free", str(error))


@sizes
@exchange_or_not
@pytest.mark.parametrize("is_due", [is_once, is_until_space_is_made])
def test_full_disk_at_any_operation_keeps_the_old_folder(target, has_exchange, is_due, sizes):
    save(target, 1, sizes)
    old = read_tree(target.parent)
    failed = []
    for _, error in failures(
        is_due, lambda: start_over(target, old), has_exchange, lambda: save(target, 2, sizes)
    ):
        if error is not None:
            assert_names_path_and_space(error, target)
            assert read_tree(target.parent) == old
        else:  # only the deletion of the old folder failed, which the next save repeats
            assert version_read(target, sizes) == 2
            save(target, 3, sizes)
            assert os.listdir(target.parent) == [target.name]
        failed.append(error is not None)
    assert sum(failed) > 20
    assert failed == sorted(failed, reverse=True)


@pytest.mark.parametrize("is_due", [is_once, is_until_space_is_made])
def test_full_disk_during_the_first_save_leaves_nothing(target, is_due):
    for _, error in failures(is_due, lambda: start_over(target, {}), True, lambda: save(target, 1)):
        assert_names_path_and_space(error, target)
        assert os.listdir(target.parent) == []


@exchange_or_not
def test_failure_of_all_that_follows_loses_nothing(target, has_exchange):
    save(target, 1)
    old = read_tree(target.parent)
    for _, error in failures(
        is_for_good, lambda: start_over(target, old), has_exchange, lambda: save(target, 2)
    ):
        assert version_read(target) in ((1, 2) if error else (2,))
        save(target, 3)
        assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("is_due", [is_once, is_until_space_is_made])
def test_full_disk_at_any_operation_keeps_the_old_file(target, is_due):
    old: Tree = {target.name: bytes([1]) * 20}
    for done, error in failures(
        is_due, lambda: start_over(target, old), True, lambda: save_file(target, 2)
    ):
        assert_names_path_and_space(error, target)
        if "rename" in done:  # the file is whole, only its name is not confirmed
            assert file_version_read(target) == 2
        else:
            assert read_tree(target.parent) == old
        assert os.listdir(target.parent) == [target.name]


# A loss of power


def naive_save(target: Path, version: int, sizes: dict[str, int] = SMALL) -> None:
    """Delete, then write: what must be told from a safe save."""
    atomic._delete(target)
    atomic.FS.mkdir(target)
    for name, data in payload(version, sizes).items():
        if not (target / name).parent.exists():
            atomic.FS.mkdir((target / name).parent)
        with atomic.FS.open(target / name) as handle:
            handle.write(data)
    atomic.write_manifest(target)
    atomic._fsync_tree(target)
    atomic.FS.fsync(target.parent)


def record(
    target: Path,
    action: Callable[[], None],
    has_exchange: bool,
    syncs: Callable[[Path], bool] = lambda path: True,
) -> RecordingFileSystem:
    fs = RecordingFileSystem(target.parent, has_exchange, syncs)
    with file_system(fs):
        action()
    return fs


def versions_after_power_loss(
    fs: RecordingFileSystem,
    target: Path,
    sizes: dict[str, int],
    versions: dict[frozenset, int | None],
) -> Iterator[tuple[int, int | None]]:
    """Yield how many operations were done, and the version that is read, None for a broken one.

    The dictionary keeps the versions of states, which come many times.
    """
    for num_done, tree in power_loss_states(fs.start, fs.log):
        # what the staging holds matters to nobody
        visible = {n: data for n, data in tree.items() if ".edspipe-" not in n.partition("/")[0]}
        key = frozenset(visible.items())
        if key not in versions:
            shutil.rmtree(target.parent)
            build_tree(target.parent, tree)
            versions[key] = None
            with suppress(Exception):
                versions[key] = version_read(target, sizes)
            with file_system(WatchedFileSystem(fs.has_exchange)):
                save(target, 3, sizes)
            assert version_read(target, sizes) == 3
            assert os.listdir(target.parent) == [target.name]
        yield num_done, versions[key]


@sizes
@exchange_or_not
def test_power_loss_leaves_the_old_or_the_new_folder(target, has_exchange, sizes):
    save(target, 1, sizes)
    fs = record(target, lambda: save(target, 2, sizes), has_exchange)
    versions = list(versions_after_power_loss(fs, target, sizes, {}))
    assert {version for _, version in versions} == {1, 2}
    assert len(versions) > 100
    assert {version for num_done, version in versions if num_done == len(fs.log)} == {2}


def test_power_loss_leaves_the_old_or_the_new_file(target):
    save_file(target, 1)
    fs = record(target, lambda: save_file(target, 2), True)
    trees = list(power_loss_states(fs.start, fs.log))
    assert {tree[target.name] for _, tree in trees} == {bytes([1]) * 20, bytes([2]) * 20}
    assert {tree[target.name] for n, tree in trees if n == len(fs.log)} == {bytes([2]) * 20}


def test_power_loss_after_a_save_keeps_new_parents(target):
    nested = target / "a" / "b"
    fs = record(target, lambda: save_file(nested, 1), True)
    trees = [tree for n, tree in power_loss_states(fs.start, fs.log) if n == len(fs.log)]
    assert [tree.get("model/a/b") for tree in trees] == [bytes([1]) * 20]


@exchange_or_not
def test_power_loss_after_a_kill_leaves_a_whole_folder(target, has_exchange, kill_points):
    save(target, 1)
    old = read_tree(target.parent)
    known: dict[frozenset, int | None] = {}
    for k in range(1, MAX_OPERATIONS):
        start_over(target, old)
        fs = RecordingFileSystem(target.parent, has_exchange)
        done = run_killed(fs, k, lambda: save(target, 2))
        if done:
            return
        if not kill_points(fs):
            continue
        with file_system(fs):
            save(target, 3)
        versions = {version for _, version in versions_after_power_loss(fs, target, SMALL, known)}
        assert versions <= {1, 2, 3}
        assert 3 in versions
    pytest.fail("the save never came to its end")


@pytest.fixture(params=["swap", pytest.param("all", marks=pytest.mark.slow)])
def kill_points(request: pytest.FixtureRequest) -> Callable[[RecordingFileSystem], bool]:
    """Where to kill the first of two saves: around the swap, or everywhere."""

    def is_near_the_swap(fs: RecordingFileSystem) -> bool:
        return any(len(change.names) == 2 for change in fs.log[-3:])

    return is_near_the_swap if request.param == "swap" else lambda fs: True


def run_killed(fs: WatchedFileSystem, k: int, action: Callable[[], None]) -> bool:
    """Run the action, dead from its k-th operation on; return whether it came to its end."""
    count = 0

    def before(name: str, *args: object) -> None:
        nonlocal count
        count += 1
        if count >= k:
            raise Killed

    fs.before = before  # type: ignore[method-assign]
    try:
        with file_system(fs), suppress(Killed):
            action()
            return True
        return False
    finally:
        del fs.before


MUTANTS = {
    "deletes first": (naive_save, lambda path: True),
    "syncs nothing": (save, lambda path: False),
    "syncs no folder": (save, lambda path: path.is_file()),
    "syncs no file": (save, lambda path: path.is_dir()),
    "deletes before the swap is on the disk": (save, lambda path: path.name != "models"),
}


@exchange_or_not
@pytest.mark.parametrize("mutant", MUTANTS)
def test_simulator_finds_what_a_careless_save_loses(target, has_exchange, mutant):
    save(target, 1)
    careless_save, syncs = MUTANTS[mutant]
    fs = record(target, lambda: careless_save(target, 2), has_exchange, syncs)
    versions = versions_after_power_loss(fs, target, SMALL, {})
    assert any(version is None for _, version in versions)


def test_simulator_ends_with_what_is_really_there(target):
    save(target, 1)
    fs = record(target, lambda: save(target, 2), False)
    assert read_tree(target.parent) in [
        tree for n, tree in power_loss_states(fs.start, fs.log) if n == len(fs.log)
    ]
