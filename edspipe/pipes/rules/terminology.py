"""eds.terminology: the terms of a coding system, up to millions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import set_spans
from edspipe.errors import ConfigError, DataError
from edspipe.matching.phrases import PhraseMatcher
from edspipe.pipes.rules.matcher import Finder, listed
from edspipe.types import SpanSetter

Pairs = Iterable[tuple[str, str]]
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


@registry.factory.register("eds.terminology")
class Terminology:
    """Finds the terms of a terminology; spans get the code of theirs as `kb_id_`.

    Terms are found as `eds.matcher` finds them. They are kept in a few arrays: a million terms of
    one to five words take a few seconds to load, during which the process grows by about 200 MB;
    pickled, as each worker gets them, they are 60 MB.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | spans where `span_setter` says, with `label` as label and the code as `kb_id_` |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        "eds.terminology",
        config={"label": "drug", "terms": {"N02BE01": ["paracétamol", "acétaminophène"]}},
    )
    (ent,) = nlp("Paracetamol 1 g").ents
    assert (ent.text, ent.label_, ent.kb_id_) == ("Paracetamol", "drug", "N02BE01")
    ```

    A file is read row by row: CSV (`.csv`, or `.tsv` and `.txt` with tabs) with a header, JSON
    (`{code: [terms]}`, or a list of objects), or JSON lines. `code_column` and `term_column` name
    what is read:

    ```yaml
    terminology:
      "@factory": eds.terminology
      label: disorder
      path: my_terms.csv
      code_column: CODE
      term_column: LABEL
    ```

    Limits: a term that has several codes makes a span for each in a span group, and in `doc.ents`
    only the first fits. A file must be where it was when the pipeline is loaded again, and a pipe
    made of an iterable of pairs cannot be saved: give a file or a mapping.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        label: The label of the spans.
        terms: By code, one term or several; or an iterable of (code, term), read once.
        regex: By code, one pattern or several.
        path: A file of terms, in UTF-8.
        term_column: The column, or key, of terms.
        code_column: The column, or key, of codes.
        delimiter: What stands between columns; None takes a comma, or for `.tsv` and `.txt` a tab.
        attr: What is compared: `"NORM"`, `"LOWER"`, `"TEXT"`, or parts, see `eds.matcher`.
        span_setter: Where spans are put.
        ignore_excluded: Whether pollution inside a term is passed over.
        overlaps: Whether all terms are kept where they overlap one another; else the longest.

    Raises:
        ConfigError: There is nothing to find.
        DataError: The file is missing or not of this form.
        ValueError: There is no such attr, or a pattern is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "terminology",
        *,
        label: str,
        terms: dict[str, str | list[str]] | Any = None,
        regex: dict[str, str | list[str]] | None = None,
        path: str | Path | None = None,
        term_column: str = "term",
        code_column: str = "code",
        delimiter: str | None = None,
        attr: str = "NORM",
        span_setter: SpanSetter = "ents",
        ignore_excluded: bool = True,
        overlaps: bool = False,
    ) -> None:
        if terms is None and regex is None and path is None:
            raise ConfigError("eds.terminology: expected terms, regex or path; got none")
        self.name = name
        self.label = label
        self.span_setter = span_setter
        phrases = PhraseMatcher.from_pairs(
            _all_pairs(terms, path, (code_column, term_column), delimiter),
            attr,
            overlaps=overlaps,
            ignore_excluded=ignore_excluded,
        )
        patterns = {code: listed(found) for code, found in (regex or {}).items()}
        self.finder = Finder(phrases, patterns, attr, ignore_excluded=ignore_excluded)

    def __len__(self) -> int:
        return len(self.finder.phrases)

    def __call__(self, doc: Doc) -> Doc:
        """Find the terms in a Doc."""
        set_spans(doc, self.find(doc), self.span_setter)
        return doc

    def find(self, doc: Doc) -> list[Span]:
        """Return the spans that are found in a Doc, and leave it as it is."""
        return [
            Span(doc, first, end, label=self.label, kb_id=code)
            for code, first, end in self.finder.find(doc)
        ]


def _all_pairs(
    terms: Any, path: str | Path | None, columns: tuple[str, str], delimiter: str | None
) -> Iterator[tuple[str, str]]:
    if isinstance(terms, Mapping):
        yield from ((str(code), term) for code, found in terms.items() for term in listed(found))
    elif terms is not None:
        yield from terms
    if path is not None:
        yield from read_pairs(path, *columns, delimiter=delimiter)


def read_pairs(
    path: str | Path,
    code_column: str = "code",
    term_column: str = "term",
    *,
    delimiter: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the codes and terms of a file; rows without a term are left out.

    Args:
        path: CSV with a header, JSON or JSON lines, in UTF-8.
        code_column: The column, or key, of codes.
        term_column: The column, or key, of terms; in JSON it may hold several.
        delimiter: What stands between columns.

    Raises:
        DataError: The file is missing, not well formed, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file of terms", file=path)
    rows: Iterable[tuple[int, Any]]
    try:
        if path.suffix == ".json":
            rows = _json_rows(path, code_column, term_column)
        elif path.suffix in (".jsonl", ".ndjson"):
            rows = _json_lines(path)
        else:
            rows = _csv_rows(path, delimiter or DELIMITERS.get(path.suffix, ","))
        for line, row in rows:
            yield from _pairs_of(row, code_column, term_column, path, line)
    except UnicodeDecodeError:
        raise DataError("expected text in UTF-8", file=path) from None
    except csv.Error as error:
        raise DataError(f"not well-formed CSV: {error}", file=path) from None


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        for row in reader:
            yield reader.line_num, row


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _parsed(line, path, number)


def _json_rows(path: Path, code_column: str, term_column: str) -> Iterator[tuple[int, Any]]:
    values = _parsed(path.read_text(encoding="utf-8-sig"), path, 1)
    if isinstance(values, dict):
        values = [{code_column: code, term_column: terms} for code, terms in values.items()]
    if not isinstance(values, list):
        raise DataError("expected {code: [terms]} or a list of objects", file=path)
    yield from enumerate(values, start=1)


def _parsed(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError("not well-formed JSON", file=path, line=line + error.lineno - 1) from None


def _pairs_of(
    row: Any, code_column: str, term_column: str, path: Path, line: int
) -> Iterator[tuple[str, str]]:
    for column in (code_column, term_column):
        if not isinstance(row, dict) or column not in row:
            has = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
            raise DataError(f"expected a column {column!r}; got {has}", file=path, line=line)
    terms = row[term_column]
    for term in terms if isinstance(terms, list) else [terms]:
        if term:
            yield str(row[code_column]), str(term)
