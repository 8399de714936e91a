"""CoNLL files: what is read, what is written, and that one gives the other back."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_support import tree, write_all, write_broken
from spacy.tokens import Doc, Span

import edspipe
from edspipe.data.conll.format import parse_document, split_documents
from edspipe.data.conll.streams import ConllFile, ConllSink, read_conll, write_conll
from edspipe.data.converters.conll import ConllConverter
from edspipe.errors import DataError

NLP = edspipe.blank("eds")

PLAIN = """\
-DOCSTART- -X- O O

Paul NNP B-NP B-PER
Durand NNP I-NP I-PER
tousse VBZ B-VP O

# NN B-NP O
Lyon NNP B-NP B-LOC
. . O O

-DOCSTART- (note 2)

Rien UH O O
"""
COLUMNS = ["text", "pos", "chunk", "ner"]

PLUS = """\
# global.columns = ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC LOCAL:NER
# newdoc id = a/1
# sent_id = s1
# text = Il va au lit.
1\tIl\til\tPRON\t_\tNumber=Sing|Gender=Masc\t2\tnsubj\t_\t_\tO
2\tva\taller\tVERB\t_\t_\t0\troot\t_\t_\tO
3-4\tau\t_\t_\t_\t_\t_\t_\t_\t_\t_
3\tà\tà\tADP\t_\t_\t5\tcase\t_\t_\tO
4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_\tO
5\tlit\tlit\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No\tB-place
5.1\tdort\tdormir\tVERB\t_\t_\t_\t_\t2:conj\t_\t_
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\tO

# newpar
# sent_id = s2
# text = Dr. Roy dort.
1\tDr.\tdr\tNOUN\t_\t_\t3\tnsubj\t_\t_\tO
2\tRoy\tRoy\tPROPN\t_\t_\t1\tflat\t_\t_\tO
3\tdort\tdormir\tVERB\t_\t_\t0\troot\t_\t_\tO
4\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\t_\tO

"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def records_of(text: str | bytes, columns: Iterable[str], by: str = "document") -> list[Any]:
    data = text.encode() if isinstance(text, str) else text
    raws = split_documents(BytesIO(data), "x.conll", "x", by)
    return [parse_document(raw, raw.columns or list(columns)) for raw in raws]


def lines_of(docs: Iterable[Doc], folder: Path, **kwargs: Any) -> bytes:
    """What is written of Docs."""
    target = folder / "written" / kwargs.pop("name", "x.conll")
    write_conll(docs, target, overwrite=True, **kwargs)
    return target.read_bytes()


def shape(doc: Doc) -> Any:
    return (
        doc.text,
        doc._.note_id,
        [(token.text, token.tag_, token.pos_, token.lemma_, str(token.morph)) for token in doc],
        [(sent.start, sent.end) for sent in doc.sents] if len(doc) else [],
        [(ent.start, ent.end, ent.label_) for ent in doc.ents],
        doc.user_data.get("edspipe.conll"),
    )


# ---- reading -----------------------------------------------------------------------------------


def test_a_file_in_the_way_of_conll_2003_becomes_docs(tmp_path):
    docs = list(read_conll(write(tmp_path / "n.conll", PLAIN), columns=COLUMNS))
    assert [doc._.note_id for doc in docs] == ["n-1", "note 2"]
    assert [doc.text for doc in docs] == ["Paul Durand tousse\n# Lyon .", "Rien"]
    assert [(ent.text, ent.label_) for ent in docs[0].ents] == [
        ("Paul Durand", "PER"),
        ("Lyon", "LOC"),
    ]
    assert [sent.text for sent in docs[0].sents] == ["Paul Durand tousse\n", "# Lyon ."]
    assert [token.tag_ for token in docs[0]] == ["NNP", "NNP", "VBZ", "", "NN", "NNP", "."]


def test_a_file_in_the_way_of_conll_u_plus_becomes_a_doc(tmp_path):
    stream = read_conll(write(tmp_path / "n.conllup", PLUS))
    iterator = iter(stream)
    (doc,) = iterator
    assert doc._.note_id == "a/1"
    assert doc.text == "Il va à le lit.\nDr. Roy dort."
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("lit", "place")]
    assert (doc[1].lemma_, doc[1].pos_) == ("aller", "VERB")
    assert str(doc[0].morph) == "Gender=Masc|Number=Sing"
    assert iterator.counts["text_differs"] == 1


