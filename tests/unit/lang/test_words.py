"""Word files: read, validated, changed by users."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edspipe.errors import ConfigError
from edspipe.lang import words as words_module
from edspipe.lang.schema import SCHEMAS
from edspipe.lang.schemas.base import Words
from edspipe.lang.words import choose_lang, languages, load_words, merge_changes


class Cues(Words):
    preceding: list[str] = []
    options: dict[str, list[str]] = {}
    limit: int = 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(SCHEMAS, "cues", Cues)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "cues.yml").write_text(text, encoding="utf-8")
    return folder


def test_there_are_three_languages():
    assert languages() == ["en", "es", "fr"]


FILES = [
    (file.stem, lang) for lang in languages() for file in words_module.FOLDER.glob(f"{lang}/*.yml")
]


def test_every_word_file_of_spanish_is_there_in_all_languages():
    names = {lang: {name for name, of in FILES if of == lang} for lang in languages()}
    assert names["es"] <= names["fr"] == names["en"]


@pytest.mark.parametrize(("name", "lang"), FILES)
def test_every_word_file_fits_its_schema(name, lang):
    assert isinstance(load_words(name, lang), SCHEMAS[name])


def test_words_that_yaml_may_take_for_something_else_are_text(folder):
    write(folder, "preceding: [no, yes, on, off, y, 12:30, 2020-01-01, 0x1F, 1e3, 1_000, ~a]")
    found = load_words("cues", folder).preceding
    assert found == [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "12:30",
        "2020-01-01",
        "0x1F",
        "1e3",
        "1_000",
        "~a",
    ]


def test_words_cannot_be_changed_once_they_are_read(folder):
    with pytest.raises(ValueError, match="frozen"):
        load_words("cues", write(folder, "limit: 4")).limit = 5


def test_a_file_is_read_again_when_it_changed(folder):
    assert load_words("cues", write(folder, "limit: 4")).limit == 4
    assert load_words("cues", write(folder, "limit: 55")).limit == 55


def test_an_empty_file_holds_nothing(folder):
    assert load_words("cues", write(folder, "# nothing yet\n")) == Cues()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["c"], ["a", "-b", "c"]),
        (["a"], ["a", "-b"]),
        (["-a", "c"], ["-b", "c"]),
        (["-"], ["a", "-b", "-"]),
        ({"remove": ["-b"], "add": ["-c"]}, ["a", "-c"]),
        ({"replace": ["x"], "add": ["y"]}, ["x", "y"]),
        (None, None),
    ],
)
def test_a_list_is_added_to_and_taken_from(change, expected):
    base = {"words": ["a", "-b"]}
    assert merge_changes(base, {"words": change}, "x").get("words") == expected
    assert base == {"words": ["a", "-b"]}


def test_mappings_are_merged_key_by_key_and_values_replaced():
    base = {"kinds": {"a": ["1"], "b": ["2"]}, "limit": 3}
    changes = {"kinds": {"a": ["x"], "b": None, "c": {"add": ["y"]}}, "limit": 4}
    expected = {"kinds": {"a": ["1", "x"], "c": ["y"]}, "limit": 4}
    assert merge_changes(base, changes, "x") == expected


def test_changes_reach_the_model(folder):
    write(folder, "preceding: [sans]")
    assert load_words("cues", folder, {"preceding": ["-sans", "ni"]}).preceding == ["ni"]


def test_a_file_can_extend_a_language():
    base = load_words("pollution", "fr").patterns
    assert base["page"]


def test_an_extending_file_is_merged_onto_the_language(tmp_path):
    (tmp_path / "pollution.yml").write_text("extends: fr\npatterns: {mine: [abc], ruler: null}")
    extended = load_words("pollution", tmp_path).patterns
    expected = dict(load_words("pollution", "fr").patterns)
    del expected["ruler"]
    assert extended == {**expected, "mine": ["abc"]}


def test_the_language_is_the_one_given_else_the_pipelines(tmp_path):
    assert choose_lang("es", SimpleNamespace(lang="fr"), "p") == "es"
    assert choose_lang(None, SimpleNamespace(lang="fr"), "p") == "fr"
    assert choose_lang(tmp_path, None, "p") == tmp_path
    assert choose_lang(str(tmp_path), None, "p") == str(tmp_path)


@pytest.mark.parametrize(("nlp", "own"), [(None, "None"), (SimpleNamespace(lang="eds"), "'eds'")])
def test_a_pipeline_without_a_language_needs_one(nlp, own):
    with pytest.raises(ConfigError, match=f"eds.x: expected lang=, one of en, es, fr .*is {own}"):
        choose_lang(None, nlp, "eds.x")


@pytest.mark.parametrize("lang", ["de", "words.py", "/no/such/folder"])
def test_an_unknown_language_is_refused(lang):
    with pytest.raises(ConfigError, match=rf"lang: expected one of en, es, fr.*got '{lang}'"):
        load_words("pollution", lang)


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"polution: no words have this name. Did you mean 'poll"):
        load_words("polution", "fr")


def test_a_missing_file_is_refused(folder):
    with pytest.raises(ConfigError, match=r"cues.yml: no such file"):
        load_words("cues", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", r"cues.yml:2: not well-formed YAML"),
        ("limit: 1\nlimit: 2", r"cues.yml:1: .*'limit' stands twice"),
        ("- a", "cues.yml: expected a mapping; got list"),
        ("precding: [a]", "cues.yml: precding: Extra inputs"),
        ("options: {a: [1]}", r"cues.yml: options.a.0: Input should be a valid string"),
        ("extends: xx", r"cues.yml: extends: expected one of en, es, fr; got 'xx'"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(folder, text, message):
    with pytest.raises(ConfigError, match=message):
        load_words("cues", write(folder, text + "\n"))


def test_a_file_in_another_encoding_is_refused(folder):
    (folder / "cues.yml").write_bytes("preceding: [é]".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"cues.yml: not well-formed YAML in UTF-8"):
        load_words("cues", folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ["-c"]}, "x: words: cannot take 'c' away: it is not in the list"),
        ({"words": "c"}, "x: words: expected a list, or a mapping of lists with the keys add"),
        ({"words": {"ad": ["c"]}}, "x: words: expected a list"),
        ({"words": {"add": "c"}}, "x: words: expected a list"),
        ({"kinds": ["c"]}, "x: kinds: expected a mapping; got list"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        merge_changes({"words": ["a"], "kinds": {"a": ["b"]}}, changes, "x")
