"""Character language models: how well they predict, and what the trainer costs.

    python -m benchmarks.char_lm FOLDER ngrams
    python -m benchmarks.char_lm FOLDER learning --steps 2000 --every 200 --hidden-size 512
    python -m benchmarks.char_lm FOLDER speed --hidden-size 256 --steps 4 --rounds 5

FOLDER has `train/*`, `valid.txt` and `test.txt`, which are taken as they are. `ngrams` prints the
bits per character of interpolated n-gram models on the validation text, `learning` those of
`eds.char_lm` while it is trained, with the same alphabet. `speed` takes steps with `edspipe.train`
and with a bare loop over `torch.nn.LSTM` of the same sizes (window, columns, directions, SGD,
clipping), in turns, and prints the characters a second of each and their ratio. On a machine that
others use too, `--clock cpu` counts the seconds of the processor.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from loguru import logger

from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pretraining.char_lm import pretrain_char_lm
from edspipe.pretraining.splits import read_text_folder
from edspipe.training.callbacks.callback import Callback

EMBEDDING_SIZE = 100
LOG_2 = math.log(2)


class WittenBell:
    """An interpolated n-gram model of characters, smoothed as Witten and Bell (1991) do.

    `P(c | h) = (count(h c) + types(h) * P(c | h')) / (count(h) + types(h))`, where `h'` is the
    context without its first character, and the shortest one is uniform.

    Args:
        order: Characters that are looked at, the predicted one included.
        num_letters: Letters of the alphabet, the unknown included.
    """

    def __init__(self, order: int, num_letters: int) -> None:
        self.order, self.num_letters = order, num_letters
        self.counts: list[dict[bytes, int]] = [defaultdict(int) for _ in range(order + 1)]
        self.totals: list[dict[bytes, int]] = [defaultdict(int) for _ in range(order)]
        self.types: list[dict[bytes, int]] = [defaultdict(int) for _ in range(order)]

    def fit(self, ids: np.ndarray) -> WittenBell:
        """Count the n-grams of a text, given as numbers of letters."""
        data = ids.astype("<u2").tobytes()
        for end in range(len(ids)):
            for length in range(min(self.order, end + 1)):
                context = data[2 * (end - length) : 2 * end]
                gram = data[2 * (end - length) : 2 * (end + 1)]
                self.types[length][context] += gram not in self.counts[length + 1]
                self.counts[length + 1][gram] += 1
                self.totals[length][context] += 1
        return self

    def bits_per_char(self, ids: np.ndarray) -> float:
        """Return the mean surprise of a character of a text, in bits."""
        data = ids.astype("<u2").tobytes()
        bits = 0.0
        for end in range(len(ids)):
            share = 1.0 / self.num_letters
            for length in range(min(self.order, end + 1)):
                context = data[2 * (end - length) : 2 * end]
                total = self.totals[length].get(context, 0)
                if not total:
                    break
                gram = data[2 * (end - length) : 2 * (end + 1)]
                types = self.types[length][context]
                share = (self.counts[length + 1].get(gram, 0) + types * share) / (total + types)
            bits -= math.log2(share)
        return bits / len(ids)


def ngrams(folder: Path, orders: Sequence[int], max_chars: int) -> None:
    """Print the bits per character of n-gram models."""
    texts = read_text_folder(folder)
    train = "".join(split.read() for split in texts.train)[:max_chars]
    vocab = CharVocab.from_stream([train])
    ids, held_out = vocab.encode(train), vocab.encode(texts.val)
    print(f"{len(ids):,} characters, {len(held_out):,} held out, {len(vocab) - 1} letters")
    for order in orders:
        start = perf_counter()
        bits = WittenBell(order, len(vocab)).fit(ids).bits_per_char(held_out)
        print(f"order {order}: {bits:.4f} bits a character ({perf_counter() - start:.0f} s)")


def learning(folder: Path, steps: int, every: int, **options: Any) -> None:
    """Print the bits per character of the model while it learns."""
    with tempfile.TemporaryDirectory() as run:
        start = perf_counter()
        finished = pretrain_char_lm(
            folder,
            run,
            max_steps=steps,
            evaluate_every=f"{every} steps",
            callbacks=[Printed(start)],
            loggers=[],
            report=False,
            progress=False,
            **options,
        )
        for split, scores in finished.scores.items():
            print(f"{split}, best model: {scores['bits_per_char']:.4f} bits a character")


class Printed(Callback):
    """Prints each validation.

    Args:
        start: When the training began.
    """

    def __init__(self, start: float) -> None:
        self.start = start

    def on_validation(self, run: Any) -> None:
        bits = run.records.latest("val/bits_per_char").value
        lr = run.records.latest("train/lr").value
        seconds = perf_counter() - self.start
        print(f"step {run.step}: {bits:.4f} bits a character, lr {lr:g}, {seconds:.0f} s")


# ---- speed ----------------------------------------------------------------------------------


class Bare(torch.nn.Module):
    """Embedding, LSTM and softmax of one direction, as in a script.

    Args:
        num_letters: Letters of the alphabet.
        hidden_size: Size of the LSTM's states.
    """

    def __init__(self, num_letters: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(num_letters, EMBEDDING_SIZE)
        self.lstm = torch.nn.LSTM(EMBEDDING_SIZE, hidden_size)
        self.decoder = torch.nn.Linear(hidden_size, num_letters)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor, state: Any) -> tuple[Any, Any]:
        """Return the loss and the state. *Shape* `(window, columns)` each"""
        outputs, state = self.lstm(self.embedding(ids), state)
        return F.cross_entropy(self.decoder(outputs).flatten(0, 1), targets.flatten()), state


def bare_steps(ids: np.ndarray, num_letters: int, options: argparse.Namespace) -> list[float]:
    """Take steps in a bare loop; return the seconds of each but the first."""
    device = torch.device(options.device)
    length = len(ids) // options.columns
    both = [ids, ids[::-1]]
    columns = [
        torch.from_numpy(one[: length * options.columns].reshape(options.columns, length).T.copy())
        for one in both
    ]
    models = torch.nn.ModuleList(Bare(num_letters, options.hidden_size) for _ in both).to(device)
    optimizer = torch.optim.SGD(models.parameters(), lr=1.0, fused=True)
    states: list[Any] = [None, None]
    moments = []
    for step in range(options.steps + 1):
        moments.append(_now(device))
        first = step * options.window % (length - options.window - 1)
        losses = []
        for number, model in enumerate(models):
            part = columns[number][first : first + options.window + 1].to(device)
            loss, state = model(part[:-1], part[1:], states[number])
            states[number] = tuple(one.detach() for one in state)
            losses.append(loss)
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(models.parameters(), 0.25)
        optimizer.step()
    moments.append(_now(device))
    return [after - before for before, after in pairwise(moments)][1:]


CLOCKS = {"wall": perf_counter, "cpu": process_time}
_clock = "wall"


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return CLOCKS[_clock]()


class Moments(Callback):
    """Notes when each step began."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def before_step(self, run: Any) -> None:
        self.moments.append(_now(run.processes.device))


