"""DocBins: Docs come back from them, spaCy reads them, and damaged ones are refused."""

from __future__ import annotations

import gc
import io
import pickle
import random
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import srsly
from sink_support import write_all, write_broken
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin, Span, Token
from spacy.vocab import Vocab

import edspipe
from edspipe.data.docbin.format import load_docs, pack_doc
from edspipe.data.docbin.sink import DocBinSink
from edspipe.data.docbin.streams import DocBinFile, read_docbin, write_docbin
from edspipe.doc.attributes import declare_doc_attribute, declare_span_attribute
from edspipe.errors import DataError

NLP = edspipe.blank("eds")
declare_span_attribute("negated")
declare_span_attribute("codes")
declare_doc_attribute("age")


def doc_of(ident: str | None, text: str = "Pas de fièvre.\r\nToux  sèche 🙂") -> Doc:
    doc: Doc = NLP.make_doc(text)
    doc._.note_id = ident
    return doc


def full_doc(ident: str | None = "n1") -> Doc:
    """A Doc with all that is kept."""
    doc = doc_of(ident)
    doc._.age = 61
    doc.ents = [Span(doc, 2, 3, "sign", kb_id="K1", span_id="T1")]
    doc.spans["gold"] = [Span(doc, 0, 3, "a", span_id="1"), Span(doc, 0, 3, "a", span_id="2")]
    doc.spans["none"] = []
    doc.spans["gold"].attrs["source"] = "brat"
    first, second = doc.spans["gold"]
    first._.negated, second._.negated = True, False
    doc.ents[0]._.codes = [["MeSH", "D1", ""]]
    for token in doc:
        token.is_sent_start = token.i in (0, 5)
    doc[0].lemma_, doc[0].pos_, doc[0].tag_ = "pas", "ADV", "RB"
    doc.cats = {"flu": 0.5}
    doc.user_data["edspipe.extra"] = {"rows": [[1, "x", None]], "list": [{"a": []}]}
    return doc


def shape(doc: Doc) -> Any:
    groups = {"ents": doc.ents, **doc.spans}
    return {
        "text": doc.text,
        "tokens": [(t.text, t.whitespace_, t.lemma_, t.pos_, t.tag_) for t in doc],
        "starts": [token.is_sent_start for token in doc],
        "id": doc._.note_id,
        "age": doc._.age,
        "cats": doc.cats,
        "extra": doc.user_data.get("edspipe.extra"),
        "spans": {
            name: [
                (s.start, s.end, s.label_, s.kb_id_, s.id_, s._.negated, s._.codes) for s in spans
            ]
            for name, spans in groups.items()
        },
        "group": {name: dict(spans.attrs) for name, spans in doc.spans.items()},
    }


# ---- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["a.spacy", "folder"])
def test_docs_come_back_as_they_were(tmp_path, target):
    docs = [full_doc("n1"), doc_of("é/2", ""), doc_of("3", " \n")]
    report = write_docbin(docs, tmp_path / target)
    assert report.delivered == 3
    other = edspipe.blank("eds")
    again = list(read_docbin(tmp_path / target, tokenizer=other.tokenizer))
    assert [*map(shape, again)] == [*map(shape, docs)]
    assert all(doc.vocab is other.vocab for doc in again)


def test_spacy_reads_what_is_written(tmp_path):
    write_docbin([full_doc()], tmp_path / "a.spacy")
    (doc,) = DocBin().from_disk(tmp_path / "a.spacy").get_docs(Vocab())
    assert (doc.text, [ent.label_ for ent in doc.ents]) == (full_doc().text, ["sign"])
    assert [span.id_ for span in doc.spans["gold"]] == ["1", "2"]


@pytest.mark.parametrize("store_user_data", [True, False])
def test_what_spacy_writes_is_read(tmp_path, store_user_data):
    nlp = English()
    docs = [nlp("Fièvre et toux."), nlp("Rien.")]
    docs[0].ents = [Span(docs[0], 0, 1, "sign")]
    (tmp_path / "sub").mkdir()
    DocBin(docs=docs, store_user_data=store_user_data).to_disk(tmp_path / "sub/b.spacy")
    again = list(read_docbin(tmp_path))
    assert [doc.text for doc in again] == ["Fièvre et toux.", "Rien."]
    assert [doc._.note_id for doc in again] == ["sub/b-1", "sub/b-2"]
    assert [(ent.text, ent.label_) for ent in again[0].ents] == [("Fièvre", "sign")]


def test_attributes_that_were_not_declared_are_declared(tmp_path):
    doc = doc_of("n1")
    doc.spans["x"] = [Span(doc, 0, 1, "a"), Span(doc, 0, 1, "b"), Span(doc, 0, 2, "b")]
    begin, end = doc.spans["x"][0].start_char, doc.spans["x"][0].end_char
    doc.user_data[("._.", "docbin_doc", None, None)] = 1
    doc.user_data[("._.", "docbin_span", begin, end)] = "yes"
    doc.user_data[("._.", "docbin_token", 0, None)] = 2
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "a.spacy")
    (again,) = read_docbin(tmp_path / "a.spacy")
    assert again._.docbin_doc == 1
    assert [span._.docbin_span for span in again.spans["x"]] == ["yes", "yes", None]
    assert not Token.has_extension("docbin_token")


