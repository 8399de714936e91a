"""Converter "conll": rows of words and their columns to Docs, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.data.conll.bio import SCHEMES, spans_from_tags, tags_from_spans
from edspipe.data.conll.format import (
    NER,
    Record,
    has_ids,
    is_word,
    name_key,
    show,
    text_index,
)
from edspipe.data.conll.rows import NOTHING, RowWriter, custom_columns, token_columns, value_of
from edspipe.data.conll.spaces import Layout, following
from edspipe.data.converters.base import default_tokenizer
from edspipe.doc.overlaps import keep_longest
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.doc.token_tags import declare_token_attribute, set_values
from edspipe.errors import DataError
from edspipe.types import SpanGetter, SpanSetter

KEPT = "edspipe.conll"
"""Key of `doc.user_data` for the columns and rows that the Doc was read from."""
DEFAULT_COLUMNS = ("text", NER)


@registry.converters.register("conll")
class ConllConverter:
    """Rows of CoNLL files to Docs, and back.

    A record is `{"note_id", "columns", "sentences": [{"comments", "rows"}]}`. Its rows are the
    words of the Doc. The text is that of the words and the spaces behind them: as `SpaceAfter=No`
    or `SpacesAfter=` in the column MISC says, or as in a comment `# text = ...` where the words
    fit it exactly, else one space between words and a line break between sentences. The columns
    LEMMA, UPOS, XPOS (or POS) and FEATS become the attributes of tokens; a column may also be named
    after the attribute, `lemma_`, `pos_`, `tag_`, `morph` or `_.<name>` (a custom one, which is
    declared). `_` is no value. Tags of UPOS that Universal Dependencies do not have are counted
    (`unknown_pos`); in a column `pos_` they are an error. HEAD, DEPREL and further columns,
    comments, ranges and empty nodes are kept for writing.

    Args:
        tokenizer: Its vocabulary is used; None takes that of `edspipe.blank("eds")`.
        columns: The columns to write; None writes those that were read.
        tag_column: The column of the tags; None takes the one named `ner`, if there is one.
        scheme: `"bio"`, `"iob1"`, `"bioes"` or `"bioul"`. All are read, whatever it says: then it
            is what invalid tags are counted by. None writes `"bio"`.
        span_setter: Where spans go when reading.
        span_getter: Which spans are written.
        on_overlap: When spans overlap, or cross the end of a sentence: `"raise"`, or `"longest"` to
            leave out the shorter ones (`spans_left_out`).
        default_columns: The columns to write of a Doc that was not read from rows.
        default_label: The label of tags that have none, as `doc.ents` needs one.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        columns: Sequence[str] | None = None,
        tag_column: str | None = None,
        scheme: str | None = None,
        span_setter: SpanSetter = "ents",
        span_getter: SpanGetter = "ents",
        on_overlap: str = "raise",
        default_columns: Sequence[str] = DEFAULT_COLUMNS,
        default_label: str = "ent",
    ) -> None:
        if scheme is not None and scheme not in SCHEMES:
            raise ValueError(f"scheme is one of {', '.join(SCHEMES)}; got {scheme!r}")
        if on_overlap not in ("raise", "longest"):
            raise ValueError(f"on_overlap is 'raise' or 'longest', got {on_overlap!r}")
        self.vocab = default_tokenizer(tokenizer).vocab
        self.columns = None if columns is None else list(columns)
        self.tag_column = tag_column
        self.scheme = scheme
        self.span_setter = span_setter
        self.span_getter = span_getter
        self.on_overlap = on_overlap
        self.default_columns = list(default_columns)
        self.default_label = default_label

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc.

        Raises:
            DataError: The record has no words, or no column of that name.
        """
        return self.read(record)[0]

    def to_record(self, doc: Doc) -> Record:
        """Turn a Doc into a record.

        Raises:
            DataError: Spans overlap or cross the end of a sentence, under `on_overlap="raise"`.
        """
        return self.write(doc)[0]

    # ---- reading -------------------------------------------------------------------------------

    def read(self, record: Any) -> tuple[Doc, Counter[str]]:
        """Return the Doc, and what is to be counted: `invalid_tags`, `text_differs`, ..."""
        columns, sentences = _parts(record)
        with_ids, form = has_ids(columns), text_index(columns)
        layout, counts = Layout(), Counter[str]()
        all_rows: list[list[str]] = []
        ends: list[int] = []
        words = [[row for row in part["rows"] if is_word(row, with_ids)] for part in sentences]
        last = max((i for i, rows in enumerate(words) if rows), default=None)
        for i, rows in enumerate(words):
            if rows:
                spaces, fits = following(sentences[i], columns, is_last=i == last)
                counts["text_differs"] += not fits
                layout.add_sentence([row[form] for row in rows], spaces)
                all_rows += rows
                ends.append(len(all_rows))
        doc = self._doc(layout, columns, all_rows)
        doc._.note_id = record.get("note_id")
        doc.user_data[KEPT] = _kept(columns, sentences, self._tag_index(columns))
        counts["unknown_pos"] += _count_unknown_pos(columns, all_rows)
        counts["invalid_tags"] += self._set_spans(doc, layout.rows, columns, all_rows, ends)
        return doc, +counts

    def _doc(self, layout: Layout, columns: list[str], rows: list[list[str]]) -> Doc:
        values = {
            argument: layout.spread([value_of(argument, row[i]) for row in rows])
            for argument, i in token_columns(columns).items()
        }
        doc = Doc(
            self.vocab,
            words=layout.words,
            spaces=layout.spaces,
            sent_starts=layout.sent_starts,  # type: ignore[arg-type]
            **values,  # type: ignore[arg-type]
        )
        for name, i in custom_columns(columns).items():
            declare_token_attribute(name)
            fields = ["" if row[i] == NOTHING else row[i] for row in rows]
            set_values(doc, name, [value or None for value in layout.spread(fields)])
        return doc

    def _set_spans(
        self,
        doc: Doc,
        tokens: list[int],
        columns: list[str],
        rows: list[list[str]],
        ends: list[int],
    ) -> int:
        """Set the spans that the tags stand for, a sentence at a time; count invalid tags."""
        tag = self._tag_index(columns)
        if tag is None:
            return 0
        spans, num_invalid, begin = [], 0, 0
        for end in ends:
            found, invalid = spans_from_tags([row[tag] for row in rows[begin:end]], self.scheme)
            num_invalid += invalid
            for first, behind, label in found:
                last = tokens[begin + behind - 1]
                spans.append(
                    Span(doc, tokens[begin + first], last + 1, label or self.default_label)
                )
            begin = end
        set_spans(doc, spans, self.span_setter)
        return num_invalid

    def _tag_index(self, columns: Sequence[str]) -> int | None:
        if self.tag_column is not None:
            if self.tag_column in columns:
                return list(columns).index(self.tag_column)
            raise DataError(
                f"no column '{self.tag_column}' for the tags among {show(columns)}; pass "
                "tag_column= or columns="
            )
        return next((i for i, column in enumerate(columns) if name_key(column) == NER), None)

    # ---- writing -------------------------------------------------------------------------------

    def write(self, doc: Doc) -> tuple[Record, Counter[str]]:
        """Return the record, and what is to be counted: `spans_left_out`."""
        sentences = _sentences(doc)
        kept = _fitting(doc, sentences)
        columns = self.columns or kept.get("columns") or self.default_columns
        tag = self._tag_index(columns)
        tags, left_out = self._tags(doc, sentences, tag)
        record: Record = {"note_id": doc._.note_id, "columns": list(columns), "sentences": []}
        writer = RowWriter(doc, columns, tag, tags)
        if kept.get("sentences"):
            record["sentences"] = writer.keep(sentences, kept)
        else:
            record["sentences"] = writer.make(sentences)
        return record, Counter(spans_left_out=left_out) if left_out else Counter()

    def _tags(
        self, doc: Doc, sentences: list[list[int]], tag: int | None
    ) -> tuple[dict[int, str], int]:
        """Return the tag of each word (by token), and how many spans found no place."""
        spans = get_spans(doc, self.span_getter)
        if tag is None:
            return {}, len(spans)
        kept = keep_longest(spans)
        if len(kept) < len(spans) and self.on_overlap == "raise":
            raise self._no_place(doc, f"{len(spans)} spans overlap or are empty")
        rows = {token: row for row, token in enumerate(t for words in sentences for t in words)}
        sentence_of = {token: i for i, words in enumerate(sentences) for token in words}
        placed = []
        for span in kept:
            tokens = [i for i in range(span.start, span.end) if i in rows]
            if not tokens or sentence_of[tokens[0]] != sentence_of[tokens[-1]]:
                if self.on_overlap == "raise":
                    message = f"the span of words {span.start} to {span.end} is blank or crosses"
                    raise self._no_place(doc, f"{message} the end of a sentence")
                continue
            placed.append((rows[tokens[0]], rows[tokens[-1]] + 1, span.label_))
        written = []
        for words in sentences:
            first, behind = (rows[words[0]], rows[words[-1]] + 1) if words else (0, 0)
            here = [(s - first, e - first, label) for s, e, label in placed if first <= s < behind]
            written += tags_from_spans(here, len(words), self.scheme or "bio")
        return dict(zip(rows, written, strict=True)), len(spans) - len(placed)

    def _no_place(self, doc: Doc, message: str) -> DataError:
        ident = doc._.note_id
        return DataError(
            f"{message}, and a word has one tag: pass another span_getter, or "
            "on_overlap='longest' to leave spans out",
            id=None if ident is None else str(ident),
        )


def _count_unknown_pos(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Count the words whose part of speech is none of Universal Dependencies.

    Raises:
        DataError: There are some in a column `pos_`, which has to fit `token.pos_`.
    """
    i = token_columns(columns).get("pos")
    if i is None:
        return 0
    number = sum(row[i] != NOTHING and not value_of("pos", row[i]) for row in rows)
    if number and columns[i] == "pos_":
        raise DataError(
            f"{number} words have a tag that token.pos_ cannot hold (NOUN, VERB, ... of Universal "
            "Dependencies are expected): name the column 'tag_'"
        )
    return number


