"""eds.matcher: terms and regular expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import set_spans
from edspipe.errors import ConfigError
from edspipe.matching.folding import Attr
from edspipe.matching.phrases import PhraseMatcher
from edspipe.matching.regex import RegexMatcher
from edspipe.matching.text_view import TextView
from edspipe.types import SpanSetter

OTHERS = "*"
"""Names, in `attr`, the labels that are not named."""


@registry.factory.register("eds.matcher")
class Matcher:
    """Finds terms and regular expressions, and makes spans of them.

    Terms are found as whole words, whatever blanks, line breaks or pollution stand between these,
    and whatever the tokenizer did. Regular expressions are searched in the whole text; what they
    find is widened to whole tokens. By default both are compared without regard to case, accents,
    and the form of quotes, dashes and spaces.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | spans where `span_setter` says, with the key of the term as label |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        "eds.matcher",
        config={
            "terms": {"disorder": ["oedème pulmonaire", "HTA"], "drug": "paracétamol"},
            "regex": {"stage": [r"stade [1-4]"]},
            "attr": {"disorder": "NORM", "*": "LOWER"},
        },
    )
    doc = nlp("Œdème\\npulmonaire, stade 3, sous Paracétamol.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [
        ("Œdème\\npulmonaire", "disorder"),
        ("stade 3", "stage"),
        ("Paracétamol", "drug"),
    ]
    ```

    Limits: words are compared as they are written, not by their lemmas. `doc.ents` holds no
    overlapping spans: among all that are found the longest stay, then the leftmost. For terms by
    the hundred thousand see `eds.terminology`.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        terms: By label, one term or several.
        regex: By label, one pattern or several. A match's text is what counts, not its groups.
        attr: What is compared: `"NORM"`; `"LOWER"`, which keeps accents; `"TEXT"`, which keeps
            case too; or parts of the norm, e.g. `"lowercase+quotes"`. Or by label one of these,
            where `"*"` stands for the other labels.
        span_setter: Where spans are put, e.g. `"ents"` or `{"found": True}`.
        ignore_excluded: Whether pollution inside a match is passed over.
        overlaps: Whether all terms are kept where they overlap one another; else the longest.
        kb_id: By label, the code that its spans get.

    Raises:
        ConfigError: There is nothing to find, or a label in `attr` or `kb_id` is unknown.
        ValueError: There is no such attr, or a pattern is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "matcher",
        *,
        terms: dict[str, str | list[str]] | None = None,
        regex: dict[str, str | list[str]] | None = None,
        attr: str | dict[str, str] = "NORM",
        span_setter: SpanSetter = "ents",
        ignore_excluded: bool = True,
        overlaps: bool = False,
        kb_id: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        self.kb_id = kb_id or {}
        labels = dict.fromkeys([*(terms or {}), *(regex or {})])
        _check_labels(labels, attr, self.kb_id)
        self.finders = [
            Finder(
                {label: listed(found) for label, found in (terms or {}).items() if label in chosen},
                {label: listed(found) for label, found in (regex or {}).items() if label in chosen},
                one_attr,
                overlaps=overlaps,
                ignore_excluded=ignore_excluded,
            )
            for one_attr, chosen in _by_attr(labels, attr).items()
        ]

    def __call__(self, doc: Doc) -> Doc:
        """Find the terms and patterns in a Doc."""
        set_spans(doc, self.find(doc), self.span_setter)
        return doc

    def find(self, doc: Doc) -> list[Span]:
        """Return the spans that are found in a Doc, and leave it as it is."""
        return [
            Span(doc, first, end, label=label, kb_id=self.kb_id.get(label, ""))
            for finder in self.finders
            for label, first, end in finder.find(doc)
        ]


class Finder:
    """Terms and patterns that are compared alike.

    Args:
        terms: Terms by key, or the matcher of them.
        regex: Patterns by key.
        attr: What is compared.
        overlaps: Whether terms that overlap one another are all kept.
        ignore_excluded: Whether pollution is passed over.
    """

    def __init__(
        self,
        terms: Mapping[str, Iterable[str]] | PhraseMatcher,
        regex: Mapping[str, Sequence[str]],
        attr: Attr = "NORM",
        *,
        overlaps: bool = False,
        ignore_excluded: bool = True,
    ) -> None:
        if not isinstance(terms, PhraseMatcher):
            terms = PhraseMatcher(terms, attr, overlaps=overlaps, ignore_excluded=ignore_excluded)
        self.phrases = terms
        self.regex = RegexMatcher(regex, attr, ignore_excluded=ignore_excluded)

    def find(self, doc: Doc) -> list[tuple[str, int, int]]:
        """Return what stands in a Doc, each once. *Each:* (key, first token, token behind)"""
        found = self.phrases.find(doc) if len(self.phrases) else []
        if self.regex.patterns and (matches := self.regex.find(doc)):
            view = TextView.of(doc, self.regex.attr, self.regex.ignore_excluded)
            for key, start_char, end_char in matches:
                tokens = view.offsets.snap(start_char, end_char)
                if tokens is not None:
                    found.append((key, tokens[0], tokens[1]))
        return list(dict.fromkeys(found))


def listed(value: str | Iterable[str]) -> list[str]:
    """Return one text, or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def _by_attr(labels: Iterable[str], attr: str | Mapping[str, str]) -> dict[str, list[str]]:
    attrs = {OTHERS: attr} if isinstance(attr, str) else {OTHERS: "NORM", **attr}
    grouped: dict[str, list[str]] = {}
    for label in labels:
        grouped.setdefault(attrs.get(label, attrs[OTHERS]), []).append(label)
    return grouped


def _check_labels(
    labels: Mapping[str, None], attr: str | Mapping[str, str], kb_id: Mapping[str, str]
) -> None:
    if not labels:
        raise ConfigError("eds.matcher: expected terms or regex, by label; got none")
    named = {} if isinstance(attr, str) else attr
    for argument, found in (("attr", named), ("kb_id", kb_id)):
        for label in found:
            if label not in labels and label != OTHERS:
                raise ConfigError(
                    f"eds.matcher: {argument}.{label}: no terms and no regex have this label; "
                    f"the labels are: {', '.join(labels)}"
                )
