"""How an input is changed."""

from __future__ import annotations

import random

MAX_BYTES = 1 << 16  # of one input


def mutate(rng: random.Random, pool: list[bytes], words: list[bytes]) -> bytes:
    """Return an input that was changed some times."""
    data = rng.choice(pool)
    for _ in range(1 << rng.randrange(5)):
        data = rng.choice(_CHANGES)(rng, data, pool, words)[:MAX_BYTES]
    return data


def _flip(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    return data[:start] + data[end:]


def _move(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    rest = data[:start] + data[end:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _repeat(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    # most often a few times; now and then so often that anything but linear time shows
    times = rng.randrange(2, 5) if rng.random() < 0.95 else rng.randrange(1000, 5000)
    return data[:start] + data[start:end] * times + data[end:]


def _put_word(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data) if rng.random() < 0.3 else (rng.randrange(len(data) + 1),) * 2
    return data[:start] + rng.choice(words) + data[end:]


def _splice(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    other = rng.choice(pool)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_CHANGES = (_flip, _cut, _move, _repeat, _put_word, _put_word, _splice)


def _part(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + 1 + int(rng.expovariate(0.1)))