def _parts(record: Any) -> tuple[list[str], list[dict[str, Any]]]:
    valid = isinstance(record, dict) and record.get("columns") and "sentences" in record
    if not valid:
        raise DataError(
            'expected a record {"note_id", "columns", "sentences"}, got a '
            f"{type(record).__name__}{' without these' if isinstance(record, dict) else ''}"
        )
    return list(record["columns"]), record["sentences"]


def _kept(columns: list[str], sentences: list[dict[str, Any]], tag: int | None) -> dict[str, Any]:
    """Return what writing needs of a record: no rows, if the Doc has all that is in them."""
    form = text_index(columns)
    plain = all(i in (form, tag) for i in range(len(columns)))
    if plain and not any(sentence["comments"] for sentence in sentences):
        return {"columns": columns}
    return {"columns": columns, "sentences": sentences}


def _sentences(doc: Doc) -> list[list[int]]:
    """Return the words of each sentence, by token, without blank tokens and empty sentences."""
    parts = doc.sents if doc.has_annotation("SENT_START") else [doc[:]]
    words = ([token.i for token in part if not token.is_space] for part in parts)
    return [part for part in words if part]


def _fitting(doc: Doc, sentences: list[list[int]]) -> dict[str, Any]:
    """Return what was kept; without rows, if words or sentences have changed since."""
    kept = doc.user_data.get(KEPT, {})
    if "sentences" not in kept:
        return kept
    with_ids, form = has_ids(kept["columns"]), text_index(kept["columns"])
    was = [
        [row[form] for row in sentence["rows"] if is_word(row, with_ids)]
        for sentence in kept["sentences"]
    ]
    now = [[doc[token].text for token in words] for words in sentences]
    return kept if [words for words in was if words] == now else {"columns": kept["columns"]}