def test_attributes_that_somebody_declared_stay_where_they_are(tmp_path):
    Span.set_extension("docbin_native", default=None)
    try:
        doc = doc_of("n1")
        doc.ents = [Span(doc, 0, 1, "a")]
        doc.ents[0]._.docbin_native = 3
        write_docbin([doc], tmp_path / "a.spacy")
        (again,) = read_docbin(tmp_path / "a.spacy")
        assert again.ents[0]._.docbin_native == 3
        assert "edspipe.spans" not in again.user_data
    finally:
        Span.remove_extension("docbin_native")


def test_docs_without_id_get_one(tmp_path):
    write_docbin([doc_of(None), doc_of("x"), doc_of(None)], tmp_path / "a.spacy")
    ids = [doc._.note_id for doc in read_docbin(tmp_path / "a.spacy")]
    assert (ids[1], len(set(ids)), None in ids) == ("x", 3, False)


def test_two_docs_with_one_id_are_an_error(tmp_path):
    with pytest.raises(DataError, match="two records have this id"):
        write_docbin([doc_of("x"), doc_of("x")], tmp_path / "a.spacy")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_so_many_docs_a_part(tmp_path):
    stream = edspipe.Stream.from_items([doc_of(str(i)) for i in range(5)])
    stream.write_docbin(tmp_path / "a", docs_per_file=2)
    parts = sorted((tmp_path / "a").glob("*.spacy"))
    assert [path.name for path in parts] == [f"part-0000{i}.spacy" for i in range(3)]
    assert [len(DocBin().from_disk(path)) for path in parts] == [2, 2, 1]


@pytest.mark.parametrize("target", ["a.spacy", "folder"])
def test_docs_are_added(tmp_path, target):
    write_docbin([full_doc("1"), doc_of("2")], tmp_path / target, docs_per_file=1)
    write_docbin([doc_of("3")], tmp_path / target, overwrite="append", docs_per_file=1)
    again = list(read_docbin(tmp_path / target))
    assert [doc._.note_id for doc in again] == ["1", "2", "3"]
    assert shape(again[0]) == shape(full_doc("1"))
    with pytest.raises(DataError, match="1: two records have this id"):
        write_docbin([doc_of("1")], tmp_path / target, overwrite="append")


@pytest.mark.parametrize("target", ["a.spacy", "folder"])
def test_nothing_is_a_docbin_too(tmp_path, target):
    write_docbin([], tmp_path / target)
    assert list(read_docbin(tmp_path / target)) == []


@pytest.mark.parametrize("target", ["a.spacy", "folder"])
@pytest.mark.parametrize(
    ("commit_at", "break_at"), [(0, 1), (1, 1), (1, 4), (3, 5), (4, 5), (5, 5)]
)
def test_a_run_that_goes_on_writes_what_one_run_writes(tmp_path, target, commit_at, break_at):
    records = [
        {"note_id": str(i), "has_id": i % 2, "packed": pack_doc(doc_of(str(i) if i % 2 else None))}
        for i in range(5)
    ]

    def make() -> DocBinSink:
        return DocBinSink(target, docs_per_file=2)

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    write_all(make, folders[0] / "files", records)
    write_broken(make, folders[1] / "files", records, commit_at, break_at)
    one, two = ({p.name: p for p in (folder / "files").iterdir()} for folder in folders)
    assert sorted(one) == sorted(two)
    for name, path in one.items():
        assert [*map(shape, docs_of(two[name]))] == [*map(shape, docs_of(path))]


def docs_of(path: Path) -> list[Doc]:
    return list(load_docs(path.read_bytes(), NLP.vocab))


def test_journals_of_parts_that_are_committed_go(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    sink = DocBinSink("folder", docs_per_file=1)
    sink.open(folder, None, None)
    for i in range(6):
        sink.write({"note_id": str(i), "has_id": True, "packed": pack_doc(doc_of(str(i)))})
        sink.commit()
    sink.close()
    assert len(list(tmp_path.glob("*.waiting"))) == 2


def test_a_file_goes_on_from_a_position(tmp_path):
    write_docbin([doc_of(str(i)) for i in range(4)], tmp_path / "a.spacy")
    fragment = DocBinFile(str(tmp_path / "a.spacy"), "a", NLP.vocab)
    for start in range(5):
        assert [doc._.note_id for doc in fragment.read(start)] == [str(i) for i in range(start, 4)]


# ---- what cannot be written --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error"), [(object(), "TypeError"), ({1, 2}, "TypeError"), (1 << 70, "OverflowError")]
)
@pytest.mark.parametrize("where", ["user_data", "cats"])
def test_what_is_no_plain_data_is_an_error(tmp_path, where, value, error):
    doc = doc_of("n1")
    getattr(doc, where)["x"] = value
    message = rf"^n1: an attribute, user_data or cats hold what is no plain data, .*\({error}\)$"
    with pytest.raises(DataError, match=message):
        write_docbin([doc], tmp_path / "a.spacy")