def test_the_columns_of_conll_u_need_no_naming(tmp_path):
    line = "1\tToux\ttoux\tNOUN\t_\t_\t0\troot\t_\t_\n"
    (doc,) = read_conll(write(tmp_path / "a.conllu", line))
    assert (doc.text, doc[0].pos_, doc._.note_id) == ("Toux", "NOUN", "a")


@pytest.mark.parametrize("scheme", ["B-X I-X O", "I-X I-X O", "B-X E-X O", "B-X L-X O"])
def test_all_schemes_are_read(tmp_path, scheme):
    rows = "".join(f"{word} {tag}\n" for word, tag in zip("abc", scheme.split(), strict=True))
    (doc,) = read_conll(write(tmp_path / "a.conll", rows), columns=["text", "ner"])
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(0, 2, "X")]


@pytest.mark.parametrize(("scheme", "invalid"), [(None, 1), ("bio", 1), ("iob1", None)])
def test_invalid_tags_are_counted_by_the_scheme(tmp_path, scheme, invalid):
    path = write(tmp_path / "a.conll", "a I-X\nb O\n\nc B-X\n" if scheme != "iob1" else "a I-X\n")
    iterator = iter(read_conll(path, columns=["text", "ner"], scheme=scheme))
    list(iterator)
    assert iterator.counts.get("invalid_tags") == invalid


def test_tags_do_not_go_on_in_the_next_sentence(tmp_path):
    path = write(tmp_path / "a.conll", "a B-X\n\nb I-X\n")
    (doc,) = read_conll(path, columns=["text", "ner"])
    assert [ent.text for ent in doc.ents] == ["a", "b"]


def test_tags_without_a_label_get_one(tmp_path):
    path = write(tmp_path / "a.conll", "a B\nb I\nc O\n")
    (doc,) = read_conll(path, columns=["text", "ner"], default_label="gene")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("a b", "gene")]


def test_spans_go_where_the_setter_says(tmp_path):
    path = write(tmp_path / "a.conll", "a X-1 B-X\n")
    kwargs = {"columns": ["word", "nothing", "label"], "tag_column": "label"}
    (doc,) = read_conll(path, span_setter="gold", **kwargs)
    assert ([span.label_ for span in doc.spans["gold"]], doc.ents) == (["X"], ())


def test_a_doc_a_sentence(tmp_path):
    docs = list(read_conll(write(tmp_path / "n.txt", PLAIN), columns=COLUMNS, by="sentence"))
    assert [doc.text for doc in docs] == ["Paul Durand tousse", "# Lyon .", "Rien"]
    assert [doc._.note_id for doc in docs] == ["n-1", "n-2", "n-3"]


def test_a_sentence_has_the_id_that_it_has_in_the_file(tmp_path):
    docs = read_conll(write(tmp_path / "n.conllup", PLUS), by="sentence")
    assert [doc._.note_id for doc in docs] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("\n \n\t\n", []),
        ("a O\n", ["x"]),
        ("\ufeffa O\r\n\r\n\r\nb O\r\n", ["x"]),
        ("-DOCSTART- O\na O\n-DOCSTART- O\nb O", ["x-1", "x-2"]),
        ("a O\n\n-DOCSTART- O\n\nb O\n", ["x-1", "x-2"]),
        ("-DOCSTART- (1 é)\n\n-DOCSTART-\n", ["1 é", "x-2"]),
        ("# newdoc id = a b \na O\n\n# newdoc\nb O\n", ["a b", "x-2"]),
        ("# a = 1\n# newdoc id = z\na O\n", ["z"]),
        ("# global.columns = text ner\n\na O\n", ["x"]),
    ],
)
def test_documents_begin_at_their_marks(text, ids):
    assert [record["note_id"] for record in records_of(text, ["text", "ner"])] == ids


@pytest.mark.parametrize("mark", ["-DOCSTART- (b)\n\n", "# newdoc id = b\n"])
def test_an_empty_document_is_a_document(tmp_path, mark):
    docs = list(read_conll(write(tmp_path / "a.conll", f"{mark}\n"), columns=["text", "ner"]))
    assert [(len(doc), doc._.note_id) for doc in docs] == [(0, "b")]


