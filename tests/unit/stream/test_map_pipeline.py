"""Stream.map_pipeline: a pipeline over texts or documents."""

from __future__ import annotations

import pytest

import edspipe
from edspipe.errors import PipeError
from edspipe.stream.stream import Stream

TEXTS = ["Pas de fièvre.", "Toux. Douleur.", ""] * 30


@pytest.fixture
def nlp() -> edspipe.Pipeline:
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    return nlp


def described(docs) -> list[tuple[str, list[str]]]:
    return [(doc.text, [sent.text for sent in doc.sents]) for doc in docs]


def test_pipe_is_a_stream_with_map_pipeline(nlp):
    expected = described(nlp(text) for text in TEXTS)
    assert described(nlp.pipe(TEXTS)) == expected
    assert described(Stream.from_items(TEXTS).map_pipeline(nlp)) == expected


def test_the_same_docs_come_from_workers_on_the_vocab_of_the_pipeline(nlp):
    docs = list(nlp.pipe(TEXTS, num_cpu_workers=2, process_start_method="fork"))
    assert described(docs) == described(nlp(text) for text in TEXTS)
    assert all(doc.vocab is nlp.vocab for doc in docs)


def test_the_pipes_that_run_are_fixed_when_the_stream_is_described(nlp):
    with nlp.select_pipes(disable="sentences"):
        stream = nlp.pipe(["Un. Deux."])
    assert not next(iter(stream)).has_annotation("SENT_START")


@pytest.mark.parametrize(
    ("settings", "own", "sizes"),
    [
        ({}, None, [90]),
        ({"batch_size": "32 docs"}, None, [32, 32, 26]),
        ({"batch_size": "50 docs"}, None, [50, 40]),
        ({"batch_size": 200}, None, [90]),
        ({"batch_size": 200}, "40 docs", [40, 40, 10]),
        ({"batch_size": "dataset"}, None, [90]),
    ],
)
def test_models_see_batches_of_the_size_that_is_set(nlp, settings, own, sizes):
    seen = []

    class Batched:
        def __call__(self, doc):
            return doc

        def process(self, docs):
            seen.append(len(docs))
            return docs

        def modules(self):
            return []

        device = __import__("torch").device("cpu")

    nlp.add_pipe(Batched(), name="batched")
    list(nlp.pipe(TEXTS, batch_size=own).set_processing(precision="fp32", **settings))
    assert seen == sizes


def test_the_pipe_and_the_document_that_fail_are_named(nlp):
    def fail(doc):
        if doc.text:
            return doc
        raise ValueError("M. Dupont")

    nlp.add_pipe(fail, name="fail")
    with pytest.raises(PipeError, match="pipe 'fail' failed on item 2 with ValueError") as caught:
        list(nlp.pipe(TEXTS))
    assert "Dupont" not in str(caught.value)


def test_a_document_that_fails_is_skipped_alone(nlp):
    def fail(doc):
        return doc if doc.text else 1 / 0

    nlp.add_pipe(fail, name="fail")
    iterator = iter(nlp.pipe(TEXTS, on_error="skip"))
    assert len(list(iterator)) == 60
    assert iterator.counts == {"read": 90, "done": 60, "skipped": 30, "delivered": 60}
