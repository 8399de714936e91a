"""Vectors for words that have none: drawn from the word itself, or made of its characters."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

MIN_NGRAM, MAX_NGRAM = 3, 6
"""Characters of an n-gram, borders included (Bojanowski et al. 2017, "Enriching word vectors with
subword information")."""
MAX_CHARS = 64
"""Characters of a word that are looked at: longer ones (sequences, addresses) are no words."""
MAX_REMEMBERED = 1 << 16
"""Words whose n-grams are remembered: about 20 MB."""
_BLOCK_WORDS = 4096
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def word_key(word: str) -> int:
    """Return 64 bits that belong to a word, in every process and on every machine."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def random_vectors(keys: np.ndarray, size: int) -> np.ndarray:
    """Return a vector for each key: the same key, the same vector.

    The values are even between -sqrt(3) and sqrt(3), so that their mean is 0 and their variance 1.
    The bits are those of SplitMix64 (Steele et al. 2014), seeded with the key.

    Args:
        keys: As of `word_key`, uint64. *Shape* `(words,)`
        size: Size of a vector.

    Returns:
        float32. *Shape* `(words, size)`
    """
    steps = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    bits = keys[:, None] + steps[None, :]
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_MIX_1)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_MIX_2)
    bits = (bits ^ (bits >> np.uint64(31))) >> np.uint64(40)  # 24 bits: exact as float32
    even = bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    return even * np.float32(math.sqrt(3.0))


@lru_cache(MAX_REMEMBERED)
def ngram_buckets(word: str, num_buckets: int) -> np.ndarray:
    """Return the buckets of the character n-grams of a word, written between `<` and `>`.

    Args:
        word: The word.
        num_buckets: Number of buckets; n-grams share them by their CRC-32.

    Returns:
        int64. *Shape* `(n-grams,)`
    """
    text = f"<{word[:MAX_CHARS]}>"
    found = [
        zlib.crc32(text[start : start + size].encode("utf-8", "surrogatepass")) % num_buckets
        for size in range(MIN_NGRAM, MAX_NGRAM + 1)
        for start in range(len(text) - size + 1)
    ]
    return np.array(found, dtype=np.int64)


def fill_buckets(words: Sequence[str], vectors: np.ndarray, num_buckets: int) -> torch.Tensor:
    """Give each bucket the mean of the vectors of all words that have an n-gram in it.

    A bucket without any gets the mean of all vectors: nothing is known of it.

    Args:
        words: The words.
        vectors: Their vectors. *Shape* `(words, size)`
        num_buckets: Number of buckets.

    Returns:
        float32. *Shape* `(num_buckets, size)`
    """
    sums = torch.zeros(num_buckets, vectors.shape[1])
    counts = torch.zeros(num_buckets)
    for begin in range(0, len(words), _BLOCK_WORDS):
        block = [
            ngram_buckets.__wrapped__(word, num_buckets)
            for word in words[begin : begin + _BLOCK_WORDS]
        ]
        buckets = torch.from_numpy(np.concatenate(block))
        sizes = torch.tensor([len(one) for one in block])
        values = torch.from_numpy(vectors[begin : begin + _BLOCK_WORDS])
        sums.index_add_(0, buckets, values.repeat_interleave(sizes, dim=0))
        counts.index_add_(0, buckets, torch.ones(len(buckets)))
    mean = torch.from_numpy(vectors.mean(axis=0, dtype=np.float64).astype(np.float32))
    return torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], mean)
