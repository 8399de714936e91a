"""Tags on words to spans, and back: BIO, IOB1, BIOES and BIOUL.

| scheme  | first | inside | last | single | source                                  |
| ------- | ----- | ------ | ---- | ------ | --------------------------------------- |
| `bio`   | B     | I      | I    | B      | Tjong Kim Sang and Veenstra 1999 (IOB2) |
| `iob1`  | I     | I      | I    | I      | Ramshaw and Marcus 1995                 |
| `bioes` | B     | I      | E    | S      | also called IOBES                       |
| `bioul` | B     | I      | L    | U      | Ratinov and Roth 2009 (BILOU)           |

In `iob1` the first word has B where it stands right behind another span of the same label.
A tag is `O`, or one of these letters, `-` and a label. `_`, `*` and an empty tag mean `O` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Tagged = tuple[int, int, str]
"""First word, the word behind the last, label."""

OUTSIDE = "O"
_NO_TAGS = frozenset({OUTSIDE, "_", "*", ""})
_SAME = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S"}
_OPEN = frozenset("BI")
"""After these letters, a span may go on."""

# Letters of each scheme: first word, inside, last word, single word.
_LETTERS = {"bio": "BIIB", "iob1": "BIIB", "bioes": "BIES", "bioul": "BILU"}
SCHEMES = tuple(_LETTERS)


class _Tag(NamedTuple):
    """A tag, read: `letter` is one of O, B, I, E, S; `known` is whether it is a tag at all."""

    letter: str
    label: str
    written: str
    known: bool = True


_NOTHING = _Tag(OUTSIDE, "", OUTSIDE)


def spans_from_tags(tags: Sequence[str], scheme: str | None = None) -> tuple[list[Tagged], int]:
    """Return the spans that tags stand for, and how many transitions between tags are invalid.

    All four schemes are read, also mixed, as the scripts of CoNLL and seqeval read them by
    default: a span begins at B, S or U, and wherever a tag goes on that has nothing to go on from;
    it ends behind E, L, S and U, and wherever the next tag begins another span or is outside. What
    is no tag is outside.

    Args:
        tags: One tag a word.
        scheme: The scheme that the count judges by. None counts what no scheme with a B at the
            beginning allows (I, E or L that go on from nothing) and what is no tag at all.

    Returns:
        The spans in text order, and the number of invalid transitions: between two words, before
        the first word, and behind the last.

    Raises:
        ValueError: The scheme is not known.
    """
    if scheme is not None:
        _check_scheme(scheme)
    spans: list[Tagged] = []
    invalid, start = 0, None
    previous = _NOTHING
    for i, written in enumerate(tags):
        tag = _read(written)
        invalid += not _allowed(previous, tag, scheme)
        goes_on = tag.letter in "IE" and _continues(previous, tag)
        if start is not None and not goes_on:
            spans.append((start, i, previous.label))
            start = None
        if start is None and tag.letter != OUTSIDE:
            start = i
        previous = tag
    if start is not None:
        spans.append((start, len(tags), previous.label))
    return spans, invalid + (not _allowed(previous, _NOTHING, scheme))


def _read(written: str) -> _Tag:
    if written in _NO_TAGS:
        return _NOTHING
    letter, hyphen, label = written.partition("-")
    if letter in _SAME and (hyphen or not label):
        return _Tag(_SAME[letter], label, letter)
    return _Tag(OUTSIDE, "", OUTSIDE, known=False)


def _continues(previous: _Tag, tag: _Tag) -> bool:
    return previous.letter in _OPEN and previous.label == tag.label


def _allowed(previous: _Tag, tag: _Tag, scheme: str | None) -> bool:
    """Whether a scheme lets one tag follow another; outside stands for both ends of the text."""
    if not tag.known:
        return False
    if scheme is not None and tag.written not in _LETTERS[scheme] + OUTSIDE:
        return False
    if scheme == "iob1":
        return tag.letter != "B" or _continues(previous, tag)
    if tag.letter in "IE":
        return _continues(previous, tag)
    return scheme not in ("bioes", "bioul") or previous.letter not in _OPEN


def tags_from_spans(spans: Iterable[Tagged], length: int, scheme: str = "bio") -> list[str]:
    """Return one tag a word.

    Args:
        spans: First word, the word behind the last, and label of each; in any order.
        length: How many words there are.
        scheme: `"bio"`, `"iob1"`, `"bioes"` or `"bioul"`.

    Raises:
        ValueError: Spans overlap, are empty or lie outside the words, or the scheme is not known.
    """
    _check_scheme(scheme)
    first, inside, last, single = tuple(_LETTERS[scheme])
    tags = [OUTSIDE] * length
    behind: tuple[int, str | None] = (0, None)
    for start, end, label in sorted(spans):
        if not 0 <= start < end <= length:
            raise ValueError(
                f"expected spans with 0 <= start < end <= {length} words, got {start} to {end}"
            )
        if start < behind[0]:
            raise ValueError(
                f"a span from word {start} overlaps one that ends at word {behind[0]}: a word "
                "has one tag; keep one of them, or write another column"
            )
        letters = [first, *[inside] * (end - start - 2), last] if end - start > 1 else [single]
        if scheme == "iob1" and behind != (start, label):
            letters[0] = inside
        tags[start:end] = [f"{letter}-{label}" if label else letter for letter in letters]
        behind = (end, label)
    return tags


def _check_scheme(scheme: str) -> None:
    if scheme not in _LETTERS:
        raise ValueError(f"a scheme of tags is one of {', '.join(SCHEMES)}; got {scheme!r}")
