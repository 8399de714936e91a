"""Tags of words: where they may be, how they are read and written, and how they print."""

from __future__ import annotations

import numpy as np
import pytest
from spacy.tokens import Doc, Span, Token

import edspipe
from edspipe.doc.token_tags import (
    check_attribute,
    check_tags,
    declare_tags,
    get_tags,
    get_word_tags,
    set_tags,
    tagged_text,
)

NLP = edspipe.blank("eds")
declare_tags("_.level_test")
Token.set_extension(
    "upper_test",
    getter=lambda token: token.tag_.upper(),
    setter=lambda token, value: setattr(token, "tag_", value or ""),
    force=True,
)


def make(words: str = "une toux\nsèche", **options: object) -> Doc:
    doc = NLP.make_doc(words)
    for name, values in options.items():
        for token, value in zip(doc, values, strict=True):  # type: ignore[call-overload]
            setattr(token, name, value)
    return doc


@pytest.mark.parametrize("attribute", ["tag_", "pos_", "_.level_test"])
def test_what_is_written_is_read_and_stands_on_the_tokens(attribute):
    doc = make()
    set_tags(doc, attribute, np.array([1, 0, -1, 0]), ["NOUN", "VERB"])
    assert get_tags(doc, attribute) == ["VERB", "NOUN", "", "NOUN"]
    if attribute == "_.level_test":
        assert [token._.level_test for token in doc] == ["VERB", "NOUN", None, "NOUN"]
    else:
        assert [getattr(token, attribute) for token in doc] == ["VERB", "NOUN", "", "NOUN"]


@pytest.mark.parametrize("attribute", ["tag_", "pos_", "_.level_test"])
def test_old_tags_are_replaced_also_by_none(attribute):
    doc = make()
    set_tags(doc, attribute, np.zeros(4, dtype=int), ["NOUN"])
    set_tags(doc, attribute, np.full(4, -1), ["NOUN"])
    assert get_tags(doc, attribute) == [""] * 4


def test_other_attributes_stay():
    doc = make(pos_=["DET", "NOUN", "SPACE", "ADJ"], lemma_=["un", "toux", "x", "sec"])
    doc.set_ents([Span(doc, 1, 2, label="SIGN")])
    set_tags(doc, "tag_", np.zeros(4, dtype=int), ["X"])
    assert [token.pos_ for token in doc] == ["DET", "NOUN", "SPACE", "ADJ"]
    assert [token.lemma_ for token in doc] == ["un", "toux", "x", "sec"]
    assert [(ent.start, ent.end) for ent in doc.ents] == [(1, 2)]


def test_an_empty_document_has_no_tags():
    doc = NLP.make_doc("")
    set_tags(doc, "tag_", np.zeros(0, dtype=int), ["X"])
    assert get_tags(doc, "tag_") == get_tags(doc, "_.level_test") == []
    assert tagged_text(doc) == ""


@pytest.mark.parametrize("attribute", ["tag_", "pos_", "_.level_test"])
def test_tags_of_words_are_none_for_blank_tokens(attribute):
    doc = make("une toux\nsèche")
    blank = [token.is_space for token in doc]
    assert blank == [False, False, True, False]
    set_tags(doc, attribute, np.array([int(x) for x in blank]), ["NOUN", "SPACE"])
    assert get_tags(doc, attribute) == ["SPACE" if x else "NOUN" for x in blank]
    assert get_word_tags(doc, attribute) == ["" if x else "NOUN" for x in blank]


def test_a_getter_and_a_setter_are_used():
    doc = make(tag_=["a", "b", "", "c"])
    assert get_tags(doc, "_.upper_test") == ["A", "B", "", "C"]
    set_tags(doc, "_.upper_test", np.array([0, -1, -1, 0]), ["x"])
    assert get_tags(doc, "tag_") == ["x", "", "", "x"]


def test_custom_tags_survive_bytes():
    doc = make()
    set_tags(doc, "_.level_test", np.array([0, 0, -1, 0]), ["low"])
    again = Doc(NLP.vocab).from_bytes(doc.to_bytes())
    assert get_tags(again, "_.level_test") == ["low", "low", "", "low"]


@pytest.mark.parametrize("attribute", ["tag", "level", "_.", "_.a b", "", "doc._.x"])
def test_other_attributes_are_refused(attribute):
    with pytest.raises(ValueError, match=r"expected 'tag_', 'pos_' or '_\.<name>' as the attr"):
        check_attribute(attribute)


def test_a_near_name_is_proposed():
    with pytest.raises(ValueError, match="Did you mean 'tag_'"):
        check_attribute("tag")


def test_pos_holds_universal_tags_only():
    with pytest.raises(ValueError, match=r"of Universal Dependencies only .* got NN, VBD; use the"):
        check_tags("pos_", ["NOUN", "VBD", "NN"])
    check_tags("tag_", ["NN"])


def test_an_attribute_that_nobody_declared_is_refused():
    with pytest.raises(ValueError, match=r"no attribute token\._\.nobody_set is declared"):
        get_tags(make(), "_.nobody_set")


def test_a_value_that_is_no_string_is_refused():
    doc = make()
    doc[1]._.level_test = 3
    with pytest.raises(ValueError, match=r"token\._\.level_test of token 1 is a int; tags are str"):
        get_tags(doc, "_.level_test")


def test_as_many_numbers_as_tokens_are_needed():
    with pytest.raises(ValueError, match=r"expected 4 numbers of tags, got an array \(3,\)"):
        set_tags(make(), "tag_", np.zeros(3, dtype=int), ["x"])


def test_tags_print_behind_words_a_line_a_line():
    doc = make("une toux\n\nsèche .", tag_=["DT", "NN", "", "", "JJ", ""])
    assert tagged_text(doc) == "une/DT toux/NN\nsèche/JJ ."


def test_tags_print_a_sentence_a_line():
    doc = Doc(NLP.vocab, words=["a", "b", "c"], sent_starts=[True, False, True], tags=["X"] * 3)
    assert tagged_text(doc) == "a/X b/X\nc/X"
