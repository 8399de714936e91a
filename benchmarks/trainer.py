"""What the trainer costs beside a bare loop: the same steps, in turns, in one process.

    python -m benchmarks.trainer DATA ENCODER --steps 12 --rounds 5

Both loops take batches of the same documents from the same stream, in one process after the other:
the bare one computes, clips and updates, as the loop of `train.py`; the other is `edspipe.train`
with its callbacks, and all loggers but MLflow. It prints the median time of a step of each, their
ratio round by round, and what the trainer does outside of batches, forward, backward, clipping and
update, measured inside of it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from loguru import logger

import edspipe
import edspipe.pipes as eds
from edspipe.training import run as run_module
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.trace_weights import TraceWeights
from edspipe.training.data import TrainingData
from edspipe.training.trainer import train

LOGGERS = ["console", "jsonl", "csv", "tensorboard"]


class StepTimes(Callback):
    """Notes when each step began, and how long all work had taken until then.

    Args:
        work: Times the work.
    """

    def __init__(self, work: WorkTimes) -> None:
        self.work = work
        self.moments: list[float] = []
        self.worked: list[float] = []

    def before_step(self, run: Any) -> None:
        self.moments.append(perf_counter())
        self.worked.append(self.work.seconds)


class WorkTimes:
    """Adds up the seconds inside the work that a bare loop does too."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Wrap the work meanwhile."""
        places = [
            (run_module.StepComputer, "__call__"),
            (run_module.Batches, "__next__"),
            (run_module.ScheduledOptimizer, "step"),
            (run_module.ScheduledOptimizer, "zero_grad"),
            (run_module, "clip"),
        ]
        kept = [(owner, name, getattr(owner, name)) for owner, name in places]
        for owner, name, function in kept:
            setattr(owner, name, self._timed(function))
        try:
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)

    def _timed(self, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += perf_counter() - start

        return timed


def make_pipeline(encoder: str, docs: list[Any] | None = None) -> edspipe.Pipeline:
    """Build a recogniser."""
    edspipe.set_seed(42)
    nlp = edspipe.blank("eds")
    embedding = eds.transformer(model=encoder, window=128, stride=96)
    embedding = eds.text_cnn(kernel_sizes=[3], embedding=embedding)
    nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name="ner")
    if docs is not None:
        nlp.post_init(docs)
    return nlp


def bare(nlp: edspipe.Pipeline, docs: list[Any], batch_size: str, steps: int) -> list[float]:
    """Take steps as `train.py` does; return the seconds of each but the first."""
    size = int(batch_size.split()[0])
    batches = iter(
        edspipe.data.from_iterable(docs, loop=True)
        .shuffle("dataset")
        .batchify(batch_size=size, batch_by="words")
        .map(lambda items: [nlp.preprocess(doc, supervision=True) for doc in items])
        .map(nlp.collate)
    )
    optimizer = torch.optim.AdamW(nlp.parameters(), lr=1e-4, fused=True)
    nlp.train(True)
    moments = []
    for _ in range(steps + 1):
        batch = next(batches)
        moments.append(perf_counter())
        optimizer.zero_grad()
        loss = torch.zeros(())
        with nlp.cache():
            for name, component in nlp.torch_components():
                loss = loss + component(batch[name])["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(nlp.parameters()), 5.0)
        optimizer.step()
    return [after - before for before, after in pairwise(moments)]


def whole(encoder: str, docs: list[Any], batch_size: str, steps: int) -> tuple[list[float], float]:
    """Take steps with the trainer; return their seconds, and the share that is its own."""
    work = WorkTimes()
    times = StepTimes(work)
    with tempfile.TemporaryDirectory() as folder, work.watching():
        train(
            make_pipeline(encoder),
            TrainingData(docs, batch_size=batch_size),
            output_dir=folder,
            max_steps=steps + 1,
            lr=1e-4,
            callbacks=[times, TraceWeights()],
            loggers=LOGGERS,
            report=False,
            checkpoint_every=10**6,
            progress=True,
        )
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        assert sum("loss" in json.loads(line) for line in lines) == steps + 1
    wall = times.moments[-1] - times.moments[1]
    worked = times.worked[-1] - times.worked[1]
    return [after - before for before, after in pairwise(times.moments[1:])], 1 - worked / wall


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a brat folder")
    parser.add_argument("encoder", help="the folder of a transformer")
    parser.add_argument("--batch-size", default="1500 words")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logger.disable("edspipe")
    blank = edspipe.blank("eds")
    docs = list(
        edspipe.data.read_standoff(
            options.data, tokenizer=blank, span_setter=["ents", "gold-ner"]
        ).map(eds.split(max_length=200))
    )
    print(f"{len(docs):,} documents, torch on {torch.get_num_threads()} of {os.cpu_count()} cores")
    ratios, shares, both = [], [], ([], [])
    for number in range(options.rounds):
        a = bare(make_pipeline(options.encoder, docs), docs, options.batch_size, options.steps)
        b, own = whole(options.encoder, docs, options.batch_size, options.steps)
        both[0].extend(a)
        both[1].extend(b)
        ratios.append(median(b) / median(a))
        shares.append(own)
        print(f"round {number + 1}: bare {median(a):.3f} s, trainer {median(b):.3f} s a step")
    print(f"a step: bare {median(both[0]):.4f} s, trainer {median(both[1]):.4f} s (medians)")
    print(
        f"ratio, median of rounds: {median(ratios):.3f} ({', '.join(f'{r:.3f}' for r in ratios)})"
    )
    print(f"the trainer's own share, measured inside: {median(shares):.2%}")


if __name__ == "__main__":
    main()
