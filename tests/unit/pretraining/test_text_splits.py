"""Splits: pieces of a bounded size, of which nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edspipe
from edspipe.errors import DataError
from edspipe.pretraining.char_lm import Texts
from edspipe.pretraining.splits import SplitTexts, pieces, read_text_folder, split_files


def write(folder: Path, **files: str | bytes) -> list[Path]:
    found = []
    for name, content in files.items():
        file = folder / f"{name}.txt"
        data = content if isinstance(content, bytes) else content.encode()
        file.write_bytes(data)
        found.append(file)
    return found


def test_small_files_are_joined_and_end_with_a_line(tmp_path: Path) -> None:
    files = write(tmp_path, a="un", b="deux\n", c="trois")
    splits = list(split_files(files, 9, tmp_path))
    assert [split.read() for split in splits] == ["un\ndeux\n", "trois\n"]
    assert [split.split_id for split in splits] == ["a.txt..b.txt", "c.txt"]


def test_a_large_file_is_cut_behind_lines(tmp_path: Path) -> None:
    (file,) = write(tmp_path, a="12345\n" * 10)
    splits = list(split_files([file], 20, tmp_path))
    assert [split.read() for split in splits] == ["12345\n" * 3] * 3 + ["12345\n"]
    assert splits[1].split_id == "a.txt[18:36]"


@pytest.mark.parametrize("letter", ["é", "中", "😀", "a"])
@pytest.mark.parametrize("size", [4, 5, 6, 7, 50])
def test_a_long_line_is_cut_between_characters(tmp_path: Path, letter: str, size: int) -> None:
    (file,) = write(tmp_path, a=letter * 40)
    splits = list(split_files([file], size, tmp_path))
    assert "".join(split.read() for split in splits) == letter * 40 + "\n"
    assert all(len(split.read().strip().encode()) <= size for split in splits) or size == 50


def test_marks_and_ends_of_windows_files_are_left_out(tmp_path: Path) -> None:
    files = write(tmp_path, a=b"\xef\xbb\xbfun\r\ndeux\r\n")
    assert [split.read() for split in split_files(files, 99, tmp_path)] == ["un\ndeux\n"]


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    assert list(split_files(write(tmp_path, a=""), 99, tmp_path)) == []


def test_what_is_no_utf_8_is_named_by_its_place(tmp_path: Path) -> None:
    (split,) = split_files(write(tmp_path, a=b"abc\xe9def"), 99, tmp_path)
    with pytest.raises(DataError, match=r"a\.txt: expected UTF-8, found another byte at 3$"):
        split.read()


# ---- a folder --------------------------------------------------------------------------------


def test_a_folder_has_three_parts(texts: Path) -> None:
    folder = read_text_folder(texts, 10**6)
    assert len(folder.train) == 1
    assert folder.val == (texts / "valid.txt").read_text(encoding="utf-8")
    assert folder.test == (texts / "test.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (["train/a", "test.txt"], "it misses valid.txt"),
        (["train/a", "valid.txt"], "it misses test.txt"),
        (["valid.txt", "test.txt"], "it misses train/ with files"),
        (["train/.hidden", "valid.txt", "test.txt"], "it misses train/ with files"),
        ([], "it misses train/ with files, valid.txt, test.txt"),
    ],
)
def test_a_missing_part_is_named(tmp_path: Path, there: list[str], missing: str) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    with pytest.raises(DataError, match=missing):
        read_text_folder(tmp_path)


@pytest.mark.parametrize(
    ("empty", "message"),
    [("train/a", "found 1 empty files"), ("valid.txt", "valid.txt: expected a text, found none")],
)
def test_an_empty_part_is_named(tmp_path: Path, empty: str, message: str) -> None:
    (tmp_path / "train").mkdir()
    for name in ("train/a", "valid.txt", "test.txt"):
        (tmp_path / name).write_text("" if name == empty else "a")
    with pytest.raises(DataError, match=message):
        read_text_folder(tmp_path)


# ---- any texts -------------------------------------------------------------------------------


@given(st.lists(st.text("ab\n", max_size=30), max_size=8), st.integers(1, 20))
def test_texts_are_joined_and_cut_to_bounded_splits(texts: list[str], size: int) -> None:
    splits = [split.read() for split in SplitTexts(texts, size)()]
    assert "".join(splits) == "".join(t if t.endswith("\n") else t + "\n" for t in texts if t)
    assert all(0 < len(split) <= size for split in splits)


@given(st.text("ab\n", max_size=60), st.integers(1, 9))
def test_pieces_are_the_text(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join(found) == text
    assert all(0 < len(piece) <= size for piece in found)


def test_pieces_end_with_a_line_where_they_can() -> None:
    assert list(pieces("ab\ncd\nefghij", 4)) == ["ab\n", "cd\n", "efgh", "ij"]


def test_a_stream_of_docs_is_read_again_and_again(tmp_path: Path) -> None:
    write(tmp_path, a="un deux", b="trois")
    stream: Any = edspipe.data.read_text(tmp_path)
    found = Texts.of(stream, None, ["quatre"], 100)
    assert [[split.read() for split in found.splits()] for _ in range(2)] == [
        ["un deux\ntrois\n"],
        ["un deux\ntrois\n"],
    ]
    assert (found.val, found.test) == ([], ["quatre"])
