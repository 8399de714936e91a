"""Converters "hf_text" and "hf_ner": rows as datasets of Hugging Face have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.data.conll.bio import SCHEMES, Tagged, spans_from_tags, tags_from_spans
from edspipe.data.converters.base import default_tokenizer
from edspipe.doc.overlaps import keep_longest
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.errors import DataError
from edspipe.types import SpanGetter, SpanSetter


class _IdColumn:
    """What both converters do with ids.

    Args:
        id_column: The column of the id; None reads none, and writes it under `note_id`.
    """

    def __init__(self, id_column: str | None) -> None:
        self.id_column = id_column
        self.id_key = id_column or "note_id"

    def column(self, record: Any, name: str) -> Any:
        """Return a value of a record.

        Raises:
            DataError: It is no record, or has no such column.
        """
        if not isinstance(record, dict):
            raise DataError(f"expected a record (a dict), got a {type(record).__name__}")
        if name not in record:
            found = ", ".join(sorted(map(str, record))) or "nothing"
            raise self.problem(record, f"no column '{name}'; the record has: {found}")
        return record[name]

    def id_of(self, record: Any) -> Any:
        """Return the id of a record, None where it is not read."""
        return None if self.id_column is None else self.column(record, self.id_column)

    def problem(self, record: dict[str, Any], message: str) -> DataError:
        """Return an error that names the record."""
        ident = record.get(self.id_key)
        return DataError(message, id=None if ident is None else str(ident))


@registry.converters.register("hf_text")
class HfTextConverter:
    """Rows with a text to Docs without annotations, and back.

    Args:
        text_column: The column of the text.
        id_column: The column of the id, which becomes `doc._.note_id`. None reads none; on writing
            it is `note_id` then.
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
    """

    def __init__(
        self, text_column: str = "text", id_column: str | None = None, tokenizer: Any = None
    ) -> None:
        self.text_column = text_column
        self.ids = _IdColumn(id_column)
        self.id_key = self.ids.id_key
        self.tokenizer = default_tokenizer(tokenizer)

    def to_doc(self, record: Any) -> Doc:
        """Turn a row into a Doc.

        Raises:
            DataError: A column is missing, or the text is null or no text.
        """
        text = self.ids.column(record, self.text_column)
        if not isinstance(text, str):
            kind = "null" if text is None else f"a {type(text).__name__}"
            message = f"expected a text under {self.text_column}, got {kind}"
            raise self.ids.problem(record, message)
        doc = self.tokenizer(text)
        doc._.note_id = self.ids.id_of(record)
        return doc

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a row."""
        return {self.id_key: doc._.note_id, self.text_column: doc.text}

    def arrow_schema(self) -> pa.Schema:
        """Return the columns."""
        return pa.schema([(self.id_key, pa.string()), (self.text_column, pa.string())])


