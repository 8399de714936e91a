"""eds.char_embeddings: contextual string embeddings, the same however they are computed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipes.trainable.char_lm import CharLm
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pipes.trainable.embeddings.char_embeddings import CharEmbeddings

NOTE = "Pas de fièvre,\ntoux  depuis 3 jours.\n\nTension 12/8; 5mg \U0001f600 le soir"
TEXTS = (NOTE, "a bc", "x", "", "  ", "\n\n\t", "e\u0301te\u0301 日本 ok ", "mot " * 40)


def make_lm(**options: Any) -> CharLm:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes: dict[str, Any] = {"hidden_size": 12, "embedding_size": 5, "dropout": 0.0, **options}
        return CharLm(name="char_lm", vocab=CharVocab.default(), **sizes).eval()


def make(lm: CharLm | None = None, **options: Any) -> CharEmbeddings:
    return CharEmbeddings(name="chars", lm=make_lm() if lm is None else lm, **options)


def tokenize(text: str) -> Doc:
    return edspipe.blank("eds").make_doc(text)


def naive(lm: CharLm, doc: Doc) -> np.ndarray:
    """Read, for each word and direction, from the very beginning to the place of the word."""
    text, rows = doc.text, []
    for token in doc:
        start, end = token.idx, token.idx + len(token)
        parts = []
        for direction, rnn in lm.rnns.items():
            read = "\n" + text + " "
            if direction == "backward":
                read, last = read[::-1], len(text) - start + 1
            else:
                last = end + 1
            ids = torch.from_numpy(lm.vocab.encode(read[: last + 1]))
            with torch.no_grad():
                outputs, _ = rnn.states(ids[None])  # type: ignore[operator]
            parts.append(outputs[0, -1])
        rows.append(torch.cat(parts))
    return torch.stack(rows).numpy() if rows else np.zeros((0, 24), np.float32)


# Which states


def states_at(lm: CharLm, text: str, forward: list[int], backward: list[int]) -> np.ndarray:
    read = "\n" + text + " "
    both = []
    for direction, indices in (("forward", forward), ("backward", backward)):
        ids = torch.from_numpy(lm.vocab.encode(read if direction == "forward" else read[::-1]))
        rnn: Any = lm.rnns[direction]
        with torch.no_grad():
            both.append(rnn.states(ids[None])[0][0, indices])
    return torch.cat(both, dim=1).numpy()


def test_the_words_of_a_bc_get_states_2_and_5_forwards_and_5_and_3_backwards() -> None:
    lm = make_lm()
    expected = states_at(lm, "a bc", [2, 5], [5, 3])
    np.testing.assert_allclose(make(lm).embed(tokenize("a bc")), expected, atol=1e-6)
    others = states_at(lm, "a bc", [1, 4], [4, 2])
    assert np.abs(others - expected).min() > 0, "the test could not tell these from others"


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, {"projection_size": 12}], ids=["plain", "deep", "projected"]
)
def test_vectors_are_those_of_a_naive_reading(text: str, options: dict[str, Any]) -> None:
    lm = make_lm(**options)
    found = make(lm).embed(tokenize(text))
    expected = naive(lm, tokenize(text))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_words_without_a_blank_between_them_have_the_letter_that_follows() -> None:
    doc = Doc(tokenize("x").vocab, words=["5", "mg", "."], spaces=[False, False, False])
    lm = make_lm()
    expected = states_at(lm, "5mg.", [2, 4, 5], [5, 4, 2])
    np.testing.assert_allclose(make(lm).embed(doc), expected, atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_one_direction_is_half_of_the_vector(direction: str) -> None:
    lm = make_lm()
    both = make(lm).embed(tokenize(NOTE))
    del lm.rnns["backward" if direction == "forward" else "forward"]
    half = CharEmbeddings(name="chars", lm=lm)
    part = slice(0, 12) if direction == "forward" else slice(12, 24)
    assert half.output_size == 12
    np.testing.assert_array_equal(half.embed(tokenize(NOTE)), both[:, part])


# However it is computed


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 16, 10_000])
def test_the_size_of_chunks_changes_nothing(chunk: int) -> None:
    docs = [tokenize(text) for text in TEXTS]
    for found, expected in zip(make(chunk=chunk).embed(docs), make().embed(docs), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_read_together_changes_nothing_to_the_bit() -> None:
    docs = [tokenize(text) for text in TEXTS * 5]  # more than are read at once
    pipe = make(chunk=8)
    for doc, found in zip(docs, pipe.embed(docs), strict=True):
        np.testing.assert_array_equal(found, pipe.embed(doc))


def test_a_context_is_read_as_a_text_of_its_own() -> None:
    doc = tokenize("Pas de toux. Fièvre hier.")
    pipe = make()
    features = pipe.preprocess(doc, contexts=[doc[:4], doc[4:]])
    with torch.inference_mode():
        results = pipe(pipe.collate([features]))
    assert results["sizes"] == (4, 3)
    alone = [pipe.embed(tokenize(text)) for text in ("Pas de toux. ", "Fièvre hier.")]
    np.testing.assert_array_equal(results["embeddings"].numpy(), np.concatenate(alone))


def test_a_prompt_is_read_before_its_context() -> None:
    doc, whole = tokenize("toux hier"), tokenize("signe\ntoux hier")
    pipe = make()
    with torch.inference_mode():
        found = pipe(pipe.collate([pipe.preprocess(doc, prompts=["signe"])]))["embeddings"]
    np.testing.assert_array_equal(found.numpy(), pipe.embed(whole)[-2:])


def test_a_text_as_long_as_a_window_is_exact() -> None:
    text = "un deux trois quatre "
    exact = make().embed(tokenize(text))
    window = len(text) + 2
    np.testing.assert_array_equal(make(window=window, overlap=5).embed(tokenize(text)), exact)
    assert np.abs(make(window=window - 8, overlap=5).embed(tokenize(text)) - exact).max() > 1e-6


def test_windows_come_near_the_exact_vectors_where_they_overlap_much() -> None:
    doc = tokenize("Tension 12/8, pouls 80, pas de fièvre. " * 12)
    exact = make().embed(doc)
    errors = [
        np.abs(make(window=overlap + 40, overlap=overlap).embed(doc) - exact).max()
        for overlap in (0, 40, 120)
    ]
    assert errors[0] > 10 * errors[1] > 10 * errors[2]
    assert errors[2] < 1e-6


def test_a_window_reads_the_first_character_then_its_overlap() -> None:
    lm = make_lm()
    text = "abcdefgh ijklmnop qrstuvwx"
    words = make(lm, window=16, overlap=6).embed(tokenize(text))
    read = "\n" + text + " "
    # Windows read from 0, 10 and 20; the last word is behind 26, the second one behind 18.
    for word, (start, last) in {1: (10, 18), 2: (20, 27)}.items():
        ids = torch.from_numpy(lm.vocab.encode("\n" + read[start : last + 1]))
        rnn: Any = lm.rnns["forward"]
        with torch.no_grad():
            expected = rnn.states(ids[None])[0][0, -1].numpy()
        np.testing.assert_allclose(words[word, :12], expected, atol=1e-6)


# Trained or not


def step(pipe: CharEmbeddings) -> None:
    """Take the gradients of a loss that weighs each number of a vector in its own way."""
    batch = pipe.collate([pipe.preprocess(tokenize(NOTE))])
    weights = torch.linspace(-1, 1, pipe.output_size)
    loss = (pipe.train()(batch)["embeddings"] * weights).square().sum()
    if loss.requires_grad:
        loss.backward()


def test_it_is_frozen_unless_asked_otherwise() -> None:
    pipe = make(make_lm(dropout=0.5))
    step(pipe)
    assert all(p.grad is None and not p.requires_grad for p in pipe.parameters())
    assert not any(module.training for module in pipe.modules())


def test_a_fine_tuned_model_gets_the_same_gradients_for_any_size_of_chunks() -> None:
    pipe, whole = make(frozen=False, chunk=5), make(frozen=False)
    step(pipe)
    step(whole)
    for (name, one), other in zip(pipe.named_parameters(), whole.parameters(), strict=True):
        if "decoder" in name:  # of letters, which nothing here predicts
            assert one.grad is None
            continue
        assert one.grad is not None
        assert one.grad.abs().max() > 0
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


# Saved and loaded


def pipeline(lm: Any, **options: Any) -> edspipe.Pipeline:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.char_embeddings(lm=lm, **options), name="chars")
    return nlp


@pytest.fixture
def lm_folder(tmp_path: Path) -> Path:
    """A saved language model with an alphabet of its own."""
    nlp = edspipe.blank("eds")
    vocab = CharVocab("\n abcdefg.è")
    lm = eds.char_lm(hidden_size=6, embedding_size=3, vocab=vocab, num_layers=2)
    nlp.add_pipe(lm, name="char_lm")
    nlp.to_disk(tmp_path / "lm")
    return tmp_path / "lm"


def test_a_loaded_model_needs_the_language_model_no_more(lm_folder: Path, tmp_path: Path) -> None:
    nlp = pipeline(str(lm_folder))
    doc = nlp.make_doc("abba è fade. bag")
    expected = nlp.pipes.chars.embed(doc)
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(lm_folder)
    loaded = edspipe.load(tmp_path / "model").pipes.chars
    assert loaded.lm.vocab == nlp.pipes.chars.lm.vocab
    assert loaded.frozen
    assert not any(p.requires_grad for p in loaded.parameters())
    np.testing.assert_array_equal(loaded.embed(doc), expected)
    loaded_again = edspipe.load(tmp_path / "model")
    loaded_again.to_disk(tmp_path / "again")
    np.testing.assert_array_equal(edspipe.load(tmp_path / "again").pipes.chars.embed(doc), expected)


def test_a_model_in_the_config_is_built_and_saved(tmp_path: Path) -> None:
    nlp = pipeline(eds.char_lm(hidden_size=6, projection_size=4, directions=["forward"]))
    doc = nlp.make_doc("abba fade. bag")
    expected = nlp.pipes.chars.embed(doc)
    assert expected.shape == (4, 4)
    nlp.to_disk(tmp_path / "model")
    np.testing.assert_array_equal(edspipe.load(tmp_path / "model").pipes.chars.embed(doc), expected)


def test_reading_back_keeps_it_frozen(lm_folder: Path, tmp_path: Path) -> None:
    nlp = pipeline(str(lm_folder))
    nlp.to_disk(tmp_path / "model")
    nlp.from_disk(tmp_path / "model")
    assert not any(p.requires_grad for p in nlp.parameters())


def test_weights_of_a_model_of_other_sizes_are_refused(lm_folder: Path, tmp_path: Path) -> None:
    pipeline(str(lm_folder)).to_disk(tmp_path / "model")
    other = pipeline(eds.char_lm(hidden_size=7))
    with pytest.raises(CheckpointError, match=r"state\.json: it was saved with a language model"):
        other.from_disk(tmp_path / "model")


def test_damaged_arguments_are_named(lm_folder: Path, tmp_path: Path) -> None:
    pipe = pipeline(str(lm_folder)).pipes.chars
    pipe.to_disk(tmp_path / "pipe")
    (tmp_path / "pipe" / "state.json").write_text('{"lm": {"hidden_size": 6, "size": 1}}')
    message = r"state\.json: expected the arguments of a language model under 'lm'"
    with pytest.raises(CheckpointError, match=message):
        CharEmbeddings(**CharEmbeddings.saved_parameters(tmp_path / "pipe"))


def test_a_folder_without_a_language_model_is_refused(tmp_path: Path) -> None:
    edspipe.blank("eds").to_disk(tmp_path / "model")
    with pytest.raises(ConfigError, match="expected a saved pipeline with the pipe 'char_lm'"):
        pipeline(str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 5, "window": 5}, "overlap: expected 0 or more, and less than window, got 5"),
        ({"overlap": -1}, "less than window, got -1 and 10000"),
        ({"chunk": 0}, "chunk: expected 1 or more, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**options)


# In a pipeline


def test_a_recogniser_learns_on_it_and_other_pipes_share_it() -> None:
    from support import gold_docs

    nlp = edspipe.blank("eds")
    chars = eds.char_embeddings(lm=eds.char_lm(hidden_size=8))
    nlp.add_pipe(eds.ner_crf(embedding=chars, target_span_getter="gold-ner"), name="ner")
    docs = gold_docs(nlp)
    nlp.post_init(docs)
    batch = nlp.collate([nlp.preprocess(doc, supervision=True) for doc in docs])
    nlp.train(True)
    nlp.pipes.ner(batch["ner"])["loss"].backward()
    trained = {name for name, p in nlp.named_parameters() if p.grad is not None}
    assert trained
    assert not any("embedding" in name for name in trained)
    assert batch["stats"]["chars"] == sum(len(doc.text) + 2 for doc in docs)


# A language model of the same pipeline


def test_a_pipe_is_copied_and_can_be_trained_apart(tmp_path: Path) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.char_lm(hidden_size=6), name="char_lm")
    nlp.add_pipe(eds.char_embeddings(lm=nlp.pipes.char_lm), name="chars")
    assert all(parameter.requires_grad for parameter in nlp.pipes.char_lm.parameters())
    expected = nlp.pipes.chars.embed(nlp.make_doc(NOTE))
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.pipes.chars.embed(loaded.make_doc(NOTE)), expected)