@pytest.mark.parametrize(
    ("line", "is_comment"),
    [
        ("# text = a b c", True),
        ("# a = b", True),
        ("#a=b", True),
        ("#", True),
        ("# NN B", False),
        ("#\tNN\tB", False),
    ],
)
def test_a_number_sign_is_a_word_where_it_has_all_columns(line, is_comment):
    (record,) = records_of(f"{line}\nx y z\n", ["text", "pos", "ner"])
    (sentence,) = record["sentences"]
    assert (sentence["comments"], len(sentence["rows"])) == (([line], 1) if is_comment else ([], 2))


def test_blanks_of_unicode_are_part_of_a_word():
    (record,) = records_of("10\u00a0000 O\n\u2028x\u0085 O\n", ["text", "ner"])
    assert [row[0] for row in record["sentences"][0]["rows"]] == ["10\u00a0000", "\u2028x\u0085"]


@pytest.mark.parametrize(
    ("misc", "text"),
    [
        (["_", "_"], "a b"),
        (["SpaceAfter=No", "_"], "ab"),
        (["Gloss=x|SpaceAfter=No", "SpaceAfter=No"], "ab"),
        ([r"SpacesAfter=\s\s", "_"], "a  b"),
        ([r"SpacesAfter=\n", r"SpacesAfter=\r\n\t"], "a\nb\r\n\t"),
        ([r"SpacesBefore=\s\n|SpaceAfter=No", r"SpacesAfter=\s"], " \nab "),
        ([r"SpacesAfter=x", "_"], "a b"),
    ],
)
def test_misc_says_what_stands_between_words(misc, text):
    rows = [["1", "a", misc[0]], ["2", "b", misc[1]]]
    record = {"columns": ["ID", "FORM", "MISC"], "sentences": [{"comments": [], "rows": rows}]}
    assert ConllConverter(NLP.tokenizer).to_doc(record).text == text


def test_a_column_says_what_stands_between_words():
    rows = [["a", "No"], ["b", "Yes"], ["c", "Yes"]]
    sentences = [{"comments": [], "rows": rows}, {"comments": [], "rows": rows}]
    record = {"columns": ["text", "space_after"], "sentences": sentences}
    assert ConllConverter(NLP.tokenizer).to_doc(record).text == "ab c\nab c"


@pytest.mark.parametrize(
    ("comment", "text", "differs"),
    [
        ("# text = ab c", "ab c", 0),
        ("# text = abc", "abc", 0),
        ("# text = a  b c", "a b c", 1),
        ("# text = a b", "a b c", 1),
        ("# text = a b c d", "a b c", 1),
        ("# text_en = abc", "a b c", 0),
    ],
)
def test_the_text_of_a_comment_counts_where_it_fits(comment, text, differs):
    sentence = {"comments": [comment], "rows": [["a"], ["b"], ["c"]]}
    doc, counts = ConllConverter().read({"columns": ["text"], "sentences": [sentence]})
    assert (doc.text, counts["text_differs"]) == (text, differs)


def test_space_behind_a_range_is_that_behind_its_last_word():
    rows = [["1-2", "du", "SpaceAfter=No"], ["1", "de", "_"], ["2", "le", "_"], ["3", ".", "_"]]
    record = {"columns": ["ID", "FORM", "MISC"], "sentences": [{"comments": [], "rows": rows}]}
    assert ConllConverter(NLP.tokenizer).to_doc(record).text == "de le."


