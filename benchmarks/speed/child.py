"""A side, seen from inside: reads requests from standard input, answers on standard output."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = {"edspipe": "tutorial", "edsnlp": "tutorial", "bare": "bare"}


@dataclass
class Job:
    """What all sides of a run share.

    Attributes:
        corpus: A folder with `train`, `dev` (and `test`) in brat format.
        encoder: The folder of the encoder.
        texts: Names of the parts that are read at inference.
        max_texts: The most texts of them; 0 for all.
        batch_size: Word pieces a training step.
        lr: Learning rate of AdamW.
        seed: Seed of weights and order.
        threads: Threads of PyTorch.
        workers: Processes that prepare training batches.
        precision: Of training; the peer knows fp32 only.
        window: Word pieces a window.
        stride: Word pieces from one window to the next.
        num_labels: Labels that the entities are dealt out to; 0 keeps theirs.
    """

    corpus: str
    encoder: str
    texts: tuple[str, ...] = ("dev",)
    max_texts: int = 0
    batch_size: int = 4096
    lr: float = 1e-3
    seed: int = 42
    threads: int = 2
    workers: int = 0
    precision: str = "fp32"
    window: int = 128
    stride: int = 96
    num_labels: int = 0


def read_texts(job: Job) -> dict[str, str]:
    """Read the texts for inference, by part and name."""
    files = [file for part in job.texts for file in sorted(Path(job.corpus, part).glob("*.txt"))]
    if job.max_texts:
        files = files[: job.max_texts]
    return {f"{file.parent.name}/{file.stem}": read_text(file) for file in files}


def read_text(file: Path) -> str:
    """Read a text as it is: offsets count every character."""
    with open(file, encoding="utf-8", newline="") as handle:
        return handle.read()


def count_words(texts: list[str]) -> int:
    """Count runs of characters that are not blank."""
    return sum(len(text.split()) for text in texts)


def main() -> None:
    """Build the side, then do what is asked until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints goes to the parent's terminal, not into the answers.
    job = Job(**json.loads(sys.argv[2]))
    import torch

    torch.set_num_threads(job.threads)
    module = import_module(f"benchmarks.speed.{MODULES[sys.argv[1]]}")
    side = module.Side(sys.argv[1], job)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        task = request.pop("task")
        if task == "memory":
            answer({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
            continue
        begin = time.perf_counter()
        content = getattr(side, task)(**request)
        content.setdefault("seconds", time.perf_counter() - begin)
        answer(content)
    sys.stdout.flush()
    os._exit(0)  # Iterators that are still open have nothing left to say.


if __name__ == "__main__":
    main()
