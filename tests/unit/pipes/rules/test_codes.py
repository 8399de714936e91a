"""eds.tnm, eds.adicap, eds.cim10 and eds.umls: what codes say, and files of one's own."""

from __future__ import annotations

import pytest

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError, DataError
from edspipe.pipes.rules.codes.adicap_value import AdicapCode
from edspipe.pipes.rules.codes.chapters import chapter_of, write_code
from edspipe.pipes.rules.codes.tnm import find_stages
from edspipe.pipes.rules.codes.tnm_value import TnmStage

NLP = edspipe.blank("eds")


def write(path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


# TNM


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pT2N1M0", {"prefix": "p", "tumour": "2", "node": "1", "metastasis": "0"}),
        (
            "ypT1b(m) N0(sn)",
            {
                "prefix": "yp",
                "tumour": "1b",
                "tumour_suffix": "m",
                "node": "0",
                "node_suffix": "sn",
            },
        ),
        (
            "T4d, Nx, M1a R1 L0 V1 Pn0 S2 G3",
            {
                "tumour": "4d",
                "node": "x",
                "metastasis": "1a",
                "resection": "1",
                "lymphatic": "0",
                "venous": "1",
                "perineural": "0",
                "serum": "2",
                "grade": "3",
            },
        ),
        ("TNM 2009 : T1N0", {"tumour": "1", "node": "0", "version_year": 2009}),
        ("T1N0 (8e édition)", {"tumour": "1", "node": "0", "version": 8}),
        ("T1N0 AJCC 7th ed", {"tumour": "1", "node": "0", "version": 7}),
        ("PT3N2", {"prefix": "p", "tumour": "3", "node": "2"}),
        ("N2 M1", {"node": "2", "metastasis": "1"}),
        ("cT3cN0cM0", {"prefix": "c", "tumour": "3", "node": "0", "metastasis": "0"}),
        ("pT1-2N0", {"prefix": "p", "tumour": "1-2", "node": "0"}),
        ("T2/T3 N0-1", {"tumour": "2-3", "node": "0-1"}),
        ("T1a-b N0", {"tumour": "1a-b", "node": "0"}),
        ("usT3", {"prefix": "u", "tumour": "3"}),
        ("mrT3N1", {"prefix": "mr", "tumour": "3", "node": "1"}),
        ("Tis", {"tumour": "is"}),
        ("stade T3", {"tumour": "3"}),
        ("pT1sm2N0", {"prefix": "p", "tumour": "1", "tumour_suffix": "sm2", "node": "0"}),
        ("T2-cN0", {"prefix": "c", "tumour": "2", "node": "0"}),
        (
            "TNM 8e édition 2017 : T1N0",
            {"tumour": "1", "node": "0", "version": 8, "version_year": 2017},
        ),
        ("T1N0M1a(PUL)", {"tumour": "1", "node": "0", "metastasis": "1a"}),
    ],
)
def test_a_stage_is_taken_apart(text, expected):
    ((_, _, stage),) = find_stages(text)
    assert stage.to_dict() == expected
    assert TnmStage.from_dict(expected) == stage


@pytest.mark.parametrize(
    "text",
    ["T1 (2019)", "T2", "T12", "N1", "M0", "rT3", "aN1", "pT", "T N M", "T1 (3)", "xpT2N0M0"]
    + ["séquences T1/T2", "T1-T2", "N1/15", "mRT2", "TIS"],
)
def test_what_is_no_stage_is_not_found(text):
    assert list(find_stages(text)) == []


def test_a_stage_is_text_as_officially_written():
    assert str(TnmStage("p", "2", node="1", resection="0")) == "pT2N1 R0"


# ADICAP


