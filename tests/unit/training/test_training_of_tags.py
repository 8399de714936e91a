"""A training of a pipe that tags words: what is scored, written and printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import train_shortly
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.doc.token_tags import get_tags
from edspipe.training.corpus import read_corpus, warn_of_unknown_labels
from edspipe.training.data import TrainingData
from edspipe.training.evaluation import predict

WORDS = (("no cough .", "DT NN ."), ("a pain", "DT NN"), ("she coughs", "PRP VBZ"))


def tagged_docs(nlp: edspipe.Pipeline, number: int = 6) -> list[Doc]:
    docs = []
    for i in range(number):
        words, tags = WORDS[i % 3]
        docs.append(Doc(nlp.vocab, words=words.split(), tags=tags.split()))
        docs[-1]._.note_id = f"note-{i}"
    return docs


def tagger() -> edspipe.Pipeline:
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    cnn = eds.char_cnn(embedding_size=8, out_channels=8)
    nlp.add_pipe(eds.token_classifier(embedding=cnn), name="tagger")
    return nlp


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of 40 steps, scored on the documents that it learned from; only to be read."""
    nlp = tagger()
    docs = tagged_docs(nlp)
    folder = tmp_path_factory.mktemp("tags") / "run"
    return train_shortly(
        nlp, docs, folder, docs, test_data=docs[:2], max_steps=40, evaluate_every=20, lr=1e-2
    )


def test_accuracy_chooses_the_best_model(run: Any) -> None:
    assert run.best["monitor"] == "val/accuracy"
    assert run.scores["val"]["accuracy"] == run.best["value"] == 1.0
    assert {"accuracy", "macro_f", "NN_f", "DT_p"} <= set(run.scores["test"])


def test_the_loaded_model_tags_texts(run: Any) -> None:
    assert get_tags(run.load()("she coughs"), "tag_") == ["PRP", "VBZ"]


@pytest.mark.parametrize(("split", "num_words"), [("val", 14), ("test", 5)])
def test_what_there_is_to_know_is_written(run: Any, split: str, num_words: int) -> None:
    file = run.output_dir / "evaluation" / f"{split}.json"
    evaluation = json.loads(file.read_text())
    assert (evaluation["accuracy"], evaluation["num_words"]) == (1.0, num_words)
    assert evaluation["scores"]["NN"]["support"] == sum(evaluation["confusion"]["matrix"][2]) > 0


def test_tags_are_counted_as_labels(run: Any) -> None:
    facts = json.loads((run.output_dir / "run.json").read_text())
    assert facts["data"]["train"]["labels"] == {".": 2, "DT": 4, "NN": 4, "PRP": 2, "VBZ": 2}


@pytest.mark.slow
def test_the_report_is_made_of_tags_too(tmp_path: Path) -> None:
    nlp = tagger()
    docs = tagged_docs(nlp)
    train_shortly(nlp, docs, tmp_path / "run", docs, report=True, evaluate_every=2)
    assert "VBZ" in (tmp_path / "run" / "report.html").read_text()


def test_accuracy_and_scores_by_tag_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nlp = tagger()
    docs = tagged_docs(nlp)
    given = {"progress": True, "loggers": ["console"], "ci": {"n_iterations": 10}}
    train_shortly(nlp, docs, tmp_path / "run", docs, evaluate_every=2, **given)
    printed = capsys.readouterr().out
    assert "over 14 words" in printed
    assert "val: accuracy 0." in printed or "val: accuracy 1." in printed
    (head,) = [line for line in printed.splitlines() if "train loss" in line]
    assert head.split()[-4:] == ["accuracy", "macro_f", "lr", "seconds"]
    assert any(line.startswith("VBZ ") for line in printed.splitlines())


def test_predictions_do_not_see_gold() -> None:
    nlp = tagger()
    docs = tagged_docs(nlp)
    nlp.post_init(docs)
    seen: list[str] = []

    def look(doc: Doc) -> Doc:
        seen.extend(get_tags(doc, "tag_"))
        return doc

    nlp.add_pipe(look, name="first", first=True)
    predict(nlp, docs)
    assert set(seen) == {""}


def test_tags_of_blank_tokens_are_no_labels() -> None:
    doc = Doc(edspipe.blank("eds").vocab, words=["pain", "\n", "a"], tags=["NN", "_SP", "DT"])
    profile = read_corpus(TrainingData([doc]), {}, "train", ["tag_"]).profile  # type: ignore[arg-type]
    assert profile["labels"] == {"DT": 1, "NN": 1}


def test_tags_that_training_never_saw_are_named(log: list[str]) -> None:
    docs = tagged_docs(edspipe.blank("eds"))
    data = TrainingData(docs)  # type: ignore[arg-type]
    profile = read_corpus(data, {}, "val", ["tag_"]).profile
    warn_of_unknown_labels(profile, {"DT", "NN", "."}, "val")
    assert any("val: gold labels that training never saw" in line for line in log)
    assert any("PRP (2 times), VBZ (2 times)" in line for line in log)
