"""eds.terminology: terms with codes, from mappings, streams and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError, DataError
from edspipe.pipes.rules.terminology import read_pairs

NLP = edspipe.blank("eds")
PAIRS = [("R05", "toux"), ("R50", "fièvre"), ("R50", "hyperthermie")]
FILES = {
    "csv.csv": "code,term\nR05,toux\nR50,fièvre\nR50,hyperthermie\nX,\n",
    "tabs.tsv": "n\tterm\tcode\n1\ttoux\tR05\n2\tfièvre\tR50\n3\thyperthermie\tR50\n",
    "bom.csv": "\ufeffcode,term\nR05,toux\nR50,fièvre\nR50,hyperthermie\n",
    "mapping.json": json.dumps({"R05": "toux", "R50": ["fièvre", "hyperthermie"]}),
    "objects.json": json.dumps([{"code": code, "term": term} for code, term in PAIRS]),
    "lines.jsonl": "\n\n".join(json.dumps({"code": c, "term": t}) for c, t in PAIRS),
}


def found(text: str, **kwargs) -> list[tuple[str, str]]:
    pipe = eds.terminology(**{"label": "sign", **kwargs}).build()
    doc = pipe(NLP.make_doc(text))
    assert {ent.label_ for ent in doc.ents} <= {"sign"}
    return [(ent.kb_id_, ent.text) for ent in doc.ents]


@pytest.mark.parametrize(
    "terms",
    [{"R05": "toux", "R50": ["fièvre", "hyperthermie"]}, PAIRS, iter(PAIRS)],
    ids=["mapping", "list", "iterator"],
)
def test_spans_get_the_code_of_their_term(terms):
    assert found("Fièvre, TOUX", terms=terms) == [("R50", "Fièvre"), ("R05", "TOUX")]


@pytest.mark.parametrize("name", FILES)
def test_files_of_all_kinds_hold_the_same(tmp_path: Path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    assert list(read_pairs(tmp_path / name)) == PAIRS
    assert found("hyperthermie", path=tmp_path / name) == [("R50", "hyperthermie")]


def test_columns_and_delimiter_can_be_named(tmp_path: Path):
    (tmp_path / "t.csv").write_text("CODE;LABEL\nR05;toux, sèche\n", encoding="utf-8")
    kwargs = {"path": tmp_path / "t.csv", "code_column": "CODE", "term_column": "LABEL"}
    assert found("toux, sèche", **kwargs, delimiter=";") == [("R05", "toux, sèche")]


def test_terms_patterns_and_a_file_go_together(tmp_path: Path):
    (tmp_path / "t.csv").write_text("code,term\nR05,toux\n", encoding="utf-8")
    kwargs = {"path": tmp_path / "t.csv", "terms": {"A": "hta"}, "regex": {"B": r"hb ?\d"}}
    assert found("hta toux hb 9", **kwargs) == [("A", "hta"), ("R05", "toux"), ("B", "hb 9")]


def test_a_term_of_several_codes_makes_a_span_for_each_in_a_group():
    pairs = [("A", "toux"), ("B", "Toux")]
    pipe = eds.terminology(label="x", terms=pairs, span_setter=["ents", "all"]).build()
    doc = pipe(NLP("toux"))
    assert [span.kb_id_ for span in doc.spans["all"]] == ["A", "B"]
    assert [span.kb_id_ for span in doc.ents] == ["A"]
    assert len(pipe) == 2


def test_twice_is_as_once_for_the_terminology():
    pipe = eds.terminology(label="x", terms=PAIRS, span_setter=["ents", "all"]).build()
    doc = pipe(NLP("toux fièvre"))
    once = doc.to_bytes()
    assert pipe(doc).to_bytes() == once


def test_it_works_saved_and_loaded_with_a_file(tmp_path: Path):
    (tmp_path / "t.csv").write_text("code,term\nR05,toux\n", encoding="utf-8")
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.terminology", config={"label": "x", "path": str(tmp_path / "t.csv")})
    nlp.to_disk(tmp_path / "m")
    assert [ent.kb_id_ for ent in edspipe.load(tmp_path / "m")("toux").ents] == ["R05"]


def test_it_works_saved_and_loaded_as_a_terminology_of_spacy(tmp_path: Path):
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_terminology", config={"label": "x", "terms": {"R05": ["toux"]}})
    nlp.to_disk(tmp_path / "m")
    assert [ent.kb_id_ for ent in spacy.load(tmp_path / "m")("Toux.").ents] == ["R05"]


def test_nothing_to_find_is_refused_by_the_terminology():
    with pytest.raises(ConfigError, match=r"eds.terminology: expected terms, regex or path"):
        eds.terminology(label="x").build()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "c,term\nR05,toux\n", r"a.csv:2: expected a column 'code'; got c, term"),
        ("a.json", "3", r"a.json: expected {code: \[terms\]} or a list of objects"),
        ("a.json", "[1]", r"a.json:1: expected a column 'code'; got int"),
        ("a.json", "{\n\n,", r"a.json:3: not well-formed JSON"),
        ("a.jsonl", '{"code": 1, "term": "a"}\n{', r"a.jsonl:2: not well-formed JSON"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_pairs(tmp_path / name))


def test_a_file_in_another_encoding_is_refused_by_the_terminology(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("code,term\nR50,fièvre\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a.csv: expected text in UTF-8"):
        list(read_pairs(tmp_path / "a.csv"))


def test_a_missing_file_of_terms_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"a.csv: no such file of terms"):
        eds.terminology(label="x", path=tmp_path / "a.csv").build()


def test_csv_that_cannot_be_read_is_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("code,term\nA," + "x" * 200_000 + "\n")
    with pytest.raises(DataError, match=r"a.csv: not well-formed CSV: field larger"):
        eds.terminology(label="x", path=path).build()
