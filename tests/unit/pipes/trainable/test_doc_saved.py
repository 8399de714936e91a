"""Saved and loaded, a document classifier gives the same probabilities, to the bit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from doc_pipes import TEXTS, batch_of, cats_of, classifier, labelled_docs
from spacy.tokens import Doc

import edspipe

LONG = (*TEXTS, "", " ".join(TEXTS) * 3)
OPTIONS: dict[str, dict[str, Any]] = {
    "cls": {"pooling": "cls"},
    "frozen": {"freeze_embedding": True},
    "cut": {"max_length": 3, "truncation": True},
    "focal": {"loss": {"@losses": "eds.focal", "gamma": 1.0}},
    "all": {
        "pooling": "cls",
        "head": "mlp",
        "freeze_embedding": True,
        "max_length": 7,
        "truncation": True,
        "loss": "eds.focal",
        "pos_weight": "inverse",
        "correct_pos_weight": True,
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_loaded_pipe_is_the_saved_one(encoder_dir: Path, tmp_path: Path, name: str) -> None:
    nlp = classifier(encoder_dir, labels=None, **OPTIONS[name])
    nlp.post_init(labelled_docs(nlp))
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert cats_of(loaded, LONG) == cats_of(nlp, LONG)
    assert loaded.pipes.classifier.get_state() == nlp.pipes.classifier.get_state()
    docs = labelled_docs(nlp)
    with torch.no_grad():
        losses = [
            each.train(False).pipes.classifier(batch_of(each, docs))["loss"].item()
            for each in (nlp, loaded)
        ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_something(encoder_dir: Path, name: str) -> None:
    """It is seen in probabilities, in the loss, or in the mode of the embedding."""
    plain, nlp = classifier(encoder_dir), classifier(encoder_dir, **OPTIONS[name])
    docs = labelled_docs(nlp)
    for each in (plain, nlp):
        each.post_init(docs)
        each.train(True)
    pipes = (plain.pipes.classifier, nlp.pipes.classifier)
    modes = [pipe.embedding.training for pipe in pipes]
    found = [
        (cats_of(each, LONG), each.train(False).pipes.classifier(batch_of(each, docs))["loss"])
        for each in (plain, nlp)
    ]
    assert found[0] != found[1] or modes[0] != modes[1]


def test_a_model_from_before_these_options_is_loaded(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = classifier(encoder_dir, labels=None)
    nlp.post_init(labelled_docs(nlp))
    pipe = nlp.pipes.classifier
    state = {k: v for k, v in pipe.get_state().items() if k != "num_cut_words"}
    assert sorted(state) == sorted(
        ["labels", "left_out", "pos_weight", "thresholds", "temperature", "features"]
    )
    pipe.get_state = lambda: state
    nlp.to_disk(tmp_path / "model")
    (file,) = (tmp_path / "model" / "pipes" / "classifier").glob("state.json")
    assert "num_cut_words" not in json.loads(file.read_text())
    assert cats_of(edspipe.load(tmp_path / "model"), LONG) == cats_of(nlp, LONG)


def test_a_pickled_pipe_declares_where_it_counts(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, **OPTIONS["all"])
    pipe = nlp.pipes.classifier
    data = pickle.dumps(pipe)
    Doc.remove_extension("num_cut_words")
    copy = pickle.loads(data)  # noqa: S301
    doc = copy(nlp.make_doc(TEXTS[1]))
    assert doc._.num_cut_words > 0
    assert doc.cats == pipe(nlp.make_doc(TEXTS[1])).cats
