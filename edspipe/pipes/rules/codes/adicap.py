"""eds.adicap: codes of the French thesaurus of pathology."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import set_spans
from edspipe.errors import ConfigError, did_you_mean
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.codes.adicap_value import PARTS, AdicapCode
from edspipe.pipes.rules.codes.attribute import declare_record
from edspipe.pipes.rules.terminology import read_pairs
from edspipe.types import SpanSetter

LABEL = "adicap"
declare_record("adicap", AdicapCode)

MAX_REACH = 80
"""Characters behind the word ADICAP, or behind a code, in which codes of any form count."""

_CUE = re.compile(r"(?<!\w)(?:adicap|codes?\sl[ée]sionnels?)(?!\w)", re.IGNORECASE)
# Four letters, then a tumour's lesion: "A7A0". No word and hardly any number is written so.
_SURE = re.compile(r"(?<![\w.])([A-Z])([A-Z])([A-Z]{2})([A-Z]\d[A-Z0-9]\d)(?!\w)")
_GAP = r"[ \t./_-]{0,2}"
_ANY = re.compile(
    rf"(?<![\w.])([A-Z]){_GAP}([A-Z]){_GAP}([A-Z]{{2}}){_GAP}"
    r"([A-Z]\d[A-Z0-9]\d|\d{4})[A-Z0-9]{0,7}(?!\w)"
)
_NEXT_SENTENCE = re.compile(r"[.!?]\s+[A-ZÀ-Ý][a-zà-ÿ]")


@registry.factory.register("eds.adicap")
class Adicap:
    """Finds ADICAP codes, and takes them apart.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.adicap")
    doc = nlp("Codification ADICAP : BHGS0040, B.H.GS.A7A0")
    (first, second) = doc.spans["adicap"]
    assert second._.adicap.code == second.kb_id_ == "BHGSA7A0"
    assert (second._.adicap.organ, second._.adicap.lesion) == ("GS", "A7A0")
    assert second._.adicap.is_tumour and not first._.adicap.is_tumour
    ```

    A code has eight characters: how the sample was taken (a letter), the technique (a letter), the
    organ (two letters) and the lesion (four characters). Written in one piece, the code of a
    tumour ("BHGSA7A0") counts anywhere. Other codes, and those with blanks, points, bars or hyphens
    between their parts, count within 80 characters behind the word ADICAP ("code lésionnel") or
    behind another code, in the same sentence.

    The words of the thesaurus are not free to be passed on. Files of your own, one a part, give
    them: `tables={"organ": "organs.csv"}` fills `span._.adicap.labels["organ"]`.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["adicap"]`, label `adicap`, the code as `kb_id_`; `span._.adicap` |

    Limits: codes are in capitals; the optional characters behind the eighth belong to the span, and
    are not read; that the parts exist is not checked.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        tables: By part (`sampling`, `technique`, `organ`, `lesion`), a file of codes and words, as
            `eds.terminology` reads it.
        code_column: The column, or key, of codes in these files.
        term_column: The column, or key, of words in these files.
        span_setter: Where spans are put.

    Raises:
        ConfigError: A table is of no such part.
        DataError: A file is missing or not of this form.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "adicap",
        *,
        tables: dict[str, str | Path] | None = None,
        code_column: str = "code",
        term_column: str = "term",
        span_setter: SpanSetter = "adicap",
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        for part in tables or {}:
            if part not in PARTS:
                raise ConfigError(
                    f"eds.adicap: tables.{part}: expected one of {', '.join(PARTS)}."
                    f"{did_you_mean(part, PARTS)}"
                )
        self.tables = {
            part: dict(read_pairs(path, code_column, term_column))
            for part, path in (tables or {}).items()
        }

    def __call__(self, doc: Doc) -> Doc:
        """Find the codes in a Doc."""
        view = TextView.of(doc, "TEXT")
        spans = []
        for match in _matches(view.text):
            tokens = view.tokens(*match.span())
            if tokens is not None:
                value = self._value(match)
                span = Span(doc, *tokens, label=LABEL, kb_id=value.code)
                span._.adicap = value
                spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc

    def _value(self, match: re.Match[str]) -> AdicapCode:
        parts = dict(zip(PARTS, match.groups(), strict=True))
        labels = {
            part: table[parts[part]] for part, table in self.tables.items() if parts[part] in table
        }
        return AdicapCode(**parts, labels=labels)


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Yield the codes, in text order."""
    found = {match.start(): match for match in _SURE.finditer(text)}
    starts = sorted([*found, *(match.end() for match in _CUE.finditer(text))])
    done = 0
    for start in starts:
        place = max(start, done)
        while (match := _ANY.search(text, place, place + MAX_REACH)) is not None:
            if text[match.end() : match.end() + 1].isalnum():  # where the reach ends
                break
            if _NEXT_SENTENCE.search(text, place, match.start()):
                break
            found.setdefault(match.start(), match)
            place = done = match.end()
    yield from (found[start] for start in sorted(found))
