"""eds.text_rnn: a recurrent network over the words of each context."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from short_runs import data_of, losses_of, not_forced_to_disk, train_shortly, weights_of
from support import TEXTS

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import to_device
from edspipe.pipes.trainable.embeddings.vector_files import write_vectors


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("vectors") / "a.vec"
    words = sorted({t.text for text in TEXTS for t in edspipe.blank("eds").make_doc(text)} - {"\n"})
    vectors = np.random.default_rng(0).standard_normal((len(words), 6)).astype(np.float32)
    write_vectors(file, words, vectors)
    return file


def build(file, **options):
    draft = eds.text_rnn(
        embedding=eds.word_vectors(path=str(file)), **{"hidden_size": 5, **options}
    )
    torch.manual_seed(0)
    return draft.build(edspipe.blank("eds"), "rnn")


def make_docs(texts=TEXTS):
    nlp = edspipe.blank("eds")
    return [nlp.make_doc(text) for text in texts]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_it_is_the_network_of_torch_over_each_context(file, kind, bidirectional):
    pipe = build(file, kind=kind, bidirectional=bidirectional)
    reference = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
        6, 5, bidirectional=bidirectional
    )
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    with torch.no_grad():
        for direction, suffix in [("rightward", ""), ("leftward", "_reverse")][: 1 + bidirectional]:
            own = pipe.rnn.layers[0][direction]
            for name in names:
                getattr(reference, name + suffix).copy_(getattr(own, name))
    docs = make_docs()
    for found, doc in zip(pipe.embed(docs), docs, strict=True):
        below = torch.from_numpy(pipe.embedding.embed(doc))
        with torch.no_grad():
            expected = reference(below)[0].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_documents_do_not_see_each_other(file):
    pipe, docs = build(file, num_layers=2), make_docs([*TEXTS, "", "toux"])
    together = pipe.embed(docs)
    for found, doc in zip(together, docs, strict=True):
        np.testing.assert_allclose(found, pipe.embed(doc), atol=1e-6)


def test_contexts_do_not_see_each_other(file):
    pipe, doc = build(file).eval(), make_docs()[0]
    contexts = [doc[2:5], doc[3:3], doc[0:9]]
    batch = pipe.collate([pipe.preprocess(doc, contexts=contexts)])
    with torch.no_grad():
        found = pipe(batch)
    assert found["sizes"] == (3, 0, 9)
    expected = [pipe.embed(part.as_doc()) for part in contexts]
    np.testing.assert_allclose(found["embeddings"].numpy(), np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"bidirectional": False}, {"num_layers": 3}])
def test_the_size_is_that_of_all_directions(file, options):
    pipe = build(file, **options)
    assert pipe.output_size == 5 * (1 + options.get("bidirectional", True))
    assert pipe.embed(make_docs()[0]).shape[1] == pipe.output_size


@pytest.mark.parametrize("share", ["dropout", "word_dropout", "locked_dropout"])
def test_each_dropout_acts_in_training_only(file, share):
    pipe = build(file, **{share: 0.5})
    batch = pipe.collate([pipe.preprocess(doc) for doc in make_docs()])
    torch.manual_seed(0)
    with torch.no_grad():
        trained = [pipe(batch)["embeddings"] for _ in range(2)]
        pipe.eval()
        steady = [pipe(batch)["embeddings"] for _ in range(2)]
        plain = build(file).eval()(batch)["embeddings"]
    assert not torch.equal(*trained)
    assert torch.equal(*steady)
    assert torch.equal(steady[0], plain)


def test_locked_dropout_drops_the_same_results_of_all_words(file):
    pipe = build(file, locked_dropout=0.5)
    batch = pipe.collate([pipe.preprocess(make_docs()[0])])
    torch.manual_seed(1)
    is_zero = pipe(batch)["embeddings"] == 0
    assert (is_zero == is_zero[0]).all()
    assert is_zero[0].any()


@pytest.mark.parametrize("training", [True, False])
def test_a_step_reads_no_value(file, training):
    pipe = build(file, num_layers=2, dropout=0.1, word_dropout=0.1, locked_dropout=0.1)
    pipe.train(training)
    batch = to_device(pipe.collate([pipe.preprocess(doc) for doc in make_docs()]), "meta")
    found = pipe.to("meta")(batch)["embeddings"]
    assert found.shape == (sum(map(len, make_docs())), 10)
    if training:
        found.sum().backward()
        assert all(p.grad is not None for p in pipe.rnn.parameters())


def test_a_tagger_with_it_is_saved_bit_by_bit(file, tmp_path):
    nlp = edspipe.blank("eds")
    embedding = eds.text_rnn(
        embedding=eds.word_vectors(path=str(file)), hidden_size=4, num_layers=2, kind="gru"
    )
    nlp.add_pipe(eds.ner_crf(labels=["A"], embedding=embedding), name="ner")
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert loaded.config == nlp.config
    for doc in make_docs():
        before, after = (n.pipes.ner.embedding.embed(doc) for n in (nlp, loaded))
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size and num_layers are 1 or more, got 0 and 1"),
        ({"dropout": 1.5}, r"rnn\.dropout: expected a share from 0 to below 1, got 1\.5"),
        ({"word_dropout": -1}, r"rnn\.word_dropout: expected a share from 0 to below 1"),
        ({"kind": "rnn"}, "kind: "),
    ],
)
def test_a_wrong_argument_is_refused(file, options, message):
    with pytest.raises(ConfigError, match=message):
        build(file, **options)


def tagger(file):
    words = eds.word_vectors(path=str(file), trainable=True, oov="char_ngrams", num_buckets=31)
    shares = {"dropout": 0.1, "word_dropout": 0.2, "locked_dropout": 0.2}
    embedding = eds.text_rnn(embedding=words, hidden_size=4, num_layers=2, **shares)
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name="ner")
    return nlp


def test_a_training_that_goes_on_is_one_that_never_stopped(file, tmp_path):
    settings = {"max_steps": 4, "checkpoint_every": 2, "keep_checkpoints": None, "lr": 1e-2}
    whole, again = tagger(file), tagger(file)
    with not_forced_to_disk():
        train_shortly(whole, data_of(whole), tmp_path / "run", **settings)
        middle = sorted((tmp_path / "run/checkpoints").iterdir())[0]
        train_shortly(again, data_of(again), tmp_path / "again", resume=middle, **settings)
    before, after = weights_of(whole), weights_of(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert losses_of(tmp_path / "again") == losses_of(tmp_path / "run")
    rows = whole.pipes.ner.embedding.embedding.rows
    assert rows == again.pipes.ner.embedding.embedding.rows
    assert 0 < len(rows) < len(tagger(file).pipes.ner.embedding.embedding.rows)
