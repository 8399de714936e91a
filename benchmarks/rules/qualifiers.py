"""Negation, hypothesis and history on gold spans: F1 with intervals.

The conventions of the corpora:

- `context_en`: one sentence and one finding a row, with `negation` (Negated) and `temporality`
  (Historical). A finding that resolved is Negated there, and social habits are Historical. The
  words within a finding count for history, unless `within=False`.
- E3C: events (mostly one word, verbs too) with `Polarity` (NEG) and `Modality`; a hypothesis is
  HEDGED, HYPOTHETICAL-OTHER or HYPOTHETICAL-IF. What is planned, prevented or the aim of an
  examination is HYPOTHETICAL there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

import edspipe
from edspipe.lang.words import load_words
from edspipe.metrics.bootstrap import Bootstrap, CountTable, make_report

LANGS = ("en", "fr", "es")
HYPOTHETICAL = ("HEDGED", "HYPOTHETICAL-OTHER", "HYPOTHETICAL-IF")
GROUP = "gold"
RESULTS = ("neg", "nég")
"""What the cues of negative results hold; in E3C these negate nothing."""


@dataclass
class Example:
    """A document with gold spans.

    Attributes:
        id: Of the document.
        text: Its text.
        spans: Its spans. *Each:* (start, end, {qualifier: gold value})
    """

    id: str
    text: str
    spans: list[tuple[int, int, dict[str, bool]]] = field(default_factory=list)


def read_context(path: Path) -> list[Example]:
    """Read the sentences, whose finding stands in capitals in the text."""
    examples = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text, concept = row["sentence"], row["concept"].strip()
            start = text.find(concept.upper())
            end = start + len(concept)
            if start < 0:  # a finding that is cut at the end of the row
                start, end = 0, len(text)
            gold = {
                "negation": row["negation"] == "Negated",
                "history": row["temporality"] == "Historical",
            }
            examples.append(Example(row["id"], text, [(start, end, gold)]))
    return examples


def read_e3c(folder: Path) -> list[Example]:
    """Read the events of a folder in brat format."""
    examples = []
    for path in sorted(folder.glob("*.ann")):
        with path.with_suffix(".txt").open(encoding="utf-8", newline="") as file:
            example = Example(path.stem, file.read())
        places: dict[str, tuple[int, int]] = {}
        values: dict[str, dict[str, str]] = {}
        for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            key, entry, *_ = [*line.split("\t"), ""]
            name, *rest = entry.replace(";", " ").split(" ")
            if key.startswith("T") and name == "EVENT":
                places[key] = int(rest[0]), int(rest[-1])
            elif key.startswith("A") and len(rest) > 1:
                values.setdefault(rest[0], {})[name] = rest[1]
        for key, (start, end) in places.items():
            event = values.get(key, {})
            gold = {
                "negation": event.get("Polarity") == "NEG",
                "hypothesis": event.get("Modality") in HYPOTHETICAL,
            }
            example.spans.append((start, end, gold))
        examples.append(example)
    return examples


def make_docs(nlp: edspipe.Pipeline, examples: list[Example]) -> list[Doc]:
    """Return Docs with the gold spans in a group of their own; labels keep equal spans apart."""
    docs = []
    for example in examples:
        doc = nlp.make_doc(example.text)
        doc._.note_id = example.id
        doc.spans[GROUP] = [
            _span(doc, start, end, number) for number, (start, end, _) in enumerate(example.spans)
        ]
        docs.append(doc)
    return docs


def _span(doc: Doc, start: int, end: int, number: int) -> Span:
    span = doc.char_span(start, end, alignment_mode="expand", label=str(number))
    assert span is not None
    return span


def build(lang: str, *qualifiers: str, **options: Any) -> edspipe.Pipeline:
    """Build a pipeline of sentences and qualifiers."""
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences", config={"lang": lang})
    for qualifier in qualifiers:
        nlp.add_pipe(f"eds.{qualifier}", config={"lang": lang, **options})
    return nlp


def without_results(lang: str) -> dict[str, Any]:
    """Return changes of negation after which a negative result negates nothing."""
    groups = {}
    for name, group in load_words("negation", lang).groups.items():
        if group.direction in ("after", "both"):
            terms = [term for term in group.terms if any(part in term for part in RESULTS)]
            groups[name] = {"terms": {"remove": terms}}
    return {"groups": groups}


def predict(
    lang: str, qualifier: str, examples: list[Example], **options: Any
) -> Iterator[tuple[Example, Span, bool, bool]]:
    """Yield each gold span with its gold and its predicted value."""
    nlp = build(lang, qualifier, **options)
    for example, doc in zip(examples, map(nlp, make_docs(nlp, examples)), strict=True):
        spans = {span.label_: span for span in doc.spans[GROUP]}
        for number, (_, _, gold) in enumerate(example.spans):
            span = spans[str(number)]
            yield example, span, gold[qualifier], bool(span._.get(qualifier))


def add_counts(
    table: CountTable, lang: str, qualifier: str, examples: list[Example], **options: Any
) -> CountTable:
    """Add the counts of a qualifier on some documents to a table."""
    for example in examples:
        table.add(example.id, {})
    for example, _, gold, predicted in predict(lang, qualifier, examples, **options):
        if gold or predicted:
            table.add(example.id, {qualifier: (int(gold and predicted), gold, predicted)})
    return table


def show(name: str, qualifier: str, table: CountTable) -> float:
    """Print the figures of a qualifier and return F1."""
    report = make_report(table, "micro", Bootstrap())
    row, ci = report.get(qualifier), report["ci"].get(qualifier)
    if row is None:
        print(f"{name:<12} {qualifier:<11} no positives")
        return 0.0
    figures = "  ".join(
        f"{key.upper()} {row[key]:.3f} [{ci[key][0]:.3f}, {ci[key][1]:.3f}]" for key in "fpr"
    )
    print(f"{name:<12} {qualifier:<11} {figures}  gold {row['support']}  found {row['positives']}")
    return float(row["f"])


def main(data: Path) -> None:
    """Print the figures of all sets."""
    context = read_context(data / "context_en.tsv")
    e3c = {lang: read_e3c(data / f"e3c_{lang}") for lang in LANGS}
    for qualifier in ("negation", "history"):
        show("context_en", qualifier, add_counts(CountTable(), "en", qualifier, context))
    around = add_counts(CountTable(), "en", "history", context, within=False)
    show("- within", "history", around)
    pooled = CountTable()
    for qualifier in ("negation", "hypothesis"):
        for lang, examples in e3c.items():
            show(f"e3c_{lang}", qualifier, add_counts(CountTable(), lang, qualifier, examples))
            if qualifier == "negation":
                changes = without_results(lang)
                plain = add_counts(CountTable(), lang, qualifier, examples, changes=changes)
                show("- results", qualifier, plain)
            if qualifier == "hypothesis":
                add_counts(pooled, lang, qualifier, examples)
    show("e3c, pooled", "hypothesis", pooled)
