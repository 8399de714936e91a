"""Keep what this version saves, so that later ones can show that they read it.

    python -m tests.write_release

It writes `tests/releases/<version>/`: a model, a checkpoint of a training, an output with its
receipt, and what the model finds. Run it once for each release.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

from edspipe.training.data import TrainingData
from edspipe.training.trainer import train
from edspipe.version import __version__
from tests.support import TEXTS, found_spans, gold_docs, tiny_encoder, tiny_pipeline

RELEASES = Path(__file__).with_name("releases")


def main() -> None:
    """Write the folder of this version."""
    target = RELEASES / __version__
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        tiny_encoder("encoder", hidden_size=8)  # a name without the folders of this machine
        nlp = tiny_pipeline("encoder", labels=None)
        docs = gold_docs(nlp)
        train(
            nlp,
            TrainingData(docs, batch_size="2 docs"),
            docs,
            output_dir=Path("run"),
            max_steps=30,
            lr=3e-2,
            loggers=[],
            progress=False,
            report=False,
        )
        nlp.to_disk(target / "model")
        shutil.copytree("run/checkpoints/step-00000030", target / "checkpoint")
    nlp.pipe(TEXTS).write_json(target / "output.jsonl", converter="omop", span_getter="*")
    found = found_spans(nlp.pipe(TEXTS, precision="fp32"))
    (target / "found.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
