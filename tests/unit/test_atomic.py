"""Files and folders are replaced whole, and a damaged folder is told from a sound one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from loguru import logger

from edspipe import atomic, filesystem, manifest
from edspipe.atomic import (
    MANIFEST,
    FileSystem,
    find_folder,
    remove_leftovers,
    verify_manifest,
    write_file,
    write_folder,
    write_json,
    write_manifest,
    write_text,
)
from edspipe.errors import CheckpointError
from edspipe.manifest import to_json


@pytest.fixture
def warned():
    said: list[str] = []
    number = logger.add(lambda message: said.append(str(message)), level="WARNING")
    yield said
    logger.remove(number)


def save(target: Path, content: str = "new", overwrite: bool = True) -> None:
    with write_folder(target, overwrite=overwrite) as staging:
        (staging / "weights.bin").write_text(content)
        (staging / "ner").mkdir()
        (staging / "ner" / "labels.json").write_text(content * 3)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


# Files


def test_file_is_written(tmp_path):
    with write_file(tmp_path / "a.bin") as handle:
        handle.write(b"new")
    assert content(tmp_path) == {"a.bin": b"new"}


def test_file_shows_only_when_complete(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    with write_file(tmp_path / "a.bin") as handle:
        handle.write(b"new")
        handle.flush()
        assert (tmp_path / "a.bin").read_bytes() == b"old"
        (temporary,) = [name for name in os.listdir(tmp_path) if name != "a.bin"]
        assert re.fullmatch(rf"\.a\.bin\.edspipe-{os.getpid()}-[0-9a-f]{{8}}", temporary)
    assert content(tmp_path) == {"a.bin": b"new"}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_file_stays_as_it_was_on_an_exception(tmp_path, error):
    (tmp_path / "a.bin").write_bytes(b"old")

    def write_and_fail() -> None:
        with write_file(tmp_path / "a.bin") as handle:
            handle.write(b"new")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert content(tmp_path) == {"a.bin": b"old"}


def test_file_may_be_closed_by_whoever_writes_it(tmp_path):
    with write_file(tmp_path / "a.bin") as handle:
        handle.write(b"new")
        handle.close()
    assert content(tmp_path) == {"a.bin": b"new"}


def test_file_follows_no_change_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with write_file(Path("a.bin")) as handle:
        monkeypatch.chdir(tmp_path / "elsewhere")
        handle.write(b"new")
    assert content(tmp_path) == {"a.bin": b"new"}


def test_file_gets_missing_parents(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "new")
    assert content(tmp_path) == {"a/b/c.txt": b"new"}


def test_file_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "private").write_bytes(b"old")
    (tmp_path / "a.bin").symlink_to(tmp_path / "private")
    write_text(tmp_path / "a.bin", "new")
    assert not (tmp_path / "a.bin").is_symlink()
    assert content(tmp_path) == {"a.bin": b"new", "private": b"old"}


def test_file_in_place_of_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected the path of a file.*" + tmp_path.name):
        write_text(tmp_path, "new")


@pytest.mark.parametrize("path", ["", ".", "/", "a/.."])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_path_without_a_name_is_refused(path, write):
    with pytest.raises(ValueError, match="expected a path that ends in a name"), write(Path(path)):
        pass


def test_text_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "\ufeffé\r\nb\rc\n")
    assert (tmp_path / "a.txt").read_bytes() == "\ufeffé\r\nb\rc\n".encode()


def test_json_is_indented_utf8_in_the_order_given(tmp_path):
    write_json(tmp_path / "a.json", {"b": "é", "a": [1]})
    expected = '{\n  "b": "é",\n  "a": [\n    1\n  ]\n}\n'
    assert (tmp_path / "a.json").read_bytes() == expected.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_not_json(tmp_path, value):
    with pytest.raises(ValueError, match=r"a\.json: cannot be written as JSON.*store None"):
        write_json(tmp_path / "a.json", {"score": value})
    assert os.listdir(tmp_path) == []


# Folders


def test_folder_is_written_with_its_manifest(tmp_path):
    save(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert sorted(content(tmp_path / "model")) == [MANIFEST, "ner/labels.json", "weights.bin"]
    verify_manifest(tmp_path / "model")


def test_folder_is_replaced_without_stale_files(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "stale").write_text("old")
    save(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert sorted(content(tmp_path / "model")) == [MANIFEST, "ner/labels.json", "weights.bin"]


def test_folder_shows_only_when_complete(tmp_path):
    save(tmp_path / "model", "old")
    old = content(tmp_path / "model")
    with write_folder(tmp_path / "model") as staging:
        assert os.listdir(staging) == []
        assert re.fullmatch(rf"\.model\.edspipe-{os.getpid()}-[0-9a-f]{{8}}", staging.name)
        (staging / "weights.bin").write_text("new")
        assert content(tmp_path / "model") == old


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_folder_stays_as_it_was_on_an_exception(tmp_path, error):
    save(tmp_path / "model", "old")
    old = content(tmp_path)

    def write_and_fail() -> None:
        with write_folder(tmp_path / "model") as staging:
            (staging / "weights.bin").write_text("new")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert content(tmp_path) == old
    assert os.listdir(tmp_path) == ["model"]


def test_folder_that_cannot_be_swapped_in_one_instant_is_renamed_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(FileSystem, "exchange", lambda *args: False)
    save(tmp_path / "model", "old")
    save(tmp_path / "model", "new")
    assert os.listdir(tmp_path) == ["model"]
    assert (tmp_path / "model" / "weights.bin").read_text() == "new"


@pytest.mark.parametrize(
    "make", [lambda folder: None, Path.mkdir], ids=["missing folder", "empty folder"]
)
def test_folder_that_is_empty_needs_no_overwrite(tmp_path, make):
    make(tmp_path / "model")
    save(tmp_path / "model", overwrite=False)
    verify_manifest(tmp_path / "model")


def test_folder_that_is_not_empty_needs_overwrite(tmp_path):
    save(tmp_path / "model", "old")
    old = content(tmp_path)
    with pytest.raises(FileExistsError, match=r"not empty; .*overwrite=True.*model"):
        save(tmp_path / "model", overwrite=False)
    assert content(tmp_path) == old


def test_folder_that_is_not_empty_is_refused_before_the_work(tmp_path):
    save(tmp_path / "model", "old")
    with pytest.raises(FileExistsError), write_folder(tmp_path / "model", overwrite=False):
        pytest.fail("the work was begun")


def test_folder_filled_meanwhile_is_not_overwritten(tmp_path):
    with (
        pytest.raises(FileExistsError, match="not empty"),
        write_folder(tmp_path / "model", overwrite=False),
    ):
        leave(tmp_path / "model", is_folder=True)
    assert content(tmp_path) == {"model/ner/weights.bin": b"cut"}
    assert os.listdir(tmp_path) == ["model"]


def test_folder_filled_in_the_last_instant_is_overwritten_where_asked(tmp_path, monkeypatch):
    def rename_too_late(source: Path, target: Path) -> None:
        if target.name == "model" and not target.exists():
            leave(target, is_folder=True)
        os.replace(source, target)

    monkeypatch.setattr(FileSystem, "rename", staticmethod(rename_too_late))
    save(tmp_path / "model")
    verify_manifest(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "model").write_text("old")
    with pytest.raises(NotADirectoryError, match=r"expected the path of a folder.*model"):
        save(tmp_path / "model")
    assert content(tmp_path) == {"model": b"old"}


def test_folder_that_holds_the_current_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "project" / "src").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "src")
    with pytest.raises(ValueError, match=r"project: .*holds the current folder.*Save to a new"):
        save(tmp_path / "project")


def test_folder_that_is_a_mount_point_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(ValueError, match=r"model: a mount point"):
        save(tmp_path / "model")


def test_folder_is_saved_where_the_current_folder_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    save(tmp_path / "model")
    verify_manifest(tmp_path / "model")


def test_folder_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    save(tmp_path / "step-1", "old")
    old = content(tmp_path / "step-1")
    (tmp_path / "latest").symlink_to("step-1")
    save(tmp_path / "latest", "new")
    assert content(tmp_path / "step-1") == old
    assert (tmp_path / "latest" / "weights.bin").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["latest", "step-1"]


def test_folder_with_a_link_is_not_saved(tmp_path):
    with (
        pytest.raises(CheckpointError, match=r"a: expected a plain file, found a link.*Put"),
        write_folder(tmp_path / "model") as staging,
    ):
        (staging / "a").symlink_to("/etc/hostname")
    assert os.listdir(tmp_path) == []


def test_missing_folder_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a saved folder, found nothing.*model"):
        find_folder(tmp_path / "model")


def test_folder_is_found_without_a_warning(tmp_path, warned):
    save(tmp_path / "model")
    assert find_folder(tmp_path / "model") == tmp_path / "model"
    assert warned == []


def test_folder_is_found_when_a_swap_ends_between_two_looks(tmp_path, monkeypatch):
    looks = iter([False, False, True])
    monkeypatch.setattr(Path, "exists", lambda path: next(looks))
    assert find_folder(tmp_path / "model") == tmp_path / "model"


def test_exchange_of_missing_names_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        FileSystem().exchange(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM])
def test_exchange_says_when_there_is_none(tmp_path, monkeypatch, code):
    class Library:
        renameat2 = staticmethod(lambda *args: -1)

    monkeypatch.setattr(filesystem.ctypes, "CDLL", lambda *args, **kwargs: Library)
    monkeypatch.setattr(filesystem.ctypes, "get_errno", lambda: code)
    assert FileSystem().exchange(tmp_path / "a", tmp_path / "b") is False


def test_exchange_says_when_the_library_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem.ctypes, "CDLL", lambda *args, **kwargs: object())
    assert FileSystem().exchange(tmp_path / "a", tmp_path / "b") is False


@pytest.mark.parametrize(("is_folder", "fails"), [(True, False), (False, True)])
def test_sync_may_be_unknown_for_folders_only(tmp_path, monkeypatch, is_folder, fails):
    def unknown(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    (tmp_path / "a").write_text("")
    path = tmp_path if is_folder else tmp_path / "a"
    if fails:
        with pytest.raises(OSError, match="Invalid argument"):
            FileSystem().fsync(path)
    else:
        FileSystem().fsync(path)


def test_everything_is_synced_before_the_swap(tmp_path, monkeypatch):
    class Watching(FileSystem):
        synced: set[str] = set()

        def fsync(self, path: Path) -> None:
            super().fsync(path)
            self.synced.add(re.sub(r"\.edspipe-\d+-[0-9a-f]+", "", path.name))

        def exchange(self, one: Path, other: Path) -> bool:
            assert {"weights.bin", "labels.json", "ner", ".model", MANIFEST} <= self.synced
            self.synced.clear()
            return super().exchange(one, other)

    save(tmp_path / "model")
    monkeypatch.setattr(atomic, "FS", Watching())
    save(tmp_path / "model")
    assert Watching.synced == {tmp_path.name}


# Permissions


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_new_files_and_folders_have_the_permissions_of_the_umask(tmp_path):
    save(tmp_path / "model")
    write_text(tmp_path / "a.txt", "new")
    assert mode(tmp_path / "model") == 0o750
    assert mode(tmp_path / "a.txt") == mode(tmp_path / "model" / MANIFEST) == 0o640


@pytest.mark.usefixtures("umask")
def test_private_files_and_folders_stay_private(tmp_path):
    save(tmp_path / "model")
    write_text(tmp_path / "a.txt", "old")
    (tmp_path / "model").chmod(0o700)
    (tmp_path / "a.txt").chmod(0o600)
    with write_folder(tmp_path / "model") as staging:
        assert mode(staging) == 0o700
    write_text(tmp_path / "a.txt", "new")
    assert mode(tmp_path / "model") == 0o700
    assert mode(tmp_path / "a.txt") == 0o600


# Leftovers


def leave(path: Path, is_folder: bool) -> Path:
    if is_folder:
        (path / "ner").mkdir(parents=True)
        (path / "ner" / "weights.bin").write_text("cut")
    else:
        path.write_text("cut")
    return path


@pytest.mark.parametrize("is_folder", [True, False])
@pytest.mark.parametrize("write", [write_text, lambda target, text: save(target)])
def test_leftovers_of_dead_processes_go_with_the_next_save(tmp_path, write, is_folder):
    leave(tmp_path / f".model.edspipe-{dead_pid()}-0a1b2c3d", is_folder)
    leave(tmp_path / f".model.edspipe-{os.getpid()}-0a1b2c3d", is_folder)
    write(tmp_path / "model", "new")
    assert os.listdir(tmp_path) == ["model"]


def test_leftover_that_is_a_link_goes_and_is_not_followed(tmp_path):
    leave(tmp_path / "theirs", is_folder=True)
    (tmp_path / f".model.edspipe-{dead_pid()}-0a1b2c3d").symlink_to(tmp_path / "theirs")
    remove_leftovers(tmp_path / "model")
    assert content(tmp_path) == {"theirs/ner/weights.bin": b"cut"}
    assert os.listdir(tmp_path) == ["theirs"]


@pytest.mark.parametrize(
    "name",
    [
        ".model.edspipe-1-0a1b2c3d",  # a live process
        ".model.edspipe-0-0a1b2c3d",  # no process
        ".model.edspipe-99999999999-0a1b2c3d",  # no pid
        ".model.edspipe-run",
        ".model2.edspipe-{dead}-0a1b2c3d",
        "model.edspipe-{dead}-0a1b2c3d",
        ".model.edspipe-{dead}-0a1b2c3d.txt",
        ".model",
    ],
)
def test_what_may_be_alive_or_is_no_leftover_stays(tmp_path, name):
    path = leave(tmp_path / name.format(dead=dead_pid()), is_folder=True)
    remove_leftovers(tmp_path / "model")
    assert content(path) == {"ner/weights.bin": b"cut"}


def test_process_of_another_user_is_alive(tmp_path, monkeypatch):
    def denied(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    path = leave(tmp_path / ".model.edspipe-4242-0a1b2c3d", is_folder=True)
    remove_leftovers(tmp_path / "model")
    assert path.exists()


def test_what_another_container_is_writing_stays(tmp_path):
    script = (
        "import pathlib, sys, edspipe.atomic as atomic\n"
        "atomic.os.getpid = lambda: int(sys.argv[2])\n"
        "with atomic.write_folder(pathlib.Path(sys.argv[1])) as staging:\n"
        "    print(staging, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    # in another container a pid that is dead here is alive
    command = [sys.executable, "-c", script, str(tmp_path / "model"), str(dead_pid())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        staging = Path(process.stdout.readline().strip())
        remove_leftovers(tmp_path / "model")
        assert staging.is_dir()
        process.kill()
        process.wait()
        remove_leftovers(tmp_path / "model")
        assert not staging.exists()


def test_leftovers_without_locks_are_told_by_their_pid_alone(tmp_path, monkeypatch):
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(atomic.fcntl, "flock", unsupported)
    dead = leave(tmp_path / f".model.edspipe-{dead_pid()}-0a1b2c3d", is_folder=True)
    ours = leave(tmp_path / f".model.edspipe-{os.getpid()}-0a1b2c3d", is_folder=True)
    save(tmp_path / "model")
    assert not dead.exists()
    assert ours.exists()


def test_two_saves_to_one_target_do_not_disturb_each_other(tmp_path):
    with write_folder(tmp_path / "model") as first:
        (first / "a").write_text("first")
        with write_folder(tmp_path / "model") as second:
            (second / "b").write_text("second")
        assert (tmp_path / "model" / "b").read_text() == "second"
    assert sorted(content(tmp_path / "model")) == ["a", MANIFEST]
    assert os.listdir(tmp_path) == ["model"]


def test_what_another_thread_has_just_created_stays(tmp_path, monkeypatch):
    def mkdir_then_the_other_thread(path: Path) -> None:
        os.mkdir(path)
        remove_leftovers(tmp_path / "model")

    monkeypatch.setattr(FileSystem, "mkdir", staticmethod(mkdir_then_the_other_thread))
    with write_folder(tmp_path / "model") as staging:
        (staging / "a").write_text("new")
    verify_manifest(tmp_path / "model")


def test_version_before_goes_once_the_new_one_is_there(tmp_path):
    save(tmp_path / "model", "old")
    shutil.copytree(tmp_path / "model", tmp_path / ".model.previous")
    remove_leftovers(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]


def test_version_before_stays_while_it_is_the_only_one(tmp_path):
    save(tmp_path / ".model.previous", "old")
    remove_leftovers(tmp_path / "model")
    verify_manifest(tmp_path / ".model.previous")


def test_leftovers_in_a_missing_folder_are_none(tmp_path):
    remove_leftovers(tmp_path / "missing" / "model")
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_deleted_is_only_a_warning(tmp_path, monkeypatch, warned):
    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "denied", str(path))

    save(tmp_path / "model", "old")
    with monkeypatch.context() as patch:
        patch.setattr(FileSystem, "rmdir", staticmethod(denied))
        save(tmp_path / "model", "new")
    assert (tmp_path / "model" / "weights.bin").read_text() == "new"
    assert "could not be deleted" in warned[0]
    save(tmp_path / "model", "newer")
    assert os.listdir(tmp_path) == ["model"]


# A full disk

LIMITED = """
import pathlib, resource, sys
import numpy
from safetensors.numpy import save_file
from edspipe.atomic import write_file, write_folder