def test_a_packed_file_and_a_folder_are_read(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.conll.gz").write_bytes(gzip.compress(b"b O\n"))
    write(tmp_path / "a.iob", "a O\n")
    write(tmp_path / "c.txt", "c\n")
    docs = read_conll(tmp_path, columns=["text", "ner"])
    assert [doc._.note_id for doc in docs] == ["a", "sub/b"]


def test_a_file_goes_on_from_a_position(tmp_path):
    text = "".join(f"-DOCSTART- ({i})\n\nw{i} O\n\n" for i in range(5))
    fragment = ConllFile(str(write(tmp_path / "a.conll", text)), "a", "document")
    everything = list(fragment.read())
    assert len(everything) == 5
    for start in range(6):
        assert list(fragment.read(start)) == everything[start:]


def test_records_are_read_without_a_converter(tmp_path):
    path = write(tmp_path / "a.conll", "a O\n")
    (record,) = read_conll(path, columns=["text", "ner"], converter=None)
    assert record == {
        "note_id": "a",
        "columns": ["text", "ner"],
        "sentences": [{"comments": [], "rows": [["a", "O"]]}],
    }
    assert list(read_conll(path, columns=["text"] * 2, converter=len)) == [3]


@pytest.mark.parametrize("feats", ["Number", "=", "Number=Sing|", "a=b=c"])
def test_features_and_tags_that_are_none_are_kept_for_writing_alone(tmp_path, feats):
    row = f"1\tToux\t_\tNAME\t_\t{feats}\t_\t_\t_\t_"
    (doc,) = read_conll(write(tmp_path / "a.conllu", f"{row}\n"))
    assert (str(doc[0].morph), doc[0].pos_) == ("", "")
    assert row in lines_of([doc], tmp_path, name="a.conllu").decode().splitlines()


def test_a_message_names_some_columns_only(tmp_path):
    columns = ["text", *(f"c{i}" for i in range(100))]
    with pytest.raises(DataError, match=r"expected 101 columns \(text, .*, c14, \.\.\.\), got 1$"):
        list(read_conll(write(tmp_path / "a.conll", "x\n"), columns=columns))


# ---- bad files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"Dupont NNP", r"3: expected 3 columns \(text, pos, ner\), got 2"),
        (b"#Dupont\tNNP", r"3: expected 3 columns \(text, pos, ner\), got 2"),
        (b"\tDupont\tO", "3: the column 'text' is empty"),
        (b"Dupont \xe9 O", "3: not UTF-8 at byte 7"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, line, message):
    path = tmp_path / "a.conll"
    path.write_bytes(b"a b O\n\n" + line + b"\nc d O\n")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:{message}$") as caught:
        list(read_conll(path, columns=["text", "pos", "ner"]))
    assert "Dupont" not in str(caught.value)


def test_an_id_that_is_none_is_named_by_its_line(tmp_path):
    path = write(tmp_path / "a.conllu", "1-x" + "\ta" * 9 + "\n")
    message = "a.conllu:1: expected an id such as 3, 3-4 or 3.1 in the first column"
    with pytest.raises(DataError, match=message):
        list(read_conll(path))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, r"a.conll:1: which columns are these\? pass columns=\['text', ..., 'ner'\]"),
        ({"columns": ["a", "b"]}, "a.conll:1: no column holds the words: expected one named text"),
        (
            {"columns": ["text", "b"], "tag_column": "c"},
            "a.conll:1: no column 'c' for the tags among text, b; pass tag_column= or columns=",
        ),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, kwargs, message):
    path = write(tmp_path / "a.conll", "a O\n")
    with pytest.raises(DataError, match=message):
        list(read_conll(path, **kwargs))


def test_a_bad_document_is_skipped_and_counted_where_asked(tmp_path):
    text = "-DOCSTART-\n\na O\n\n-DOCSTART-\n\nb\n\n-DOCSTART-\n\nc O\n"
    stream = read_conll(write(tmp_path / "a.conll", text), columns=["text", "ner"], on_error="skip")
    iterator = iter(stream)
    assert [doc.text for doc in iterator] == ["a", "c"]
    assert iterator.counts["skipped"] == 1


