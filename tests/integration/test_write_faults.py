"""A kill, a full disk or a loss of power while an output is written: old or new is left."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_simulator import (
    CRASHED,
    FINISHED,
    FaultyFileSystem,
    RecordingFileSystem,
    Tree,
    WatchedFileSystem,
    build_tree,
    power_loss_states,
    read_tree,
    run_and_crash,
)

import edspipe
from edspipe import atomic
from edspipe.data import audit, write_json, write_standoff
from edspipe.data.output import writing as output

MAX_OPERATIONS = 1000
NLP = edspipe.blank("eds")


def documents(version: int) -> list[Any]:
    docs = []
    for number in range(version + 1):
        doc = NLP.make_doc(f"Note {number}, version {version}.")
        doc._.note_id = f"n{number}"
        docs.append(doc)
    return docs


def json_of(target: Path, version: int, **options: Any) -> None:
    write_json(documents(version), target, converter="omop", **options)


def standoff_of(target: Path, version: int, **options: Any) -> None:
    write_standoff(documents(version), target, **options)


WRITERS = {"notes.jsonl": json_of, "notes.json": json_of, "notes": standoff_of}
slow = pytest.mark.slow
every_writer = pytest.mark.parametrize(
    "name", ["notes", *(pytest.param(name, marks=slow) for name in ("notes.jsonl", "notes.json"))]
)
commits = pytest.mark.parametrize(
    "commit_always",
    [pytest.param(True, id="commits"), pytest.param(False, id="no-commit", marks=slow)],
)


class Scene:
    """A target alone in its folder, what it holds in each version, and how it is written."""

    def __init__(self, tmp_path: Path, name: str, commit_always: bool) -> None:
        self.write = WRITERS[name]
        self.name = name
        self.commit_always = commit_always
        self.folder = tmp_path / "out"
        self.target = self.folder / name
        self.trees: dict[int, Tree] = {}
        for version in (1, 2):
            self.run(WatchedFileSystem(), lambda: self.write(self.target, version))  # noqa: B023
            self.trees[version] = read_tree(self.folder)
            shutil.rmtree(self.folder)
        self.start()

    def start(self, tree: Tree | None = None) -> None:
        """Begin with the first version, or with any other state of the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        build_tree(self.folder, self.trees[1] if tree is None else tree)

    def run(self, fs: atomic.FileSystem, action: Callable[[], None]) -> None:
        """Run something on a file system; with a commit after each record, or without any."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic, "FS", fs)
            if self.commit_always:
                patch.setattr(output, "COMMIT_EVERY_S", 0.0)
                patch.setattr(output, "MAX_COMMIT_SHARE", float("inf"))
            action()

    def write_second(self, **options: Any) -> None:
        self.write(self.target, 2, overwrite=True, **options)

    def go_on(self) -> None:
        self.run(WatchedFileSystem(), lambda: self.write_second(resume=True))

    def version(self, tree: Tree | None = None) -> int:
        """Return which version is seen: anything else is an error."""
        seen = seen_in(read_tree(self.folder) if tree is None else tree)
        (version,) = [v for v in (1, 2) if seen == seen_in(self.trees[v])]
        return version

    def assert_second_alone(self) -> None:
        assert read_tree(self.folder) == self.trees[2]
        assert audit(self.target).ok


def seen_in(tree: Tree) -> Tree:
    """What a reader sees: the receipt beside a file is another file, and comes a moment later."""
    return {k: v for k, v in tree.items() if k[0] != "." and not k.endswith(".receipt")}


@pytest.fixture
def scene(tmp_path: Path, name: str, commit_always: bool) -> Scene:
    return Scene(tmp_path, name, commit_always)


def moments(scene: Scene, has_exchange: bool, has_syncfs: bool) -> Iterator[int]:
    """Kill a run at its first operation, its second, ... until it comes through."""
    for k in range(1, MAX_OPERATIONS):
        scene.start()
        fs = FaultyFileSystem(
            lambda count, _: count == k,  # noqa: B023
            lambda: os._exit(CRASHED),
            has_exchange,
            has_syncfs,
        )
        code = run_and_crash(lambda: scene.run(fs, scene.write_second))  # noqa: B023
        if code == FINISHED:
            assert k > 20, "hardly an operation goes through FS"
            return
        assert code == CRASHED
        yield k
    pytest.fail("the run never came to its end")


@every_writer
@commits
@pytest.mark.parametrize(
    "has", [pytest.param(True, id="swap"), pytest.param(False, id="no-swap", marks=slow)]
)
def test_kill_at_any_operation_leaves_old_or_new_and_the_run_goes_on(scene, has):
    seen = []
    for _ in moments(scene, has_exchange=has, has_syncfs=has):
        if not has and not scene.target.exists():  # between two renames: readers know the name
            assert atomic.find_folder(scene.target).name == ".notes.previous"
        else:
            seen.append(scene.version())
        scene.go_on()
        scene.assert_second_alone()
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_once(k: int) -> Callable[[int, str], bool]:
    return lambda count, name: count == k


def is_until_space_is_made(k: int) -> Callable[[int, str], bool]:
    # a full disk still deletes, and renames within a folder
    return lambda count, name: count >= k and name in ("open", "reopen", "write", "mkdir", "fsync")


@every_writer
@commits
@pytest.mark.parametrize("is_due", [is_once, is_until_space_is_made])
def test_full_disk_at_any_operation_keeps_what_was_there(scene, is_due):
    failed = []
    for k in range(1, MAX_OPERATIONS):
        scene.start()
        fs = FaultyFileSystem(is_due(k), disk_full)
        error = error_of(lambda: scene.run(fs, scene.write_second))  # noqa: B023
        if fs.count < k:
            break
        failed.append(error is not None)
        if error is not None:
            assert error.errno == errno.ENOSPC
            assert re.search(rf"{scene.name}: not saved .* \d+ bytes are free", str(error))
        if error is None or not moved(scene):
            assert scene.version() == (1 if error is not None else 2)
        scene.go_on()
        scene.assert_second_alone()
    assert sum(failed) > 15


def error_of(action: Callable[[], None]) -> OSError | None:
    try:
        action()
    except OSError as error:
        return error
    return None


def moved(scene: Scene) -> bool:
    """Whether a file is in its place, and only its name or its receipt could not be confirmed."""
    return scene.name != "notes" and scene.version() == 2


@every_writer
@commits
@pytest.mark.parametrize("has", [True, False], ids=["swap", "no-swap"])
def test_power_loss_leaves_old_or_new(scene, has):
    fs = RecordingFileSystem(scene.folder, has_exchange=has, has_syncfs=has)
    scene.run(fs, scene.write_second)
    versions = set()
    last = set()
    for num_done, tree in power_loss_states(fs.start, fs.log):
        seen = seen_in(tree)
        if not has and scene.name not in seen:
            continue  # between two renames, see test_crash_states
        version = scene.version(tree)
        versions.add(version)
        if num_done == len(fs.log):
            last.add(version)
    assert versions == {1, 2}
    assert last == {2}


@every_writer
@pytest.mark.parametrize("commit_always", [True], ids=["commits"])
@pytest.mark.parametrize("share", [5, pytest.param(1, marks=slow)])
def test_a_run_goes_on_after_a_loss_of_power(scene, share):
    """From one of so many states that the disk may be in, or from each of them."""
    fs = RecordingFileSystem(scene.folder)
    scene.run(fs, scene.write_second)
    states = {frozenset(tree.items()): tree for _, tree in power_loss_states(fs.start, fs.log)}
    assert len(states) > 100
    for tree in list(states.values())[::share]:
        scene.start(tree)
        scene.go_on()
        scene.assert_second_alone()


LIMITED = """
import resource, sys
sys.modules["torch"] = None  # it takes seconds, and nothing here needs it
from edspipe.data import write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
records = ({"note_id": f"n{i}", "note_text": "x" * 100} for i in range(2000))
try:
    write_json(records, sys.argv[1], overwrite=True)
except OSError as error:
    print(error)
"""


def test_a_limit_of_the_size_of_files_keeps_what_was_there(tmp_path):
    target = tmp_path / "notes.jsonl"
    write_json([{"note_id": "old"}], target)
    before = read_tree(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(target)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.match(
        r"\[Errno 27\] .*notes\.jsonl: not saved \(File too large\), \d+ by", done.stdout
    )
    assert read_tree(tmp_path) == before
