r"""Accuracy and speed of the part-of-speech tagger of configs/pos_genia.yml.

    python benchmarks/tagging.py DATA/genia_pos
    python benchmarks/tagging.py DATA/genia_pos --context rnn --crf --steps 400

`DATA/genia_pos` holds `train.tsv` and `dev.tsv`: a word and its tag a line, a blank line between
sentences. Printed are accuracy and F1 by step, words a second in training (steps only, without
validations), and words a second in inference (words to tags on Docs, sentence by sentence).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import edspipe
import edspipe.pipes as eds
from edspipe.doc.bare import bare_copy
from edspipe.training.callbacks.callback import Callback
from edspipe.training.schedules import Linear

COLUMNS = {"text": 0, "tag_": 1}


class Clock(Callback):
    """Sums up the words and the seconds of all steps."""

    def __init__(self) -> None:
        self.num_words, self.seconds = 0.0, 0.0

    def on_step(self, run: Any) -> None:
        """Add a step."""
        self.num_words += run.records.latest("train/num_words").value
        self.seconds += run.step_s


def read(folder: Path, part: str) -> list[Any]:
    """Read a file of tagged sentences."""
    path = folder / f"{part}.tsv"
    return list(edspipe.data.read_conll(path, columns=COLUMNS, by="sentence"))


def build(context: str, use_crf: bool) -> edspipe.Pipeline:
    """Build the tagger: letters, words around, tags."""
    words: Any = eds.char_cnn()
    if context == "rnn":
        words = eds.text_rnn(hidden_size=128, embedding=words)
    else:
        for _ in range(2):
            words = eds.text_cnn(kernel_sizes=[3], embedding=words)
    nlp = edspipe.blank("eds")
    tagger = eds.token_classifier(attribute="tag_", embedding=words, use_crf=use_crf, dropout=0.2)
    nlp.add_pipe(tagger, name="tagger")
    return nlp


def main() -> None:
    """Train, and print scores and speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--context", choices=["cnn", "rnn"], default="cnn")
    parser.add_argument("--crf", action="store_true")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, help="of PyTorch")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    edspipe.set_seed(args.seed)
    nlp, clock = build(args.context, args.crf), Clock()
    train_docs, dev_docs = read(args.corpus, "train"), read(args.corpus, "dev")
    with tempfile.TemporaryDirectory() as folder:
        finished = edspipe.train(
            nlp,
            train_docs,
            dev_docs,
            output_dir=Path(folder) / "run",
            max_steps=args.steps,
            lr=Linear(max_value=args.lr, warmup=0.05),
            evaluate_every=100,
            seed=args.seed,
            callbacks=[clock],
            loggers=["console"],
            progress=False,
            report=False,
        )
        model = finished.load()
    words = [bare_copy(doc) for doc in dev_docs]
    begin = time.perf_counter()
    num_words = sum(len(doc) for doc in model.pipe(words))
    seconds = time.perf_counter() - begin
    print(f"accuracy  {finished.scores['val']['accuracy']:.4f}")
    print(f"training  {clock.num_words / clock.seconds:,.0f} words/s, {clock.seconds:.0f} s")
    print(f"inference {num_words / seconds:,.0f} words/s")


if __name__ == "__main__":
    main()