def write_plain(target):
    with write_file(target / "weights.bin") as handle:
        handle.write(bytes(100_000))

def write_many(target):
    with write_folder(target) as staging:
        for i in range(10):
            (staging / str(i)).write_bytes(bytes(1000 * i))

def write_tensors(target):
    with write_folder(target) as staging:
        save_file({"weight": numpy.zeros(100_000)}, staging / "weights.safetensors")

resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
except OSError as error:
    print(error.errno, error)
"""


@pytest.mark.parametrize("write", ["write_plain", "write_many", "write_tensors"])
def test_full_disk_is_named_and_leaves_what_was_there(tmp_path, write):
    target = tmp_path / "model"
    save(target, "old")
    old = content(tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, write, str(target)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = rf"{errno.EFBIG} .*{re.escape(str(target))}.*: not saved .*, \d+ bytes are free there"
    assert re.match(said, result.stdout)
    assert content(tmp_path) == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert sorted(p.name for p in target.iterdir()) == [MANIFEST, "ner", "weights.bin"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_lack_of_room_names_the_path_and_the_space_left(tmp_path, code):
    free = shutil.disk_usage(tmp_path).free
    with (
        pytest.raises(OSError, match=r"model: not saved .* bytes are free there\. Free") as caught,
        write_folder(tmp_path / "model"),
    ):
        raise OSError(code, "no room")
    assert caught.value.errno == code
    said = re.search(r"(\d+) bytes", str(caught.value))
    assert said is not None
    assert int(said[1]) == pytest.approx(free, rel=0.1)


def test_other_errors_stay_as_they_are(tmp_path):
    error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output") as caught, write_folder(tmp_path / "model"):
        raise error
    assert caught.value is error


# Damage


@pytest.fixture
def model(tmp_path: Path) -> Path:
    with write_folder(tmp_path / "model") as staging:
        (staging / "weights.bin").write_bytes(bytes(range(100)))
        (staging / "empty").write_bytes(b"")
        (staging / "ner").mkdir()
        (staging / "ner" / "labels.json").write_text('["PER"]')
        (staging / "ner" / "numbers.json").write_text('["LOC"]')
        (staging / "ner" / MANIFEST).write_text("an ordinary file")
    return tmp_path / "model"


FILES = ["weights.bin", "ner/labels.json", "ner/numbers.json", f"ner/{MANIFEST}"]


def assert_damaged(folder: Path, name: str, said: str = "") -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(folder / name))}: .*{said}"):
        verify_manifest(folder)


def test_sound_folder_passes(model):
    verify_manifest(model)


def test_sound_folder_passes_elsewhere(model, tmp_path):
    shutil.move(model, tmp_path / "moved")
    verify_manifest(tmp_path / "moved")


def test_sound_folder_passes_through_a_link_to_it(model, tmp_path):
    (tmp_path / "latest").symlink_to("model")
    verify_manifest(tmp_path / "latest")


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_is_found(model, name):
    data = (model / name).read_bytes()
    for i in range(len(data)):
        (model / name).write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        assert_damaged(model, name, "sha256")


@pytest.mark.parametrize(
    "bits", [range(3, 4), pytest.param(range(8), marks=pytest.mark.slow)], ids=["one", "all"]
)
def test_any_flipped_bit_of_the_manifest_is_found(model, bits):
    data = (model / MANIFEST).read_bytes()
    for i in range(len(data)):
        for bit in bits:
            (model / MANIFEST).write_bytes(data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :])
            assert_damaged(model, MANIFEST, "damaged")


@pytest.mark.parametrize("name", FILES)
def test_any_cut_file_is_found(model, name):
    data = (model / name).read_bytes()
    for length in {len(data) * k // 20 for k in range(20)}:
        (model / name).write_bytes(data[:length])
        assert_damaged(model, name, f"expected {len(data)} bytes, found {length}")


def test_any_cut_manifest_is_found(model):
    data = (model / MANIFEST).read_bytes()
    for length in [len(data) * k // 20 for k in range(20)] + [len(data) - 1]:
        (model / MANIFEST).write_bytes(data[:length])
        assert_damaged(model, MANIFEST, "damaged")


@pytest.mark.parametrize("name", [*FILES, "empty", MANIFEST])
def test_missing_file_is_found(model, name):
    (model / name).unlink()
    assert_damaged(model, name, "missing")


def test_file_that_became_a_folder_is_found(model):
    (model / "empty").unlink()
    (model / "empty").mkdir()
    assert_damaged(model, "empty", "missing")


def test_manifest_that_became_a_folder_is_found(model):
    (model / MANIFEST).unlink()
    (model / MANIFEST).mkdir()
    assert_damaged(model, MANIFEST, "cannot be read")


def test_longer_file_is_found(model):
    (model / "empty").write_bytes(b"1")
    assert_damaged(model, "empty", "expected 0 bytes, found 1")


def test_swapped_files_are_found(model):
    (model / "ner" / "labels.json").rename(model / "other")
    (model / "ner" / "numbers.json").rename(model / "ner" / "labels.json")
    (model / "other").rename(model / "ner" / "numbers.json")
    assert_damaged(model, "ner/labels.json", "sha256")


@pytest.mark.parametrize("name", ["new", "ner/new", ".hidden"])
def test_extra_file_is_found(model, name):
    (model / name).write_text("")
    assert_damaged(model, name, "not listed in manifest.json")


def test_extra_file_is_accepted_where_asked(model):
    (model / "new").write_text("")
    verify_manifest(model, strict=False)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["weights.bin", "new", "ner/new", MANIFEST])
def test_link_is_found_even_to_equal_bytes(model, tmp_path, name, strict):
    data = (model / name).read_bytes() if (model / name).exists() else b""
    (tmp_path / "outside").write_bytes(data)
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match=f"{name}: expected a plain file, found a link"):
        verify_manifest(model, strict=strict)


def test_link_made_after_the_look_around_is_not_followed(model, tmp_path, monkeypatch):
    look_around = manifest._files_below

    def then_link(folder: Path) -> dict[str, Path]:
        found = look_around(folder)
        (model / "weights.bin").rename(tmp_path / "outside")
        (model / "weights.bin").symlink_to(tmp_path / "outside")
        return found

    monkeypatch.setattr(manifest, "_files_below", then_link)
    assert_damaged(model, "weights.bin", "cannot be read")


def test_linked_folder_is_found(model, tmp_path):
    (model / "ner").rename(tmp_path / "ner")
    (model / "ner").symlink_to(tmp_path / "ner")
    assert_damaged(model, "ner", "found a link")


def test_special_file_is_found_and_not_opened(model):
    os.mkfifo(model / "pipe")
    assert_damaged(model, "pipe", "special file")


def test_missing_folder_is_a_damaged_one(tmp_path):
    assert_damaged(tmp_path / "model", "", "cannot be read")


def test_unreadable_file_is_named(model, monkeypatch):
    def failing(handle: object, algorithm: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hashlib.file_digest", failing)
    assert_damaged(model, "empty", "cannot be read .Input/output error")


def forge(folder: Path, files: object) -> None:
    """Write a manifest with a correct sha256 of its own, as an attacker would."""
    own = hashlib.sha256(to_json(files)).hexdigest()
    (folder / MANIFEST).write_bytes(to_json({"format": 1, "sha256": own, "files": files}))


@pytest.mark.parametrize("name", ["../a", "/etc/hostname", "a/../../b", "..", "./a", "a//b", "a/"])
def test_listed_path_outside_of_the_folder_is_refused(model, name):
    forge(model, {name: {"size": 0, "sha256": ""}})
    assert_damaged(model, MANIFEST, "not a path below the folder")


@pytest.mark.parametrize(
    "files", [None, [], ["a"], {"a": None}, {"a": {}}, {"a": {"size": 1}}, 1, "a", {"a": "size"}]
)
def test_manifest_of_another_shape_is_refused(model, files):
    forge(model, files)
    assert_damaged(model, MANIFEST, "damaged, or written by a newer edspipe")


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data + b"\n",
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.replace(b'"format": 1', b'"format": 2'),
        lambda data: data.replace(b'"files"', b'"other"'),
        lambda data: b"[" * 100_000,
        lambda data: b"[]",
        lambda data: b"\xff",
        lambda data: json.dumps(json.loads(data)).encode(),
    ],
)
def test_edited_manifest_is_refused(model, edit):
    data = (model / MANIFEST).read_bytes()
    (model / MANIFEST).write_bytes(edit(data))
    assert_damaged(model, MANIFEST, "damaged")


def test_manifest_lists_names_sizes_and_hashes(tmp_path):
    (tmp_path / "é").write_bytes(b"abc")
    write_manifest(tmp_path)
    listed = json.loads((tmp_path / MANIFEST).read_bytes())["files"]
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert listed == {"é": {"size": 3, "sha256": abc}}
    verify_manifest(tmp_path)


def test_manifest_does_not_depend_on_the_order_of_writing(tmp_path):
    names = [f"{i * 7919 % 100}" for i in range(100)]
    for folder, order in (("one", names), ("other", sorted(names, reverse=True))):
        with write_folder(tmp_path / folder) as staging:
            for name in order:
                (staging / name).write_text(name)
    manifests = [(tmp_path / name / MANIFEST).read_bytes() for name in ("one", "other")]
    assert manifests[0] == manifests[1]
    assert list(json.loads(manifests[0])["files"]) == sorted(names)
