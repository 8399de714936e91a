from __future__ import annotations

import functools
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edspipe.demo.corpus import (
    Corpus,
    CorpusSummary,
    Document,
    generate_corpus,
    summarize,
    to_standoff,
    unseen_share,
    write_corpus,
)
from edspipe.demo.encoder import write_encoder
from edspipe.demo.notes import Grammar, Mention, Note
from edspipe.demo.terms import LABELS, LANGUAGES, build_vocabulary, surface_key
from edspipe.errors import DataError

SPLITS = ("train", "dev")
T_LINE = re.compile(r"T\d+\t(\w+) (\d+) (\d+)\t(.+)")


@functools.cache
def corpus_of(seed: int) -> Corpus:
    """Return the corpus of a seed; only to be read."""
    return generate_corpus(seed=seed)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of(7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    write_corpus(out, num_train=20, num_dev=10)
    return out


def all_documents(corpus: Corpus) -> list[Document]:
    return corpus.train + corpus.dev


def held_out_keys(seed: int) -> frozenset[str]:
    grammars = [Grammar.read(language) for language in LANGUAGES]
    return build_vocabulary(seed, [t for g in grammars for t in g.running_texts()]).held_out


def test_every_t_line_quotes_the_text_at_its_offsets(folder):
    num_lines = 0
    for ann in sorted(folder.rglob("*.ann")):
        text = ann.with_suffix(".txt").read_bytes().decode("utf-8")
        for line in ann.read_bytes().decode("utf-8").splitlines():
            if line.startswith("T"):
                match = T_LINE.fullmatch(line)
                assert match
                label, begin, end, mention = match.groups()
                assert label in LABELS
                assert text[int(begin) : int(end)] == mention
                num_lines += 1
    assert num_lines > 30 * 10


def test_each_attribute_line_points_to_a_t_line_of_its_file(folder):
    num_lines = 0
    for ann in sorted(folder.rglob("*.ann")):
        lines = ann.read_text(encoding="utf-8").splitlines()
        ids = {line.split("\t")[0] for line in lines}
        for line in lines:
            if line.startswith("A"):
                match = re.fullmatch(r"A\d+\tNegation (T\d+)", line)
                assert match
                assert match[1] in ids
                num_lines += 1
    assert num_lines > 30


def test_every_text_has_its_annotations(folder):
    for split, number in zip(SPLITS, (20, 10), strict=True):
        texts = sorted(path.stem for path in (folder / split).glob("*.txt"))
        assert texts == sorted(path.stem for path in (folder / split).glob("*.ann"))
        assert len(texts) == number


def test_files_are_unix_text(folder):
    for path in sorted(folder.rglob("*.*")):
        content = path.read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")


def test_mentions_do_not_overlap_and_stay_on_one_line(corpus):
    for document in all_documents(corpus):
        note = document.note
        for left, right in itertools.pairwise(note.mentions):
            assert left.end <= right.begin
        assert not [m for m in note.mentions if "\n" in note.text[m.begin : m.end]]


def test_a_mention_is_a_whole_word(corpus):
    for document in all_documents(corpus):
        text = document.note.text
        for mention in document.note.mentions:
            around = text[mention.begin - 1 : mention.begin] + text[mention.end : mention.end + 1]
            assert not any(char.isalnum() for char in around)


def test_notes_are_of_a_natural_length(corpus):
    lengths = sorted(len(document.note.text.split()) for document in all_documents(corpus))

    assert lengths[0] >= 60
    assert lengths[len(lengths) // 20] >= 80
    assert lengths[-len(lengths) // 20] <= 250


def test_sections_are_separated_by_blank_lines(corpus):
    assert all(document.note.text.count("\n\n") >= 3 for document in all_documents(corpus))


def test_a_part_of_the_notes_breaks_lines_inside_sentences(corpus):
    broken = [doc for doc in corpus.train if re.search(r"[a-z,]\n[a-z]", doc.note.text)]

    assert 0.2 < len(broken) / len(corpus.train) < 0.9


@pytest.mark.parametrize("seed", [1, 7])
def test_a_held_out_form_stands_nowhere_in_the_training_texts(seed):
    train = corpus_of(seed).train
    texts = " | ".join(surface_key(document.note.text) for document in train)
    # Hyphens and slashes belong to words: keys are compared by whole words.
    leaks = [key for key in sorted(held_out_keys(seed)) if f" {key} " in f" {texts} "]

    assert leaks == []


def test_dev_shows_most_held_out_forms(corpus):
    shown = {
        surface_key(document.note.text[mention.begin : mention.end])
        for document in corpus.dev
        for mention in document.note.mentions
    }
    held_out = held_out_keys(7)

    assert len(held_out & shown) > 0.5 * len(held_out)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_a_fifth_to_a_quarter_of_the_dev_mentions_is_unseen(seed):
    corpus = corpus_of(seed)

    assert 0.20 <= unseen_share(corpus.train, corpus.dev) <= 0.25


def test_unseen_share_ignores_case_and_accents():
    def doc(text: str) -> Document:
        return Document("fr_0001", "fr", Note(text, (Mention(0, len(text), "symptom", False),)))

    assert unseen_share([doc("fièvre")], [doc("FIEVRE"), doc("toux")]) == 0.5


def test_unseen_share_of_nothing_is_zero():
    assert unseen_share([], []) == 0.0


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_stands_in_both_languages_of_both_splits(corpus, split, language):
    documents = [doc for doc in getattr(corpus, split) if doc.language == language]

    assert len(documents) == len(getattr(corpus, split)) / 2
    assert {m.label for doc in documents for m in doc.note.mentions} == set(LABELS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_part_of_the_findings_is_negated(corpus, language):
    negated = [
        mention.negated
        for document in corpus.train
        if document.language == language
        for mention in document.note.mentions
        if mention.label in ("disorder", "symptom")
    ]

    assert 0.15 < sum(negated) / len(negated) < 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_entity_words_also_stand_outside_of_entities(corpus, language):
    outside = set()
    for document in corpus.train:
        if document.language == language:
            text = list(document.note.text)
            for mention in document.note.mentions:
                text[mention.begin : mention.end] = "|" * (mention.end - mention.begin)
            outside.add(f" {surface_key(''.join(text).replace('|', ' | '))} ")
    words = {"en": ["fever", "heart failure", "asthma"], "fr": ["fievre", "asthme", "coloscopie"]}

    for word in words[language]:
        assert any(f" {word} " in text for text in outside)


def test_document_ids_are_unique(corpus):
    ids = [document.id for document in all_documents(corpus)]

    assert len(set(ids)) == len(ids) == 500
    assert ids[:2] == ["en_0001", "fr_0001"]


def test_training_notes_do_not_depend_on_the_number_of_dev_notes(corpus):
    assert generate_corpus(num_dev=10).train == corpus.train


def test_another_seed_gives_other_notes():
    one, two = (generate_corpus(seed=seed, num_train=2, num_dev=2) for seed in (1, 2))

    assert one.train[0].note != two.train[0].note


def write_small_demo(out: Path) -> None:
    write_corpus(out, num_train=60, num_dev=20)
    texts = [path.read_text("utf-8") for path in sorted(out.glob("train/*.txt"))]
    write_encoder(out / "encoder", texts, vocab_size=900, hidden_size=8, intermediate_size=8)


@pytest.mark.slow
def test_files_do_not_depend_on_the_hash_seed(tmp_path):
    own_seed = os.environ.get("PYTHONHASHSEED")
    environment = {**os.environ, "PYTHONHASHSEED": "2" if own_seed == "1" else "1"}
    code = f"import sys, pathlib\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "import test_demo_corpus as t; t.write_small_demo(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "other")]
    subprocess.run(command, env=environment, check=True, timeout=100)

    write_small_demo(tmp_path / "own")

    own, other = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("own", "other")
    )
    assert own == other
    assert len(own) == 2 * 80 + 4


def test_the_summary_counts_what_was_written(tmp_path):
    summary = write_corpus(tmp_path, num_train=4, num_dev=2)

    written = "".join(p.read_text("utf-8") for p in sorted((tmp_path / "train").glob("*.ann")))
    assert (summary.num_train, summary.num_dev) == (4, 2)
    assert sum(summary.train_entities.values()) == len(re.findall(r"(?m)^T", written))
    assert summary.train_entities["drug"] == len(re.findall(r"(?m)^T\d+\tdrug ", written))


def test_the_summary_reads_back_from_plain_data(corpus):
    summary = summarize(corpus)

    assert CorpusSummary(**summary.to_dict()) == summary


def test_the_summary_is_readable():
    counts = dict.fromkeys(LABELS, 3)
    text = str(CorpusSummary(10, 4, counts, counts, 0.2251))

    assert "notes          10 train       4 dev" in text
    assert "22.5% of the dev entities have a form that training never shows" in text


def test_an_attribute_line_follows_its_negated_mention():
    mentions = (Mention(0, 5, "symptom", False), Mention(10, 15, "symptom", True))

    assert to_standoff(Note("Cough, no fever", mentions)) == (
        "T1\tsymptom 0 5\tCough\nT2\tsymptom 10 15\tfever\nA1\tNegation T2\n"
    )


@pytest.mark.parametrize("numbers", [{"num_train": 1}, {"num_dev": 0}])
def test_a_corpus_needs_a_note_in_each_language(numbers):
    with pytest.raises(ValueError, match=r"at least 2 training and dev notes.*got num_train="):
        generate_corpus(**numbers)


@pytest.mark.parametrize("split", SPLITS)
def test_notes_are_not_mixed_with_other_files(tmp_path, split):
    (tmp_path / split).mkdir()
    (tmp_path / split / "mine.txt").write_text("x")

    with pytest.raises(DataError, match=rf"{split}: The folder for the demo notes is not empty"):
        write_corpus(tmp_path, num_train=2, num_dev=2)

    assert [path.name for path in tmp_path.rglob("*.*")] == ["mine.txt"]
