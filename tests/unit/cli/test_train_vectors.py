"""edspipe train-vectors: word vectors of one's own texts, which eds.word_vectors reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.cli.main import main
from edspipe.errors import DataError, MissingExtraError
from edspipe.pipes.trainable.embeddings.vector_files import read_vectors, write_vectors
from edspipe.pipes.trainable.embeddings.vector_training import (
    MAX_WORDS,
    Sentences,
    train_vectors,
)

GROUPS = (("toux", "fièvre", "rhume"), ("bras", "jambe", "main"))
SMALL = ["--size", "8", "--epochs", "2", "--min-count", "2"]


def texts(num=60):
    """Words of one group stand together, so that their vectors become alike."""
    rng = np.random.default_rng(0)
    picked = [rng.choice(GROUPS[i % 2], 8) for i in range(num)]
    return ["Le patient :\n" + " ".join(words) + "." for words in picked]


def make_docs(notes=None):
    nlp = edspipe.blank("eds")
    return [nlp.make_doc(text) for text in (texts() if notes is None else notes)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notes").mkdir()
    for number, text in enumerate(texts()):
        (tmp_path / "notes" / f"{number}.txt").write_text(text)
    return tmp_path / "notes"


@pytest.mark.parametrize("name", ["a.vec", "a.vec.gz", "a.safetensors"])
def test_the_command_writes_vectors_of_the_words(folder, tmp_path, name, capsys):
    assert main(["train-vectors", str(folder), "--output", str(tmp_path / name), *SMALL]) == 0
    table = read_vectors(tmp_path / name)
    words = {"Le", "patient", ":", ".", *GROUPS[0], *GROUPS[1]}
    assert set(table.words) == words
    assert table.vectors.shape == (10, 8)
    assert capsys.readouterr().out == f"{tmp_path / name}: 10 vectors of 8 numbers\n"
    doc = edspipe.blank("eds").make_doc("toux")
    found = eds.word_vectors(path=str(tmp_path / name)).embed(doc)[0]
    np.testing.assert_array_equal(found, table.vectors[table.words.index("toux")])


def test_the_same_seed_gives_the_same_file(folder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ["--output", str(tmp_path / f"{name}.vec"), "--seed", str(seed), *SMALL]
        assert main(["train-vectors", str(folder), *words]) == 0
    a, b, c = ((tmp_path / f"{name}.vec").read_bytes() for name in "abc")
    assert a == b != c


def test_records_of_another_format_are_read(tmp_path):
    file = tmp_path / "notes.jsonl"
    rows = [{"note_id": i, "note_text": text} for i, text in enumerate(texts(20))]
    file.write_text("\n".join(map(json.dumps, rows)))
    output = tmp_path / "a.vec"
    assert main(["train-vectors", str(file), "--output", str(output), *SMALL]) == 0
    assert "toux" in read_vectors(output).words


def test_an_output_is_replaced_only_where_asked(folder, tmp_path, capsys):
    output = tmp_path / "a.vec"
    output.write_text("mine")
    words = ["train-vectors", str(folder), "--output", str(output), *SMALL]
    assert main(words) == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0


def test_another_suffix_is_refused_before_any_work(folder, tmp_path, capsys):
    assert main(["train-vectors", str(folder), "--output", str(tmp_path / "a.bin")]) == 1
    assert "vectors are written as" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["skipgram", "cbow"])
def test_words_that_stand_together_become_alike(kind):
    table = train_vectors(make_docs(texts(300)), size=16, epochs=20, kind=kind, window=3)
    unit = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
    row = {word: unit[i] for i, word in enumerate(table.words)}
    inside = np.mean([row[a] @ row[b] for group in GROUPS for a in group for b in group if a != b])
    across = np.mean([row[a] @ row[b] for a in GROUPS[0] for b in GROUPS[1]])
    assert inside > across + 0.1


def test_kinds_differ():
    one, other = (train_vectors(make_docs(), size=4, kind=k) for k in ("skipgram", "cbow"))
    assert not np.array_equal(one.vectors, other.vectors)


def test_rare_words_get_no_vector():
    table = train_vectors(make_docs(["a a a b b c"]), min_count=2, size=4)
    assert table.words == ["a", "b"]


def test_words_are_taken_in_lower_case_where_asked():
    assert list(Sentences(make_docs(["Toux\nDE nuit"]), lowercase=True)) == [["toux", "de", "nuit"]]
    assert list(Sentences(make_docs(["Toux\nDE  nuit"]))) == [["Toux", "DE", "nuit"]]


def test_long_documents_are_cut_and_lose_no_word():
    words = [str(i % 7) for i in range(2 * MAX_WORDS + 5)]
    found = list(Sentences(make_docs([" ".join(words)])))
    assert [len(part) for part in found] == [MAX_WORDS, MAX_WORDS, 5]
    assert [word for part in found for word in part] == words


def test_no_word_that_is_frequent_enough_is_an_error():
    with pytest.raises(DataError, match="no word occurs 5 times or more among 3 words"):
        train_vectors(make_docs(["a b c"]))


@pytest.mark.parametrize("name", ["size", "window", "min_count", "epochs", "num_workers"])
def test_a_number_below_one_is_refused(name):
    with pytest.raises(ValueError, match="are 1 or more"):
        train_vectors([], **{name: 0})


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'skipgram' or 'cbow', got 'glove'"):
        train_vectors([], kind="glove")


def test_a_generator_is_refused():
    with pytest.raises(TypeError, match="reads its documents several times"):
        train_vectors(iter([]))


def test_without_gensim_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gensim.models.word2vec", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edspipe\[vectors\]'"):
        train_vectors([])


def test_words_of_columns_are_taken_as_they_are(tmp_path):
    lines = [f"{word}\tNN\n" for word in ("IL-2", "binds", "IL-2", "binds")]
    (tmp_path / "words.tsv").write_text("".join(lines))
    words = [str(tmp_path / "words.tsv"), "--format", "conll", "--columns", "text", "tag_"]
    out = tmp_path / "out.vec"
    assert main(["train-vectors", *words, "--output", str(out), *SMALL]) == 0
    assert sorted(read_vectors(out).words) == ["IL-2", "binds"]


@pytest.mark.parametrize("word", ["de novo", "a\tb", "a\nb", "a\rb"])
def test_words_that_no_file_can_hold_are_left_out_and_counted_once(tmp_path, word, log):
    docs = [Doc(edspipe.blank("eds").vocab, words=["toux", word, "rhume", word])] * 3
    table = train_vectors(docs, size=4, min_count=1, epochs=2)
    assert sorted(table.words) == ["rhume", "toux"]
    write_vectors(tmp_path / "a.vec", table.words, table.vectors)
    (line,) = [line for line in log if "left out" in line]
    assert line.startswith("WARNING 6 words hold a blank or a line break")
    assert "novo" not in line


def test_nothing_is_said_where_no_word_is_left_out(log):
    assert len(list(Sentences(make_docs()))) == 60
    assert not [line for line in log if "left out" in line]
