"""CoNLL columns by number, and columns that are attributes of tokens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Token

from edspipe.data.conll.columns import name_columns
from edspipe.data.conll.streams import read_conll, write_conll
from edspipe.doc.token_tags import get_tags
from edspipe.errors import DataError

ROWS = """\
Paul\tNNP\tx\tlow\tB-PER
tousse\tVBZ\ty\t_\tO
.\t.\tz\thigh\tO

# NN\tu\tlow\tO
"""
TABBED = ROWS.replace("# NN", "#\tNN")
MAP = {"text": 0, "tag_": 1, "_.level_col": 3, "ner": -1}

CONLLU = """\
# newdoc id = n1
# text = Il va au lit.
1\tIl\til\tPRON\tPRP\tNumber=Sing\t2\tnsubj\t_\t_
2\tva\taller\tVERB\tVBZ\t_\t0\troot\t_\t_
3-4\tau\t_\t_\t_\t_\t_\t_\t_\t_
3\tà\tà\tADP\tIN\t_\t5\tcase\t_\t_
4\tle\tle\tDET\tDT\t_\t5\tdet\t_\t_
5\tlit\tlit\tNOUN\tNN\t_\t2\tobl\t_\tSpaceAfter=No
5.1\tdort\tdormir\tVERB\tVB\t_\t_\t_\t2:conj\t_
6\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_

# newdoc id = n2
1\tToux\ttoux\tNOUN\tNN\t_\t0\troot\t_\t_

"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def read(path: Path, text: str, **options: Any) -> list[Any]:
    return list(read_conll(write(path, text), **options))


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_columns_are_found_by_their_numbers(tmp_path, separator):
    (doc,) = read(tmp_path / "a.tsv", TABBED.replace("\t", separator), columns=MAP)
    assert [token.text for token in doc if not token.is_space] == ["Paul", "tousse", ".", "#"]
    assert doc.text == "Paul tousse .\n#"
    assert get_tags(doc, "tag_") == ["NNP", "VBZ", ".", "", "NN"]
    assert get_tags(doc, "_.level_col") == ["low", "", "high", "", "low"]
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Paul", "PER")]


def test_a_list_of_names_says_the_same(tmp_path):
    names = ["text", "tag_", "other", "_.level_col", "ner"]
    (doc,) = read(tmp_path / "a.tsv", TABBED, columns=names)
    assert get_tags(doc, "_.level_col") == ["low", "", "high", "", "low"]
    assert get_tags(doc, "tag_") == ["NNP", "VBZ", ".", "", "NN"]


def test_the_names_of_attributes_set_them(tmp_path):
    columns = {"text": 0, "lemma_": 1, "pos_": 2, "tag_": 3, "morph": 4}
    row = "toux\ttousser\tNOUN\tNN\tNumber=Sing\n"
    ((token,),) = read(tmp_path / "a.tsv", row, columns=columns)
    found = (token.lemma_, token.pos_, token.tag_, str(token.morph))
    assert found == ("tousser", "NOUN", "NN", "Number=Sing")


def test_a_column_without_a_value_leaves_the_attribute(tmp_path):
    (doc,) = read(tmp_path / "a.tsv", TABBED, columns=MAP)
    assert doc[1]._.level_col is None


@pytest.mark.parametrize("by", ["document", "sentence"])
def test_what_is_read_by_numbers_is_written_again(tmp_path, by):
    docs = read(tmp_path / "a.tsv", TABBED, columns=MAP, by=by)
    write_conll(docs, tmp_path / "b.tsv", by=by)
    written = (tmp_path / "b.tsv").read_text()
    assert written.removeprefix("-DOCSTART- (a)\n\n") == f"{TABBED}\n"


def test_new_tags_are_written_and_other_columns_kept(tmp_path):
    (doc,) = read(tmp_path / "a.tsv", TABBED, columns=MAP, by="document")
    doc[0].tag_ = "NN"
    doc[0]._.level_col = None
    doc[1]._.level_col = "mid"
    write_conll([doc], tmp_path / "b.tsv", by="sentence")
    lines = (tmp_path / "b.tsv").read_text().splitlines()
    assert lines[:2] == ["Paul\tNN\tx\t_\tB-PER", "tousse\tVBZ\ty\tmid\tO"]


def test_columns_to_write_may_be_numbers_too(tmp_path):
    (doc,) = read(tmp_path / "a.tsv", TABBED, columns=MAP)
    write_conll([doc], tmp_path / "b.tsv", columns={"tag_": 0, "text": 1}, by="sentence")
    assert (tmp_path / "b.tsv").read_text().splitlines()[0] == "NNP\tPaul"


def test_an_attribute_that_nobody_declared_is_written_as_nothing(tmp_path):
    (doc,) = read(tmp_path / "a.tsv", "toux\n", columns=["text"])
    write_conll([doc], tmp_path / "b.tsv", columns=["text", "_.not_declared"], by="sentence")
    assert (tmp_path / "b.tsv").read_text() == "toux\t_\n\n"


