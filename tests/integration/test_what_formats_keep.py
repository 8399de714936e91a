"""The table of the docs that says what each format keeps is what a round trip through it keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.stream.stream import Stream

PAGE = Path(__file__).parents[2] / "docs/concepts/data.md"
TEXT = "Douleur et fièvre.\r\nPas de toux  sèche, métastases du foie et du poumon. 🫀"
ANN = "\n".join(
    [
        "T1\tsymptom 11 17\tfièvre",
        "A1\tcertainty T1 likely",
        "N1\tReference T1 CIM:R50\tFièvre",
        "T2\tsymptom 27 38\ttoux  sèche",
        "A2\tnegated T2",
        "T3\tdisease 40 50;65 71\tmétastases poumon",
        "T4\tsite 54 58\tfoie",
        "R1\tlocated Arg1:T3 Arg2:T4",
        "E1\tsymptom:T1",
        "*\tEquiv T1 T2",
        "#1\tAnnotatorNotes T2\tto be seen again",
        "an unknown line",
        "",
    ]
)


@pytest.fixture
def doc(tmp_path) -> Doc:
    """A Doc with one of everything."""
    folder = tmp_path / "brat" / "ward 1"
    folder.mkdir(parents=True)
    (folder / "note.txt").write_bytes(TEXT.encode())
    (folder / "note.ann").write_bytes(ANN.encode())
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    (doc,) = nlp.pipe(edspipe.data.read_standoff(folder.parent))
    doc.spans["findings"] = [Span(doc, 0, 3, label="finding"), Span(doc, 2, 5, label="finding")]
    doc.cats = {"urgent": 1.0, "routine": 0.0}
    doc._.note_datetime = "2026-01-31"
    return doc


def spans(doc: Doc) -> set[tuple[int, int, str]]:
    """All spans, wherever they are."""
    every = [*doc.ents, *(span for group in doc.spans.values() for span in group)]
    return {(span.start_char, span.end_char, span.label_) for span in every}


def by_label(doc: Doc, label: str) -> list[Span]:
    every = [*doc.ents, *(span for group in doc.spans.values() for span in group)]
    return [span for span in every if span.label_ == label]


def words_of(doc: Doc, label: str) -> set[tuple[str, ...]]:
    return {tuple(t.text for t in s if not t.is_space) for s in by_label(doc, label)}


def ann_lines(doc: Doc, tmp_path: Path) -> set[str]:
    folder = tmp_path / "lines"
    Stream.from_items([doc]).write_standoff(folder, overwrite=True)
    (path,) = folder.rglob("*.ann")
    return set(path.read_bytes().decode().splitlines())


KEPT: dict[str, Callable[[Doc, Path], bool]] = {
    "text": lambda doc, tmp: doc.text == TEXT,
    "id": lambda doc, tmp: doc._.note_id == "ward 1/note",
    "date": lambda doc, tmp: doc._.note_datetime == "2026-01-31",
    "entities": lambda doc, tmp: {("fièvre",), ("toux", "sèche")} <= words_of(doc, "symptom"),
    "overlaps": lambda doc, tmp: {(0, 17, "finding"), (11, 20, "finding")} <= spans(doc),
    "groups": lambda doc, tmp: len(doc.spans.get("findings", ())) == 2,
    "parts": lambda doc, tmp: "T3\tdisease 40 50;65 71\tmétastases poumon" in ann_lines(doc, tmp),
    "attributes": lambda doc, tmp: (
        {span._.certainty for span in by_label(doc, "symptom")} == {"likely", None}
    ),
    "codes": lambda doc, tmp: "R50" in {span.kb_id_ for span in by_label(doc, "symptom")},
    "relations": lambda doc, tmp: "R1\tlocated Arg1:T3 Arg2:T4" in ann_lines(doc, tmp),
    "other lines": lambda doc, tmp: {"E1\tsymptom:T1", "an unknown line"} <= ann_lines(doc, tmp),
    "words": lambda doc, tmp: [t.text for t in doc] == [t.text for t in reference(tmp)],
    "sentences": lambda doc, tmp: (
        doc.has_annotation("SENT_START") and len(list(doc.sents)) == len(list(reference(tmp).sents))
    ),
    "classes": lambda doc, tmp: doc.cats == {"urgent": 1.0, "routine": 0.0},
}


def reference(tmp: Path) -> Doc:
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    return nlp(TEXT)


def through_files(path: str, converter: str | None = None, **options: Any):
    """Return a round trip through a file or folder."""

    def trip(doc: Doc, tmp: Path) -> Doc:
        from edspipe.data.formats import read_docs, write_docs

        given = {} if converter is None else {"converter": converter}
        write_docs(Stream.from_items([doc]), tmp / path, **given, **options.get("write", {}))
        (again,) = read_docs(tmp / path, **given, **options.get("read", {}))
        return again

    return trip


def through_memory(kind: str, converter: str):
    """Return a round trip through a frame or dataset."""

    def trip(doc: Doc, tmp: Path) -> Doc:
        pytest.importorskip({"hf_dataset": "datasets"}.get(kind, kind))
        frame = getattr(Stream.from_items([doc]), f"to_{kind}")(converter=converter)
        read = getattr(edspipe.data, f"from_{kind}")
        (again,) = read(frame, converter=converter, span_setter=["ents", "*"])
        return again

    return trip


LABELS = {"text_column": "text", "labels_columns": ["urgent", "routine"], "id_column": "id"}
COLUMNS = {"columns": ["text", "ner"]}
TRIPS = {
    "brat": through_files("out"),
    "json, standoff": through_files("out.jsonl", "standoff"),
    "json, omop": through_files("out.jsonl", "omop"),
    "parquet, standoff": through_files("out.parquet", "standoff"),
    "parquet, omop": through_files("out.parquet", "omop"),
    "csv, text": through_files("out.csv", "text"),
    "csv, labels": through_files("out.csv", "labels", read=LABELS, write=LABELS),
    "text": through_files("folder_of_text", write={"format": "text"}, read={"format": "text"}),
    "conll": through_files("out.conll", write=COLUMNS, read=COLUMNS),
    "conllup": through_files("out.conllup"),
    "conllu": through_files("out.conllu"),
    "docbin": through_files("out.spacy"),
    "pandas, omop": through_memory("pandas", "omop"),
    "polars, omop": through_memory("polars", "omop"),
    "hf_dataset, omop": through_memory("hf_dataset", "omop"),
}


def table() -> dict[str, dict[str, bool]]:
    """Read the table of the page: format to feature to whether it is kept."""
    section = PAGE.read_text().split("## What each format keeps")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|") and not re.match(r"\|[-:| ]+\|$", line)
    ]
    header, *body = rows
    return {
        row[0]: {name: cell == "✓" for name, cell in zip(header[1:], row[1:], strict=True)}
        for row in body
    }


def test_the_table_has_every_format_and_every_feature():
    found = table()
    assert list(found) == list(TRIPS)
    assert {tuple(row) for row in found.values()} == {tuple(KEPT)}


@pytest.mark.parametrize("name", TRIPS)
def test_a_format_keeps_what_the_table_says_and_no_more(name, doc, tmp_path):
    again = TRIPS[name](doc, tmp_path)
    kept = {feature: bool(check(again, tmp_path)) for feature, check in KEPT.items()}
    assert kept == table()[name]