@pytest.mark.parametrize("record", [None, "Dupont", {}, {"columns": ["text"]}])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(DataError, match=r'expected a record \{"note_id", "columns", "sentences"'):
        ConllConverter().to_doc(record)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"by": "page"}, "by is 'document' or 'sentence', got 'page'"),
        ({"on_error": "ignore"}, "on_error is 'raise'"),
        ({"scheme": "iob3"}, "scheme is one of bio, iob1, bioes, bioul; got 'iob3'"),
        ({"on_overlap": "first"}, "on_overlap is 'raise' or 'longest', got 'first'"),
    ],
)
def test_unknown_choices_are_refused_when_reading(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        read_conll(write(tmp_path / "a.conll", ""), **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"by": "page"}, "by is 'document' or 'sentence', got 'page'"),
        ({"separator": ","}, "separator is a tab or a blank, got ','"),
    ],
)
def test_unknown_choices_are_refused_when_writing(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        write_conll([], tmp_path / "a.conll", **kwargs)


# ---- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "name"), [(PLAIN, "a.conll"), (PLUS, "a.conllup")])
def test_what_was_read_is_written_and_read_alike(tmp_path, text, name):
    columns = COLUMNS if text is PLAIN else None
    first = list(read_conll(write(tmp_path / name, text), columns=columns))
    written = lines_of(first, tmp_path, name=name)
    (tmp_path / name).write_bytes(written)
    again = list(read_conll(tmp_path / name, columns=columns))
    assert [*map(shape, again)] == [*map(shape, first)]
    assert lines_of(again, tmp_path, name=name) == written


def test_conll_u_plus_comes_back_byte_for_byte(tmp_path):
    (doc,) = read_conll(write(tmp_path / "a.conllup", PLUS))
    assert lines_of([doc], tmp_path, name="b.conllup").decode() == PLUS


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes", "bioul"])
def test_tags_come_back_in_their_scheme(tmp_path, scheme):
    tags = {"bio": "BI", "iob1": "II", "bioes": "BE", "bioul": "BL"}[scheme]
    text = f"-DOCSTART- (a)\n\na\t{tags[0]}-X\nb\t{tags[1]}-X\n\n"
    path = write(tmp_path / "a.conll", text)
    docs = read_conll(path, columns=["text", "ner"], scheme=scheme)
    assert lines_of(docs, tmp_path, scheme=scheme).decode() == text


def test_what_the_doc_says_now_is_written(tmp_path):
    (doc,) = read_conll(write(tmp_path / "a.conllup", PLUS))
    doc.ents = [Span(doc, 0, 1, label="who")]
    doc[1].lemma_, doc[0].pos_ = "andare", "NOUN"
    doc[0].set_morph("Number=Plur")
    lines = lines_of([doc], tmp_path).decode().splitlines()
    assert lines[4] == "1\tIl\til\tNOUN\t_\tNumber=Plur\t2\tnsubj\t_\t_\tB-who"
    assert lines[5].startswith("2\tva\tandare\tVERB")
    assert lines[9] == "5\tlit\tlit\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No\tO"


def test_a_column_can_be_added_to_what_was_read(tmp_path):
    (doc,) = read_conll(write(tmp_path / "a.conll", "a DT\n"), columns=["text", "pos"])
    doc.ents = [Span(doc, 0, 1, label="X")]
    text = lines_of([doc], tmp_path, columns=["text", "pos", "ner"]).decode()
    assert text == "-DOCSTART- (a)\n\na\tDT\tB-X\n\n"


def test_columns_can_be_left_out_of_what_was_read(tmp_path):
    (doc,) = read_conll(write(tmp_path / "a.conllup", PLUS))
    text = lines_of([doc], tmp_path, columns=["form", "ner"]).decode()
    assert text.startswith("-DOCSTART- (a/1)\n\nIl\tO\nva\tO\nà\tO\nle\tO\nlit\tB-place\n.\tO\n\n")
    assert "#" not in text


def test_columns_of_one_name_or_kind_keep_their_own_fields(tmp_path):
    columns = ["text", "_", "_", "pos", "xpos", "word", "ner"]
    row = "a\t1\t2\tDT\tART\tb\tO"
    (doc,) = read_conll(write(tmp_path / "a.conll", f"{row}\n"), columns=columns)
    assert doc[0].tag_ == "DT"
    assert row in lines_of([doc], tmp_path).decode().splitlines()


def test_an_id_with_a_line_end_is_no_comment(tmp_path):
    doc = doc_of("a")
    doc._.note_id = "a\nb"
    text = lines_of([doc], tmp_path, name="a.conllu", by="sentence").decode()
    assert text.splitlines()[0] == "# text = a"


def test_a_doc_of_which_words_have_changed_is_written_anew(tmp_path):
    (doc,) = read_conll(write(tmp_path / "a.conllup", PLUS))
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[2:4])
    lines = lines_of([doc], tmp_path).decode().splitlines()
    assert [line.split("\t")[:2] for line in lines[4:9]] == [
        ["1", "Il"],
        ["2", "va"],
        ["3", "à le"],
        ["4", "lit"],
        ["5", "."],
    ]


def doc_of(text: str, *starts: int) -> Doc:
    doc: Doc = NLP.make_doc(text)
    doc._.note_id = "n1"
    for token in doc:
        token.is_sent_start = token.i in (0, *starts)
    return doc


