"""Labels of whole documents: in `doc.cats`, or in an attribute `doc._.<name>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy.tokens import Doc

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.errors import DataError, did_you_mean

CATS = "cats"
CUSTOM = "_."
MIN_SCORE = 0.5
"""A label with this score, or a higher one, is present."""


def check_label_attribute(attribute: str) -> None:
    """Refuse what is no place for labels of documents.

    Raises:
        ValueError: It is neither `"cats"` nor `"_.<name>"`.
    """
    custom = attribute.startswith(CUSTOM) and attribute.removeprefix(CUSTOM).isidentifier()
    if attribute != CATS and not custom:
        hint = did_you_mean(attribute, [CATS, f"{CUSTOM}{attribute}"])
        raise ValueError(
            f"expected 'cats' or '_.<name>' as the attribute of documents that holds labels, got "
            f"{attribute!r}.{hint}"
        )


def declare_labels(attribute: str) -> None:
    """Make the attribute exist, where it is none of spaCy's."""
    if attribute.startswith(CUSTOM):
        declare_doc_attribute(attribute.removeprefix(CUSTOM))


def gold_labels(doc: Doc, attribute: str = CATS) -> set[str] | None:
    """Return the labels that a document has.

    A table of scores (`doc.cats`, or an attribute that holds one) has those of 0.5 and more; a
    string is the only label; a list holds them all.

    Args:
        doc: The Doc.
        attribute: `"cats"` or `"_.<name>"`.

    Returns:
        The labels; an empty set where it is known that there are none: all scores are below 0.5, or
        the list is empty. None where nothing is known: no scores, an empty string, no value.

    Raises:
        ValueError: `doc._.<name>` is not declared.
        DataError: Its value is none of these.
    """
    value = _value(doc, attribute)
    if value is None or value == "" or value == {}:
        return None
    if isinstance(value, str):
        return {value}
    if isinstance(value, Mapping):
        return {_label(doc, name, attribute) for name, x in value.items() if x >= MIN_SCORE}
    if isinstance(value, (list, tuple, set, frozenset)):
        return {_label(doc, name, attribute) for name in value}
    raise DataError(
        f"doc.{attribute} holds a {type(value).__name__}; labels are a string, a list of strings, "
        "or a dict of scores by label",
        id=_id(doc),
    )


def named_labels(doc: Doc, attribute: str = CATS) -> set[str]:
    """Return the labels that a document has, and those that it says it has not (low scores).

    Args:
        doc: The Doc.
        attribute: As of `gold_labels`.

    Raises:
        ValueError: As of `gold_labels`.
        DataError: As of `gold_labels`.
    """
    present = gold_labels(doc, attribute) or set()
    value = _value(doc, attribute)
    return present | set(value) if isinstance(value, Mapping) else present


def _value(doc: Doc, attribute: str) -> Any:
    check_label_attribute(attribute)
    if attribute == CATS:
        return doc.cats
    name = attribute.removeprefix(CUSTOM)
    if not Doc.has_extension(name):
        raise ValueError(
            f"no attribute doc._.{name} is declared: read documents that have it, or call "
            f"Doc.set_extension({name!r}, default=None)"
        )
    return doc._.get(name)


def _label(doc: Doc, label: Any, attribute: str) -> str:
    if not isinstance(label, str) or not label:
        raise DataError(
            f"doc.{attribute} holds a label that is no string, or an empty one "
            f"({type(label).__name__})",
            id=_id(doc),
        )
    return label


def _id(doc: Doc) -> str | None:
    return None if doc._.note_id is None else str(doc._.note_id)
