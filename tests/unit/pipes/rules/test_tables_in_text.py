"""eds.tables: tables in plain text, to rows."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

import edspipe
from edspipe.errors import ConfigError, MissingExtraError
from edspipe.pipes.rules.tables import Tables

NLP = edspipe.blank("eds")
SLOWEST_S = 2.0
NUM_CHARS = 100_000
PIPE = Tables()


def rows(text: str, **options: Any) -> list[list[list[str]]]:
    doc = Tables(**options)(NLP.make_doc(text))
    return [span._.table.rows for span in doc.spans["tables"]]


SODIUM = [["Sodium", "135", "mmol/L"], ["Potassium", "4,1", "mmol/L"]]


@pytest.mark.parametrize(
    "text",
    [
        "Sodium | 135 | mmol/L\nPotassium | 4,1 | mmol/L",
        "| Sodium | 135 | mmol/L |\n|---|---|---|\n| Potassium | 4,1 | mmol/L |",
        "Sodium ¦ 135 ¦ mmol/L\nPotassium ¦ 4,1 ¦ mmol/L\n",
        "Sodium\t135\tmmol/L\nPotassium\t4,1\tmmol/L",
        "Bilan\nSodium|135|mmol/L\r\nPotassium|4,1|mmol/L\nFin du bilan",
    ],
)
def test_separators_make_rows(text):
    assert rows(text) == [SODIUM]


@pytest.mark.parametrize(
    "text",
    [
        "Sodium      135   mmol/L\nPotassium   4,1   mmol/L\nUrée        5     mmol/L",
        "Sodium      135   mmol/L\nPotassium   4,1   mmol/L\nUrée          5   mmol/L",
    ],
)
def test_cells_below_each_other_make_rows(text):
    assert rows(text) == [[*SODIUM, ["Urée", "5", "mmol/L"]]]


@pytest.mark.parametrize(
    "text",
    [
        "Sodium | 135",
        "Une phrase.  Une autre phrase.\nEt une troisième.  Puis la fin.\nEncore.  Oui.",
        "a | b\n\nc | d",
        "a | b\nc | d | e",
        "a | b\nc\td",
        "----|----\n----|----",
        "|\n|",
        "",
    ],
)
def test_what_is_no_table(text):
    assert rows(text) == []


def test_an_empty_cell_is_kept():
    assert rows("a | | c\nd | e | f") == [[["a", "", "c"], ["d", "e", "f"]]]


def test_the_numbers_of_rows_are_options():
    assert rows("a | b", min_rows=1) == [[["a", "b"]]]
    assert rows("a   b\nc   d\ne   f", min_aligned=None) == []


@pytest.mark.parametrize("argument", ["min_rows", "min_aligned"])
def test_a_table_has_a_row(argument):
    with pytest.raises(ConfigError, match=f"eds.tables: {argument}: expected 1 or more; got 0"):
        Tables(**{argument: 0})


def test_a_table_becomes_a_data_frame():
    pytest.importorskip("pandas")
    doc = PIPE(NLP.make_doc("nom | valeur\nNa | 135"))
    table = doc.spans["tables"][0]._.table
    assert table.to_pandas(header=True).to_dict("records") == [{"nom": "Na", "valeur": "135"}]
    assert table.to_pandas().shape == (2, 2)


def test_without_pandas_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    doc = PIPE(NLP.make_doc("a | b\nc | d"))
    with pytest.raises(MissingExtraError, match=r"edspipe\[pandas\]"):
        doc.spans["tables"][0]._.table.to_pandas()


def test_rows_survive_saving_and_can_be_set():
    doc = PIPE(NLP.make_doc("a | b\nc | d"))
    copy = Doc(NLP.vocab).from_bytes(doc.to_bytes())
    table = copy.spans["tables"][0]._.table
    assert table == doc.spans["tables"][0]._.table
    assert doc[0:1]._.table is None
    doc[0:5]._.table = table
    assert doc[0:5]._.table.cells == table.cells


def test_twice_is_as_once_and_others_spans_stay():
    doc = NLP.make_doc("a | b\nc | d")
    doc.spans["tables"] = [doc[0:1]]
    once = [(s.start, s.end) for s in PIPE(doc).spans["tables"]]
    assert len(once) == 2
    assert [(s.start, s.end) for s in PIPE(doc).spans["tables"]] == once


def test_tables_go_to_the_entities_or_where_a_function_puts_them():
    pipe = Tables(span_setter="ents")
    assert len(pipe(pipe(NLP.make_doc("a | b\nc | d"))).ents) == 1
    Tables(span_setter=lambda doc, spans: None)(NLP.make_doc("a | b\nc | d"))


def test_it_is_a_spacy_component():
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_tables")
    assert len(nlp("a | b\nc | d").spans["tables"]) == 1


PIECES = st.lists(
    st.sampled_from(["\n", "|", "\t", "  ", " ", "a", "12", "---", "¦", "é"]) | st.text(max_size=4),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(PIECES)
def test_nothing_crashes_and_cells_lie_inside(pieces):
    doc = PIPE(NLP.make_doc("".join(pieces)))
    for span in doc.spans["tables"]:
        table = span._.table
        assert len({len(row) for row in table.rows}) == 1
        assert all(0 <= start <= end <= len(span.text) for row in table.cells for start, end in row)


@pytest.mark.parametrize("piece", ["|", "a|b\n", "\t", "a  b", " ", "a  b\n", "-|"])
def test_long_texts_take_no_longer_than_their_length_says(piece):
    doc = NLP.make_doc(piece * (NUM_CHARS // len(piece)))
    begin = time.process_time()
    PIPE(doc)
    assert time.process_time() - begin < SLOWEST_S
