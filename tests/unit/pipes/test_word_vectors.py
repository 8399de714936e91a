"""eds.word_vectors: the vectors of a file, and what words without one get."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import edspipe
import edspipe.pipes as eds
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.pipeline.torch_component import to_device
from edspipe.pipes.trainable.embeddings.oov import ngram_buckets, random_vectors, word_key
from edspipe.pipes.trainable.embeddings.vector_files import write_vectors

WORDS = ["de", "fièvre", "Toux", "toux", "pas", "jours", "inconnu"]
VECTORS = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
TEXT = "Pas de fièvre, toux depuis 3 jours."
OOV = ["zeros", "random", "char_ngrams"]


@pytest.fixture
def file(tmp_path):
    write_vectors(tmp_path / "words.vec", WORDS, VECTORS)
    return tmp_path / "words.vec"


def build(file, **options):
    options = {"num_buckets": 31, **options}
    return eds.word_vectors(path=str(file), **options).build(edspipe.blank("eds"), "words")


def make_doc(text=TEXT):
    return edspipe.blank("eds").make_doc(text)


def with_ner(file, **options):
    nlp = edspipe.blank("eds")
    embedding = eds.word_vectors(path=str(file), **{"num_buckets": 31, **options})
    nlp.add_pipe(eds.ner_crf(labels=["A"], embedding=embedding), name="ner")
    return nlp


# ---- vectors -------------------------------------------------------------------------------


@pytest.mark.parametrize("oov", OOV)
@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_file_has_the_vector_of_the_file(file, oov, word):
    found = build(file, oov=oov).embed(make_doc(f"x {word} x"))
    np.testing.assert_array_equal(found[1], VECTORS[WORDS.index(word)])


def test_a_word_without_a_vector_gets_zeros(file):
    np.testing.assert_array_equal(build(file).embed(make_doc("xyz de"))[0], np.zeros(4))


def test_a_word_without_a_vector_gets_one_drawn_from_itself(file):
    found = build(file, oov="random").embed(make_doc("xyz de xyz abc"))
    drawn = random_vectors(np.array([word_key("xyz")], np.uint64), 4)[0]
    np.testing.assert_allclose(found[0], drawn * np.sqrt(np.mean(VECTORS**2)), rtol=1e-6)
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[3])


def test_a_word_without_a_vector_gets_the_mean_of_its_n_grams(file):
    words = build(file, oov="char_ngrams")
    found = words.embed(make_doc("de fièvres xyz"))
    for row, word in ((1, "fièvres"), (2, "xyz")):
        expected = words.buckets.detach().numpy()[ngram_buckets(word, 31)].mean(axis=0)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_n_grams_bring_forms_of_a_word_together(tmp_path):
    stems = ["fractur", "infect", "cardiol", "hémorrag"]
    words = [stem + end for stem in stems for end in ("e", "é", "ion", "ions", "ique", "al")]
    centres = np.repeat(np.eye(4, 8, dtype=np.float32), 6, axis=0)
    write_vectors(tmp_path / "a.vec", words, centres)
    embedding = build(tmp_path / "a.vec", oov="char_ngrams", num_buckets=5000)
    for number, stem in enumerate(stems):
        assert embedding.embed(make_doc(stem + "ements"))[0].argmax() == number


def test_letter_case_counts_unless_it_is_asked_not_to(file):
    doc = make_doc("Toux toux TOUX DE")
    exact, lower = build(file).embed(doc), build(file, lowercase=True).embed(doc)
    np.testing.assert_array_equal(exact[:2], VECTORS[2:4])
    np.testing.assert_array_equal(exact[2:], np.zeros((2, 4)))
    np.testing.assert_array_equal(lower[:3], np.repeat(VECTORS[2:3], 3, axis=0))
    np.testing.assert_array_equal(lower[3], VECTORS[0])


def test_so_many_words_are_read(file):
    words = build(file, max_words=2)
    assert list(words.rows) == ["de", "fièvre"]


# ---- contexts and batches ------------------------------------------------------------------


@pytest.mark.parametrize("oov", OOV)
def test_contexts_are_read_one_after_the_other(file, oov):
    words, doc = build(file, oov=oov), make_doc()
    whole = words.embed(doc)
    contexts = [doc[3:5], doc[2:2], doc[0:4]]
    batch = words.collate([words.preprocess(doc, contexts=contexts, prompts=["a", "b", "c"])])
    found = words(batch)
    assert found["sizes"] == (2, 0, 4)
    assert found["lengths"].tolist() == [2, 0, 4]
    expected = np.concatenate([whole[3:5], whole[0:4]])
    np.testing.assert_array_equal(found["embeddings"].detach().numpy(), expected)


def test_a_prompt_a_context_is_expected(file):
    doc = make_doc()
    with pytest.raises(ValueError, match="expected a prompt a context, got 2 for 1"):
        build(file).preprocess(doc, prompts=["a", "b"])


@pytest.mark.parametrize("oov", OOV)
@pytest.mark.parametrize("texts", [[""], ["", "de"], ["xyz"], ["de"]])
def test_batches_may_be_empty_or_known_or_unknown(file, oov, texts):
    words = build(file, oov=oov)
    docs = [make_doc(text) for text in texts]
    found = words.embed(docs)
    assert [array.shape for array in found] == [(len(doc), 4) for doc in docs]
    for array, doc in zip(found, docs, strict=True):
        np.testing.assert_array_equal(array, words.embed(doc))


@pytest.mark.parametrize("oov", OOV)
def test_a_step_reads_no_value(file, oov):
    words = build(file, oov=oov, trainable=True)
    batch = to_device(words.collate([words.preprocess(make_doc())]), "meta")
    assert words.to("meta")(batch)["embeddings"].shape == (9, 4)


# ---- training ------------------------------------------------------------------------------


@pytest.mark.parametrize("oov", OOV)
def test_gradients_reach_vectors_that_are_trained_only(file, oov):
    for trainable in (False, True):
        nlp = with_ner(file, oov=oov, trainable=trainable)
        doc = nlp.make_doc(TEXT)
        doc.ents = [doc.char_span(7, 13, "A")]
        nlp.collate([nlp.preprocess(doc, supervision=True)])
        loss = nlp.pipes.ner(nlp.collate([nlp.preprocess(doc, supervision=True)])["ner"])["loss"]
        loss.backward()
        words = nlp.pipes.ner.embedding
        trained = {name for name, p in words.named_parameters() if p.grad is not None}
        assert trained == (
            {"table", *(["buckets"] * (oov == "char_ngrams"))} if trainable else set()
        )
        if trainable:
            grad = words.table.grad
            seen = {words.rows[t.text] for t in doc if t.text in words.rows}
            assert {row for row in range(len(grad)) if grad[row].any()} == seen


def test_the_zero_vector_stays_zero_in_training(file):
    words = build(file, trainable=True)
    optimizer = torch.optim.AdamW(words.parameters(), lr=0.1)
    batch = words.collate([words.preprocess(make_doc("xyz de"))])
    for _ in range(3):
        words(batch)["embeddings"].sum().backward()
        optimizer.step()
    assert not words.table[0].any()
    assert not torch.equal(words.table[1], torch.from_numpy(VECTORS[0]))


# ---- the words that are kept ---------------------------------------------------------------


def test_only_the_words_of_the_documents_are_kept(file, log):
    words = build(file)
    words.post_init([make_doc("Pas de toux"), make_doc("fièvre xyz")], set())
    assert list(words.rows) == ["de", "fièvre", "toux"]
    found = words.embed(make_doc("de fièvre toux jours"))
    np.testing.assert_array_equal(found, [*VECTORS[[0, 1, 3]], np.zeros(4)])
    assert any("3 of the 5 words of the documents have a vector" in line for line in log)
    assert not any("xyz" in line for line in log)


def test_all_words_are_kept_where_asked(file):
    words = build(file, vocab_only=False)
    words.post_init([make_doc("de")], set())
    assert list(words.rows) == WORDS


def test_other_documents_add_their_words(file):
    words = build(file, trainable=True)
    words.post_init([make_doc("de fièvre")], set())
    with torch.no_grad():
        words.table[2] = 7.0
    words.post_init([make_doc("de jours")], set())
    assert list(words.rows) == ["de", "fièvre", "jours"]
    assert words.table.requires_grad
    expected = [VECTORS[0], np.full(4, 7.0), VECTORS[5]]
    np.testing.assert_array_equal(words.embed(make_doc("de fièvre jours")), expected)


def test_the_same_documents_add_nothing_and_read_nothing(file):
    words = build(file)
    words.post_init([make_doc("de fièvre")], set())
    file.unlink()
    words.post_init([make_doc("fièvre de de")], set())
    assert list(words.rows) == ["de", "fièvre"]


def test_no_word_in_common_is_said(file, log):
    build(file).post_init([make_doc("the cough")], set())
    assert any("WARNING words: no word of the documents has a vector" in line for line in log)


@pytest.mark.parametrize("oov", ["random", "char_ngrams"])
def test_what_unknown_words_get_does_not_depend_on_the_words_that_are_kept(file, oov):
    words, doc = build(file, oov=oov), make_doc("xyz fièvres")
    before = words.embed(doc)
    words.post_init([make_doc("de")], set())
    np.testing.assert_array_equal(words.embed(doc), before)


# ---- saved and loaded ----------------------------------------------------------------------


@pytest.mark.parametrize("oov", OOV)
@pytest.mark.parametrize("vocab_only", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_saved_pipe_gives_the_same_vectors_without_the_file(
    file, tmp_path, oov, vocab_only, lowercase
):
    nlp = with_ner(file, oov=oov, vocab_only=vocab_only, lowercase=lowercase)
    nlp.post_init([nlp.make_doc("Pas de toux")])
    nlp.to_disk(tmp_path / "model")
    file.unlink()
    loaded = edspipe.load(tmp_path / "model")
    docs = [make_doc(TEXT), make_doc("xyz Toux inconnu")]
    old, new = nlp.pipes.ner.embedding.embed(docs), loaded.pipes.ner.embedding.embed(docs)
    for before, after in zip(old, new, strict=True):
        np.testing.assert_array_equal(before, after)
    assert loaded.config == nlp.config
    loaded.to_disk(tmp_path / "again")
    for part in ("weights.safetensors", "state.json"):
        places = [tmp_path / name / "pipes/ner/embedding" / part for name in ("model", "again")]
        assert places[0].read_bytes() == places[1].read_bytes()


def test_no_word_that_only_the_documents_have_is_saved(file, tmp_path):
    nlp = with_ner(file, oov="char_ngrams")
    nlp.post_init([nlp.make_doc("Dupont tousse, pas de toux")])
    nlp.to_disk(tmp_path / "model")
    for part in (tmp_path / "model").rglob("*"):
        assert part.is_dir() or b"Dupont" not in part.read_bytes()


def test_a_loaded_pipe_keeps_its_words_when_it_sees_others(file, tmp_path):
    nlp = with_ner(file)
    nlp.post_init([nlp.make_doc("de toux")])
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    loaded.post_init([loaded.make_doc("jours")])
    assert list(loaded.pipes.ner.embedding.rows) == ["de", "toux"]


def test_weights_of_before_come_with_their_words_and_new_ones_are_added(file, tmp_path):
    old = with_ner(file, trainable=True)
    old.post_init([old.make_doc("de toux")])
    with torch.no_grad():
        old.pipes.ner.embedding.table[1] = 5.0
    old.to_disk(tmp_path / "model")
    new = with_ner(file, trainable=True).from_disk(tmp_path / "model")
    new.post_init([new.make_doc("jours de")])
    words = new.pipes.ner.embedding
    assert list(words.rows) == ["de", "toux", "jours"]
    found = words.embed(make_doc("de toux jours"))
    np.testing.assert_array_equal(found, [np.full(4, 5.0), VECTORS[3], VECTORS[5]])


BAD_STATES = {
    "no words": ({"size": 4}, "expected a list of words under 'words'"),
    "a number": ({"words": ["a", 1], "size": 4}, "expected a list of words under 'words'"),
    "twice": ({"words": ["a", "a"], "size": 4}, "a word stands twice under 'words'"),
    "no size": ({"words": ["a"]}, "expected a number from 1 to 10000 under 'size'"),
    "huge": ({"words": ["a"], "size": 1 << 40}, "expected a number from 1 to 10000 under 'size'"),
    "another size": ({"words": ["a"], "size": 5}, "the vectors are of 5 numbers, and 4 are exp"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_state_that_does_not_fit_is_refused(file, tmp_path, name):
    state, message = BAD_STATES[name]
    path = tmp_path / "words"
    words = build(file)
    words.to_disk(path)
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match=message):
        words.from_disk(path)


def test_words_that_do_not_fit_the_vectors_are_refused(file, tmp_path):
    words = build(file)
    words.to_disk(tmp_path / "words")
    state = {"words": WORDS[:3], "size": 4}
    (tmp_path / "words/state.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match=r"table is float32\[8, 4\], and float32\[4, 4\]"):
        words.from_disk(tmp_path / "words")


# ---- elsewhere -----------------------------------------------------------------------------


def test_workers_prepare_without_vectors(file):
    nlp = with_ner(file, oov="char_ngrams")
    copy = nlp.worker_copy()
    words = copy.pipes.ner.embedding
    assert words.table.numel() == 0
    assert words.rows is nlp.pipes.ner.embedding.rows
    batch = copy.collate([copy.preprocess(nlp.make_doc(TEXT))])
    assert nlp.pipes.ner(batch["ner"])["tags"].shape == (1, 9, 1)


def test_a_number_below_one_is_refused(file):
    with pytest.raises(ConfigError, match="max_words and num_buckets are 1 or more, got 0 and 31"):
        build(file, max_words=0)


def test_another_kind_of_oov_is_refused(file):
    with pytest.raises(ConfigError, match=r"words\.oov|oov: "):
        build(file, oov="mean")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no\.vec: expected a file of word vectors"):
        build(tmp_path / "no.vec")