@registry.converters.register("hf_ner")
class HfNerConverter:
    """Rows of words and their tags to Docs with spans, and back.

    The text is that of the words with a blank between them: rows do not say what stood there. Tags
    are BIO, IOB1, BIOES or BIOUL, as texts or as numbers of `tag_names`; all schemes are read,
    and tags that do not fit are counted (`invalid_tags`).

    Args:
        words_column: The column of the words.
        ner_tags_column: The column of the tags.
        id_column: The column of the id, which becomes `doc._.note_id`. None reads none; on writing
            it is `note_id` then.
        tag_names: The tags by number, as `["O", "B-drug", "I-drug"]`, where rows hold numbers.
        scheme: `"bio"`, `"iob1"`, `"bioes"` or `"bioul"`: what is written, and what invalid tags
            are counted by. None writes `"bio"`.
        span_setter: Where spans go when reading.
        span_getter: Which spans are written.
        on_overlap: When spans overlap: `"raise"`, or `"longest"` to leave out the shorter ones
            (`spans_left_out`).
        tokenizer: Its vocabulary is used; None takes that of `edspipe.blank("eds")`.

    Raises:
        ValueError: The scheme or `on_overlap` is not known, or a tag has two numbers.
    """

    def __init__(
        self,
        words_column: str = "tokens",
        ner_tags_column: str = "ner_tags",
        id_column: str | None = None,
        tag_names: Sequence[str] | None = None,
        scheme: str | None = None,
        span_setter: SpanSetter = "ents",
        span_getter: SpanGetter = "ents",
        on_overlap: str = "raise",
        tokenizer: Any = None,
    ) -> None:
        if scheme is not None and scheme not in SCHEMES:
            raise ValueError(f"scheme is one of {', '.join(SCHEMES)}; got {scheme!r}")
        if on_overlap not in ("raise", "longest"):
            raise ValueError(f"on_overlap is 'raise' or 'longest', got {on_overlap!r}")
        self.words_column = words_column
        self.ner_tags_column = ner_tags_column
        self.ids = _IdColumn(id_column)
        self.id_key = self.ids.id_key
        self.tag_names = None if tag_names is None else list(tag_names)
        if len(set(self.tag_names or ())) < len(self.tag_names or ()):
            raise ValueError(f"tag_names has a tag twice: {', '.join(self.tag_names or ())}")
        self.scheme = scheme
        self.span_setter = span_setter
        self.span_getter = span_getter
        self.on_overlap = on_overlap
        self.vocab = default_tokenizer(tokenizer).vocab

    def to_doc(self, record: Any) -> Doc:
        """Turn a row into a Doc.

        Raises:
            DataError: A column is missing, or holds no words or tags.
        """
        return self.read(record)[0]

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a row.

        Raises:
            DataError: Spans overlap under `on_overlap="raise"`, or a tag is not in `tag_names`.
        """
        return self.write(doc)[0]

    def read(self, record: Any) -> tuple[Doc, Counter[str]]:
        """Return the Doc, and what is to be counted: `invalid_tags`."""
        words = self._words(record)
        tags = self._tags(record, len(words))
        spaces = [True] * (len(words) - 1) + [False] if words else []
        doc = Doc(self.vocab, words=words, spaces=spaces)
        doc._.note_id = self.ids.id_of(record)
        found, num_invalid = spans_from_tags(tags, self.scheme)
        spans = [Span(doc, start, end, label=label) for start, end, label in found]
        set_spans(doc, spans, self.span_setter)
        return doc, +Counter(invalid_tags=num_invalid)

    def _words(self, record: Any) -> list[str]:
        words = self.ids.column(record, self.words_column)
        if not isinstance(words, list):
            kind = "null" if words is None else f"a {type(words).__name__}"
            message = f"expected a list of words under {self.words_column}, got {kind}"
            raise self.ids.problem(record, message)
        for i, word in enumerate(words):
            if not isinstance(word, str) or not word:
                kind = "an empty one" if word == "" else f"a {type(word).__name__}"
                message = f"expected words under {self.words_column}, and number {i} is {kind}"
                raise self.ids.problem(record, message)
        return words

    def _tags(self, record: dict[str, Any], num_words: int) -> list[str]:
        tags = self.ids.column(record, self.ner_tags_column)
        if not isinstance(tags, list) or len(tags) != num_words:
            found = len(tags) if isinstance(tags, list) else type(tags).__name__
            message = f"expected {num_words} tags under {self.ner_tags_column}, got {found}"
            raise self.ids.problem(record, message)
        return [self._tag(tag, i, record) for i, tag in enumerate(tags)]

    def _tag(self, tag: Any, i: int, record: dict[str, Any]) -> str:
        if isinstance(tag, str):
            return tag
        names = self.tag_names
        if isinstance(tag, int) and names is not None and 0 <= tag < len(names):
            return names[tag]
        cure = "pass tag_names=[...]" if names is None else f"tag_names has {len(names)}"
        shown = tag if isinstance(tag, int) else f"a {type(tag).__name__}"
        raise self.ids.problem(record, f"the tag of word {i} is {shown}, which has no name; {cure}")

    def write(self, doc: Doc) -> tuple[dict[str, Any], Counter[str]]:
        """Return the row, and what is to be counted: `spans_left_out`."""
        places = {token.i: i for i, token in enumerate(t for t in doc if not t.is_space)}
        spans = get_spans(doc, self.span_getter)
        tagged = [found for span in keep_longest(spans) if (found := _place(span, places))]
        left_out = len(spans) - len(tagged)
        if left_out and self.on_overlap == "raise":
            raise self._problem(
                doc,
                f"{left_out} of {len(spans)} spans overlap others or are blank, and a word has one "
                "tag: pass another span_getter, or on_overlap='longest' to leave spans out",
            )
        tags = tags_from_spans(tagged, len(places), self.scheme or "bio")
        record = {
            self.id_key: doc._.note_id,
            self.words_column: [doc[i].text for i in places],
            self.ner_tags_column: tags if self.tag_names is None else self._numbers(doc, tags),
        }
        return record, +Counter(spans_left_out=left_out)

    def _numbers(self, doc: Doc, tags: list[str]) -> list[int]:
        numbers = {name: number for number, name in enumerate(self.tag_names or ())}
        unknown = sorted(set(tags) - set(numbers))
        if unknown:
            raise self._problem(doc, f"tags that are not in tag_names: {', '.join(unknown)}")
        return [numbers[tag] for tag in tags]

    def _problem(self, doc: Doc, message: str) -> DataError:
        ident = doc._.note_id
        return DataError(message, id=None if ident is None else str(ident))

    def arrow_schema(self) -> pa.Schema:
        """Return the columns."""
        tag = pa.string() if self.tag_names is None else pa.int64()
        return pa.schema(
            [
                (self.id_key, pa.string()),
                (self.words_column, pa.list_(pa.string())),
                (self.ner_tags_column, pa.list_(tag)),
            ]
        )


def _place(span: Span, places: dict[int, int]) -> Tagged | None:
    """Return first word, word behind the last, label, counting words alone; None without words."""
    inside = [places[i] for i in range(span.start, span.end) if i in places]
    return (inside[0], inside[-1] + 1, span.label_) if inside else None