def test_what_is_no_doc_is_refused():
    from edspipe.data.docbin.streams import _pack

    with pytest.raises(TypeError, match="write_docbin writes Docs, got a str"):
        _pack("Dupont")


def test_parts_have_docs(tmp_path):
    with pytest.raises(ValueError, match="docs_per_file is at least 1, got 0"):
        write_docbin([], tmp_path / "a", docs_per_file=0)


# ---- damaged and hostile files -----------------------------------------------------------------


class Evil:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return (io.open, ("/nonexistent/edspipe", "w"))


def bytes_of(**changes: Any) -> bytes:
    """The bytes of a DocBin, with some of its parts replaced."""
    message = srsly.msgpack_loads(
        zlib.decompress(DocBin(docs=[full_doc()], store_user_data=True).to_bytes())
    )
    return zlib.compress(srsly.msgpack_dumps({**message, **changes}))


def object_array() -> bytes:
    """An array of objects, in the way of msgpack_numpy, whose bytes are a pickle."""
    data = pickle.dumps([Evil()])
    return srsly.msgpack_dumps(
        {b"nd": True, b"type": "O", b"kind": b"O", b"shape": [1], b"data": data}
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Dupont",
        pickle.dumps(Evil()),
        zlib.compress(pickle.dumps(Evil())),
        zlib.compress(b"\xc1"),
        zlib.compress(srsly.msgpack_dumps([])),
        bytes_of(user_data=[object_array()]),
        bytes_of(user_data=[pickle.dumps(Evil())]),
        bytes_of(user_data=3),
        bytes_of(user_data=[b"\x01"]),
        bytes_of(cats=[]),
        bytes_of(cats=3),
        bytes_of(flags=[]),
        bytes_of(attrs=[]),
        bytes_of(attrs=[73]),
        bytes_of(lengths=np.asarray([-1], dtype="int32").tobytes()),
        bytes_of(lengths=np.asarray([1 << 20], dtype="int32").tobytes()),
        bytes_of(lengths=b"abc"),
        bytes_of(tokens=b"\0" * 8),
        bytes_of(spaces=b""),
        bytes_of(span_groups=[b"Dupont"]),
    ],
    ids=range(21),
)
def test_a_damaged_file_is_an_error_and_nothing_in_it_is_run(tmp_path, data):
    path = tmp_path / "a.spacy"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: .*DocBin") as caught:
        list(read_docbin(path))
    assert "Dupont" not in str(caught.value)
    assert gc.isenabled()


def test_spans_outside_their_document_are_an_error():
    doc = doc_of("n1", "a b c d e f")
    doc.spans["x"] = [Span(doc, 4, 6, "L")]
    doc_bin = DocBin(docs=[doc_of("n2", "a")], store_user_data=True)
    doc_bin.span_groups = [doc.spans.to_bytes()]
    with pytest.raises(DataError, match=r"a damaged one \(IndexError\)$"):
        list(load_docs(doc_bin.to_bytes(), Vocab()))


def test_words_without_their_strings_are_an_error():
    with pytest.raises(DataError, match=r"a damaged one \(KeyError\)$"):
        list(load_docs(bytes_of(strings=[]), Vocab()))


def test_entities_without_the_string_of_their_label_are_an_error():
    doc_bin = DocBin(docs=[full_doc()], store_user_data=True)
    doc_bin.strings.remove("sign")
    with pytest.raises(DataError, match=r"a damaged one \(ValueError\)$"):
        list(load_docs(doc_bin.to_bytes(), Vocab()))


def test_an_empty_word_is_an_error():
    doc_bin = DocBin(docs=[doc_of("n1", "a")], store_user_data=True)
    doc_bin.tokens = [np.zeros_like(doc_bin.tokens[0])]
    with pytest.raises(DataError, match="a damaged DocBin: an empty word"):
        list(load_docs(doc_bin.to_bytes(), Vocab()))


def test_a_damaged_file_is_skipped_and_counted_where_asked(tmp_path):
    write_docbin([doc_of("1")], tmp_path / "a.spacy", receipt=False)
    (tmp_path / "b.spacy").write_bytes(b"x")
    iterator = iter(read_docbin(tmp_path, on_error="skip"))
    assert [doc._.note_id for doc in iterator] == ["1"]
    assert iterator.counts["skipped"] == 1


def test_hostile_bytes_are_read_or_refused():
    data = zlib.decompress(bytes_of())
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        with suppress(DataError):
            for doc in load_docs(zlib.compress(bytes(damaged)), Vocab()):
                assert len(doc.text) >= len(doc)
                assert all(span.end <= len(doc) for group in doc.spans.values() for span in group)
