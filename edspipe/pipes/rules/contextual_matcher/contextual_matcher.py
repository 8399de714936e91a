"""eds.contextual_matcher: terms and patterns that count by what stands around them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import set_spans
from edspipe.matching.regex import compile_pattern
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.contextual_matcher.rules import (
    Assign,
    Context,
    Pattern,
    Window,
    parse_patterns,
)
from edspipe.pipes.rules.contextual_matcher.windows import Windows
from edspipe.pipes.rules.matcher import Finder
from edspipe.types import SpanSetter

Tokens = tuple[int, int]
"""The first token, and the one behind the last."""

declare_span_attribute("assigned")
declare_span_attribute("source")


@registry.factory.register("eds.contextual_matcher")
class ContextualMatcher:
    """Finds terms and patterns where the words around them say so, and reads values there.

    A pattern has `terms` or `regex` (what is looked for), and any number of rules:

    - `include`: all of these must be found around the match;
    - `exclude`: none of these may be;
    - `assign`: a value is read around the match, and written to `span._.<name>` and, by name, to
      the dict `span._.assigned`. With `replace_entity` the span becomes the value's words.

    Each rule has a `window`: `5` is five words on both sides, `[-5, 0]` or `"words[-5:0]"` the five
    before, `"sents[0:0]"` the match's own sentence, and `"sents[-1:0]"` also the one before it.
    Signs count as words, blanks and pollution do not. Without a window it is the own sentence,
    which needs `eds.sentences`.

    | | |
    |---|---|
    | reads | the text, sentences, `doc.spans["pollution"]` |
    | writes | spans where `span_setter` says; `span._.assigned`, `span._.<name>`, `span._.source` |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe(
        "eds.contextual_matcher",
        config={
            "label": "tumour",
            "patterns": [
                {
                    "terms": ["tumeur", "adénocarcinome"],
                    "source": "cancer",
                    "exclude": [{"regex": "bénigne"}],
                    "assign": [
                        {"name": "size_mm", "regex": r"(\\d+) ?mm", "window": "words[0:6]"},
                        {"name": "stage", "regex": "stade (I{1,3}V?)"},
                    ],
                },
            ],
        },
    )
    doc = nlp("Tumeur bénigne du foie. Adénocarcinome de 12 mm du poumon, stade II.")
    (ent,) = doc.ents
    assert ent.text == "Adénocarcinome"
    assert ent._.assigned == {"size_mm": "12", "stage": "II"}
    assert ent._.stage == "II"
    ```

    A value is the text of the note as it is written, of the pattern's group, or of the whole match
    if the pattern has no group. Where there are several, `reduce_mode` takes the nearest
    (`"keep_nearest"`), the first, the last, or with `null` a list of all. A match whose `required`
    value is missing is dropped.

    Limits: a window holds 500 tokens on either side at most, sentences or not. A rule does not look
    at other rules' spans. Spans on the same words have one label and so one dict of values: the
    last pattern wins.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        label: The label of the spans.
        patterns: One pattern, or several, see above.
        attr: What is compared where a pattern or a rule does not say: `"NORM"`, `"LOWER"`,
            `"TEXT"`, or parts, see `eds.matcher`.
        span_setter: Where spans are put.
        ignore_excluded: Whether pollution is passed over.
        include_assigned: Whether a span is widened to the values that were read.

    Raises:
        ConfigError: A pattern is not of this form; the message names the path in it. Or a window
            counts sentences in a Doc that has none.
        ValueError: There is no such attr, or a regular expression is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "contextual_matcher",
        *,
        label: str,
        patterns: Any,
        attr: str = "NORM",
        span_setter: SpanSetter = "ents",
        ignore_excluded: bool = True,
        include_assigned: bool = False,
    ) -> None:
        self.name = name
        self.label = label
        self.span_setter = span_setter
        self.include_assigned = include_assigned
        self.rules = [_Matching(one, attr, ignore_excluded) for one in parse_patterns(patterns)]
        for rule in self.rules:
            for one in rule.assign:
                declare_span_attribute(one.rule.name)

    def __call__(self, doc: Doc) -> Doc:
        """Find the patterns in a Doc, and read the values around them."""
        spans = []
        windows = Windows(doc)
        for rule in self.rules:
            for found in rule.find(doc, windows):
                first, end = found.widened() if self.include_assigned else found.tokens
                span = Span(doc, first, end, label=self.label)
                _write(span, found.values, rule.source)
                spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc


@dataclass
class _Value:
    """A value that was read: its text, and its characters in the raw text and tokens."""

    text: str
    tokens: Tokens
    distance: int


@dataclass
class _Found:
    """A match, with its values."""

    tokens: Tokens
    values: dict[str, Any] = field(default_factory=dict)
    value_tokens: list[Tokens] = field(default_factory=list)

    def widened(self) -> Tokens:
        parts = [self.tokens, *self.value_tokens]
        return min(first for first, _ in parts), max(end for _, end in parts)


class _Matching:
    """One pattern, ready to be looked for."""

    def __init__(self, pattern: Pattern, attr: str, ignore_excluded: bool) -> None:
        self.source = pattern.source
        self.finder = Finder(
            {"": pattern.terms},
            {"": pattern.regex},
            pattern.attr or attr,
            ignore_excluded=ignore_excluded,
        )
        self.include = [_Around(one, attr, ignore_excluded) for one in pattern.include]
        self.exclude = [_Around(one, attr, ignore_excluded) for one in pattern.exclude]
        self.assign = [_Reading(one, attr, ignore_excluded) for one in pattern.assign]

    def find(self, doc: Doc, windows: Windows) -> Iterator[_Found]:
        for _, first, end in self.finder.find(doc):
            tokens = first, end
            if all(rule.holds(windows, tokens) for rule in self.include) and not any(
                rule.holds(windows, tokens) for rule in self.exclude
            ):
                found = self._read(windows, tokens)
                if found is not None:
                    yield found

    def _read(self, windows: Windows, tokens: Tokens) -> _Found | None:
        found = _Found(tokens)
        for reading in self.assign:
            values = reading.values(windows, tokens)
            if not values and reading.rule.required:
                return None
            if values:
                texts = [value.text for value in values]
                found.values[reading.rule.name] = texts if reading.takes_all else texts[0]
                found.value_tokens += [value.tokens for value in values]
                if reading.rule.replace_entity:
                    found.tokens = values[0].tokens
        return found


class _Around:
    """An include or exclude rule, ready to be looked for."""

    def __init__(self, rule: Context, attr: str, ignore_excluded: bool) -> None:
        self.window: Window = rule.window
        self.include_entity = rule.include_entity
        self.finder = Finder(
            {"": rule.terms},
            {},
            rule.attr or attr,
            overlaps=True,
            ignore_excluded=ignore_excluded,
        )
        self.attr = rule.attr or attr
        self.ignore_excluded = ignore_excluded
        self.regex = [compile_pattern(pattern, self.attr) for pattern in rule.regex]

    def holds(self, windows: Windows, tokens: Tokens) -> bool:
        return self._finds_term(windows, tokens) or self._finds_pattern(windows, tokens)

    def _finds_term(self, windows: Windows, tokens: Tokens) -> bool:
        found = windows.terms(self.finder)
        if not found:
            return False
        start, stop = windows.tokens(*tokens, self.window)
        near = found[bisect_left(found, (start, 0)) : bisect_left(found, (stop, 0))]
        return any(
            end <= stop and (self.include_entity or end <= tokens[0] or first >= tokens[1])
            for first, end in near
        )

    def _finds_pattern(self, windows: Windows, tokens: Tokens) -> bool:
        if not self.regex:
            return False
        view = windows.view(self.attr, self.ignore_excluded)
        return any(
            pattern.search(view.text, start, end)
            for start, end in _stretches(view, windows, tokens, self.window, self.include_entity)
            for pattern in self.regex
        )


class _Reading:
    """An assign rule, ready to be looked for."""

    def __init__(self, rule: Assign, attr: str, ignore_excluded: bool) -> None:
        self.rule = rule
        self.attr = rule.attr or attr
        self.ignore_excluded = ignore_excluded
        self.regex = compile_pattern(rule.regex, self.attr, rule.name)
        self.takes_all = rule.reduce_mode is None

    def values(self, windows: Windows, tokens: Tokens) -> list[_Value]:
        """Return the values that are taken, in text order."""
        view = windows.view(self.attr, self.ignore_excluded)
        found = [
            value
            for start, end in _stretches(view, windows, tokens, self.rule.window, False)
            for match in self.regex.finditer(view.text, start, end)
            if (value := _value(view, match, tokens)) is not None
        ]
        match self.rule.reduce_mode:
            case "keep_first":
                return found[:1]
            case "keep_last":
                return found[-1:]
            case "keep_nearest":
                return sorted(found, key=lambda value: value.distance)[:1]
        return found


def _stretches(
    view: TextView, windows: Windows, tokens: Tokens, window: Window, whole: bool
) -> Iterator[tuple[int, int]]:
    """Yield the characters of a window: those before a match and those behind it, or all."""
    start, end = windows.chars(view, *tokens, window)
    if whole:
        yield start, end
        return
    starts, ends = view.token_chars
    yield start, starts[tokens[0]]
    yield ends[tokens[1] - 1], end


def _value(view: TextView, match: re.Match[str], tokens: Tokens) -> _Value | None:
    group = match.lastindex and next(g for g in range(1, len(match.regs)) if match[g] is not None)
    start_char, end_char = view.raw(*match.span(group or 0))
    snapped = view.offsets.snap(start_char, end_char)
    if snapped is None:
        return None
    distance = max(tokens[0] - snapped[1], snapped[0] - tokens[1])
    return _Value(view.raw_text[start_char:end_char], snapped[:2], distance)


def _write(span: Span, values: dict[str, Any], source: str | None) -> None:
    span._.set("assigned", dict(values))
    if source is not None:
        span._.set("source", source)
    for name, value in values.items():
        span._.set(name, value)