def test_reading_declares_the_attribute(tmp_path):
    read(tmp_path / "a.tsv", "toux\tx\n", columns={"text": 0, "_.fresh_col": 1})
    assert Token.has_extension("fresh_col")


def test_conll_u_gives_words_tags_and_documents(tmp_path):
    first, second = read(tmp_path / "a.conllu", CONLLU)
    assert (first._.note_id, second._.note_id) == ("n1", "n2")
    assert first.text == "Il va à le lit."
    assert get_tags(first, "tag_") == ["PRP", "VBZ", "IN", "DT", "NN", "."]
    assert get_tags(first, "pos_") == ["PRON", "VERB", "ADP", "DET", "NOUN", "PUNCT"]
    assert [token.lemma_ for token in first][:2] == ["il", "aller"]
    write_conll([first, second], tmp_path / "b.conllu")
    assert (tmp_path / "b.conllu").read_text() == CONLLU


def test_conll_u_may_be_mapped_to_custom_attributes(tmp_path):
    columns = {"id": 0, "form": 1, "_.relation_col": 7, "misc": -1}
    doc, _ = read(tmp_path / "a.txt", CONLLU, columns=columns, suffixes=(".txt",))
    assert get_tags(doc, "_.relation_col") == ["nsubj", "root", "case", "det", "obl", "punct"]
    assert doc.text == "Il va à le lit."


def test_random_files_come_back(tmp_path):
    draw = random.Random(0)
    lines = []
    for _ in range(200):
        word = "".join(draw.choices("aé-#.5", k=draw.randint(1, 6)))
        lines.append("" if draw.random() < 0.2 else f"{word}\t{draw.choice('XYZ_')}")
    text = "\n\n".join(part for part in "\n".join(lines).split("\n\n") if part.strip())
    text = "\n".join(line for line in text.strip().split("\n")) + "\n\n"
    columns = {"text": 0, "_.level_col": 1}
    docs = read(tmp_path / "a.tsv", text, columns=columns, by="sentence")
    write_conll(docs, tmp_path / "b.tsv", by="sentence")
    assert (tmp_path / "b.tsv").read_text().split() == text.split()


# ---- what is wrong -----------------------------------------------------------------------------


def test_tags_that_are_not_universal_are_refused_in_pos_(tmp_path):
    message = r"a\.tsv:1: 2 words have a tag that token\.pos_ cannot hold .* name the column 'tag_'"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.tsv", "toux\tNN\nva\tVBZ\nx\tNOUN\n", columns={"text": 0, "pos_": 1})


def test_tags_of_upos_that_are_not_universal_are_counted(tmp_path):
    stream = read_conll(write(tmp_path / "a.tsv", "toux\tNN\nva\t_\n"), columns=["form", "upos"])
    iterator = iter(stream)
    (doc,) = iterator
    assert iterator.counts["unknown_pos"] == 1
    assert get_tags(doc, "pos_") == ["", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": 0, "tag_": 5}, r"a\.tsv:1: there is no column 5 for 'tag_': rows have 5 columns"),
        (
            {"text": 0, "tag_": -6},
            "there is no column -6 for 'tag_': rows have 5 columns, n",
        ),
        ({"text": 0, "ner": 4, "tag_": -1}, "'ner' and 'tag_' are both column 4 of a row"),
        ({"tag_": 1}, "no column holds the words: expected one named text, form, word, token"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.tsv", TABBED, columns=columns)


def test_an_empty_map_is_refused(tmp_path):
    path = write(tmp_path / "a.tsv", TABBED)
    with pytest.raises(ValueError, match=r"columns maps names to numbers .* got an empty map"):
        read_conll(path, columns={})
    with pytest.raises(ValueError, match=r"columns maps names to numbers .* got an empty map"):
        write_conll([], tmp_path / "b.tsv", columns={})


def test_a_file_without_words_has_as_many_columns_as_the_map_needs():
    assert name_columns({"text": 0, "tag_": 2}) == ["text", "column1", "tag_"]
    assert name_columns({"tag_": -1, "text": -3}) == ["text", "column1", "tag_"]


@pytest.mark.corpora
def test_a_corpus_of_tagged_sentences_is_read_and_written_back(corpora, tmp_path):
    path = corpora / "genia_pos" / "dev.tsv"
    docs = list(read_conll(path, columns={"text": 0, "tag_": 1}, by="sentence"))
    assert (len(docs), sum(map(len, docs))) == (2174, 52697)
    assert all(all(get_tags(doc, "tag_")) for doc in docs)
    write_conll(docs, tmp_path / "dev.tsv", by="sentence")
    assert (tmp_path / "dev.tsv").read_text().strip() == path.read_text().strip()
