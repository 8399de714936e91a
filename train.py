"""Train and evaluate an entity recogniser: a hand-written loop, readable in one screen.

python train.py --config configs/demo.yml
python train.py --config configs/demo.yml --nlp.components.ner.window=40 --seed 43
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from tqdm import tqdm

import edspipe
import edspipe.pipes as eds
from edspipe.metrics.ner import NerExactMetric
from edspipe.metrics.tables import scores_table
from edspipe.training.evaluation import predict
from edspipe.utils.batching import stat_batchify

app = edspipe.Cli()


def read_corpus(path: str, nlp: edspipe.Pipeline, max_words: int) -> edspipe.Stream:
    """Read a brat folder; gold entities go to the group that the recogniser learns from."""
    return edspipe.data.read_standoff(
        path, tokenizer=nlp.tokenizer, span_setter=["ents", "gold-ner"]
    ).map(eds.split(regex="\n\n", max_length=max_words))


def skip_empty(docs: list[Any]) -> Any:
    """Leave out documents without entities."""
    for doc in docs:
        if len(doc.ents) > 0:
            yield doc


@app.command(name="train", registry=edspipe.registry)
def train(
    nlp: edspipe.Pipeline,
    train_data_path: str,
    val_data_path: str,
    output_dir: Path,
    batch_size: int = 32 * 128,
    max_steps: int = 400,
    max_words: int = 0,
    lr: float = 1e-3,
    grad_max_norm: float = 5.0,
    evaluate_every: int = 100,
    num_preprocessing_workers: int = 0,
    precision: str = "fp32",
    seed: int = 42,
) -> dict[str, Any]:
    """Train, evaluate, and save the pipeline; return the scores of the last evaluation."""
    start = perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_docs = read_corpus(train_data_path, nlp, max_words).map_batches(skip_empty)
    val_docs = list(read_corpus(val_data_path, nlp, max_words=0))
    nlp.post_init(train_docs)
    nlp.to(device)

    batches = iter(
        edspipe.data.from_iterable(list(train_docs), loop=True)
        .shuffle("dataset")
        .map(nlp.preprocess, kwargs={"supervision": True})
        .batchify(batch_size=batch_size, batch_by=stat_batchify("tokens"))
        .map(nlp.collate, kwargs={"device": device})
        .set_processing(num_cpu_workers=num_preprocessing_workers, process_start_method="spawn")
    )
    optimizer = torch.optim.AdamW(params=nlp.parameters(), lr=lr, fused=True)
    metric = NerExactMetric(span_getter=nlp.pipes.ner.target_span_getter)
    result: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    nlp.train(True)

    with tqdm(total=max_steps, desc="training", unit="step", dynamic_ncols=True) as bar, batches:
        for step in range(1, max_steps + 1):
            batch = next(batches)
            optimizer.zero_grad()
            loss = torch.zeros((), device=device)
            with nlp.cache(), nlp.autocast(precision):
                for name, component in nlp.torch_components():
                    loss = loss + component(batch[name])["loss"]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(nlp.parameters()), grad_max_norm)
            optimizer.step()
            bar.update()
            if step % 10 == 0:  # Reading the loss makes a GPU wait.
                bar.set_postfix(loss=f"{loss.item():.4f}", f1=f"{scores.get('f', 0.0):.3f}")
            if step % evaluate_every == 0 or step == max_steps:
                result = metric(val_docs, predict(nlp, val_docs))
                scores = result["micro"]
                bar.write(
                    f"step {step:>5}  loss {loss.item():.4f}  precision {scores['p']:.3f}  "
                    f"recall {scores['r']:.3f}  F1 {scores['f']:.3f}  "
                    f"{perf_counter() - start:.0f} s"
                )

    nlp.to_disk(output_dir)
    print(scores_table(result))
    print(f"The pipeline is in {output_dir}: edspipe.load({str(output_dir)!r})")
    return result


if __name__ == "__main__":
    app.run()
