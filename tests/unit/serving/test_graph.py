"""The graph of a classifier gives what the pipe gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from served_classifiers import make_classifier, make_docs
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import evaluating
from edspipe.serving.explain import read_doc
from edspipe.serving.graph import ClassifierGraph, find_classifier, find_transformer
from edspipe.serving.windows_table import Reading, graph_inputs, lay_out_cells

READING = Reading(window=4, stride=3, prefix=[1], suffix=[2], padding=0)


def by_graph(nlp: edspipe.Pipeline, docs: list[Doc]) -> tuple[np.ndarray, np.ndarray]:
    pipe = find_classifier(nlp)
    transformer = find_transformer(pipe)
    read = [read_doc(pipe, transformer, doc) for doc in docs]
    inputs = graph_inputs(read, Reading.of(transformer))
    tensors: dict[str, Any] = {name: torch.from_numpy(array) for name, array in inputs.items()}
    sizes = tuple(inputs["num_tokens"].tolist())
    with evaluating(pipe), torch.no_grad():
        logits, found = ClassifierGraph(pipe)({**tensors, "sizes": sizes})
    return logits.numpy(), found.numpy()


def by_pipe(nlp: edspipe.Pipeline, docs: list[Doc]) -> np.ndarray:
    pipe = find_classifier(nlp)
    return np.array([[doc.cats[x] for x in pipe.labels] for doc in pipe.batch_process(docs)])


@pytest.mark.parametrize("pooling", ["mean", "max", "attention", "cls"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "single_label", "head": "mlp", "features": ["_.age"]},
        {"temperature": 2.5, "pos_weight": {"pain": 4.0}, "correct_pos_weight": True},
        {"max_length": 12, "truncation": True},
    ],
)
def test_probabilities_are_those_of_the_pipe(
    encoder_dir: Path, pooling: str, options: dict[str, Any]
) -> None:
    nlp = make_classifier(encoder_dir, pooling=pooling, **options)
    docs = make_docs(nlp)
    np.testing.assert_allclose(by_graph(nlp, docs)[1], by_pipe(nlp, docs), atol=2e-6)


@pytest.mark.parametrize("place", range(5))
def test_a_document_alone_has_the_same_probabilities(encoder_dir: Path, place: int) -> None:
    nlp = make_classifier(encoder_dir, pooling="attention")
    docs = make_docs(nlp)
    alone = by_graph(nlp, [docs[place]])[1]
    np.testing.assert_allclose(alone[0], by_graph(nlp, docs)[1][place], atol=2e-6)


@pytest.mark.parametrize("above", [eds.text_cnn, eds.text_rnn])
def test_what_stands_on_the_encoder_is_part_of_it(encoder_dir: Path, above: Any) -> None:
    nlp = make_classifier(encoder_dir, on_encoder=lambda embedding: above(embedding=embedding))
    docs = make_docs(nlp)
    np.testing.assert_allclose(by_graph(nlp, docs)[1], by_pipe(nlp, docs), atol=2e-6)


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
def test_log_odds_are_those_of_the_probability(encoder_dir: Path, mode: str) -> None:
    options = {"temperature": 2.0, "pos_weight": {"pain": 4.0}, "correct_pos_weight": True}
    nlp = make_classifier(encoder_dir, mode=mode, **options)
    logits, found = by_graph(nlp, make_docs(nlp))
    graph = ClassifierGraph(nlp.pipes.classifier)
    odds = float(graph.log_odds(torch.from_numpy(logits[3]), 2))
    assert odds == pytest.approx(np.log(found[3, 2] / (1 - found[3, 2])), abs=1e-5)


def test_the_only_one_of_a_single_label_has_its_logit(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir, mode="single_label", labels=["pain"])
    graph = ClassifierGraph(nlp.pipes.classifier)
    assert float(graph.log_odds(torch.tensor([1.5]), 0)) == 1.5


def test_windows_overlap_in_one_table() -> None:
    cells = lay_out_cells([np.arange(10, 16), np.array([20])], READING)
    assert cells.ids.tolist() == [
        [1, 10, 11, 12, 13, 2],
        [1, 13, 14, 15, 2, 0],
        [1, 20, 2, 0, 0, 0],
    ]
    assert cells.used.sum(1).tolist() == [6, 5, 3]
    assert cells.pieces[1].tolist() == [-1, 3, 4, 5, -1, -1]
    assert cells.texts.tolist() == [0, 0, 1]
    assert cells.ids.flatten()[cells.kept].tolist() == [10, 11, 12, 13, 14, 15, 20]


def test_documents_without_pieces_have_one_window_of_specials() -> None:
    cells = lay_out_cells([np.zeros(0, dtype=np.int64)] * 2, READING)
    assert cells.ids.tolist() == [[1, 2]]
    assert cells.kept.tolist() == []


def test_a_pipeline_without_a_classifier_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a document classifier in the pipeline"):
        find_classifier(edspipe.blank("eds"))


def test_several_classifiers_must_be_told_apart(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir)
    nlp.add_pipe(
        eds.doc_classifier(embedding=eds.transformer(model=str(encoder_dir))), name="other"
    )
    with pytest.raises(ConfigError, match="found classifier, other; say which with pipe="):
        find_classifier(nlp)
    assert find_classifier(nlp, "classifier") is nlp.pipes.classifier
    with pytest.raises(ConfigError, match=r"no document classifier 'clasifier'.*'classifier'"):
        find_classifier(nlp, "clasifier")
    with pytest.raises(ConfigError, match="other has no labels yet: train it first"):
        find_classifier(nlp, "other")


def test_another_embedding_is_refused(encoder_dir: Path) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.doc_classifier(embedding=eds.char_cnn(), labels=["pain"]), name="classifier")
    with pytest.raises(ConfigError, match=r"expected eds\.transformer, .* got CharCnn"):
        find_transformer(nlp.pipes.classifier)
