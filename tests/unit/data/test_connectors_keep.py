"""What CoNLL files, marked-up texts and DocBins keep of a Doc, and what they lose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.doc.attributes import declare_doc_attribute, declare_span_attribute

TEXT = "Pas de fièvre.\r\nToux  sèche 🙂\n"
NLP = edspipe.blank("eds")
declare_span_attribute("negated")
declare_doc_attribute("age")
KEPT_BY = {
    "conll": {"id", "ents", "words"},
    "conllu": {"id", "text", "words"},
    "conllup": {"id", "text", "ents", "words"},
    "markup": {"id", "text", "ents", "spans", "attributes"},
    "docbin": {"id", "text", "ents", "words", "spans", "groups", "ids", "attributes", "document"},
}


def full_doc() -> Doc:
    doc: Doc = NLP.make_doc(TEXT)
    # words that no tokenizer makes
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    doc._.note_id, doc._.age = "a/1", 61
    doc.ents = [Span(doc, 1, 2, "sign", span_id="T1")]
    doc.spans["wide"] = [Span(doc, 0, 2, "phrase", span_id="T2")]
    doc.ents[0]._.negated = True
    return doc


def facts(doc: Doc) -> dict[str, Any]:
    groups = {"ents": doc.ents, **doc.spans}
    every = {(span.text, span.label_): span for spans in groups.values() for span in spans}.values()
    return {
        "id": doc._.note_id,
        "text": doc.text,
        "words": [token.text for token in doc if not token.is_space],
        "ents": [(ent.text, ent.label_) for ent in groups["ents"] if ent.label_ == "sign"],
        "spans": {(span.text, span.label_) for span in every},
        "groups": {name: len(spans) for name, spans in groups.items()},
        "ids": {span.id_ for span in every},
        "attributes": [span._.negated for span in every if span.label_ == "sign"],
        "document": doc._.age,
    }


def through_conll(suffix: str) -> Callable[[Path, Iterable[Doc]], Iterable[Doc]]:
    def through(folder: Path, docs: Iterable[Doc]) -> Iterable[Doc]:
        path = folder / f"a.{suffix}"
        edspipe.data.write_conll(docs, path)
        columns = ["text", "ner"] if suffix == "conll" else None
        return edspipe.data.read_conll(path, columns=columns)

    return through


def through_markup(folder: Path, docs: Iterable[Doc]) -> Iterable[Doc]:
    edspipe.data.write_json(docs, folder / "a.jsonl", converter="markup")
    return edspipe.data.read_json(folder / "a.jsonl", converter="markup", span_setter=Both())


def through_docbin(folder: Path, docs: Iterable[Doc]) -> Iterable[Doc]:
    edspipe.data.write_docbin(docs, folder / "a")
    return edspipe.data.read_docbin(folder / "a")


class Both:
    """Puts all spans into one group, and those that were entities into `doc.ents` too."""

    def __call__(self, doc: Doc, spans: list[Span]) -> None:
        doc.spans["all"] = spans
        doc.ents = [span for span in spans if span.label_ == "sign"]


THROUGH = {
    **{suffix: through_conll(suffix) for suffix in ("conll", "conllu", "conllup")},
    "markup": through_markup,
    "docbin": through_docbin,
}


@pytest.mark.parametrize("name", KEPT_BY)
def test_what_is_kept_and_what_is_lost(tmp_path, name):
    doc = full_doc()
    (again,) = THROUGH[name](tmp_path, [doc])
    before, after = facts(doc), facts(again)
    assert {what for what in before if before[what] == after[what]} == KEPT_BY[name]


@pytest.mark.parametrize("name", ["conllup", "docbin"])
def test_workers_write_and_read_the_same(tmp_path, name):
    docs = []
    for i in range(20):
        doc = full_doc()
        doc._.note_id = f"n{i}"
        docs.append(doc)
    stream = edspipe.Stream.from_items(docs)
    stream = stream.set_processing(num_cpu_workers=2, process_start_method="fork")
    again = THROUGH[name](tmp_path, stream)
    found = list(again.set_processing(num_cpu_workers=2, process_start_method="fork"))
    assert [doc._.note_id for doc in found] == [doc._.note_id for doc in docs]
    assert all(doc.text == TEXT for doc in found)
    assert all([ent.text for ent in doc.ents] == ["fièvre"] for doc in found)
