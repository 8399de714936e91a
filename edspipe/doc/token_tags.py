"""Tags of words, a string a token: `token.tag_`, `token.pos_`, or an attribute `token._.<name>`.

They are read and written as arrays, about ten times as fast as token by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.attrs import IDX, IS_SPACE, POS, TAG
from spacy.parts_of_speech import IDS, NAMES
from spacy.tokens import Doc, Token

from edspipe.errors import did_you_mean

BUILT_IN = ("pos_", "tag_")
CUSTOM = "_."
CUSTOM_KEY = "._."
"""First part of the keys under which spaCy keeps custom attributes in `doc.user_data`."""
SEPARATOR = "/"


def check_attribute(attribute: str) -> None:
    """Refuse what is no place for tags.

    Raises:
        ValueError: It is none of the attributes that hold tags.
    """
    name = attribute.removeprefix(CUSTOM)
    custom = attribute.startswith(CUSTOM) and name.isidentifier()
    if attribute not in BUILT_IN and not custom:
        hint = did_you_mean(attribute, [*BUILT_IN, f"{CUSTOM}{attribute}"])
        raise ValueError(
            f"expected 'tag_', 'pos_' or '_.<name>' as the attribute of tokens that holds tags, "
            f"got {attribute!r}.{hint}"
        )


def check_tags(attribute: str, tags: Sequence[str]) -> None:
    """Refuse tags that the attribute cannot hold.

    Raises:
        ValueError: A tag for `pos_` is none of Universal Dependencies.
    """
    wrong = sorted(tag for tag in tags if attribute == "pos_" and tag not in IDS)
    if wrong:
        raise ValueError(
            f"token.pos_ holds the tags of Universal Dependencies only (NOUN, VERB, ...), got "
            f"{', '.join(wrong[:5])}; use the attribute tag_"
        )


def declare_token_attribute(name: str) -> None:
    """Make `token._.<name>` exist; an attribute that somebody declared before is left alone."""
    if not Token.has_extension(name):
        Token.set_extension(name, default=None)


def declare_tags(attribute: str) -> None:
    """Make the attribute exist, where it is none of spaCy's."""
    if attribute.startswith(CUSTOM):
        declare_token_attribute(attribute.removeprefix(CUSTOM))


def get_tags(doc: Doc, attribute: str) -> list[str]:
    """Return the tag of each token, empty where it has none.

    Args:
        doc: The Doc.
        attribute: `"tag_"`, `"pos_"` or `"_.<name>"`.

    Raises:
        ValueError: `token._.<name>` is not declared, or a value of it is no string.
    """
    check_attribute(attribute)
    if attribute in BUILT_IN:
        codes = doc.to_array(TAG if attribute == "tag_" else POS).tolist()
        names = NAMES if attribute == "pos_" else doc.vocab.strings
        known: dict[int, str] = {code: names[code] if code else "" for code in set(codes)}
        return [known[code] for code in codes]
    name = attribute.removeprefix(CUSTOM)
    values = _custom_values(doc, name)
    if any(not isinstance(value, str) for value in values):
        at = next(i for i, value in enumerate(values) if not isinstance(value, str))
        raise ValueError(
            f"token._.{name} of token {at} is a {type(values[at]).__name__}; tags are strings, "
            f"or None for no tag (note id: {doc._.note_id})"
        )
    return values


def get_word_tags(doc: Doc, attribute: str) -> list[str]:
    """As `get_tags`, but empty for blank tokens: what they are tagged as (`_SP`) says nothing.

    Args:
        doc: The Doc.
        attribute: As of `get_tags`.

    Raises:
        ValueError: As of `get_tags`.
    """
    tags = get_tags(doc, attribute)
    for i in np.flatnonzero(doc.to_array(IS_SPACE)).tolist():
        tags[i] = ""
    return tags


def _custom_values(doc: Doc, name: str) -> list[Any]:
    if not Token.has_extension(name):
        raise ValueError(
            f"no attribute token._.{name} is declared: read documents that have it, or call "
            f"Token.set_extension({name!r}, default=None)"
        )
    default, method, getter, _ = Token.get_extension(name)
    if getter is not None or method is not None:
        values = [getattr(token._, name) for token in doc]
    else:
        kept: dict[Any, Any] = doc.user_data
        starts = doc.to_array(IDX).tolist()
        values = [kept.get((CUSTOM_KEY, name, start, None), default) for start in starts]
    return ["" if value is None else value for value in values]


def set_tags(doc: Doc, attribute: str, codes: np.ndarray, tags: Sequence[str]) -> None:
    """Write a tag to each token; what was there before is replaced.

    Args:
        doc: The Doc.
        attribute: As of `get_tags`; a custom one must be declared.
        codes: For each token the number of its tag, or -1 for none. *Shape:* (tokens,)
        tags: The tags.

    Raises:
        ValueError: There is not one number a token.
    """
    if codes.shape != (len(doc),):
        raise ValueError(f"expected {len(doc)} numbers of tags, got an array {codes.shape}")
    if attribute in BUILT_IN:
        of_tag = IDS.__getitem__ if attribute == "pos_" else doc.vocab.strings.add
        values = np.array([*(of_tag(tag) for tag in tags), 0], dtype=np.uint64)
        doc.from_array([TAG if attribute == "tag_" else POS], values[codes][:, None])
        return
    named: list[str | None] = [*tags, None]
    set_values(doc, attribute.removeprefix(CUSTOM), [named[code] for code in codes.tolist()])


def set_values(doc: Doc, name: str, values: Sequence[Any]) -> None:
    """Set `token._.<name>` of each token; the attribute must be declared.

    Args:
        doc: The Doc.
        name: The name of the attribute.
        values: A value a token.
    """
    if any(Token.get_extension(name)[1:]):  # a method, a getter or a setter
        for token, value in zip(doc, values, strict=True):
            token._.set(name, value)
        return
    starts = doc.to_array(IDX).tolist()
    kept: dict[Any, Any] = doc.user_data
    kept.update(
        {
            (CUSTOM_KEY, name, start, None): value
            for start, value in zip(starts, values, strict=True)
        }
    )


def tagged_text(doc: Doc, attribute: str = "tag_") -> str:
    """Return the words with their tags, `word/TAG`, a sentence a line.

    A word without a tag stands alone; blank tokens are left out. Where sentences are not known,
    each line of the text is a line.

    Args:
        doc: The Doc.
        attribute: As of `get_tags`.
    """
    lines: list[list[str]] = [[]]
    for token, tag in zip(doc, get_tags(doc, attribute), strict=True):
        if token.is_sent_start and lines[-1]:
            lines.append([])
        if not token.is_space:
            lines[-1].append(f"{token.text}{SEPARATOR}{tag}" if tag else token.text)
        elif "\n" in token.text and lines[-1]:
            lines.append([])
    return "\n".join(" ".join(line) for line in lines if line)
