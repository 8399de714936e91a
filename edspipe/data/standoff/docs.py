"""Standoff records to Docs and back.

An entity becomes a span with its id (`span.id_ == "T12"`), its label and, on `span._`:

- an attribute of its name for each brat attribute: True if binary, a list if several lines name it;
- `normalizations`: `[[resource, entry, text], ...]`; the first entry is also `span.kb_id_`;
- `notes`: `[[kind, text], ...]`;
- `fragments`: `[[begin, end], ...]` in characters. A span is one run of whole words, from the first
  to the last fragment; the fragments are the truth, and go back to the file, as long as the span
  keeps its words and its label.

The files themselves stay with the Doc in `doc._.standoff`, as plain data, so that writing changes
only what the Doc changed: see `edspipe.data.standoff.record`. `doc._.standoff["relations"]` and
`["events"]` may be edited too.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from spacy.tokens import Doc, Span

from edspipe.data.standoff.names import (
    RESERVED,
    brat_name,
    is_free_name,
    is_kept_by_edspipe,
    python_name,
)
from edspipe.data.standoff.record import Record
from edspipe.data.standoff.report import ReadReport, WriteReport
from edspipe.data.standoff.values import (
    check_field,
    is_writable,
    leaves,
    plain,
    record_of,
    spread,
    value_of,
)
from edspipe.doc.alignment import snap_to_tokens
from edspipe.doc.attributes import (
    SPAN_TABLE,
    declare_doc_attribute,
    declare_span_attribute,
    span_key,
)
from edspipe.doc.span_access import get_spans, parse_groups, set_spans
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import ConfigError, DataError
from edspipe.types import SpanGetter, SpanSetter

AttributeNames: TypeAlias = "Sequence[str] | Mapping[str, str] | None"

_ENTITY_ID = re.compile(r"T[0-9][0-9A-Za-z_.-]{0,30}")
_FLAGS = {"True": True, "true": True, "False": False, "false": False}


def _get_fragments(span: Span) -> list[list[int]]:
    values = span.doc.user_data.get(SPAN_TABLE, {}).get(span_key(span), {})
    return values.get("fragments") or [[span.start_char, span.end_char]]


def _set_fragments(span: Span, fragments: list[list[int]]) -> None:
    table = span.doc.user_data.setdefault(SPAN_TABLE, {})
    table.setdefault(span_key(span), {})["fragments"] = fragments


declare_doc_attribute("standoff")
declare_span_attribute("normalizations", default=())
declare_span_attribute("notes", default=())
if not Span.has_extension("fragments"):
    Span.set_extension("fragments", getter=_get_fragments, setter=_set_fragments)


# Record to Doc


def record_to_doc(
    record: Record,
    tokenizer: Callable[[str], Doc],
    span_setter: SpanSetter = "ents",
    *,
    span_attributes: AttributeNames = None,
    bool_attributes: Iterable[str] = (),
    report: ReadReport | None = None,
) -> Doc:
    """Turn a record into a Doc.

    Args:
        record: A standoff record.
        tokenizer: Text to Doc; the Doc's text must be the same.
        span_setter: Where the spans go. Entities that find no place there are kept aside, counted
            as `unplaced`, and written back.
        span_attributes: The brat attributes to read: names, or `{brat name: span attribute}`; None
            is all. The others are kept aside, and written back.
        bool_attributes: Binary attributes: False on every span that has no such line.
        report: Where to count.

    Raises:
        DataError: The tokenizer changed the text.
    """
    text = record["text"]
    doc = tokenizer(text)
    # Docs of our own tokenizer give every text back; to ask each for it takes as long as to make it
    if type(tokenizer) is not EdsTokenizer and doc.text != text:
        raise DataError(
            f"the tokenizer changed the text: {len(text)} characters in, {len(doc.text)} out, so "
            "no offset would hold; use one that keeps every character",
            file=f"document {record.get('note_id')}",
        )
    doc._.note_id = record.get("note_id")
    builder = _DocBuilder(doc, len(text), span_attributes, bool_attributes)
    for entity in record["entities"]:
        builder.add(entity)
    builder.place(span_setter)
    doc._.standoff = builder.state(record)
    if report is not None:
        report.documents += 1
        report.snapped += len(builder.snapped)
        report.unplaced += len(builder.unplaced)
    return doc


class _DocBuilder:
    """Collects the spans of one Doc, and what has to be remembered besides."""

    def __init__(
        self,
        doc: Doc,
        num_chars: int,
        span_attributes: AttributeNames,
        bool_attributes: Iterable[str],
    ) -> None:
        self.doc = doc
        self.chosen = _by_brat_name(span_attributes)
        self.bools = list(bool_attributes)
        self.names: dict[str, str] = {}
        self.direct: dict[str, bool] = {}
        self.keys: dict[str, str] = {}
        self.spans: list[tuple[Span, dict[str, Any]]] = []
        self.unread: dict[str, dict[str, Any]] = {}
        self.snapped: list[str] = []
        self.unplaced: list[dict[str, Any]] = []
        self.num_chars = num_chars
        self.table: dict[str, dict[str, Any]] = doc.user_data.setdefault(SPAN_TABLE, {})
        for name in self.bools:
            self._name(name)

    def add(self, entity: dict[str, Any]) -> None:
        """Make the span of an entity: the words that hold one of its characters."""
        fragments = entity["fragments"]
        begin, end = fragments[0]
        if len(fragments) > 1:
            begin, end = min(begin for begin, _ in fragments), max(end for _, end in fragments)
        span = self._cover(begin, end, entity)
        if not span:
            self.unplaced.append(entity)
            return
        self.spans.append((span, entity))
        key = span_key(span)
        if entity["id"]:
            self.keys[entity["id"]] = key
        values = self._values(span, entity)
        start_char, end_char = span.start_char, span.end_char
        if start_char < begin or end_char > end:
            self.snapped.append(entity["id"])
        if len(fragments) > 1 or start_char != begin or end_char != end:
            values["fragments"] = [[begin, end] for begin, end in fragments]
        if values:
            self.table[key] = values

    def _cover(self, begin: int, end: int, entity: dict[str, Any]) -> Span | None:
        """Return the words that hold one of the characters; no words, or None, if none does."""
        if not 0 <= begin < end <= self.num_chars:
            snap_to_tokens(self.doc, begin, end)  # raises, unless the stretch is merely empty
            return None
        normalizations = entity.get("normalizations")
        # For the few spans of a note, this takes half the time of `TokenOffsets`.
        return self.doc.char_span(
            begin,
            end,
            label=entity["label"],
            kb_id=normalizations[0][1] if normalizations else "",
            span_id=entity["id"] or "",
            alignment_mode="expand",
        )

    def _values(self, span: Span, entity: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for kind in ("normalizations", "notes"):
            if entity.get(kind):
                values[kind] = [list(one) for one in entity[kind]]
        attributes = entity.get("attributes") or {}
        if self.bools:
            attributes = {**dict.fromkeys(self.bools, False), **attributes}
        for brat, value in attributes.items():
            name = self._name(brat)
            if not name:
                self.unread.setdefault(entity["id"] or "", {})[brat] = value
            elif self.direct[name]:
                values[name] = _flag(value)
            else:
                span._.set(name, _flag(value))
        return values

    def _name(self, brat: str) -> str:
        """Return the span attribute for a brat attribute, declared; empty where not wanted."""
        name = self.names.get(brat)
        if name is None:
            name = python_name(brat) if self.chosen is None else self.chosen.get(brat, "")
            if not name and brat in self.bools:
                name = python_name(brat)
            if name:
                declare_span_attribute(name)
                self.direct[name] = is_kept_by_edspipe(name)
            self.names[brat] = name
        return name

    def place(self, setter: SpanSetter) -> None:
        """Put the spans where the setter says, and note which of them found no place."""
        spans = [span for span, _ in self.spans]
        dropped = set_spans(self.doc, spans, setter)
        if callable(setter):
            return
        if not dropped and all(chosen is True for chosen in parse_groups(setter).values()):
            return
        placed = {span_key(span) for span in get_spans(self.doc, setter)}
        for span, entity in self.spans:
            if span_key(span) not in placed:
                self.unplaced.append(entity)

    def state(self, record: Record) -> dict[str, Any]:
        """Return what writing needs, as plain data."""
        return {
            "source": record.get("source"),
            "sha256": _digest(record["text"]),
            "order": [entity["id"] for entity in record["entities"] if entity["id"]],
            "keys": self.keys,
            "unplaced": self.unplaced,
            "snapped": self.snapped,
            "names": {brat: name for brat, name in self.names.items() if name},
            "unread": self.unread,
            "bool_attributes": self.bools,
            "relations": copy.deepcopy(record["relations"]) if record.get("relations") else [],
            "events": copy.deepcopy(record["events"]) if record.get("events") else [],
        }


def _by_brat_name(names: AttributeNames) -> dict[str, str] | None:
    if names is None:
        return None
    if isinstance(names, str):
        raise ConfigError(
            f"span_attributes is a list of names or a dict of names, got the text '{names}'; "
            f"write ['{names}']"
        )
    if not isinstance(names, Mapping):
        return {name: python_name(name) for name in names}
    for brat, name in names.items():
        if not is_free_name(name) or list(names.values()).count(name) > 1:
            raise ConfigError(
                f"span_attributes maps '{brat}' to '{name}', which cannot be the name of a span "
                "attribute, or is there twice; choose another identifier"
            )
    return dict(names)


def _flag(value: Any) -> Any:
    return _FLAGS.get(value, value) if isinstance(value, str) else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Doc to record


def doc_to_record(
    doc: Doc,
    span_getter: SpanGetter = "ents",
    *,
    span_attributes: AttributeNames = None,
    bool_attributes: Iterable[str] = (),
    keep_source: bool = True,
    report: WriteReport | None = None,
) -> Record:
    """Turn a Doc into a record; the Doc wins over the files that it was read from.

    Args:
        doc: A Doc, read from standoff files or not.
        span_getter: The spans to write. An entity of the source that had a span, and whose span is
            not among these, is gone.
        span_attributes: The span attributes to write: names, or `{span attribute: brat name}`,
            besides those that were read from the source; None is all that were set and that brat
            can hold. One that is a record, as `date`, is written as an attribute for each of its
            fields (`date_type`, `date_value`); a field may be asked for by itself. A list of lists
            is JSON.
        bool_attributes: Binary attributes: False is written as no line (elsewhere as `False`).
        keep_source: Whether lines of the source that the Doc does not contradict are written.
        report: Where to count.

    Raises:
        ConfigError: `span_attributes` names an attribute that no span has, or a field that a record
            cannot have.
    """
    state = dict(doc._.standoff or {})
    text = doc.text
    if state and state["sha256"] != _digest(text):
        state = {}
        if report is not None:
            report.foreign_source += 1
    elif not keep_source:
        state = {key: state[key] for key in ("names", "bool_attributes", "keys") if key in state}
    builder = _RecordBuilder(doc, state, span_attributes, report)
    entities = [builder.entity(span, id_) for span, id_ in _identified(doc, span_getter, state)]
    taken = {entity["id"] for entity in entities}
    kept = [entity for entity in state.get("unplaced", ()) if entity["id"] not in taken]
    return {
        "note_id": doc._.note_id,
        "text": text,
        "entities": _in_order([*entities, *kept], state.get("order", ())),
        "relations": state.get("relations", []),
        "events": state.get("events", []),
        "source": state.get("source"),
        "bool_attributes": sorted({*state.get("bool_attributes", ()), *bool_attributes}),
    }


def _identified(
    doc: Doc, getter: SpanGetter, state: dict[str, Any]
) -> list[tuple[Span, str | None]]:
    """Give each span its id; a copy of a span, changed in words or label, is a new entity."""
    spans: dict[tuple[str, int], Span] = {}
    for span in get_spans(doc, getter):
        # spans with an id that differ in kb_id alone are one annotation in two groups
        spans.setdefault((span_key(span), 0 if span.id else span.kb_id), span)
    keys = state.get("keys", {})
    owners: dict[str, Span] = {}
    for span in spans.values():
        if _ENTITY_ID.fullmatch(span.id_) and (
            span.id_ not in owners or keys.get(span.id_) == span_key(span)
        ):
            owners[span.id_] = span
    return [(span, span.id_ if owners.get(span.id_) is span else None) for span in spans.values()]


def _in_order(entities: list[dict[str, Any]], order: Sequence[str]) -> list[dict[str, Any]]:
    places = {id_: place for place, id_ in enumerate(order)}
    return sorted(entities, key=lambda entity: places.get(entity["id"], len(places)))


class _RecordBuilder:
    """Turns the spans of one Doc into entities."""

    def __init__(
        self,
        doc: Doc,
        state: dict[str, Any],
        span_attributes: AttributeNames,
        report: WriteReport | None,
    ) -> None:
        self.table: dict[str, dict[str, Any]] = doc.user_data.get(SPAN_TABLE, {})
        self.keys: dict[str, str] = state.get("keys", {})
        self.unread: dict[str, dict[str, Any]] = state.get("unread", {})
        self.report = report
        self.asked = {name: brat for brat, name in state.get("names", {}).items()}
        self.all = span_attributes is None
        if isinstance(span_attributes, Mapping):
            self.asked.update(span_attributes)
        else:
            for name in _by_brat_name(span_attributes) or ():
                self.asked[name] = brat_name(name)
        declared = [name for name in self.asked if Span.has_extension(name)]
        self.fields = {name: record_of(name) for name in self.asked if name not in declared}
        self.elsewhere = [name for name in declared if not is_kept_by_edspipe(name)]

    def entity(self, span: Span, id_: str | None) -> dict[str, Any]:
        """Return a span as the entity of a record."""
        values = self._kept(span)
        normalizations = values.get("normalizations")
        if normalizations is None:
            normalizations = _from_kb_id(span.kb_id_)
        return {
            "id": id_,
            "label": span.label_,
            "fragments": values.get("fragments") or [[span.start_char, span.end_char]],
            "attributes": {**self.unread.get(id_ or "", {}), **self._attributes(span, values)},
            "normalizations": [list(one) for one in normalizations],
            "notes": [list(one) for one in values.get("notes", ())],
        }

    def _kept(self, span: Span) -> dict[str, Any]:
        """Return what is kept under the key of a span; a new label does not cut it off."""
        key = span_key(span)
        values = self.table.get(key, {})
        before = self.keys.get(span.id_)
        if before is None or before == key or before.split(":", 2)[:2] != key.split(":", 2)[:2]:
            return values
        return {**self.table.get(before, {}), **values}

    def _attributes(self, span: Span, values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            if name in RESERVED:
                continue
            if name in self.asked:
                found.update(spread(self.asked[name], plain(value)))
            elif self.all:
                self._offer(found, name, plain(value))
        for name in self.elsewhere:
            found.update(spread(self.asked[name], value_of(span, name)))
        for name, record in self.fields.items():
            found[self.asked[name]] = self._field(span, name, record, values)
        return {name: value for name, value in found.items() if value is not None}

    def _field(self, span: Span, name: str, record: str, values: dict[str, Any]) -> Any:
        """Return a field of a record; what the record itself is tells which fields there are."""
        value = spread(record, plain(values.get(record))).get(name)
        if value is None:
            check_field(record, name, span._.get(record))
        return value

    def _offer(self, found: dict[str, Any], name: str, value: Any) -> None:
        """Take a value that nobody asked for, if brat can hold it; of a dict, each of its keys."""
        for key, one in leaves(name, value):
            if is_writable(one):
                found[brat_name(key)] = one
            elif self.report is not None:
                self.report.unwritten[key] += 1


def _from_kb_id(kb_id: str) -> list[list[str]]:
    """A span that was linked by `kb_id_` alone: `"MeSH:D003110"`, or an id of no known source."""
    if not kb_id:
        return []
    resource, colon, entry = kb_id.partition(":")
    return [[resource, entry, ""]] if colon and resource and entry else [["KB", kb_id, ""]]
