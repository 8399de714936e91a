"""Names of brat attributes as names of span attributes, and back.

`span._.Polarity` is the attribute `Polarity`. A name that Python or spaCy cannot take as it is
(`Doc-Time`, `get`, one that somebody declared as a method) becomes `brat_` and its characters, each
that is no ASCII letter or digit as `_hex_`: `brat_Doc_2d_Time`. That is reversible.
"""

from __future__ import annotations

import re
import unicodedata

from spacy.tokens import Span
from spacy.tokens.underscore import Underscore

RESERVED = frozenset({"fragments", "normalizations", "notes"})
"""Span attributes that hold other parts of an annotation."""

_PREFIX = "brat_"
_ESCAPED = re.compile(r"_([0-9a-f]{1,6})_")


def python_name(brat_name: str) -> str:
    """Return the name of the span attribute that holds a brat attribute."""
    plain = is_free_name(brat_name) and not brat_name.startswith(_PREFIX)
    return brat_name if plain else _PREFIX + "".join(_escape(char) for char in brat_name)


def is_free_name(name: str) -> bool:
    """Whether `span._.<name>` can hold a value of brat."""
    if (
        not name.isidentifier()
        or unicodedata.normalize("NFKC", name) != name
        or name.startswith("_")
        or name in RESERVED
        or hasattr(Underscore, name)
    ):
        return False
    if not Span.has_extension(name):
        return True
    _, method, getter, setter = Span.get_extension(name)
    return method is None and (getter is None or setter is not None)


def brat_name(python_name: str) -> str:
    """Return the brat attribute that a span attribute holds."""
    if not python_name.startswith(_PREFIX):
        return python_name
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), python_name[len(_PREFIX) :])


def is_kept_by_edspipe(python_name: str) -> bool:
    """Whether values go to the table of `edspipe.doc.attributes`, not to spaCy's own store."""
    getter = Span.get_extension(python_name)[2]
    return getattr(getter, "__module__", None) == "edspipe.doc.attributes"


def _escape(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"_{ord(char):x}_"
