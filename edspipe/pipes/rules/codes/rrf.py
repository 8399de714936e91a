"""Reading the tables of the UMLS Metathesaurus (RRF: columns between `|`), line by line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from edspipe.errors import DataError

CONCEPTS = "MRCONSO.RRF"
TYPES = "MRSTY.RRF"

MIN_CONCEPT_COLUMNS = 17
MIN_TYPE_COLUMNS = 4


def read_concepts(
    path: Path,
    languages: Collection[str],
    sources: Collection[str] | None = None,
    concepts: Collection[str] | None = None,
    *,
    suppressed: bool = False,
    min_chars: int = 1,
) -> Iterator[tuple[str, str]]:
    """Yield the concept (CUI) and the text of each term that is wanted.

    Args:
        path: MRCONSO.RRF.
        languages: Languages as the UMLS writes them: `ENG`, `FRE`, `SPA`.
        sources: Vocabularies, e.g. `SNOMEDCT_US`; None takes all.
        concepts: The concepts that are wanted; None takes all.
        suppressed: Whether terms count that their vocabulary or the UMLS has given up.
        min_chars: Shorter terms are left out.

    Raises:
        DataError: The file is missing, or is no such table.
    """
    for row in _rows(path, MIN_CONCEPT_COLUMNS):
        if (
            row[1] in languages
            and (sources is None or row[11] in sources)
            and (suppressed or row[16] == "N")
            and (concepts is None or row[0] in concepts)
            and len(row[14]) >= min_chars
        ):
            yield row[0], row[14]


def read_concepts_of_types(path: Path, types: Collection[str]) -> set[str]:
    """Return the concepts of some semantic types.

    Args:
        path: MRSTY.RRF.
        types: Semantic types by number (`T047`) or by name (`Disease or Syndrome`).

    Raises:
        DataError: The file is missing or no such table, or one of the types is not in it.
    """
    wanted = set(types)
    met: set[str] = set()
    found: set[str] = set()
    for row in _rows(path, MIN_TYPE_COLUMNS):
        if row[1] in wanted or row[3] in wanted:
            found.add(row[0])
            met.update((row[1], row[3]))
    if missing := sorted(wanted - met):
        raise DataError(f"no concept has the semantic type {', '.join(missing)}", file=path)
    return found


def _rows(path: Path, min_columns: int) -> Iterator[list[str]]:
    if not path.is_file():
        raise DataError("no such table of the UMLS", file=path)
    with path.open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, start=1):
                row = line.rstrip("\r\n").split("|")
                if len(row) < min_columns:
                    raise DataError(
                        f"expected at least {min_columns} columns between '|', got {len(row)}",
                        file=path,
                        line=number,
                    )
                yield row
        except UnicodeDecodeError:
            raise DataError("expected text in UTF-8", file=path) from None
