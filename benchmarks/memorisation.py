"""How much a recogniser remembers of single notes: canaries among the notes of the demo.

    edspipe demo-data demo_data
    python -m benchmarks.memorisation demo_data artifacts/memorisation --steps 400

It trains with canaries, prints their exposure, and leaves it beside the model, so that
`edspipe package artifacts/memorisation/model-last` writes it into the card.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import edspipe
import edspipe.pipes as eds
from edspipe import atomic
from edspipe.training.memorisation import FILE, Canaries


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    edspipe.set_seed(options.seed)
    nlp = edspipe.blank("eds")
    encoder = eds.transformer(model=str(options.data / "encoder"), window=128, stride=96)
    embedding = eds.text_cnn(kernel_sizes=[3], embedding=encoder)
    nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name="ner")
    docs, val_docs = (
        list(
            edspipe.data.read_standoff(
                options.data / part, tokenizer=nlp, span_setter=["ents", "gold-ner"]
            )
        )
        for part in ("train", "dev")
    )
    canaries = Canaries(nlp, "disorder", ["ents", "gold-ner"], seed=options.seed)
    result = edspipe.train(
        nlp,
        edspipe.TrainingData([*docs, *canaries.docs()], batch_size="2048 tokens"),
        val_docs,
        output_dir=options.output,
        max_steps=options.steps,
        evaluate_every=max(1, options.steps // 4),
        overwrite=True,
        seed=options.seed,
    )
    measured = canaries.measure(nlp)
    atomic.write_json(options.output / FILE, measured)
    print(f"F1 {result.scores['val']['micro_f']:.3f}")
    print(f"exposure in bits, {measured['largest']:.2f} at most")
    for times, bits in measured["exposure"].items():
        print(f"  planted {times:>2} times: {bits:.2f}")


if __name__ == "__main__":
    main()
