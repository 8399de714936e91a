"""The rows of a Doc: fields as they were read, where they still say what the Doc says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from spacy.parts_of_speech import IDS as UPOS
from spacy.tokens import Doc

from edspipe.data.conll.format import Record, has_ids, is_word, name_key, text_index
from edspipe.data.conll.spaces import SPACE_NAMES, note_spaces
from edspipe.doc.token_tags import CUSTOM

NOTHING = "_"
Key = tuple[str, int]
"""The name of a column, and how many columns before it have the same name."""


class RowWriter:
    """Writes the rows of one Doc.

    Args:
        doc: The Doc.
        columns: The columns to write.
        tag: The number of the column of the tags, None where there is none.
        tags: The tag of each word, by token.
    """

    def __init__(
        self, doc: Doc, columns: Sequence[str], tag: int | None, tags: dict[int, str]
    ) -> None:
        self.doc = doc
        self.columns = columns
        self.tag = tag
        self.tags = tags
        self.spaces: dict[int, str] = {}
        self._keys = _keys(columns)
        self._form = text_index(columns)
        self._arguments = {i: argument for argument, i in token_columns(columns).items()}
        self._custom = {i: name for name, i in custom_columns(columns).items()}

    def keep(self, sentences: list[list[int]], kept: Record) -> list[dict[str, Any]]:
        """Return the sentences that were read, with what the Doc says now.

        Args:
            sentences: The tokens of each sentence that are words.
            kept: The columns and sentences that were read.
        """
        old, with_ids = _keys(kept["columns"]), has_ids(kept["columns"])
        tokens = iter([(i, token) for words in sentences for i, token in enumerate(words, 1)])
        out = []
        for sentence in kept["sentences"]:
            rows = []
            for row in sentence["rows"]:
                known = dict(zip(old, row, strict=True))
                if is_word(row, with_ids):
                    number, token = next(tokens)
                    rows.append(self._row(number, token, known))
                elif has_ids(self.columns):
                    rows.append([known.get(key, NOTHING) for key in self._keys])
            comments = sentence["comments"] if has_ids(self.columns) or not with_ids else []
            out.append({"comments": comments, "rows": rows})
        return out

    def make(self, sentences: list[list[int]]) -> list[dict[str, Any]]:
        """Return sentences with all that the Doc says.

        Args:
            sentences: The tokens of each sentence that are words.
        """
        self.spaces = note_spaces(self.doc, sentences)
        out = []
        for number, words in enumerate(sentences, start=1):
            rows = [self._row(i, token, {}) for i, token in enumerate(words, start=1)]
            out.append({"comments": self._comments(number, words), "rows": rows})
        return out

    def _comments(self, number: int, words: list[int]) -> list[str]:
        if not has_ids(self.columns):
            return []
        text = self.doc[words[0] : words[-1] + 1].text
        ident = self.doc._.note_id
        comments = [] if ident is None else [f"# sent_id = {ident}-{number}"]
        return [line for line in (*comments, f"# text = {text}") if len(line.splitlines()) == 1]

    def _row(self, number: int, token: int, known: dict[Key, str]) -> list[str]:
        fields = [self._field(i, number, token, known) for i in range(len(self.columns))]
        if self.tag is not None:
            fields[self.tag] = self.tags[token]
        return fields

    def _field(self, i: int, number: int, token: int, known: dict[Key, str]) -> str:
        """Return a field: as it was read where that still says what the Doc says."""
        word, was = self.doc[token], known.get(self._keys[i])
        if i == self._form:
            return word.text
        argument = self._arguments.get(i)
        if argument is not None:
            now = _now(argument, word)
            same = was is not None and _normal(self.doc, argument, was) == now
            if not same:
                return now or NOTHING
        if i in self._custom:
            return _custom_field(word, self._custom[i])
        if was is not None:
            return was
        key = name_key(self.columns[i])
        if key == "id":
            return str(number)
        if key == "misc":
            return self.spaces.get(token, NOTHING)
        if key in SPACE_NAMES:
            return "Yes" if word.whitespace_ else "No"
        return NOTHING


_FEATS = re.compile(r"[^=|]+=[^=|]+(?:\|[^=|]+=[^=|]+)*")
_ARGUMENTS = {
    "lemma": "lemmas",
    "lemma_": "lemmas",
    "upos": "pos",
    "pos_": "pos",
    "xpos": "tags",
    "pos": "tags",
    "tag_": "tags",
    "feats": "morphs",
    "morph": "morphs",
}


def _keys(columns: Sequence[str]) -> list[Key]:
    return [(column, list(columns[:i]).count(column)) for i, column in enumerate(columns)]


def token_columns(columns: Sequence[str]) -> dict[str, int]:
    """Return which columns give which arguments of a Doc; the first one of a kind counts."""
    found: dict[str, int] = {}
    for i, column in enumerate(columns):
        argument = _ARGUMENTS.get(name_key(column))
        if argument is not None:
            found.setdefault(argument, i)
    return found


def custom_columns(columns: Sequence[str]) -> dict[str, int]:
    """Return which columns give which custom attributes of tokens: `level` of `_.level`."""
    return {
        column.removeprefix(CUSTOM): i
        for i, column in enumerate(columns)
        if column.startswith(CUSTOM) and len(column) > len(CUSTOM)
    }


def value_of(argument: str, field: str) -> str:
    """Return the attribute of a token that a field stands for."""
    unknown = argument == "pos" and field not in UPOS
    unknown = unknown or (argument == "morphs" and not _FEATS.fullmatch(field))
    return "" if unknown or field == NOTHING else field


def _custom_field(word: Any, name: str) -> str:
    value = getattr(word._, name) if word.has_extension(name) else None
    return NOTHING if value is None or value == "" else str(value)


def _now(argument: str, word: Any) -> str:
    name = {"lemmas": "lemma_", "pos": "pos_", "tags": "tag_", "morphs": "morph"}[argument]
    return str(getattr(word, name))


def _normal(doc: Doc, argument: str, field: str) -> str:
    value = value_of(argument, field)
    if argument != "morphs" or not value:
        return value
    return doc.vocab.strings[doc.vocab.morphology.add(value)]
