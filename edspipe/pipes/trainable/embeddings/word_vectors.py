"""eds.word_vectors: a vector a word, from a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from loguru import logger
from spacy.tokens import Doc, Span, Token

from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.torch_component import STATE, Batch, Features
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.embeddings.oov import (
    fill_buckets,
    ngram_buckets,
    random_vectors,
    word_key,
)
from edspipe.pipes.trainable.embeddings.vector_files import read_vectors
from edspipe.pipes.trainable.embeddings.vector_readers import MAX_SIZE, VectorTable


@dataclass(frozen=True)
class SavedVectors:
    """Word vectors inside a saved pipe: words in its state, vectors among its weights.

    Attributes:
        folder: The folder.
    """

    folder: Path


class WordRows(dict[str, int]):
    """Words to rows of the table. It is replaced, never changed, so that copies can share it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> WordRows:
        return self


@registry.factory.register("eds.word_vectors")
class WordVectors(WordEmbedding):
    """Looks each word up in a file of vectors, of word2vec, fastText or GloVe.

    ```python
    eds.word_vectors(path="vectors.vec", oov="char_ngrams")
    ```

    Files are text (`.txt`, `.vec`; with or without the line `count size`), word2vec's `.bin`, both
    also packed (`.gz`), and `.safetensors`, which is read fastest. `edspipe train-vectors` makes
    small ones. A word is looked up as it is written, letter case and accents included; words of
    `lang="eds"` hold no blanks, so that phrases such as `New_York` in a file are never found.

    A word without a vector gets

    - `"zeros"`: zeros;
    - `"random"`: a vector that is drawn from the word itself, the same in every process, and as
      long as those of the file are on average. It is never trained;
    - `"char_ngrams"`: the mean over its character n-grams (3 to 6, borders included), hashed into
      `num_buckets` vectors. A bucket begins as the mean of the vectors of all words in the file
      that have an n-gram in it. That is rougher than fastText, which learns n-grams from text; it
      brings `Fractures` near `fracture`, not more.

    The saved pipe holds vectors and words, and needs no file. With `vocab_only` these are only the
    words of the file that the training documents have too, so that a file of gigabytes is not
    copied; other words are out of the vocabulary from then on, in evaluation as later. Words that
    the file does not have are never written.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        path: The file.
        trainable: Train the vectors, and those of n-grams.
        oov: What words without a vector get.
        lowercase: Look words up in lower case; of words of the file that differ in case only, the
            first counts.
        vocab_only: Keep the words of the training documents only, once these are seen.
        max_words: Vectors to read, from the first on; None reads all.
        num_buckets: Vectors that n-grams share.

    Raises:
        ConfigError: A number is below 1.
        DataError: The file does not exist or is malformed; names file and line.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        path: str | Path | SavedVectors,
        trainable: bool = False,
        oov: Literal["zeros", "random", "char_ngrams"] = "zeros",
        lowercase: bool = False,
        vocab_only: bool = True,
        max_words: int | None = None,
        num_buckets: int = 20_000,
    ) -> None:
        super().__init__(nlp, name)
        if num_buckets < 1 or (max_words is not None and max_words < 1):
            raise ConfigError(
                f"max_words and num_buckets are 1 or more, got {max_words} and {num_buckets}"
            )
        self.path, self.max_words = path, max_words
        self.trainable, self.oov, self.num_buckets = trainable, oov, num_buckets
        self.lowercase, self.vocab_only = lowercase, vocab_only
        self.rows = WordRows()
        self.buckets: torch.nn.Parameter | None = None
        self._seen: set[str] | None = None
        if isinstance(path, SavedVectors):
            file = path.folder / STATE
            self._make_empty(*_check_state(read_json(file), file))
        else:
            self._take_file(self._read())

    @staticmethod
    def saved_parameters(folder: Path) -> dict[str, Any]:
        """Return the arguments that rebuild this component from its folder in a saved model."""
        return {"path": SavedVectors(folder)}

    # ---- words and vectors -----------------------------------------------------------------

    def _read(self) -> VectorTable:
        table = read_vectors(self.path, self.max_words)  # type: ignore[arg-type]
        if not self.lowercase:
            return table
        lower = [word.lower() for word in table.words]
        first = {word: row for row, word in reversed(list(enumerate(lower)))}
        rows = sorted(first.values())
        return VectorTable([lower[row] for row in rows], table.vectors[rows])

    def _take_file(self, table: VectorTable) -> None:
        self.output_size = table.vectors.shape[1]
        self._set_table(table.words, torch.from_numpy(table.vectors))
        if self.oov == "random":
            length = float(np.sqrt(np.mean(np.square(table.vectors, dtype=np.float64))))
            self.register_buffer("oov_scale", torch.tensor(length, dtype=torch.float32))
        elif self.oov == "char_ngrams":
            filled = fill_buckets(table.words, table.vectors, self.num_buckets)
            self.buckets = torch.nn.Parameter(filled, requires_grad=self.trainable)

    def _make_empty(self, words: list[str], size: int) -> None:
        self.output_size = size
        self._set_table(words, torch.zeros(len(words), size))
        if self.oov == "random":
            self.register_buffer("oov_scale", torch.zeros(()))
        elif self.oov == "char_ngrams":
            empty = torch.zeros(self.num_buckets, size)
            self.buckets = torch.nn.Parameter(empty, requires_grad=self.trainable)

    def _set_table(self, words: Sequence[str], vectors: torch.Tensor) -> None:
        """Set words and vectors; row 0 of the table stays zero, for words without a vector."""
        self.rows = WordRows({word: row for row, word in enumerate(words, start=1)})
        table = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])
        self.table = torch.nn.Parameter(table, requires_grad=self.trainable)

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Keep the vectors of the words that the documents have, with `vocab_only`.

        When it runs again with other documents, their words are added.
        """
        if not self.vocab_only or isinstance(self.path, SavedVectors):
            return
        seen = {self._word(token) for doc in docs for token in doc}
        if self._seen is None:
            self._keep(seen)
        elif new := seen - self._seen:
            self._add(new)
        self._seen = seen | (self._seen or set())
        if not self.rows:
            logger.warning(
                "{}: no word of the documents has a vector in {}; is it of another language, or "
                "is lowercase=True missing?",
                self.name,
                self.path,
            )

    def _keep(self, words: set[str]) -> None:
        kept = [(word, row) for word, row in self.rows.items() if word in words]
        logger.info(
            "{}: {} of the {} words of the documents have a vector; those of {} other words are "
            "left out",
            self.name,
            len(kept),
            len(words),
            len(self.rows) - len(kept),
        )
        index = torch.tensor([row for _, row in kept], dtype=torch.int64, device=self.device)
        self._set_table([word for word, _ in kept], self.table.detach().index_select(0, index))

    def _add(self, words: set[str]) -> None:
        table = self._read()
        new = [i for i, w in enumerate(table.words) if w in words and w not in self.rows]
        if new:
            old = self.table.detach()[1:]
            added = torch.from_numpy(table.vectors[new]).to(old.device)
            self._set_table([*self.rows, *(table.words[i] for i in new)], torch.cat([old, added]))

    def get_state(self) -> dict[str, Any]:
        return {"words": list(self.rows), "size": self.output_size}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        words, size = _check_state(state, file)
        if size != self.output_size:
            raise CheckpointError(
                f"{file}: the vectors are of {size} numbers, and {self.output_size} are expected"
            )
        self._set_table(words, torch.zeros(len(words), size, device=self.device))
        self._seen = set(words)

    # ---- one document ----------------------------------------------------------------------

    def _word(self, token: Token) -> str:
        return token.lower_ if self.lowercase else token.text

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Look up the words of a Doc. Prompts change nothing: no word sees another one.

        Returns:
            `rows`, the row of each word, 0 without one, *Shape* `(words,)`; `sizes`, the words of
            each context; for words without a vector `keys`, uint64, *Shape* `(such words,)`, or
            `buckets`, *Shape* `(n-grams,)`, with `num_buckets`, *Shape* `(such words,)`.

        Raises:
            ValueError: There are prompts, but not one a context.
        """
        spans = [doc[:]] if contexts is None else contexts
        if prompts and len(prompts) != len(spans):
            raise ValueError(f"expected a prompt a context, got {len(prompts)} for {len(spans)}")
        words = [self._word(token) for span in spans for token in span]
        find = self.rows.get
        features: Features = {
            "rows": np.array([find(word, 0) for word in words], dtype=np.int64),
            "sizes": [len(span) for span in spans],
            "stats": {"words": len(words)},
        }
        if self.oov != "zeros":
            unknown = [words[i] for i in np.flatnonzero(features["rows"] == 0).tolist()]
            features.update(self._describe(unknown))
        return features

    def _describe(self, unknown: list[str]) -> Features:
        if self.oov == "random":
            return {"keys": np.array([word_key(word) for word in unknown], dtype=np.uint64)}
        buckets = [ngram_buckets(word, self.num_buckets) for word in unknown]
        return {
            "buckets": _join(buckets),
            "num_buckets": np.array([len(one) for one in buckets], dtype=np.int64),
        }

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Join the words of all documents.

        Returns:
            `rows`, *Shape* `(words,)`; `lengths`, *Shape* `(contexts,)`, and `sizes`; for words
            without a vector `unknown`, their places, *Shape* `(such words,)`, with `drawn`, their
            vectors before scaling, *Shape* `(such words, output_size)`, or `buckets`, *Shape*
            `(n-grams,)`, and `bags`, where each word's begin, *Shape* `(such words,)`.
        """
        rows = _join([sample["rows"] for sample in batch])
        sizes = tuple(size for sample in batch for size in sample["sizes"])
        collated: Batch = {
            "rows": torch.from_numpy(rows),
            "lengths": torch.tensor(sizes, dtype=torch.int64),
            "sizes": sizes,
        }
        if self.oov != "zeros":
            collated["unknown"] = torch.from_numpy(np.flatnonzero(rows == 0))
        if self.oov == "random":
            keys = np.concatenate([sample["keys"] for sample in batch])
            collated["drawn"] = torch.from_numpy(random_vectors(keys, self.output_size))
        elif self.oov == "char_ngrams":
            counts = _join([sample["num_buckets"] for sample in batch])
            collated["buckets"] = torch.from_numpy(_join([sample["buckets"] for sample in batch]))
            collated["bags"] = torch.from_numpy(np.cumsum(counts) - counts)
        return collated

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Gather the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`, `lengths`, *Shape* `(contexts,)`, and
            `sizes`.
        """
        vectors = F.embedding(batch["rows"], self.table, padding_idx=0)
        if "unknown" in batch and len(batch["unknown"]):
            vectors = vectors.index_copy(0, batch["unknown"], self._made(batch))
        return {"embeddings": vectors, "lengths": batch["lengths"], "sizes": batch["sizes"]}

    def _made(self, batch: Batch) -> torch.Tensor:
        """Return vectors for words that have none. *Shape* `(such words, output_size)`"""
        if self.oov == "random":
            return batch["drawn"] * self.oov_scale
        assert self.buckets is not None
        return F.embedding_bag(batch["buckets"], self.buckets, batch["bags"], mode="mean")


def _check_state(state: dict[str, Any], file: Path) -> tuple[list[str], int]:
    words, size = state.get("words"), state.get("size")
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise CheckpointError(f"{file}: expected a list of words under 'words'")
    if len(set(words)) != len(words):
        raise CheckpointError(f"{file}: a word stands twice under 'words'")
    if type(size) is not int or not 1 <= size <= MAX_SIZE:
        raise CheckpointError(f"{file}: expected a number from 1 to {MAX_SIZE} under 'size'")
    return words, size


def _join(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)