def test_a_code_gets_its_words_from_files(tmp_path):
    organs = write(tmp_path / "organs.csv", "code,term\nGS,sein\n")
    lesions = write(tmp_path / "lesions.csv", "code,term\nA7B2,autre\n")
    pipe = eds.adicap(tables={"organ": organs, "lesion": lesions}).build()
    doc = pipe(NLP.make_doc("BHGSA7A0"))
    assert doc.spans["adicap"][0]._.adicap == AdicapCode(
        "B", "H", "GS", "A7A0", labels={"organ": "sein"}
    )


def test_codes_far_behind_the_word_do_not_count():
    doc = eds.adicap().build()(NLP.make_doc("ADICAP " + "mot " * 30 + "BHGS0040"))
    assert not doc.spans["adicap"]


def test_a_table_of_no_such_part_is_refused(tmp_path):
    path = write(tmp_path / "organs.csv", "code,term\n")
    with pytest.raises(ConfigError, match=r"tables\.organs: .*Did you mean 'organ'"):
        eds.adicap(tables={"organs": path}).build()


def test_a_table_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file of terms"):
        eds.adicap(tables={"organ": str(tmp_path / "none.csv")}).build()


# ICD-10


@pytest.mark.parametrize(
    ("code", "chapter"),
    [
        ("A00", "I"),
        ("C7A.0", "II"),
        ("D50.0", "III"),
        ("D95.3", None),
        ("H59.9", "VII"),
        ("H60", "VIII"),
        ("K98.1", None),
        ("T98.3", "XIX"),
        ("T99", None),
        ("U07.1", "XXII"),
        ("V01", "XX"),
        ("Z99.9", "XXI"),
    ],
)
def test_a_code_has_a_chapter(code, chapter):
    assert chapter_of(code) == chapter


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("I500", "I50.0"),
        ("I10", "I10"),
        ("i50.0", "I50.0"),
        ("S72001A", "S72.001A"),
        ("Z51.1+0", "Z51.1+0"),
        ("hypertension", "hypertension"),
    ],
)
def test_a_code_is_written_with_its_point(written, expected):
    assert write_code(written) == expected


@pytest.fixture
def icd(tmp_path):
    rows = "I500;Insuffisance cardiaque congestive\nI500;cœur congestif\nI10;Hypertension\n"
    return write(tmp_path / "icd.csv", f"code;term\n{rows}")


def icd_spans(text: str, **options) -> list[tuple[str, str, str | None]]:
    doc = eds.cim10(**options, delimiter=";").build()(NLP.make_doc(text))
    return [(span.text, span.kb_id_, span._.cim10_title) for span in doc.spans["cim10"]]


def test_a_file_gives_titles_and_terms(icd):
    title = "Insuffisance cardiaque congestive"
    assert icd_spans("I50.0. Coeur congestif. A41.9", path=icd) == [
        ("I50.0", "I50.0", title),
        ("Coeur congestif", "I50.0", title),
        ("A41.9", "A41.9", None),
    ]


def test_terms_of_a_file_can_be_left_out(icd):
    found = icd_spans("I50.0. Hypertension", path=icd, find_terms=False)
    assert [text for text, _, _ in found] == ["I50.0"]


def test_words_of_all_languages_tell_codes_where_none_is_known():
    found = icd_spans("CIE-10: I10. ICD-10: E119. DP : J960")
    assert [code for _, code, _ in found] == ["I10", "E11.9", "J96.0"]


def test_a_file_of_codes_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file of terms"):
        icd_spans("", path=str(tmp_path / "none.csv"))


def test_changes_of_no_language_are_refused():
    with pytest.raises(ConfigError, match=r"eds\.cim10: expected lang="):
        eds.cim10(changes={"cues": ["diag"]}).build(nlp=NLP, name="cim10")


# UMLS

CONCEPT = "{cui}|{language}|P|L|PF|S|Y|A||||{source}|PT|1|{term}|0|{suppress}||\n"


def row(cui: str, term: str, language="ENG", source="MSH", suppress="N") -> str:
    return CONCEPT.format(cui=cui, term=term, language=language, source=source, suppress=suppress)


