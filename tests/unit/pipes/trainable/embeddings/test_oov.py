"""Vectors for words that have none."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch

from edspipe.pipes.trainable.embeddings.oov import (
    MAX_CHARS,
    fill_buckets,
    ngram_buckets,
    random_vectors,
    word_key,
)

PRINT = """
import numpy as np
from edspipe.pipes.trainable.embeddings.oov import random_vectors, word_key
print(random_vectors(np.array([word_key("fièvre")], np.uint64), 6).tobytes().hex())
"""


def test_a_drawn_vector_is_the_same_in_every_process():
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"  # another than ours
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    here = random_vectors(np.array([word_key("fièvre")], np.uint64), 6)
    assert done.stdout.strip() == here.tobytes().hex()


def test_a_key_is_what_it_always_was():
    """Another key would give other vectors to the words of models that are saved."""
    assert word_key("fièvre") == 3781190308721729983


def test_drawn_vectors_have_mean_zero_and_variance_one():
    keys = np.array([word_key(f"w{i}") for i in range(500)], np.uint64)
    vectors = random_vectors(keys, 100)
    assert vectors.dtype == np.float32
    assert abs(vectors.mean()) < 0.02
    assert abs(vectors.std() - 1) < 0.02
    assert np.abs(vectors).max() <= np.sqrt(3.0) + 1e-6


def test_drawn_vectors_of_different_words_have_nothing_in_common():
    keys = np.array([word_key(f"w{i}") for i in range(50)], np.uint64)
    vectors = random_vectors(keys, 400)
    cosines = np.corrcoef(vectors) - np.eye(50)
    assert np.abs(cosines).max() < 0.3


def test_a_longer_vector_begins_as_the_shorter_one():
    keys = np.array([1, 2], np.uint64)
    np.testing.assert_array_equal(random_vectors(keys, 9)[:, :4], random_vectors(keys, 4))


def naive_buckets(word, num_buckets):
    text = "<" + word + ">"
    grams = [text[i:j] for i in range(len(text)) for j in range(len(text) + 1) if 3 <= j - i <= 6]
    return sorted(zlib.crc32(gram.encode()) % num_buckets for gram in grams)


@pytest.mark.parametrize("word", ["a", "où", "fièvre", "😀", "x" * MAX_CHARS])
def test_n_grams_have_three_to_six_characters_with_borders(word):
    assert sorted(ngram_buckets(word, 997).tolist()) == naive_buckets(word, 997)


def test_a_very_long_word_is_looked_at_in_part():
    long = "x" * 100_000
    assert len(ngram_buckets(long, 97)) == len(ngram_buckets("x" * MAX_CHARS, 97))


def test_a_bucket_is_the_mean_of_the_words_that_have_an_n_gram_in_it():
    words = ["toux", "toussent", "fièvre"]
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    found = fill_buckets(words, vectors, 50)
    for bucket in range(50):
        members = [v for w, v in zip(words, vectors, strict=True) for b in naive_buckets(w, 50)
                   if b == bucket]  # fmt: skip
        expected = np.mean(members if members else vectors, axis=0)
        torch.testing.assert_close(found[bucket], torch.from_numpy(expected).float())
