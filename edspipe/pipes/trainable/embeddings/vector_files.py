"""Files of word vectors, by their suffix."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
from safetensors import SafetensorError

from edspipe import atomic
from edspipe.errors import DataError
from edspipe.pipes.trainable.embeddings.vector_readers import (
    VectorTable,
    open_vectors,
    read_binary,
    read_text,
)

SUFFIXES = (".txt", ".vec", ".bin", ".safetensors")
WRITTEN = (".txt", ".vec", ".safetensors")
BLANKS = frozenset(" \t\r\n")
"""What parts words and numbers in a file, and cannot be in a word."""
_VECTORS, _WORDS = "vectors", "words"


def read_vectors(path: str | Path, max_words: int | None = None) -> VectorTable:
    """Read word vectors.

    - `.txt`, `.vec`: text, as word2vec, fastText and GloVe write it;
    - `.bin`: word2vec's binary format;
    - these with `.gz` after it, packed; a bare `.gz` is text;
    - `.safetensors`: the tensors `vectors`, *Shape* `(words, size)`, and `words`, the bytes of the
      words in UTF-8, with a line break between one and the next.

    Args:
        path: The file.
        max_words: How many vectors are read, from the first on; files begin with frequent words.
            None reads all.

    Raises:
        DataError: The file does not exist, or something of it is malformed; names the line.
        ValueError: It has another suffix.
    """
    file = Path(path)
    kind = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if kind == ".bin":
        return read_binary(file, max_words)
    if kind == ".safetensors" and file.suffix != ".gz":
        return _read_safetensors(file, max_words)
    if kind in (".txt", ".vec") or file.suffix == ".gz":
        return read_text(file, max_words)
    raise ValueError(
        f"{file}: expected a file of word vectors ({', '.join(SUFFIXES)}; text and .bin may be "
        "packed, .gz)"
    )


def write_vectors(path: str | Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write word vectors, as text (`.vec`, `.txt`, also packed, `.gz`) or as `.safetensors`.

    Text holds nine digits a number, with which float32 reads back as it was.

    Args:
        path: The file; it is replaced whole.
        words: The words.
        vectors: Their vectors. *Shape* `(words, size)`

    Raises:
        ValueError: The suffix is another one, a word is empty or holds a blank or line break, or
            there are not as many words as vectors.
    """
    file = Path(path)
    check_target(file)
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(words) != len(vectors):
        raise ValueError(
            f"{file}: expected a vector a word, got {len(words)} words and an array "
            f"{list(vectors.shape)}"
        )
    for number, word in enumerate(words):
        if not can_write(word):
            raise ValueError(f"{file}: word {number} is empty, or holds a blank or a line break")
    if file.suffix == ".safetensors":
        joined = np.frombuffer("\n".join(words).encode("utf-8"), dtype=np.uint8)
        data = safetensors.numpy.save({_VECTORS: vectors, _WORDS: joined})
        with atomic.write_file(file) as handle:
            handle.write(data)
        return
    with atomic.write_file(file) as handle:
        if file.suffix == ".gz":
            with gzip.GzipFile(
                fileobj=handle, mode="wb", filename="", mtime=0, compresslevel=6
            ) as packed:
                packed.writelines(_lines(words, vectors))
        else:
            handle.writelines(_lines(words, vectors))


def check_target(path: str | Path) -> None:
    """Refuse a path that `write_vectors` would refuse, before anything is computed.

    Raises:
        ValueError: It has another suffix.
    """
    file = Path(path)
    kind = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if kind not in WRITTEN or file.name.endswith(".safetensors.gz"):
        raise ValueError(f"{file}: vectors are written as {', '.join(WRITTEN)}; text also as .gz")


def can_write(word: str) -> bool:
    """Say whether a file can hold a word: it is not empty, and has no blank or line break."""
    return bool(word) and BLANKS.isdisjoint(word)


def _lines(words: Sequence[str], vectors: np.ndarray) -> Iterator[bytes]:
    yield b"%d %d\n" % vectors.shape
    numbers = " ".join(["%.9g"] * vectors.shape[1])
    for word, row in zip(words, vectors, strict=True):
        yield f"{word} {numbers % tuple(row.tolist())}\n".encode()


def _read_safetensors(file: Path, max_words: int | None) -> VectorTable:
    with open_vectors(file):
        pass
    try:
        saved = safetensors.torch.load_file(file)
    except (SafetensorError, ValueError, OSError) as error:
        raise DataError(f"not a whole safetensors file ({type(error).__name__})", file) from None
    if set(saved) != {_VECTORS, _WORDS} or saved[_VECTORS].ndim != 2 or saved[_WORDS].ndim != 1:
        raise DataError(
            f"expected the tensors '{_VECTORS}' (words, size) and '{_WORDS}' (bytes), "
            f"got {len(saved)} tensors, or others",
            file,
        )
    try:
        words = saved[_WORDS].numpy().tobytes().decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"the tensor '{_WORDS}' is not UTF-8", file) from None
    vectors = saved[_VECTORS].float().numpy()
    if len(words) != len(vectors) or len(set(words)) != len(words) or "" in words:
        raise DataError(
            f"expected one word a vector, each once, got {len(words)} words, {len(set(words))} "
            f"different ones, and {len(vectors)} vectors",
            file,
        )
    if not vectors.shape[1] or not np.isfinite(vectors).all():
        raise DataError("a vector is empty, or a number of it infinite or none", file)
    return VectorTable(words[:max_words], np.ascontiguousarray(vectors[:max_words]))
