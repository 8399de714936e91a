r"""Speed beside a bare PyTorch loop and EDS-NLP: what `docs/benchmarks.md` shows.

    python -m benchmarks.speed speed DATA/ncbi_disease --encoder random --peer PEER/bin/python
    python -m benchmarks.speed speed DATA/ncbi_disease --encoder minilm --peer PEER/bin/python
    python -m benchmarks.speed scores DATA/ncbi_disease --encoder random --peer PEER/bin/python
    python -m benchmarks.speed labels DATA/ncbi_disease

`PEER/bin/python` is an interpreter of another virtual environment, with `edsnlp[ml]==0.23.0` and
the same PyTorch; without it only edspipe and the bare loop run. Heads are trained before inference
is timed, since an untrained one finds ten times too many entities.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.speed import measures
from benchmarks.speed.encoders import prepare_encoder


def main() -> None:
    """Run what is asked for, and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measure", choices=sorted(measures.MEASURES))
    parser.add_argument("corpus", type=Path, help="a folder with train/ and dev/")
    parser.add_argument("--encoder", default="random", help="random, minilm, base, or a folder")
    parser.add_argument("--peer", help="the interpreter that has EDS-NLP")
    parser.add_argument("--rounds", type=int, default=7, help="alternations")
    parser.add_argument("--steps", type=int, default=5, help="training steps a round")
    parser.add_argument("--total-steps", type=int, default=100, help="training steps (scores)")
    parser.add_argument("--batch-size", type=int, default=4096, help="word pieces a step")
    parser.add_argument("--max-texts", type=int, default=0, help="texts for inference; 0: all")
    parser.add_argument("--parts", nargs="+", default=["dev"], help="parts read at inference")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44, 45, 46])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes preparing batches")
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoder = prepare_encoder(options.encoder, options.corpus, Path(folder))
        figures = measures.MEASURES[options.measure](options, encoder)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
