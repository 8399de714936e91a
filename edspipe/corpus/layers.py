"""Layers: where the labels of documents stand, on spans, on tokens, or on the document.

| Layer | Level | Labels |
|---|---|---|
| `"ents"`, `"gold-ner"`, `"*"`, a list, a dict, a function | span | as of a span getter |
| `"pos_"`, `"tag_"`, ... | token | the attribute of each token that is not blank |
| `"cats"` | document | those of `doc.cats` with a score from 0.5 on |
| `"_.name"` | token or document | the extension of that name: a text, or for a document several |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from spacy.tokens import Doc, Token

import edspipe.pipeline.doc_transport  # noqa: F401  (ids and attributes of Docs, for streams)
from edspipe.doc.span_access import get_spans
from edspipe.errors import DataError, did_you_mean
from edspipe.types import SpanGetter

Level = Literal["span", "token", "document"]
LEVELS = ("span", "token", "document")
ALL_SPANS: Any = ("ents", "*")
CATS = "cats"
EXTENSION = "_."
SPACY_EXTENSION = "._."
"""First part of the keys of `doc.user_data` under which spaCy keeps extensions."""
MIN_SCORE = 0.5
"""From this score of `doc.cats` on a label holds."""

TOKEN_LAYERS = {"tag_": "TAG", "pos_": "POS", "dep_": "DEP", "lemma_": "LEMMA"}
"""Attributes of tokens that an error looks for; others can be asked for too."""
NO_LABELS = ("note_id", "note_datetime", "patient_id")
"""Attributes of documents that an error does not propose."""


@dataclass
class Layer:
    """Where labels stand.

    Args:
        name: As in the table above.
        level: `"span"`, `"token"` or `"document"`; None goes by the name. It stays None for an
            extension that nobody declared, until a document comes with it.

    Raises:
        ValueError: There is no such level, or the extension is one of tokens and of documents.
    """

    name: SpanGetter
    level: Level | None = None

    def __post_init__(self) -> None:
        if self.level is not None and self.level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}, got {self.level!r}")
        self.level = self.level or _level_of(self.name)

    def labels_of(self, doc: Doc) -> list[str]:
        """Return the labels of a document, one for each span, token or class that has it.

        Blank tokens have none.
        """
        self.level = self.level or _level_of(self.name)  # readers declare extensions as they read
        if self.level is None:
            return []
        if self.level == "span":
            getter = list(self.name) if isinstance(self.name, tuple) else self.name
            return [span.label_ for span in get_spans(doc, getter)]
        assert isinstance(self.name, str)
        read = _reader(self.name)
        if self.level == "token":
            return [label for token in doc if not token.is_space and (label := read(token))]
        if self.name == CATS:
            return [label for label, score in doc.cats.items() if score >= MIN_SCORE]
        return _as_labels(read(doc), self.name)

    def known_labels(self, doc: Doc) -> Iterable[str]:
        """Return labels that a document names and does not have: those of low scores."""
        return doc.cats if self.name == CATS else ()

    def __str__(self) -> str:
        names = self.name if isinstance(self.name, (list, tuple, dict)) else [self.name]
        shown = (n if isinstance(n, str) else getattr(n, "__name__", "a function") for n in names)
        return ", ".join(shown)


def _level_of(name: SpanGetter) -> Level | None:
    """Return where a layer is; None for an extension that is not declared."""
    if not isinstance(name, str):
        return "span"
    if name == CATS:
        return "document"
    if not name.startswith(EXTENSION):
        return "token" if name.endswith("_") and hasattr(Token, name) else "span"
    bare = name.removeprefix(EXTENSION)
    on_tokens, on_docs = Token.has_extension(bare), Doc.has_extension(bare)
    if on_tokens and on_docs:
        raise ValueError(f"{name} exists on tokens and on documents; say which, with level=")
    if not on_tokens and not on_docs:
        return None
    return "token" if on_tokens else "document"


def _reader(name: str) -> Callable[[Any], Any]:
    if name.startswith(EXTENSION):
        bare = name.removeprefix(EXTENSION)
        return lambda thing: thing._.get(bare) if thing._.has(bare) else None
    return lambda thing: getattr(thing, name)


def _as_labels(value: Any, name: str) -> list[str]:
    """Return the labels that the extension of a document stands for."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(v, str) for v in value):
        return sorted(set(value))
    raise TypeError(f"doc.{name}: expected a label or a list of labels, got {_kind(value)}")


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"a {name} of other things" if isinstance(value, (list, tuple, set)) else f"a {name}"


@dataclass
class SeenLayers:
    """Which layers documents have; filled while they pass, read when a name was wrong.

    Attributes:
        num_docs: How many documents passed.
        names: The layers that hold something, by level.
    """

    num_docs: int = 0
    names: dict[str, Counter[str]] = field(
        default_factory=lambda: {level: Counter() for level in LEVELS}
    )

    def add(self, doc: Doc) -> None:
        """Look at a document."""
        self.num_docs += 1
        self.names["span"].update(["ents"] if doc.ents else [])
        self.names["span"].update(name for name, spans in doc.spans.items() if len(spans))
        self.names["token"].update(
            name for name, code in TOKEN_LAYERS.items() if doc.has_annotation(code)
        )
        self.names["document"].update([CATS] if doc.cats else [])
        for key, value in doc.user_data.items():
            if isinstance(key, tuple) and key[0] == SPACY_EXTENSION:
                self._add_extension(key, value)

    def _add_extension(self, key: tuple[Any, ...], value: Any) -> None:
        """Count `("._.", name, start, end)`: only what was set, as a getter might do anything."""
        _, name, start, end = key
        if (
            end is None
            and name not in NO_LABELS
            and isinstance(value, (str, list, tuple))
            and value
        ):
            self.names["document" if start is None else "token"][f"{EXTENSION}{name}"] += 1

    def error(self, layer: Layer) -> DataError:
        """Return the error for a layer that holds nothing."""
        known = [name for level in LEVELS for name in self.names[level]]
        listed = "; ".join(
            f"on {level}s: {', '.join(sorted(self.names[level]))}"
            for level in LEVELS
            if self.names[level]
        )
        return DataError(
            f"no labels in the layer '{layer}' of {self.num_docs} documents."
            f"{did_you_mean(str(layer), known)} Layers with labels are {listed or 'none'}"
        )
