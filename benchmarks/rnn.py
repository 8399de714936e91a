"""Words a second of `eds.text_rnn`'s layers, and of torch's own packed sequences.

    python benchmarks/rnn.py [lstm|gru]

Both are bidirectional, with the same sizes, on the same random vectors.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from edspipe.pipes.trainable.layers.rnn import KINDS, WordRnn

INPUT_SIZE, HIDDEN_SIZE = 300, 256
REPEATS = 3


def batches() -> dict[str, np.ndarray]:
    """Lengths of contexts: sentences, notes, both together, one long note."""
    rng = np.random.default_rng(0)
    sentences, notes = rng.integers(3, 50, 60), rng.integers(100, 600, 8)
    mixed = np.concatenate([sentences, notes[:4]])
    return {"sentences": sentences, "notes": notes, "both": mixed, "one note": np.array([1000])}


def rate(compute: Callable[[], torch.Tensor], num_words: int, training: bool) -> float:
    """Return thousands of words a second, of the best of some repetitions."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        with torch.set_grad_enabled(training):
            result = compute()
            if training:
                result.sum().backward()
        seconds.append(time.perf_counter() - start)
    return num_words / min(seconds) / 1000


def main(kind: str = "lstm") -> None:
    """Print a line a batch."""
    torch.set_num_threads(1)
    own = WordRnn(INPUT_SIZE, HIDDEN_SIZE, kind=kind)  # type: ignore[arg-type]
    packed = KINDS[kind](INPUT_SIZE, HIDDEN_SIZE, bidirectional=True)
    print(f"{kind}, 1000 words/s: own and packed, at inference; own and packed, in training")
    for name, lengths in batches().items():
        sizes = lengths.tolist()
        words = torch.randn(sum(sizes), INPUT_SIZE)

        def read_packed(words: torch.Tensor = words, sizes: list[int] = sizes) -> torch.Tensor:
            packs = pack_sequence(words.split(sizes), enforce_sorted=False)
            return torch.cat(unpack_sequence(packed(packs)[0]))

        def read_own(words: torch.Tensor = words, sizes: list[int] = sizes) -> torch.Tensor:
            return own(words, sizes)

        rates = [
            rate(compute, len(words), training)
            for training in (False, True)
            for compute in (read_own, read_packed)
        ]
        print(f"{name:<10}", *(f"{value:6.1f}" for value in rates), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
