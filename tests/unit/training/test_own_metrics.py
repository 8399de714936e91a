"""Metrics of one's own, by registered name, in the config of a classifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edspipe.cli.main import main

MODULE = """
from edspipe import registry

@registry.metrics.register("my.share_right")
class ShareRight:
    def __init__(self, label: str):
        self.label = label

    def __call__(self, gold_docs, predicted_docs):
        pairs = [(g, p._.labels) for g, p in zip(gold_docs, predicted_docs)]
        assert all(p.cats.keys() == {"flu", "cold"} for p in predicted_docs)
        right = [(self.label in p) == (g.cats[self.label] >= 0.5) for g, p in pairs]
        return {"share_right": sum(right) / len(right)}
"""
CONFIG = """
nlp:
  "@core": pipeline
  lang: eds
  components:
    classifier:
      "@factory": eds.doc_classifier
      embedding: {"@factory": eds.text_cnn, embedding: {"@factory": eds.char_cnn}}
train:
  nlp: ${nlp}
  train_data:
    "@readers": csv
    path: notes.csv
    converter: labels
    labels_columns: [flu, cold]
  val_data: ${train.train_data}
  test_data: ${train.train_data}
  metrics: METRICS
  max_steps: 2
  batch_size: 4 docs
  output_dir: run
  progress: false
"""


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        ('{"@metrics": my.share_right, label: flu}', "share_right"),
        (
            '{labels: {"@metrics": eds.document_labels}, '
            'own: {"@metrics": my.share_right, label: flu}}',
            "own/share_right",
        ),
    ],
)
def test_a_metric_of_ones_own_scores_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"own_metric_{len(metrics)}"
    code = MODULE.replace("my.share_right", f"my.share_right_{len(metrics)}")
    metrics = metrics.replace("my.share_right", f"my.share_right_{len(metrics)}")
    Path(f"{module}.py").write_text(code)
    Path("notes.csv").write_text("text,flu,cold\nFever,1,0\nSneezing,0,1\nBoth,1,1\nNone,0,0\n")
    Path("config.yml").write_text(CONFIG.replace("METRICS", metrics))
    assert main(["train", "--config", "config.yml", "--import", module]) == 0
    scores = json.loads(Path("run/test_metrics.json").read_text())
    assert 0 <= scores[name] <= 1
    assert ("labels/micro_f" in scores) == ("/" in name)
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    assert any(name in line and '"val"' in line for line in lines)
