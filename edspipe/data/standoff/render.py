"""Records to the lines of standoff files: what did not change keeps its bytes and its place.

Each line of the source is held against the record. Where they agree, the line is written as it
was read; where they differ, it is rewritten under its id, or goes. An entity that is gone takes
with it what points at it: attributes, notes, relations, events that it triggers. An event loses
just the argument, an equivalence the member, until fewer than two members are left. New lines come
last. A line that stands for nothing in the record (an equivalence, a line of another kind) stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from edspipe.data.standoff.format import (
    ID_PATTERN,
    Attribute,
    Entity,
    Equivalence,
    Event,
    Item,
    Normalization,
    Note,
    Relation,
    format_item,
    fragments_problem,
    mention_of,
    parse_line,
    split_lines,
    split_rows,
    targets,
)
from edspipe.data.standoff.record import Record
from edspipe.errors import DataError

_ID = re.compile(ID_PATTERN)
_WORD = re.compile(r"[^ \t\r\n]+")
_ROLE = re.compile(r"[^ \t\r\n:]+")
_VALUE = re.compile(r"[^ \t\r\n](?:[^\t\r\n]*[^ \t\r\n])?")
_ENTRY = re.compile(r"[^\t\r\n]+")
_TRUE, _FALSE = ("True", "true"), ("False", "false")

_DETAILS = ("attributes", "normalizations", "notes")

V = TypeVar("V")


@dataclass
class RenderCounts:
    """What became of the lines of one document."""

    kept: int = 0
    changed: int = 0
    removed: int = 0
    added: int = 0


@dataclass
class _Slot:
    """A line: as it was read (nothing for a new one), and what it shall say (None: it goes)."""

    raw: str
    item: Item | None
    now: Item | None


def render(record: Record) -> tuple[dict[str, str], RenderCounts]:
    """Return the annotation files of a record, by suffix, and what changed against its source.

    Raises:
        DataError: The record says something that brat cannot hold; names document and id.
    """
    return _Renderer(record).render()


class _Renderer:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.text: str = record["text"]
        source = record.get("source")
        self.files = {
            suffix: self._slots(text)
            for suffix, text in ({".ann": ""} if source is None else source).items()
        }
        self.slots = [slot for slots in self.files.values() for slot in slots]
        self.added: list[_Slot] = []
        self.binary = set(record.get("bool_attributes") or ())
        self.last: dict[str, int] = {}
        for slot in self.slots:
            if slot.item is not None:
                self._note_id(slot.item.id)
                if isinstance(slot.item, Attribute) and slot.item.value is None:
                    self.binary.add(slot.item.name)

    def error(self, message: str, id_: str | None = None) -> DataError:
        """An error that names the document."""
        return DataError(message, file=f"document {self.record.get('note_id')}", id=id_)

    def _slots(self, text: str) -> list[_Slot]:
        slots = []
        for raw, row in zip(split_lines(text), split_rows(text), strict=True):
            id_, label, begin, end, mention, line = row
            if id_:
                item: Item | None = Entity(id_, label, ((int(begin), int(end)),), mention)
            else:
                item = self._parse(line)
            slots.append(_Slot(raw, item, item))
        return slots

    def _parse(self, line: str) -> Item | None:
        try:
            return parse_line(line)
        except DataError as error:
            raise self.error(f"'source' holds a bad line: {error.message}", error.id) from None

    def _note_id(self, id_: str) -> None:
        if id_[1:].isdecimal():
            self.last[id_[0]] = max(self.last.get(id_[0], 0), int(id_[1:]))

    def _fresh(self, letter: str) -> str:
        self.last[letter] = self.last.get(letter, 0) + 1
        return f"{letter}{self.last[letter]}"

    def render(self) -> tuple[dict[str, str], RenderCounts]:
        entities = self._entities()
        owned = self._owned()
        lines = {slot.item.id: slot for slot in self.slots if isinstance(slot.item, Entity)}
        for id_, slot in lines.items():
            slot.now = entities[id_][0] if id_ in entities else None
        for id_, (entity, said) in entities.items():
            if id_ not in lines:
                self._append(entity)
            if id_ in owned or any(said.get(kind) for kind in _DETAILS):
                self._details(id_, said, owned.get(id_, {}))
        self._relations()
        self._events()
        self._cascade()
        return self._assemble()

    def _append(self, item: Item) -> None:
        self.added.append(_Slot("", None, item))

    # Entities and what is said about them

    def _entities(self) -> dict[str, tuple[Entity, dict[str, Any]]]:
        """Check the entities, and give each an id."""
        given = self.record["entities"]
        for said in given:
            if said.get("id") is not None:
                self._check_id(said["id"], "T")
                self._note_id(said["id"])
        found: dict[str, tuple[Entity, dict[str, Any]]] = {}
        for said in given:
            id_ = said.get("id") or self._fresh("T")
            if id_ in found:
                raise self.error("two entities of this record have the same id", id_)
            fragments = tuple((int(begin), int(end)) for begin, end in said["fragments"])
            problem = fragments_problem(fragments, len(self.text))
            if problem is None and not fragments:
                problem = "an entity has at least one fragment [begin, end]"
            if problem is not None:
                raise self.error(problem, id_)
            label = self._check(_WORD, said["label"], "a label is one word", id_)
            entity = Entity(id_, label, fragments, mention_of(self.text, fragments))
            found[id_] = (entity, said)
        return found

    def _owned(self) -> dict[str, dict[tuple[type, str], list[_Slot]]]:
        """Group the lines that describe an annotation: by its id, then kind and name."""
        groups: dict[str, dict[tuple[type, str], list[_Slot]]] = {}
        for slot in self.slots:
            item = slot.item
            if isinstance(item, (Attribute, Normalization, Note)):
                name = item.name if isinstance(item, Attribute) else ""
                groups.setdefault(item.target, {}).setdefault((type(item), name), []).append(slot)
        return groups

    def _details(
        self, id_: str, said: dict[str, Any], owned: dict[tuple[type, str], list[_Slot]]
    ) -> None:
        """Settle the attributes, normalisations and notes of one entity."""
        attributes = said.get("attributes") or {}
        for name, value in attributes.items():
            self._attribute(id_, name, value, owned.pop((Attribute, name), []))
        self._normalizations(id_, said, owned.pop((Normalization, ""), []))
        self._notes(id_, said, owned.pop((Note, ""), []))
        for slots in owned.values():
            for slot in slots:
                slot.now = None

    def _attribute(self, id_: str, name: str, value: Any, slots: list[_Slot]) -> None:
        old = [slot.item.value for slot in slots if isinstance(slot.item, Attribute)]
        wanted = self._attribute_texts(id_, name, value, old)
        self._settle(
            slots,
            wanted,
            lambda item, text: _same_value(item.value, text),
            lambda item, text: item if _same_value(item.value, text) else item._replace(value=text),
            lambda text: Attribute(self._fresh("A"), name, id_, text),
        )

    def _attribute_texts(
        self, id_: str, name: str, value: Any, old: list[str | None]
    ) -> list[str | None]:
        """Return the value of each line that the attribute needs (None: binary)."""
        self._check(_WORD, name, "the name of an attribute is one word", id_)
        values = value if isinstance(value, (list, tuple)) else [value]
        return [text for one in values for text in self._value_texts(id_, name, one, old)]

    def _value_texts(
        self, id_: str, name: str, value: Any, old: list[str | None]
    ) -> list[str | None]:
        if value is None or value is True:
            return [] if value is None else [None]
        if value is False:
            said = any(text in _FALSE for text in old)
            return ["False"] if said or name not in self.binary else []
        if isinstance(value, (int, float)):
            return [str(value)]
        what = f"the value of the attribute '{name}' is a flag, a number or one line of text"
        return [self._check(_VALUE, value, what, id_)]

    def _normalizations(self, id_: str, said: dict[str, Any], slots: list[_Slot]) -> None:
        wanted = []
        for resource, entry, text in said.get("normalizations") or ():
            self._check(_ROLE, resource, "the resource of a normalisation is one word", id_)
            self._check(_ENTRY, entry, "the entry of a normalisation is one line", id_)
            self._check_text(text, "the text of a normalisation", id_)
            wanted.append((resource, entry, text or ""))
        self._settle(
            slots,
            wanted,
            lambda item, new: item[3:] == new,
            lambda item, new: item._replace(resource=new[0], entry=new[1], text=new[2]),
            lambda new: Normalization(self._fresh("N"), "Reference", id_, *new),
        )

    def _notes(self, id_: str, said: dict[str, Any], slots: list[_Slot]) -> None:
        wanted = []
        for kind, text in said.get("notes") or ():
            self._check(_WORD, kind, "the kind of a note is one word", id_)
            self._check_text(text, "a note", id_)
            wanted.append((kind, text or ""))
        self._settle(
            slots,
            wanted,
            lambda item, new: (item.kind, item.text) == new,
            lambda item, new: item._replace(kind=new[0], text=new[1]),
            lambda new: Note(self._fresh("#"), new[0], id_, new[1]),
        )

    def _settle(
        self,
        slots: list[_Slot],
        wanted: Sequence[V],
        same: Callable[[Any, V], bool],
        change: Callable[[Any, V], Item],
        make: Callable[[V], Item],
    ) -> None:
        """Let lines say what is wanted, in its order; those that say it already stay."""
        position = after = 0
        for index, slot in enumerate(slots):
            if position < len(wanted) and same(slot.item, wanted[position]):
                position, after = position + 1, index + 1
            else:
                slot.now = None
        for slot in slots[after:]:
            if position < len(wanted):
                slot.now = change(slot.item, wanted[position])
                position += 1
        for value in wanted[position:]:
            self._append(make(value))

    # Relations and events

    def _relations(self) -> None:
        if self.record.get("relations") is not None:
            made = [
                Relation(self._link_id(said, "R"), self._link_label(said), self._arguments(said))
                for said in self.record["relations"]
            ]
            self._links(made, Relation)

    def _events(self) -> None:
        if self.record.get("events") is not None:
            made = [
                Event(
                    self._link_id(said, "E"),
                    self._link_label(said),
                    said["trigger"],
                    self._arguments(said),
                )
                for said in self.record["events"]
            ]
            self._links(made, Event)

    def _links(self, made: Sequence[Relation | Event], kind: type) -> None:
        by_id: dict[str, Relation | Event] = {}
        for link in made:
            if link.id in by_id:
                raise self.error("two links of this record have the same id", link.id)
            if kind is Relation and len(link.arguments) < 2:
                raise self.error("a relation has at least two arguments [role, id]", link.id)
            by_id[link.id] = link
        for slot in self.slots:
            if isinstance(slot.item, kind):
                slot.now = by_id.pop(slot.item.id, None)  # type: ignore[union-attr]
        for link in by_id.values():
            self._append(link)

    def _link_id(self, said: dict[str, Any], letter: str) -> str:
        if said.get("id") is None:
            return self._fresh(letter)
        return self._check_id(said["id"], letter)

    def _link_label(self, said: dict[str, Any]) -> str:
        return self._check(_ROLE, said["label"], "a label is one word", said.get("id"))

    def _arguments(self, said: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        id_ = said.get("id")
        for role, target in said["arguments"]:
            self._check(_ROLE, role, "the role of an argument is one word", id_)
            self._check(_WORD, target, "the target of an argument is an id", id_)
        return tuple((role, target) for role, target in said["arguments"])

    def _cascade(self) -> None:
        """Take away what points at nothing, until nothing does."""
        self._check_targets()
        slots = [slot for slot in (*self.slots, *self.added) if slot.now is not None]
        while True:
            alive = {slot.now.id for slot in slots if slot.now is not None}
            broken = [
                slot
                for slot in slots
                if slot.now is not None and not alive.issuperset(targets(slot.now))
            ]
            if not broken:
                return
            for slot in broken:
                slot.now = _without(slot.now, alive)

    def _check_targets(self) -> None:
        """A new link may point at what was just removed (it goes too), but not at nothing."""
        items = [slot.item or slot.now for slot in (*self.slots, *self.added)]
        known = {item.id for item in items if item is not None}
        for slot in self.added:
            if slot.now is not None and not known.issuperset(targets(slot.now)):
                raise self.error("points at an id that this record does not have", slot.now.id)
            if isinstance(slot.now, Event) and not slot.now.trigger.startswith("T"):
                raise self.error("the trigger of an event is the id of an entity", slot.now.id)

    # Lines

    def _assemble(self) -> tuple[dict[str, str], RenderCounts]:
        counts = RenderCounts()
        added = [format_item(slot.now) + "\n" for slot in self.added if slot.now is not None]
        counts.added, counts.removed = len(added), len(self.added) - len(added)
        files = {
            suffix: "".join([self._line(slot, counts) for slot in slots])
            for suffix, slots in self.files.items()
        }
        if added:
            last = next(reversed(files), ".ann")
            before = files.get(last, "")
            gap = "\n" if before and not before.endswith("\n") else ""
            files[last] = before + gap + "".join(added)
        return files, counts

    def _line(self, slot: _Slot, counts: RenderCounts) -> str:
        if slot.item is None or slot.now == slot.item:
            counts.kept += 1
            return slot.raw
        if slot.now is None:
            counts.removed += 1
            return ""
        counts.changed += 1
        return format_item(slot.now) + ("\n" if slot.raw.endswith("\n") else "")

    # Checks

    def _check_id(self, id_: Any, letter: str) -> str:
        if isinstance(id_, str) and id_[:1] == letter and _ID.fullmatch(id_):
            return id_
        raise self.error(f"an id of this kind is '{letter}' and a number, or None for a fresh one")

    def _check(self, pattern: re.Pattern[str], value: Any, rule: str, id_: str | None) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        came = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise self.error(
            f"{rule}, without tabs or line ends; got {came} that brat cannot hold", id_
        )

    def _check_text(self, text: Any, what: str, id_: str | None) -> None:
        if text is not None and (not isinstance(text, str) or "\n" in text):
            raise self.error(f"{what} is one line of text; got a line end, or no text", id_)


def _same_value(old: str | None, new: str | None) -> bool:
    if old == new:
        return True
    return (new is None and old in _TRUE) or (new == "False" and old in _FALSE)


def _without(item: Item | None, alive: Iterable[str]) -> Item | None:
    """Return what is left of an item when only some ids are alive."""
    if isinstance(item, Event) and item.trigger in alive:
        left = tuple(pair for pair in item.arguments if pair[1] in alive)
        return item._replace(arguments=left)
    if isinstance(item, Equivalence):
        members = tuple(target for target in item.targets if target in alive)
        return item._replace(targets=members) if len(members) > 1 else None
    return None
