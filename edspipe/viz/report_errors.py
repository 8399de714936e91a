"""The part of the report about errors: how many of each kind, on which labels, and where."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from edspipe.viz.evaluation import mapping, number
from edspipe.viz.html import EMPTY, Html, bar, details, join, table, tag
from edspipe.viz.weaknesses import KINDS, MEANINGS, error_counts

CONTEXT_CHARS = 60
"""Shown before and after an entity, where texts are shown."""

MAX_LABEL_ROWS = 60


def errors_part(evaluation: Mapping[str, Any], texts: Mapping[str, str] | None) -> Html:
    """Return the errors of an evaluation.

    Args:
        evaluation: The object of an evaluation file.
        texts: Texts by document id, to show errors in their context; None shows no text.
    """
    errors = mapping(evaluation.get("errors"))
    if not errors.get("counts"):
        return EMPTY
    counts = error_counts(evaluation)
    return join([_kinds(counts), _labels(errors, counts), _examples(errors, counts, texts)])


def _kinds(counts: Mapping[str, int]) -> Html:
    total = sum(counts.values())
    rows = [
        [KINDS[kind], bar(f"{count:,}", count / max(total, 1), "bad"), MEANINGS[kind]]
        for kind, count in counts.items()
    ]
    return table(["kind", "errors", "what it is"], rows)


def _labels(errors: Mapping[str, Any], counts: Mapping[str, int]) -> Html:
    """Return counts by label, those with most errors first; a bar is a share of all of a kind."""
    by_label = {label: mapping(row) for label, row in mapping(errors.get("by_label")).items()}
    if len(by_label) < 2:
        return EMPTY
    found = {
        label: {kind: int(number(row.get(kind)) or 0) for kind in counts}
        for label, row in by_label.items()
    }
    order = sorted(found, key=lambda label: -sum(found[label].values()))
    rows = [
        [label, *(_count(found[label][kind], counts[kind]) for kind in counts)]
        for label in order[:MAX_LABEL_ROWS]
    ]
    title = "Errors by label (a bar is the share of all errors of its kind)"
    return details(title, table(["label", *(KINDS[kind] for kind in counts)], rows), is_open=True)


def _count(count: int, total: int) -> Html:
    return bar(f"{count:,}" if count else "·", count / max(total, 1), "bad")


def _examples(
    errors: Mapping[str, Any], counts: Mapping[str, int], texts: Mapping[str, str] | None
) -> Html:
    examples = [mapping(example) for example in errors.get("examples") or []]
    if not examples:
        return EMPTY
    header = ["document", "gold", "found", *(["text"] if texts is not None else [])]
    parts: list[Html] = [tag("h3", "Where they are")]
    for kind, count in counts.items():
        rows = [_example(one, texts) for one in examples if one.get("kind") == kind]
        if rows:
            title = f"{KINDS[kind]}: {len(rows):,} of {count:,}"
            parts.append(details(title, table(header, rows), is_open=len(parts) == 1))
    left_out = int(number(errors.get("num_examples_left_out")) or 0)
    notes = ["Offsets are characters, the end not included."]
    notes += [f"{left_out:,} more errors are not listed."] if left_out else []
    if texts is None:
        notes.append("Texts are shown by edspipe plot --with-text.")
    else:
        legend = [tag("span", "gold", kind="gold"), tag("span", "found", kind="found")]
        both = tag("span", "both", kind="gold found")
        notes.append(join(["In texts: ", legend[0], ", ", legend[1], ", ", both, "."]))
    return join([*parts, tag("p", join(_spaced(notes)), kind="soft")])


def _spaced(notes: list[Any]) -> list[Any]:
    return [part for note in notes for part in (note, " ")]


def _example(example: Mapping[str, Any], texts: Mapping[str, str] | None) -> list[object]:
    doc_id = str(example.get("doc_id"))
    gold, found = mapping(example.get("gold")), mapping(example.get("found"))
    row: list[object] = [doc_id, _entity(gold), _entity(found)]
    return row if texts is None else [*row, _context(texts.get(doc_id), gold, found)]


def _entity(entity: Mapping[str, Any]) -> str | None:
    if not entity:
        return None
    confidence = number(entity.get("confidence"))
    sure = "" if confidence is None else f" ({confidence:.2f} sure)"
    return f"{entity.get('label')} {entity.get('start')}–{entity.get('end')}{sure}"


def _context(text: str | None, gold: Mapping[str, Any], found: Mapping[str, Any]) -> Html:
    """Return the entities of an error with some text around them."""
    if text is None:
        return tag("span", "no text was given for this document", kind="soft")
    spans = {"gold": _span(gold, text), "found": _span(found, text)}
    known = {kind: span for kind, span in spans.items() if span is not None}
    if not known or len(known) < bool(gold) + bool(found):
        return tag("span", "the offsets do not fit the text", kind="soft")
    first = max(0, min(start for start, _ in known.values()) - CONTEXT_CHARS)
    last = min(len(text), max(end for _, end in known.values()) + CONTEXT_CHARS)
    cuts = sorted({first, last, *(cut for span in known.values() for cut in span)})
    parts: list[object] = ["…" if first else ""]
    for start, end in pairwise(cuts):
        kinds = [kind for kind, span in known.items() if span[0] <= start and end <= span[1]]
        piece = text[start:end]
        parts.append(tag("span", piece, kind=" ".join(kinds)) if kinds else piece)
    return join([*parts, "…" if last < len(text) else ""])


def _span(entity: Mapping[str, Any], text: str) -> tuple[int, int] | None:
    start, end = number(entity.get("start")), number(entity.get("end"))
    if start is None or end is None or not 0 <= start < end <= len(text):
        return None
    return int(start), int(end)