TEXTS = ["", " ", "a", " a", "a\n", "a b. c\n\n d\r\n\te  f|\\ g", "\n\n", "été (x)\u00a0y\u2028z"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["a.conllu", "a.conllup"])
def test_any_text_comes_back_exactly_from_columns_with_misc(tmp_path, text, name):
    doc = doc_of(text, 3, 5)
    (tmp_path / name).write_bytes(lines_of([doc], tmp_path, name=name))
    (again,) = read_conll(tmp_path / name)
    blank = not text.strip()
    assert (again.text, again._.note_id) == ("" if blank else text, "n1")


@given(text=st.text(alphabet="ab. \n\r\t\\|#-é\u00a0\u2028\x1c_\"'", max_size=30), data=st.data())
def test_texts_and_spans_come_back_through_a_record(text, data):
    doc = doc_of(text, *data.draw(st.lists(st.integers(1, 10))))
    words = [token.i for token in doc if not token.is_space]
    if words:
        start = data.draw(st.sampled_from(words))
        doc.ents = [Span(doc, start, start + 1, label="X")]
    converter = ConllConverter(NLP.tokenizer, columns=["ID", "FORM", "MISC", "ner"])
    record = converter.to_record(doc)
    again = converter.to_doc(record)
    assert again.text == (text if words else "")
    assert [(e.start_char, e.end_char, e.label_) for e in again.ents] == [
        (e.start_char, e.end_char, e.label_) for e in doc.ents
    ]
    assert converter.to_record(again) == record


def test_spans_over_blanks_within_a_sentence_come_back(tmp_path):
    doc = doc_of("une  toux")
    doc.ents = [Span(doc, 0, len(doc), label="X")]
    (tmp_path / "a.conllup").write_bytes(lines_of([doc], tmp_path, name="a.conllup"))
    (again,) = read_conll(tmp_path / "a.conllup")
    assert [(ent.text, ent.label_) for ent in again.ents] == [("une  toux", "X")]


def test_plain_columns_keep_words_and_sentences(tmp_path):
    doc = doc_of("Toux.  Fin", 3)
    doc.ents = [Span(doc, 0, 1, label="sign")]
    text = lines_of([doc], tmp_path).decode()
    assert text == "-DOCSTART- (n1)\n\nToux\tB-sign\n.\tO\n\nFin\tO\n\n"


def test_sentences_are_written_without_marks(tmp_path):
    text = lines_of([doc_of("a"), doc_of("b")], tmp_path, by="sentence", separator=" ").decode()
    assert text == "a O\n\nb O\n\n"


def test_text_and_sentence_ids_are_written_as_comments_of_conll_u(tmp_path):
    lines = lines_of([doc_of("Toux. Fin", 2)], tmp_path, name="a.conllu").decode().splitlines()
    assert lines[:3] == ["# newdoc id = n1", "# sent_id = n1-1", "# text = Toux."]
    assert lines[3] == "1\tToux\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No"
    assert lines[6:8] == ["# sent_id = n1-2", "# text = Fin"]


# ---- what cannot be written --------------------------------------------------------------------


def overlapping() -> Doc:
    doc = doc_of("a b c d", 2)
    doc.spans["x"] = [Span(doc, 0, 2, "L"), Span(doc, 1, 2, "M"), Span(doc, 1, 3, "N")]
    return doc


def test_overlapping_spans_are_an_error():
    converter = ConllConverter(NLP.tokenizer, span_getter="x")
    message = "^n1: 3 spans overlap or are empty, and a word has one tag: pass another span_getter"
    with pytest.raises(DataError, match=message):
        converter.to_record(overlapping())


def test_a_span_over_the_end_of_a_sentence_is_an_error():
    doc = overlapping()
    doc.spans["x"] = [Span(doc, 1, 3, "N")]
    message = "^n1: the span of words 1 to 3 is blank or crosses the end of a sentence, and a word"
    with pytest.raises(DataError, match=message):
        ConllConverter(NLP.tokenizer, span_getter="x").to_record(doc)


def test_spans_without_a_place_are_left_out_and_counted_where_asked():
    converter = ConllConverter(NLP.tokenizer, span_getter="x", on_overlap="longest")
    doc = overlapping()
    doc.spans["x"] = [*doc.spans["x"], Span(doc, 2, 3, "N")]
    record, counts = converter.write(doc)
    assert counts["spans_left_out"] == 2
    assert [row[1] for part in record["sentences"] for row in part["rows"]] == [
        *("B-L", "I-L", "B-N", "O")
    ]


