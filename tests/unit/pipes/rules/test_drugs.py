"""eds.drugs: whose names count, and files of one's own."""

from __future__ import annotations

import pytest

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError, DataError
from edspipe.lang.words import load_words

NLP = edspipe.blank("eds")
TEXT = "Paracétamol, zorglubine, dolamigne"


def found(**options) -> list[tuple[str, str]]:
    doc = eds.drugs(lang="fr", **options).build()(NLP.make_doc(TEXT))
    return [(span.text, span.kb_id_) for span in doc.spans["drugs"]]


@pytest.fixture
def formulary(tmp_path):
    path = tmp_path / "formulary.csv"
    path.write_text("atc,name\nX01AA01,Zorglubine\n", encoding="utf-8")
    return {"path": str(path), "code_column": "atc", "term_column": "name"}


def test_a_file_adds_to_the_list(formulary):
    assert found(**formulary) == [("Paracétamol", "N02BE01"), ("zorglubine", "X01AA01")]


def test_a_file_replaces_the_list(formulary):
    assert found(**formulary, replace=True) == [("zorglubine", "X01AA01")]


def test_names_are_added_and_taken_away():
    changes = {"terms": {"N02BE01": ["-paracétamol", "Dolamigne"]}}
    assert found(changes=changes) == [("dolamigne", "N02BE01")]


def test_spans_go_where_it_is_said():
    doc = eds.drugs(lang="fr", span_setter="ents").build()(NLP.make_doc(TEXT))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Paracétamol", "drug")]


def test_replacing_without_a_file_is_refused():
    with pytest.raises(ConfigError, match=r"eds\.drugs: replace: expected path="):
        found(replace=True)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file of terms"):
        found(path=str(tmp_path / "none.csv"))


def test_a_code_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"drugs\.yml: terms\.PARA.*String should match pattern"):
        found(changes={"terms": {"PARA": ["Dolamigne"]}})


def test_languages_have_the_same_substances():
    codes = {
        lang: {c for c in load_words("drugs", lang).terms if len(c) == 7}
        for lang in ("en", "fr", "es")
    }
    common = set.intersection(*codes.values())
    assert len(common) > 600
    assert all(len(of_lang - common) < 20 for of_lang in codes.values())


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_a_name_has_one_code(lang):
    names = [name.lower() for of in load_words("drugs", lang).terms.values() for name in of]
    assert len(names) == len(set(names))