def trainer_steps(folder: Path, vocab: CharVocab, options: argparse.Namespace) -> list[float]:
    """Take the same steps with the trainer; return the seconds of each but the first."""
    times = Moments()
    with tempfile.TemporaryDirectory() as run:
        pretrain_char_lm(
            [split.read() for split in read_text_folder(folder).train],
            run,
            vocab=vocab,
            hidden_size=options.hidden_size,
            embedding_size=EMBEDDING_SIZE,
            dropout=0.0,
            window=options.window,
            columns=options.columns,
            lr=1.0,
            max_steps=options.steps + 2,
            evaluate_every=f"{options.steps + 3} steps",
            checkpoint_every=f"{options.steps + 3} steps",
            callbacks=[times],
            device=options.device,
            loggers=["jsonl"],
            progress=False,
            report=False,
        )
    return [after - before for before, after in pairwise(times.moments)][1:]


def speed(folder: Path, options: argparse.Namespace) -> None:
    """Print characters a second of both, and their ratio."""
    text = "".join(split.read() for split in read_text_folder(folder).train)
    vocab = CharVocab.from_stream([text])
    ids = vocab.encode(text)
    num_chars = options.window * options.columns
    print(f"torch {torch.__version__} on {torch.get_num_threads()} of {os.cpu_count()} cores")
    ratios: list[float] = []
    both: tuple[list[float], list[float]] = ([], [])
    for number in range(options.rounds):
        a = bare_steps(ids, len(vocab), options)
        b = trainer_steps(folder, vocab, options)
        both[0].extend(a)
        both[1].extend(b)
        ratios.append(median(a) / median(b))
        print(f"round {number + 1}: bare {median(a):.4f} s, trainer {median(b):.4f} s a step")
    for name, seconds in zip(("bare", "trainer"), both, strict=True):
        print(f"{name}: {num_chars / median(seconds):,.0f} characters a second")
    said = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"speed of the trainer / bare, median of rounds: {median(ratios):.3f} ({said})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=("ngrams", "learning", "speed"))
    parser.add_argument("--orders", type=int, nargs="+", default=[5, 7])
    parser.add_argument("--max-chars", type=int, default=20_000_000, help="of n-gram models")
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--window", type=int, default=250)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--every", type=int, default=100, help="steps from one score to the next")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    global _clock
    _clock = options.clock
    logger.disable("edspipe")
    if options.what == "ngrams":
        ngrams(options.folder, options.orders, options.max_chars)
    elif options.what == "speed":
        speed(options.folder, options)
    else:
        names = ("hidden_size", "window", "columns", "optimizer", "lr", "device")
        chosen = {name: getattr(options, name) for name in names}
        learning(options.folder, options.steps, options.every, **chosen)


if __name__ == "__main__":
    main()