def test_spans_without_a_column_are_counted():
    doc = doc_of("a")
    doc.ents = [Span(doc, 0, 1, "L")]
    _, counts = ConllConverter(NLP.tokenizer, columns=["text"]).write(doc)
    assert counts == {"spans_left_out": 1}


@pytest.mark.parametrize(("separator", "label"), [(" ", "heart failure"), ("\t", "a\tb")])
def test_a_field_that_holds_the_separator_is_an_error(tmp_path, separator, label):
    doc = doc_of("Dupont")
    doc.ents = [Span(doc, 0, 1, label)]
    message = "^n1: sentence 1, row 1: a field holds a blank, a tab or a line end, which cannot"
    with pytest.raises(DataError, match=message) as caught:
        lines_of([doc], tmp_path, separator=separator)
    assert "Dupont" not in str(caught.value)


def test_an_id_with_a_line_end_is_an_error(tmp_path):
    doc = doc_of("a")
    doc._.note_id = "a\nb"
    with pytest.raises(DataError, match="an id with a line end cannot be written"):
        lines_of([doc], tmp_path)


# ---- the sink ----------------------------------------------------------------------------------


def entry(ident: str, columns: tuple[str, ...] = ("text", "ner")) -> dict[str, Any]:
    return {"note_id": ident, "columns": list(columns), "lines": f"w{ident}\tO\n\n"}


def opened(folder: Path, old: Path | None = None) -> ConllSink:
    sink = ConllSink("x.conll")
    sink.open(folder, old, None)
    return sink


@pytest.mark.parametrize("name", ["x.conll", "x.conllup.gz"])
@pytest.mark.parametrize(("commit_at", "break_at"), [(0, 0), (0, 2), (1, 3), (4, 4)])
def test_a_run_that_goes_on_writes_what_one_run_writes(tmp_path, name, commit_at, break_at):
    columns = ("text", "ner") if name == "x.conll" else ("ID", "FORM")
    records = [entry(str(i), columns) for i in range(4)]
    unpack = gzip.decompress if name.endswith(".gz") else bytes
    write_all(lambda: ConllSink(name), tmp_path / "one", records)
    write_broken(lambda: ConllSink(name), tmp_path / "two", records, commit_at, break_at)
    one, two = tree(tmp_path / "one")["data"], tree(tmp_path / "two")["data"]
    assert unpack(one) == unpack(two)


def test_a_report_says_what_was_left_out(tmp_path):
    doc = overlapping()
    kwargs = {"span_getter": "x", "on_overlap": "longest"}
    report = write_conll([doc], tmp_path / "a.conll", **kwargs)
    assert (report.delivered, report["spans_left_out"]) == (1, 2)


def test_documents_are_added_to_a_file(tmp_path):
    path = write(tmp_path / "a.conll", "-DOCSTART- (a)\n\nx\tO")
    doc = doc_of("y")
    edspipe.Stream.from_items([doc]).write_conll(path, overwrite="append")
    assert path.read_text() == "-DOCSTART- (a)\n\nx\tO\n\n-DOCSTART- (n1)\n\ny\tO\n\n"
    with pytest.raises(DataError, match="n1"):
        write_conll([doc], path, overwrite="append")


def test_an_old_file_is_taken_over_and_its_ids_are_known(tmp_path):
    old = write(tmp_path / "old.conll", "-DOCSTART- (a)\n\nx O\n-DOCSTART-\n\ny O")
    sink = opened(tmp_path, old=old)
    assert list(sink.old_ids()) == ["a", "old.conll-2"]
    sink.write(entry("1"))
    sink.close()
    records = records_of((tmp_path / "data").read_bytes(), ["text", "ner"])
    assert [record["note_id"] for record in records] == ["a", "x-2", "1"]


def test_documents_with_other_columns_are_an_error(tmp_path):
    sink = opened(tmp_path)
    sink.write(entry("1"))
    message = "^2: expected the columns text, ner of the documents before, got text: pass columns="
    with pytest.raises(DataError, match=message):
        sink.write(entry("2", ("text",)))
    sink.abort()


def test_the_columns_of_an_old_file_count(tmp_path):
    old = write(tmp_path / "old.conllup", "# global.columns = ID FORM\n1\ta\n")
    sink = opened(tmp_path, old=old)
    with pytest.raises(DataError, match="expected the columns ID, FORM of the documents before"):
        sink.write(entry("2"))
    sink.abort()
