"""eds.tnm: stages of the TNM classification of tumours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import set_spans
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.codes.attribute import declare_record
from edspipe.pipes.rules.codes.tnm_value import TnmStage
from edspipe.types import SpanSetter

LABEL = "tnm"
declare_record("tnm", TnmStage)

MAX_BEFORE = 30
"""Characters before a stage in which the word TNM and its year are read."""

_PREFIX = "(?:us|mr|[acpruyACPRUY]{0,3})"
# No word goes on behind a part, but the next part may follow at once: "pT2pN1cM0".
_END = rf"(?!\d)(?!(?!{_PREFIX}[NM] ?[\dxXoO+-])[a-z])"
_SEPARATOR = r"[ ,;/-]{0,3}"
_SIZE = r"[1-4](?:[a-dA-D]\d?)?"
_TO = " ?[-/à] ?"
_TUMOUR = (
    rf"(?P<tp>{_PREFIX})T ?(?P<t>is|[xX0a]|[1-4](?:mic?|[a-dA-D]\d?)?)"
    rf"(?:{_TO}(?:{_PREFIX}T ?)?(?P<t2>{_SIZE}|[bd]|[ac](?![TNM]))(?![\d/]))?"
    rf"(?: ?\(?(?P<depth>sm[1-3])\)?|\((?P<ts>m|s|\d{{1,2}})\))?{_END}"
)
# Sentinel nodes, isolated cells, or how many nodes of how many: "2/18".
_NODE_SUFFIX = r"(?:sn|i[+-]|mol[+-]|mi|m|f|\d{1,2}(?:N?\+)? ?/ ?\d{1,2}N?|\d{1,2}N?[+-]?)"
_NODE = (
    rf"(?P<np>{_PREFIX})N ?(?P<n>[xX+-]|0(?:mi)?|[1-3](?:mi|[a-dA-D])?|[oO](?=[ ,/-]?{_PREFIX}M))"
    rf"(?:{_TO}(?:{_PREFIX}N ?)?(?P<n2>[0-3][a-dA-D]?|[bd]|[ac](?![TNM]))(?![\d/]))?"
    rf"(?P<ns>(?: ?\({_NODE_SUFFIX}\)){{0,2}}){_END}"
)
_METASTASIS = (
    rf"(?P<mp>{_PREFIX})M ?(?P<m>[xX+-]|[oO0]|1(?:[a-dA-D]\d?)?)"
    r"(?:\((?:i\+|[A-Z]{3})\))?(?![a-z\d])"
)
_OTHER = r"(?:R[0-2xX]|L[01xX]|V[0-2xX]|Pn[01xX]|S[0-3xX]|G[1-4xX])(?![a-z\d])"
_STAGE = re.compile(
    rf"(?<!\w)(?={_PREFIX}[TNM] ?[\dxXoOisa+-])"
    rf"(?:{_TUMOUR})?(?:{_SEPARATOR}{_NODE})?(?:{_SEPARATOR}{_METASTASIS})?"
    rf"(?P<others>(?:{_SEPARATOR}{_OTHER}){{0,6}})"
)
_EDITION_PARTS = (("version_year", "year"), ("version_year", "year2"), ("version", "edition"))
_OTHER_PARTS = re.compile(r"(Pn|[RLVSG])([\dxX])")
_CLASSIFICATION = r"(?:p?TNM|UICC|AJCC)"
_EDITION = (
    r"(?:(?P<year>(?:19|20)\d\d)|(?P<edition>[4-9])(?:e|ème|eme|th|ª|a|\.)?"
    r"(?: ?(?:[eé]d(?:ition|ición|icion|\.)?))?(?:[ ,(]{1,2}(?P<year2>(?:19|20)\d\d)\)?)?)(?!\w)"
)
_BEFORE = re.compile(rf"(?<!\w){_CLASSIFICATION}(?:[ ,(-]{{0,2}}{_EDITION}\)?)?[\s:=(]{{0,3}}\Z")
_STAGED = re.compile(
    r"(?<!\w)(?:stade|stage[ds]?(?: as| at)?|estadi(?:o|aje)|class[eé]e?s?|classified as"
    r"|clasificad[oa]s?(?: como)?)[ :(]{1,2}\Z",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    rf"[ ,;]{{0,2}}(?:\(?(?:{_CLASSIFICATION}[ ,:-]{{0,2}}){{1,2}}|\((?=[^()]{{1,20}}\))){_EDITION}"
)


@registry.factory.register("eds.tnm")
class Tnm:
    """Finds stages of the TNM classification, and takes them apart.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.tnm")
    doc = nlp("Carcinome classé pT2(m) N1a(sn) Mx, R0 V1 (UICC 2017). IRM en T2.")
    (span,) = doc.spans["tnm"]
    stage = span._.tnm
    assert (stage.prefix, stage.tumour, stage.node, stage.metastasis) == ("p", "2", "1a", "x")
    assert (stage.resection, stage.venous, stage.version_year) == ("0", "1", 2017)
    assert span.kb_id_ == stage.norm() == "pT2(m)N1a(sn)Mx R0 V1 (TNM 2017)"
    ```

    A stage has two of T, N and M; or one of them with `c`, `p`, `y`, `u` (`us`) or `mr` before it
    ("pT1b"); or one behind the word TNM, UICC or AJCC, or behind "stage"; or is "Tis". So neither
    an MRI "in T2" nor a vertebra T12 is one. The letter O is read as the zero that it stands for
    ("T2NOMO"), and "T1-2" or "T2/T3" as one value `1-2`, `2-3`. R, L, V, Pn, S, G and the edition
    are read where they follow.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["tnm"]`, label `tnm`, the stage as officially written as `kb_id_`; |
    | | `span._.tnm`: a `TnmStage`, with a field a part and `norm()` |

    Limits: T, N and M are in capitals. A stage whose parts stand in different sentences makes
    several spans. Of several prefixes ("cT2 pN1") only the first
    one is kept. Which values an organ's classification has is not checked. The group of a stage
    ("stage IIIA") is not read.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        span_setter: Where spans are put.
    """

    def __init__(
        self, nlp: Any = None, name: str = "tnm", *, span_setter: SpanSetter = "tnm"
    ) -> None:
        self.name = name
        self.span_setter = span_setter

    def __call__(self, doc: Doc) -> Doc:
        """Find the stages in a Doc."""
        view = TextView.of(doc, "TEXT")
        spans = []
        for start, end, stage in find_stages(view.text):
            tokens = view.tokens(start, end)
            if tokens is not None:
                span = Span(doc, *tokens, label=LABEL, kb_id=stage.norm())
                span._.tnm = stage
                spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc


def find_stages(text: str) -> Iterator[tuple[int, int, TnmStage]]:
    """Yield the stages in a text: first character, the one behind the last, and what it says."""
    for match in _STAGE.finditer(text):
        start, end = match.span()
        before = _BEFORE.search(text, max(0, start - MAX_BEFORE), start)
        named = before or _STAGED.search(text, max(0, start - MAX_BEFORE), start)
        if start < end and _is_stage(match, named is not None):
            behind = _BEHIND.match(text, end)
            yield start, end, _read(match, before, behind)


def _is_stage(match: re.Match[str], named: bool) -> bool:
    said = [part for part in ("t", "n", "m") if match[part] is not None]
    if len(said) != 1:
        return len(said) > 1
    prefix = match[f"{said[0]}p"]
    certain = prefix.islower() and (prefix[-1] in "cpyu" or prefix in ("us", "mr"))
    return named or certain or match["t"] == "is"


def _read(
    match: re.Match[str], before: re.Match[str] | None, behind: re.Match[str] | None
) -> TnmStage:
    parts: dict[str, Any] = {
        "tumour": _range(_without_prefix(match), match["t2"]),
        "node": _range(match["n"], match["n2"]),
        "metastasis": _value(match["m"]),
        "tumour_suffix": match["ts"] or match["depth"],
        "node_suffix": _suffix(match["ns"]),
        "prefix": _prefix(match["tp"] or match["np"] or match["mp"]),
    }
    fields = {"R": "resection", "L": "lymphatic", "V": "venous"}
    fields |= {"Pn": "perineural", "S": "serum", "G": "grade"}
    others: dict[str, Any] = {
        fields[key]: _value(value) for key, value in _OTHER_PARTS.findall(match["others"])
    }
    return TnmStage(**parts, **others, **_edition(before, behind))


def _value(written: str | None) -> str | None:
    return None if written is None else written.lower().replace("o", "0")


def _without_prefix(match: re.Match[str]) -> str | None:
    """Return the tumour; the last letter of "cT3cN0cM0" is the prefix of the nodes."""
    tumour: str | None = match["t"]
    own = tumour and tumour[1:] == "c" and match["tp"] == "c" == match["mp"] and not match["np"]
    return tumour[:1] if tumour and own else tumour


def _range(first: str | None, last: str | None) -> str | None:
    value = _value(first)
    return f"{value}-{last.lower()}" if value is not None and last else value


def _prefix(written: str | None) -> str | None:
    prefix = (written or "").lower()
    return ("u" if prefix == "us" else prefix) or None


def _suffix(written: str | None) -> str | None:
    return (written or "").replace(" (", "(").strip("()").replace(")(", ",") or None


def _edition(*matches: re.Match[str] | None) -> dict[str, Any]:
    """Return what the words before and behind a stage say; those behind win."""
    return {
        field: int(match[group])
        for match in matches
        if match is not None
        for field, group in _EDITION_PARTS
        if match[group]
    }
