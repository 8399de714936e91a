"""How Docs cross between processes, and what streams may ask of them.

A pickled Doc carries its whole Vocab, and spaCy's own bytes take a millisecond for a short note.
Here a Doc crosses as its text, the lengths of its tokens and its spans, and is rebuilt on the Vocab
of the receiver, which crosses once. Docs with tags or a parse take spaCy's bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.attributes import SPAN_TABLE, declare_doc_attribute, declare_span_attribute
from edspipe.stream.hooks import (
    Identity,
    register_attributes,
    register_describer,
    register_identity,
    register_plain,
    register_shared,
    register_transport,
    register_word_counter,
    sha256_of,
)

_PARSED = ("TAG", "POS", "MORPH", "LEMMA", "DEP")
PackedSpan = tuple[int, int, str, str, str]


def encode_doc(doc: Doc) -> tuple[Any, tuple[Any, ...]]:
    """Return how to rebuild a Doc: a function, and its arguments as plain data."""
    if any(doc.has_annotation(attribute) for attribute in _PARSED):
        return _decode_bytes, (doc.vocab, doc.to_bytes(exclude=["tensor"]), *_names(doc))
    layout = doc.to_array(["LENGTH", "SPACY"])
    rest = {
        "user_data": dict(doc.user_data),
        "cats": dict(doc.cats),
        "ents": [_pack(e) for e in doc.ents] if doc.has_annotation("ENT_IOB") else None,
        "spans": {
            group: ([_pack(span) for span in spans], dict(spans.attrs))
            for group, spans in doc.spans.items()
        },
        "starts": doc.to_array("SENT_START") if doc.has_annotation("SENT_START") else None,
    }
    names = _names(doc)
    return _decode_layout, (doc.vocab, doc.text, layout.astype(np.int32), rest, *names)


def _decode_layout(
    vocab: Vocab,
    text: str,
    layout: np.ndarray,
    rest: dict[str, Any],
    on_spans: list[str],
    on_doc: list[str],
) -> Doc:
    _declare(on_spans, on_doc)
    ends = np.cumsum(layout.sum(axis=1)) - layout[:, 1]
    starts = ends - layout[:, 0]
    words = [text[s:e] for s, e in zip(starts.tolist(), ends.tolist(), strict=True)]
    doc = Doc(vocab, words=words, spaces=(layout[:, 1] != 0).tolist(), user_data=rest["user_data"])
    doc.cats = rest["cats"]
    if rest["starts"] is not None:
        doc.from_array(["SENT_START"], rest["starts"].reshape(-1, 1))
    if rest["ents"] is not None:
        doc.set_ents([_unpack(doc, span) for span in rest["ents"]])
    for group, (spans, attrs) in rest["spans"].items():
        doc.spans[group] = [_unpack(doc, span) for span in spans]
        doc.spans[group].attrs.update(attrs)
    return doc


def _decode_bytes(vocab: Vocab, data: bytes, on_spans: list[str], on_doc: list[str]) -> Doc:
    _declare(on_spans, on_doc)
    return Doc(vocab).from_bytes(data)


def _pack(span: Span) -> PackedSpan:
    return span.start, span.end, span.label_, span.kb_id_, span.id_


def _unpack(doc: Doc, span: PackedSpan) -> Span:
    start, end, label, kb_id, id_ = span
    return Span(doc, start, end, label=label, kb_id=kb_id, span_id=id_)


def _names(doc: Doc) -> tuple[list[str], list[str]]:
    """The attributes that a Doc uses, on spans and on itself; they must exist where it goes."""
    table = doc.user_data.get(SPAN_TABLE, {})
    on_spans = sorted({name for values in table.values() for name in values})
    on_doc = sorted(
        key[1]
        for key in doc.user_data
        if isinstance(key, tuple) and key[0] == "._." and key[2] is None
    )
    return on_spans, on_doc


def _declare(on_spans: list[str], on_doc: list[str]) -> None:
    for name in on_spans:
        declare_span_attribute(name)
    for name in on_doc:
        declare_doc_attribute(name)


def _identify(doc: Doc) -> Identity:
    ident = doc._.note_id
    return Identity(None if ident is None else str(ident), sha256=sha256_of(doc.text))


register_transport(Doc, encode_doc)
register_identity(Doc, _identify)
register_plain(Doc, lambda doc: {"note_id": doc._.note_id, "note_text": doc.text})
register_shared(Vocab)
register_attributes(Doc, lambda doc, name: doc._.get(name) if doc.has_extension(name) else None)
register_describer(Doc, lambda doc: doc._.note_id)
register_word_counter(Doc, len)
