"""French articles before a term: gender, number and elision."""

from __future__ import annotations

import unicodedata

from edspipe.demo.terms import Term

_ARTICLES = {
    "un": {"m": "un ", "f": "une ", "p": "des "},
    "le": {"m": "le ", "f": "la ", "p": "les "},
    "de": {"m": "de ", "f": "de ", "p": "de "},
}
_ELIDED = {"le": "l'", "de": "d'"}
_ASPIRATED = ("hernie", "hoquet")


def article(kind: str, term: Term) -> str:
    """Return the article with what follows it: a space, or the apostrophe of an elision.

    Args:
        kind: `"un"`, `"le"` or `"de"`.
        term: The term that follows. Without a gender it counts as masculine.

    Raises:
        KeyError: The kind is not one of the three.
    """
    plural = term.gender.endswith("p")
    if _starts_with_vowel(term.text) and kind in _ELIDED and not (plural and kind == "le"):
        return _ELIDED[kind]
    return _ARTICLES[kind]["p" if plural else term.gender or "m"]


def _starts_with_vowel(text: str) -> bool:
    first = unicodedata.normalize("NFKD", text[:1].lower())[:1]
    return first in tuple("aeiouhœ") and not text.startswith(_ASPIRATED)
