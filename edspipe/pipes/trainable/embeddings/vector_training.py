"""Training word vectors on texts (Mikolov et al. 2013, "Efficient estimation of word
representations in vector space"), with gensim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from loguru import logger
from spacy.tokens import Doc

from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.pipes.trainable.embeddings.vector_files import can_write
from edspipe.pipes.trainable.embeddings.vector_readers import VectorTable

MAX_WORDS = 10_000
"""gensim forgets the words of a sentence after so many; longer documents are cut."""


def train_vectors(
    docs: Iterable[Doc],
    *,
    size: int = 100,
    window: int = 5,
    min_count: int = 5,
    epochs: int = 5,
    kind: Literal["skipgram", "cbow"] = "skipgram",
    lowercase: bool = False,
    seed: int = 0,
    num_workers: int = 1,
) -> VectorTable:
    """Train word vectors on the words of Docs, blanks and line breaks left out.

    The same documents and seed give the same vectors, with one worker.

    Args:
        docs: Documents; they are read once for the words and once an epoch, so not a generator.
        size: Size of the vectors.
        window: Words to each side that a word is predicted from, or predicts.
        min_count: Words that occur less often get no vector.
        epochs: How often the documents are read.
        kind: `"skipgram"` or `"cbow"`.
        lowercase: Take all words in lower case.
        seed: Chooses the first vectors, and what is drawn.
        num_workers: Threads. With several, vectors differ from run to run.

    Returns:
        Words, most frequent first, and their vectors.

    Raises:
        DataError: No word occurs often enough.
        MissingExtraError: gensim is not installed.
        TypeError: The documents are a generator.
        ValueError: A number is below 1, or `kind` is another one.
    """
    word2vec = require("gensim.models.word2vec", "vectors", "training word vectors")
    if min(size, window, min_count, epochs, num_workers) < 1:
        raise ValueError("size, window, min_count, epochs and num_workers are 1 or more")
    if kind not in ("skipgram", "cbow"):
        raise ValueError(f"kind is 'skipgram' or 'cbow', got {kind!r}")
    if isinstance(docs, Iterator):
        raise TypeError("train_vectors reads its documents several times: give a list or a stream")
    sentences = Sentences(docs, lowercase)
    model = word2vec.Word2Vec(
        vector_size=size,
        window=window,
        min_count=min_count,
        sg=int(kind == "skipgram"),
        seed=seed,
        workers=num_workers,
    )
    model.build_vocab(sentences)
    if not len(model.wv):
        raise DataError(
            f"no word occurs {min_count} times or more among {model.corpus_total_words} words: "
            "give more text, or a lower min_count"
        )
    model.train(sentences, total_examples=model.corpus_count, epochs=epochs)
    return VectorTable(list(model.wv.index_to_key), np.asarray(model.wv.vectors, np.float32))


class Sentences:
    """The words of documents, as often as they are asked for.

    Words that no file of vectors can hold, with a blank inside, are left out, so that a training
    is not lost when it is written. A warning after the first reading counts them.

    Args:
        docs: The documents.
        lowercase: Give words in lower case.
    """

    def __init__(self, docs: Iterable[Doc], lowercase: bool = False) -> None:
        self.docs = docs
        self.lowercase = lowercase
        self._is_counted = False

    def __iter__(self) -> Iterator[list[str]]:
        num_left_out = 0
        for doc in self.docs:
            found = [
                token.lower_ if self.lowercase else token.text
                for token in doc
                if not token.is_space
            ]
            words = [word for word in found if can_write(word)]
            num_left_out += len(found) - len(words)
            for start in range(0, len(words), MAX_WORDS):
                yield words[start : start + MAX_WORDS]
        if num_left_out and not self._is_counted:
            logger.warning(
                "{} words hold a blank or a line break and are left out: no file of vectors can "
                "hold them",
                num_left_out,
            )
        self._is_counted = True
