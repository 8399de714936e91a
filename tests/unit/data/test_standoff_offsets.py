"""Entities of records cover the words that `TokenOffsets` says, wherever they begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from standoff_support import texts

from edspipe.data.standoff.docs import record_to_doc
from edspipe.doc.alignment import TokenOffsets
from edspipe.doc.tokenizer import EdsTokenizer

TOKENIZER = EdsTokenizer(Vocab())


def read(text: str, begin: int, end: int) -> Doc:
    entity = {"id": "T1", "label": "X", "fragments": [[begin, end]]}
    record = {"note_id": "d", "text": text, "entities": [entity]}
    return record_to_doc(record, TOKENIZER, "all")


@given(st.data(), texts.filter(bool))
def test_a_span_has_the_words_that_its_characters_touch(data: st.DataObject, text: str) -> None:
    ends = st.integers(0, len(text))
    begin, end = sorted((data.draw(ends), data.draw(ends)))
    doc = read(text, begin, end)
    words = TokenOffsets(doc).snap(begin, end)
    spans = [(span.start, span.end, bool(doc._.standoff["snapped"])) for span in doc.spans["all"]]
    assert spans == ([] if words is None else [words])
    assert len(doc._.standoff["unplaced"]) == (words is None)


@pytest.mark.parametrize(("begin", "end"), [(-1, 2), (2, 1), (0, 8), (9, 9)])
def test_offsets_that_are_no_stretch_of_the_text_are_an_error(begin: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"characters {begin} to {end} are no stretch of a text"):
        read("a word.", begin, end)
