"""Standoff records: one document with its annotations, as plain data.

    {
        "note_id": "notes/12",
        "text": ...,
        "entities": [
            {
                "id": "T1",                          # None: a fresh id on writing
                "label": "DISORDER",
                "fragments": [[0, 5], [8, 12]],      # characters
                "attributes": {"Negation": True, "Side": "left"},
                "normalizations": [["MeSH", "D003110", ""]],    # resource, entry, text
                "notes": [["AnnotatorNotes", "P2W"]],            # kind, text
            }
        ],
        "relations": [{"id": "R1", "label": "Of", "arguments": [["Arg1", "T1"], ["Arg2", "T2"]]}],
        "events": [{"id": "E1", "label": "Dose", "trigger": "T1", "arguments": [["Drug", "T2"]]}],
        "source": {".ann": ...},                     # the files as they were read
    }

An attribute is True where the line has no value, and a list where several lines name it.
`source` is what keeps a corpus as it is: on writing, its lines stay as they are, in their order,
except those that the rest of the record contradicts. All other things that brat knows
(equivalences, notes and attributes on relations or events) live there alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from edspipe.data.standoff.format import (
    Attribute,
    Entity,
    Event,
    Normalization,
    Note,
    Relation,
)
from edspipe.data.standoff.parse import Annotations

Record: TypeAlias = dict[str, Any]


def build_record(
    note_id: str | None,
    text: str,
    annotations: Annotations,
    suffixes: Mapping[str, str],
) -> Record:
    """Turn parsed annotations into a record.

    Args:
        note_id: The id of the document.
        text: Its text, as decoded from the `.txt`.
        annotations: What its annotation files say.
        suffixes: The suffix of each of these files, in order: file name to `".ann"`.
    """
    items = list(annotations.items())
    entities = {item.id: _entity_dict(item) for item in items if isinstance(item, Entity)}
    record: Record = {
        "note_id": note_id,
        "text": text,
        "entities": list(entities.values()),
        "relations": [],
        "events": [],
    }
    if len(entities) < len(items):
        for item in items:
            _add(record, entities, item)
    record["source"] = {suffix: annotations.source(file) for file, suffix in suffixes.items()}
    return record


def _entity_dict(entity: Entity) -> dict[str, Any]:
    return {
        "id": entity.id,
        "label": entity.label,
        "fragments": list(map(list, entity.fragments)),
        "attributes": {},
        "normalizations": [],
        "notes": [],
    }


def _add(record: Record, entities: dict[str, dict[str, Any]], item: object) -> None:
    if isinstance(item, Attribute):
        if item.target in entities:
            _add_attribute(entities[item.target]["attributes"], item)
    elif isinstance(item, Normalization):
        if item.target in entities:
            triple = [item.resource, item.entry, item.text]
            entities[item.target]["normalizations"].append(triple)
    elif isinstance(item, Note):
        if item.target in entities:
            entities[item.target]["notes"].append([item.kind, item.text])
    elif isinstance(item, (Relation, Event)):
        link = {"id": item.id, "label": item.label}
        if isinstance(item, Event):
            link["trigger"] = item.trigger
        arguments = [[role, target] for role, target in item.arguments]
        record["events" if isinstance(item, Event) else "relations"].append(
            {**link, "arguments": arguments}
        )


def _add_attribute(attributes: dict[str, Any], item: Attribute) -> None:
    value = True if item.value is None else item.value
    if item.name not in attributes:
        attributes[item.name] = value
    elif isinstance(attributes[item.name], list):
        attributes[item.name].append(value)
    else:
        attributes[item.name] = [attributes[item.name], value]
