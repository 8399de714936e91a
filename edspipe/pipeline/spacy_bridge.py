"""edspipe's rule pipes inside spaCy: `spacy.blank("fr").add_pipe("edspipe_sentences")`.

spaCy loads this module with every `spacy.blank()`, so it is light: a pipe is imported when it is
added. spaCy does not allow dots in names, hence the underscore. It wants to know the defaults
beforehand; a test compares them with those of the pipes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from spacy.language import Language

from edspipe.config.registry import registry
from edspipe.doc.span_access import LAYOUT_GROUPS


def _factory(
    pipe: str, assigns: list[str], required: Sequence[str] = (), /, **defaults: Any
) -> Any:
    """Make the spaCy factory of a pipe whose arguments are passed on as they are.

    Args:
        pipe: The pipe without `eds.`.
        assigns: What it writes, for `nlp.analyze_pipes()`.
        required: Its arguments without a default.
        **defaults: Its other arguments.
    """

    def make(nlp: Language, name: str, **options: Any) -> Any:
        return registry.factory.get(f"eds.{pipe}")(nlp=nlp, name=name, **options)

    make.__doc__ = f"Make `eds.{pipe}` for a spaCy pipeline."
    names = ["nlp", "name", *required, *defaults]
    # spaCy reads from the signature which arguments there are.
    make.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
            for each in names
        ]
    )
    return Language.factory(f"edspipe_{pipe}", default_config=defaults, assigns=assigns)(make)


_WORDS: dict[str, Any] = {"lang": None, "changes": None}
_MATCHING: dict[str, Any] = {"attr": "NORM", "span_setter": "ents", "ignore_excluded": True}
_TERMS: dict[str, Any] = {**_MATCHING, "overlaps": False}
_FILE: dict[str, Any] = {
    "path": None,
    "code_column": "code",
    "term_column": "term",
    "delimiter": None,
}

edspipe_normalizer = _factory(
    "normalizer",
    ["doc.spans", "token.norm"],
    pollution=True,
    norm=False,
    lowercase=True,
    accents=True,
    quotes=True,
    spaces=True,
    **_WORDS,
)
edspipe_sentences = _factory(
    "sentences",
    ["token.is_sent_start", "doc.sents"],
    punct_chars=None,
    check_capitalized=True,
    **_WORDS,
)
edspipe_end_lines = _factory("end_lines", ["token._.end_line"], **_WORDS)

edspipe_matcher = _factory(
    "matcher", ["doc.ents", "doc.spans"], terms=None, regex=None, kb_id=None, **_TERMS
)
edspipe_terminology = _factory(
    "terminology", ["doc.ents", "doc.spans"], ["label"], terms=None, regex=None, **_FILE, **_TERMS
)
edspipe_contextual_matcher = _factory(
    "contextual_matcher",
    ["doc.ents", "doc.spans", "span._.assigned", "span._.source"],
    ["label", "patterns"],
    include_assigned=False,
    **_MATCHING,
)

_QUALIFIER: dict[str, Any] = {
    "span_getter": {"ents": True, "*": True, **dict.fromkeys(LAYOUT_GROUPS, False)},
    "within": None,
    "on_tokens": False,
    **_WORDS,
}

edspipe_negation = _factory("negation", ["span._.negation"], **_QUALIFIER)
edspipe_hypothesis = _factory("hypothesis", ["span._.hypothesis"], **_QUALIFIER)
edspipe_family = _factory("family", ["span._.family"], **_QUALIFIER)
edspipe_history = _factory("history", ["span._.history"], **_QUALIFIER)
edspipe_reported_speech = _factory("reported_speech", ["span._.reported_speech"], **_QUALIFIER)

_DATE_GROUPS = {
    "dates": ["date", "time"],
    "durations": ["duration"],
    "frequencies": ["frequency"],
    "periods": ["period"],
}

edspipe_dates = _factory(
    "dates", ["doc.spans", "span._.date"], ages=False, span_setter=_DATE_GROUPS, **_WORDS
)
edspipe_consultation_dates = _factory(
    "consultation_dates",
    ["doc.spans", "span._.date"],
    span_getter="dates",
    span_setter="consultation_dates",
    **_WORDS,
)
edspipe_quantities = _factory(
    "quantities",
    ["doc.spans", "span._.quantity"],
    quantities="all",
    span_setter="quantities",
    **_WORDS,
)
edspipe_sections = _factory(
    "sections",
    ["doc.spans", "span._.section_title"],
    unknown=True,
    span_setter="sections",
    title_setter="section_titles",
    **_WORDS,
)
edspipe_tables = _factory(
    "tables", ["doc.spans", "span._.table"], min_rows=2, min_aligned=3, span_setter="tables"
)
edspipe_reason = _factory(
    "reason",
    ["doc.spans", "span._.is_reason"],
    wordings=True,
    span_getter="ents",
    span_setter="reasons",
    **_WORDS,
)

edspipe_drugs = _factory(
    "drugs", ["doc.spans"], replace=False, **_WORDS, **_FILE, **(_TERMS | {"span_setter": "drugs"})
)
edspipe_umls = _factory(
    "umls",
    ["doc.spans"],
    ["path"],
    languages=None,
    semantic_types=None,
    sources=None,
    suppressed=False,
    min_chars=3,
    **(_TERMS | {"span_setter": "umls"}),
)
edspipe_cim10 = _factory(
    "cim10",
    ["doc.spans", "span._.cim10_chapter", "span._.cim10_title"],
    find_terms=True,
    span_setter="cim10",
    **_WORDS,
    **_FILE,
)
edspipe_adicap = _factory(
    "adicap",
    ["doc.spans", "span._.adicap"],
    tables=None,
    code_column="code",
    term_column="term",
    span_setter="adicap",
)
edspipe_tnm = _factory("tnm", ["doc.spans", "span._.tnm"], span_setter="tnm")
edspipe_covid = _factory(
    "covid", ["doc.spans"], all_mentions=False, attr="NORM", span_setter="covid", **_WORDS
)

_SCORE: dict[str, Any] = {**_WORDS, "span_setter": "scores"}
_SCORED = [
    "doc.spans",
    *(f"span._.score_{field}" for field in ("name", "value", "value_max", "class")),
]

edspipe_score = _factory(
    "score",
    _SCORED,
    ["score_name", "highest"],
    terms=None,
    regex=None,
    lowest=0,
    decimals=False,
    roman=False,
    values=None,
    **_SCORE,
)
edspipe_charlson = _factory("charlson", _SCORED, **_SCORE)
edspipe_sofa = _factory("sofa", _SCORED, **_SCORE)
edspipe_glasgow = _factory("glasgow", _SCORED, **_SCORE)
edspipe_performance_status = _factory("performance_status", _SCORED, **_SCORE)
edspipe_mmse = _factory("mmse", _SCORED, **_SCORE)
edspipe_nyha = _factory("nyha", _SCORED, **_SCORE)
edspipe_elston_ellis = _factory("elston_ellis", _SCORED, **_SCORE)
edspipe_ccmu = _factory("ccmu", _SCORED, **_SCORE)
edspipe_gemsa = _factory("gemsa", _SCORED, **_SCORE)
edspipe_triage = _factory("triage", _SCORED, **_SCORE)

_DISORDER = {"lang": None, "changes": None, "span_setter": None}
_JUDGED = ["doc.spans", "span._.status", "span._.detailed_status", "span._.assigned"]
edspipe_disorders = _factory("disorders", _JUDGED, disorders=None, **_DISORDER)
edspipe_aids = _factory("aids", _JUDGED, **_DISORDER)
edspipe_alcohol = _factory("alcohol", _JUDGED, **_DISORDER)
edspipe_cerebrovascular_accident = _factory("cerebrovascular_accident", _JUDGED, **_DISORDER)
edspipe_ckd = _factory("ckd", _JUDGED, **_DISORDER)
edspipe_congestive_heart_failure = _factory("congestive_heart_failure", _JUDGED, **_DISORDER)
edspipe_connective_tissue_disease = _factory("connective_tissue_disease", _JUDGED, **_DISORDER)
edspipe_copd = _factory("copd", _JUDGED, **_DISORDER)
edspipe_dementia = _factory("dementia", _JUDGED, **_DISORDER)
edspipe_diabetes = _factory("diabetes", _JUDGED, **_DISORDER)
edspipe_hemiplegia = _factory("hemiplegia", _JUDGED, **_DISORDER)
edspipe_leukemia = _factory("leukemia", _JUDGED, **_DISORDER)
edspipe_liver_disease = _factory("liver_disease", _JUDGED, **_DISORDER)
edspipe_lymphoma = _factory("lymphoma", _JUDGED, **_DISORDER)
edspipe_myocardial_infarction = _factory("myocardial_infarction", _JUDGED, **_DISORDER)
edspipe_peptic_ulcer_disease = _factory("peptic_ulcer_disease", _JUDGED, **_DISORDER)
edspipe_peripheral_vascular_disease = _factory("peripheral_vascular_disease", _JUDGED, **_DISORDER)
edspipe_solid_tumor = _factory("solid_tumor", _JUDGED, **_DISORDER)
edspipe_tobacco = _factory("tobacco", _JUDGED, **_DISORDER)