@pytest.fixture
def meta(tmp_path):
    rows = [
        row("C1", "Fever"),
        row("C1", "Fièvre", "FRE"),
        row("C2", "Aspirin", source="RXNORM"),
        row("C3", "Old name", suppress="O"),
        row("C4", "MI"),
    ]
    write(tmp_path / "MRCONSO.RRF", "".join(rows))
    types = "C1|T184|A2|Sign or Symptom|AT||\nC2|T121|A1|Pharmacologic Substance|AT||\n"
    write(tmp_path / "MRSTY.RRF", types)
    return str(tmp_path)


def concepts(path: str, **options) -> list[str]:
    doc = NLP.make_doc("Fever, fièvre, aspirin, old name, MI.")
    doc = eds.umls(path=path, **options).build()(doc)
    return [span.kb_id_ for span in doc.spans["umls"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"languages": ["en"]}, ["C1", "C2"]),
        ({"languages": ["FR"]}, ["C1"]),
        ({"languages": ["ENG", "fr"]}, ["C1", "C1", "C2"]),
        ({"languages": ["en"], "sources": ["RXNORM"]}, ["C2"]),
        ({"languages": ["en"], "semantic_types": ["T184"]}, ["C1"]),
        ({"languages": ["en"], "semantic_types": ["Pharmacologic Substance"]}, ["C2"]),
        ({"languages": ["en"], "suppressed": True}, ["C1", "C2", "C3"]),
        ({"languages": ["en"], "min_chars": 2}, ["C1", "C2", "C4"]),
    ],
)
def test_terms_of_the_umls_are_chosen(meta, options, expected):
    assert concepts(meta, **options) == expected


def test_the_table_itself_can_be_given(meta):
    assert concepts(f"{meta}/MRCONSO.RRF", languages=["en"]) == ["C1", "C2"]


def test_no_language_is_refused(meta):
    with pytest.raises(ConfigError, match=r"eds\.umls: expected languages=, e\.g\. \['en'\]"):
        concepts(meta)


def test_nothing_that_is_wanted_is_refused(meta):
    with pytest.raises(ConfigError, match=r"nothing in .* is of these languages"):
        concepts(meta, languages=["en"], sources=["SNOMEDCT_US"])


def test_an_unknown_semantic_type_is_named(meta):
    with pytest.raises(DataError, match=r"MRSTY\.RRF: no concept has the semantic type T999"):
        concepts(meta, languages=["en"], semantic_types=["T999"])


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"MRCONSO\.RRF: no such table of the UMLS"):
        concepts(str(tmp_path), languages=["en"])


def test_a_table_of_another_form_is_refused(tmp_path):
    write(tmp_path / "MRCONSO.RRF", row("C1", "Fever") + "C2|ENG|x\n")
    with pytest.raises(DataError, match=r"MRCONSO\.RRF:2: expected at least 17 columns .* got 3"):
        concepts(str(tmp_path), languages=["en"])


def test_a_table_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "MRCONSO.RRF").write_bytes(row("C1", "Fièvre").encode("latin-1"))
    with pytest.raises(DataError, match=r"MRCONSO\.RRF: expected text in UTF-8"):
        concepts(str(tmp_path), languages=["en"])


@pytest.mark.parametrize(
    ("text", "found", "norm"),
    [
        ("Stade pT2pN1(1/12)pMx R0.", "pT2pN1(1/12)pMx R0", "pT2N1(1/12)Mx R0"),
        ("Stade T3N-M-.", "T3N-M-", "T3N-M-"),
    ],
)
def test_parts_of_a_stage_have_prefixes_of_their_own(text, found, norm):
    doc = eds.tnm().build()(edspipe.blank("eds").make_doc(text))
    assert [(span.text, span._.tnm.norm()) for span in doc.spans["tnm"]] == [(found, norm)]
