"""Files of word vectors: every format reads the same, and what is malformed says where."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from edspipe.errors import DataError
from edspipe.pipes.trainable.embeddings import vector_readers
from edspipe.pipes.trainable.embeddings.vector_files import read_vectors, write_vectors

WORDS = ["fièvre", "the", ",", "naïve", "œdème"]
VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
LINES = [f"{w} {' '.join(map(repr, v.tolist()))}" for w, v in zip(WORDS, VECTORS, strict=True)]


def binary(words=WORDS, vectors=VECTORS, end=b"\n", header=None):
    head = f"{len(words)} {vectors.shape[1]}\n".encode() if header is None else header
    parts = [w if isinstance(w, bytes) else w.encode() for w in words]
    rows = zip(parts, vectors, strict=True)
    return head + b"".join(w + b" " + v.astype("<f4").tobytes() + end for w, v in rows)


FILES = {
    "glove.txt": "\n".join(LINES).encode(),
    "word2vec.vec": ("5 3\n" + "\n".join(LINES) + "\n").encode(),
    "fasttext.vec": ("5 3\n" + " \n".join(LINES) + " \n").encode(),
    "windows.txt": ("\r\n".join(LINES) + "\r\n").encode(),
    "tabs.txt": "\n".join(line.replace(" ", "\t") for line in LINES).encode(),
    "packed.vec.gz": gzip.compress(("5 3\n" + "\n".join(LINES)).encode()),
    "bare.gz": gzip.compress("\n".join(LINES).encode()),
    "google.bin": binary(end=b""),
    "word2vec.bin": binary(),
    "packed.bin.gz": gzip.compress(binary()),
    "own.safetensors": safetensors.numpy.save(
        {"vectors": VECTORS, "words": np.frombuffer("\n".join(WORDS).encode(), np.uint8)}
    ),
}


def write(tmp_path, name, data):
    file = tmp_path / name
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("name", FILES)
def test_each_format_gives_the_vectors_of_the_file(tmp_path, name):
    table = read_vectors(write(tmp_path, name, FILES[name]))
    assert table.words == WORDS
    assert table.vectors.dtype == np.float32
    np.testing.assert_array_equal(table.vectors, VECTORS)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("max_words", [1, 2, 5, 9])
def test_reading_stops_after_so_many_words(tmp_path, name, max_words):
    table = read_vectors(write(tmp_path, name, FILES[name]), max_words)
    assert table.words == WORDS[:max_words]
    np.testing.assert_array_equal(table.vectors, VECTORS[:max_words])


@pytest.mark.parametrize("name", ["a.vec", "a.txt", "a.vec.gz", "a.safetensors"])
def test_what_is_written_is_read_bit_by_bit(tmp_path, name):
    write_vectors(tmp_path / name, WORDS, VECTORS)
    table = read_vectors(tmp_path / name)
    assert table.words == WORDS
    np.testing.assert_array_equal(table.vectors, VECTORS)


def test_the_same_vectors_are_the_same_packed_bytes(tmp_path):
    for name in ("a.vec.gz", "b.vec.gz"):
        write_vectors(tmp_path / name, WORDS, VECTORS)
    assert (tmp_path / "a.vec.gz").read_bytes() == (tmp_path / "b.vec.gz").read_bytes()


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_readers, "BLOCK_ROWS", 7)
    monkeypatch.setattr(vector_readers, "BLOCK_BYTES", 16)
    words = [f"w{i}" for i in range(30)]
    vectors = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    write_vectors(tmp_path / "a.vec", words, vectors)
    for file in (tmp_path / "a.vec", write(tmp_path, "a.bin", binary(words, vectors))):
        table = read_vectors(file)
        assert table.words == words
        np.testing.assert_array_equal(table.vectors, vectors)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n\r\n"])
@pytest.mark.parametrize("header", [b"", b"2 2\n"])
@pytest.mark.parametrize("max_words", [None, 2, 9])
def test_empty_lines_may_stand_at_the_end(tmp_path, end, header, max_words):
    file = write(tmp_path, "a.vec", header + b"a 1 2\nb 3 4\n" + end)
    table = read_vectors(file, max_words)
    assert table.words == ["a", "b"]
    np.testing.assert_array_equal(table.vectors, [[1, 2], [3, 4]])


def test_a_word_of_glove_may_hold_blanks(tmp_path):
    table = read_vectors(write(tmp_path, "a.txt", b"the 1 2\n. . . 3 4\n"))
    assert table.words == ["the", ". . ."]
    np.testing.assert_array_equal(table.vectors, [[1, 2], [3, 4]])


@pytest.mark.parametrize("number", ["+1.5", "1.5e0", "15E-1", "1.50"])
def test_numbers_may_be_written_in_any_way(tmp_path, number):
    table = read_vectors(write(tmp_path, "a.txt", f"a {number} 2\nb 3 {number}\n".encode()))
    np.testing.assert_array_equal(table.vectors, [[1.5, 2], [3, 1.5]])


def test_of_a_word_that_stands_twice_the_first_vector_counts(tmp_path, log):
    table = read_vectors(write(tmp_path, "a.txt", b"a 1 2\nb 3 4\na 5 6\n"))
    assert table.words == ["a", "b"]
    np.testing.assert_array_equal(table.vectors, [[1, 2], [3, 4]])
    assert any("1 words stand twice; the first vector counts" in line for line in log)


def test_words_of_a_binary_file_that_are_not_utf8_are_left_out(tmp_path, log):
    data = binary([b"ok", b"caf\xc3", b"fin"], VECTORS[:3])
    table = read_vectors(write(tmp_path, "a.bin", data))
    assert table.words == ["ok", "fin"]
    np.testing.assert_array_equal(table.vectors, VECTORS[[0, 2]])
    assert any("1 words are not UTF-8 and are left out" in line for line in log)


BAD_TEXT = {
    "too few": (b"a 1 2\nsecret 1\n", 2, r"expected a word and 2 numbers, got 2 fields"),
    "too many": (b"a 1 2\nsecret 1 2 3\n", 2, r"expected 2 numbers after the word, got more"),
    "no number": (b"a 1 2\nsecret 1 x2\n", 2, r"field 2 of the 2 numbers is none"),
    "no word": (b"a 1 2\n 1 2\n", 2, r"expected a word and 2 numbers, got 3 fields"),
    "empty line": (b"a 1 2\n\nb 1 2\n", 2, r"expected a word and 2 numbers, got 1 fields"),
    "empty lines": (b"a 1 2\n\n\r\n\nb 1 2\n", 2, r"expected a word and 2 numbers, got 1 fields"),
    "cut, empty line": (b"3 2\na 1 2\nb 1 2\n\n", 1, r"promises 3 vectors, and there are 2"),
    "header, empty line": (b"0 2\n\n", None, r"expected word vectors, found none"),
    "nan": (b"a 1 2\nsecret nan 2\n", 2, r"infinite, or not a number"),
    "too large": (b"a 1 2\nb 1 2\nsecret 1e99 2\n", 3, r"infinite, or not a number"),
    "latin-1": (b"a 1 2\nsecr\xe9t 1 2\n", 2, r"the word is not UTF-8"),
    "two blanks": (b"a 1 2\nsecret 1  2\n", 2, r"expected 2 numbers after the word, got more"),
    "not ASCII": (b"a 1 2\nsecret 1 \xe9\n", 2, r"field 2 of the 2 numbers is none"),
    "cut": (b"3 2\na 1 2\nb 1 2\n", 1, r"promises 3 vectors, and there are 2"),
    "more": (b"1 2\na 1 2\nb 1 2\n", 1, r"promises 1 vectors, and there are 2"),
    "huge": (b"1 99999999\na 1 2\n", 1, r"vectors of 1 to 10000 numbers, got 99999999"),
    "empty": (b"", 1, r"vectors of 1 to 10000 numbers, got 0"),
    "header only": (b"0 2\n", None, r"expected word vectors, found none"),
    "no vector": (b"secret\n", 1, r"vectors of 1 to 10000 numbers, got 0"),
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_a_malformed_line_is_named_and_not_quoted(tmp_path, name):
    data, line, message = BAD_TEXT[name]
    file = write(tmp_path, "a.txt", data)
    with pytest.raises(DataError, match=message) as caught:
        read_vectors(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)
    assert "secr" not in str(caught.value)


def test_a_line_without_end_is_not_read_whole(tmp_path):
    file = write(tmp_path, "a.vec.gz", gzip.compress(b"a 1 2\n" + b"1" * (1 << 21)))
    with pytest.raises(DataError, match=r"a\.vec\.gz:2: .* more than 1048576 bytes"):
        read_vectors(file)


BAD_BINARY = {
    "fastText": (struct.pack("<ii", 793712314, 12) + b"\0" * 90, "got fastText's own format"),
    "no header": (b"\x93NUMPY" + b"\0" * 90, "begins with 'count size', got something else"),
    "no line": (b"9" * 5000, "begins with 'count size', got something else"),
    "huge count": (binary(header=b"999999999999 3\n"), "promises 999999999999 vectors of 3"),
    "huge size": (binary(header=b"5 99999999\n"), "vectors of 1 to 10000 numbers, got 99999999"),
    "cut": (binary()[:-8] + b" " * 0, "vector 5 of 5: expected a word, a blank and 12 bytes"),
    "no blank": (b"2 1\n" + b"a" * 20_000, "vector 1 of 2: expected a word, a blank and 4 bytes"),
    "no word": (b"1 1\n \0\0\0\0\n", "vector 1 of 1: expected a word"),
    "more": (binary(header=b"4 3\n"), "more than the 4 vectors of the first line"),
    "infinite": (binary(["a"], np.array([[np.inf]])), "infinite, or not a number"),
    "nothing": (b"0 3\n", "expected word vectors, found none"),
}


@pytest.mark.parametrize("name", BAD_BINARY)
def test_a_malformed_binary_file_is_refused(tmp_path, name):
    data, message = BAD_BINARY[name]
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, "a.bin", data))


def test_a_packed_binary_file_reserves_nothing_for_what_it_promises(tmp_path):
    data = gzip.compress(binary(header=b"999999999999 3\n"))
    with pytest.raises(DataError, match="vector 6 of 999999999999"):
        read_vectors(write(tmp_path, "a.bin.gz", data))


def joined(*words):
    return np.frombuffer("\n".join(words).encode(), np.uint8)


BAD_SAFETENSORS = {
    "other tensors": ({"a": VECTORS}, "expected the tensors 'vectors'"),
    "one axis": ({"vectors": VECTORS[0], "words": joined("a")}, "expected the tensors 'vectors'"),
    "fewer words": ({"vectors": VECTORS, "words": joined("a")}, "got 1 words, .* 5 vectors"),
    "twice": ({"vectors": VECTORS[:2], "words": joined("a", "a")}, "2 words, 1 different ones"),
    "empty word": ({"vectors": VECTORS[:2], "words": joined("a", "")}, "one word a vector"),
    "not UTF-8": ({"vectors": VECTORS[:1], "words": np.array([255], np.uint8)}, "is not UTF-8"),
    "nan": ({"vectors": VECTORS[:1] * np.nan, "words": joined("a")}, "infinite or none"),
    "no size": ({"vectors": VECTORS[:1, :0], "words": joined("a")}, "a vector is empty"),
}


@pytest.mark.parametrize("name", BAD_SAFETENSORS)
def test_a_malformed_safetensors_file_is_refused(tmp_path, name):
    tensors, message = BAD_SAFETENSORS[name]
    data = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, "a.safetensors", data))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.vec.gz", b"a 1 2\n", "not a whole gzip file"),
        ("a.vec.gz", FILES["packed.vec.gz"][:-12], "not a whole gzip file"),
        ("a.safetensors", b"a 1 2\n", r"not a whole safetensors file \(SafetensorError\)"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, data, message):
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, name, data))


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.safetensors"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name}: expected a file of word vectors"):
        read_vectors(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a", "a.safetensors.gz.zip"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="expected a file of word vectors"):
        read_vectors(tmp_path / name)


@pytest.mark.parametrize("name", ["a.bin", "a", "a.safetensors.gz"])
def test_another_suffix_is_not_written(tmp_path, name):
    with pytest.raises(ValueError, match="vectors are written as"):
        write_vectors(tmp_path / name, WORDS, VECTORS)


@pytest.mark.parametrize("word", ["", "a b", "a\n"])
def test_a_word_that_text_cannot_hold_is_not_written(tmp_path, word):
    with pytest.raises(ValueError, match="word 0 is empty, or holds a blank"):
        write_vectors(tmp_path / "a.vec", [word], VECTORS[:1])


def test_a_vector_a_word_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"got 2 words and an array \[5, 3\]"):
        write_vectors(tmp_path / "a.vec", ["a", "b"], VECTORS)


@given(st.binary(max_size=200), st.sampled_from(["a.txt", "a.bin", "a.safetensors", "a.vec.gz"]))
def test_no_bytes_do_more_than_raise(tmp_path_factory, data, name):
    file = tmp_path_factory.mktemp("fuzz") / name
    file.write_bytes(data)
    try:
        table = read_vectors(file)
    except DataError:
        return
    assert len(table.words) == len(table.vectors)
