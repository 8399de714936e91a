"""Folders that are wrong in one way each: what is said, what is left, and what is never said."""

from __future__ import annotations

import re

import pytest
from spacy.vocab import Vocab
from standoff_support import contents, write_files, write_folder

from edspipe.data.check import check_corpus
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.files import list_standoff_files, read_records
from edspipe.data.standoff.report import ReadReport
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import DataError

TEXT = "Mme ZZCANARY a une toux.\nPas de fièvre."
T1 = "T1\tDISO 19 23\ttoux\n"
T2 = "T2\tDISO 32 38\tfièvre\n"
WIN = TEXT.replace("\n", "\r\n")


def ann(*lines: str | bytes, text: str | bytes = TEXT) -> dict[str, str | bytes]:
    """A document `d` with these lines."""
    data = [line.encode() if isinstance(line, str) else line for line in lines]
    return {"d.txt": text, "d.ann": b"".join(data)}


# name: files, messages of the problems in order, ids of the entities that are left with "skip"
# (None: no document is left)
CASES: dict[str, tuple[dict[str, str | bytes], list[str], list[str] | None]] = {
    # line ends, marks at the start, encodings
    "offsets of a Unix text on a Windows text": (
        ann(T1, T2, text=WIN),
        [r"d.ann:2:T2: the mention differs .* once in the text, \+1 characters away"],
        ["T1"],
    ),
    "offsets of a Windows text on a Unix text": (
        ann(T1, "T2\tDISO 33 39\tfièvre\n"),
        [r"d.ann:2:T2: the mention differs .* once in the text, -1 characters away"],
        ["T1"],
    ),
    "old Mac line ends doubled": (
        ann("T2\tDISO 33 39\tfièvre\n", text=TEXT.replace("\n", "\r")),
        ["d.ann:1:T2: the mention differs"],
        [],
    ),
    "offsets that do not count the byte-order mark": (
        ann(T1, text="\ufeff" + TEXT),
        [r"d.ann:1:T1: the mention differs .* \+1 characters away"],
        [],
    ),
    "offsets that count a byte-order mark that is gone": (
        ann("T1\tDISO 20 24\ttoux\n"),
        [r"d.ann:1:T1: the mention differs .* -1 characters away"],
        [],
    ),
    "byte-order mark in the annotations": (
        ann("\ufeff", T1, T2),
        ["d.ann:1: the file starts with a byte-order mark"],
        ["T2"],
    ),
    "Windows line ends in the annotations": (
        ann(T1.replace("\n", "\r\n"), "A1\tNeg T1\r\n"),
        [
            "d.ann:1:T1: the mention differs .* ends in a carriage return",
            "d.ann:2:A1: malformed A line of 10 characters.* ends in a carriage return",
        ],
        [],
    ),
    "old Mac line ends in the annotations": (
        ann(T1.replace("\n", "\r") + T2.replace("\n", "\r")),
        ["d.ann:1:T1: the mention differs"],
        [],
    ),
    "offsets in bytes": (
        ann("T2\tDISO 32 39\tfièvre\n"),
        ["d.ann:1:T2: the mention differs .* it has 6 characters, the text 7 there"],
        [],
    ),
    "offsets in UTF-16 units": (
        ann("T1\tX 4 8\ttoux\n", text="😀😀toux"),
        ["d.ann:1:T1: offsets 4-8 are out of range: the text has 6 characters"],
        [],
    ),
    "mention composed, text decomposed": (
        ann("T1\tX 0 2\t\u00e9\n", text="e\u0301"),
        ["d.ann:1:T1: the mention differs .* it has 1 characters, the text 2 there"],
        [],
    ),
    "text in Latin-1": (
        ann(T1, text=TEXT.encode("latin-1")),
        ["d.txt:2: not UTF-8 at byte 34 of 39: convert"],
        None,
    ),
    "text in UTF-16": (
        ann(T1, text=TEXT.encode("utf-16")),
        ["d.txt:1: not UTF-8 at byte 0 of 80; it looks like UTF-16"],
        None,
    ),
    "text cut inside a character": (
        ann("", text="fié".encode()[:-1]),
        ["d.txt:1: not UTF-8 at byte 2 of 3"],
        None,
    ),
    "lone surrogate in the text": (
        ann("", text="ZZCANARY\n\ud83d".encode("utf-8", "surrogatepass")),
        ["d.txt:2: not UTF-8 at byte 9 of 12"],
        None,
    ),
    "annotations in Latin-1": (
        ann(T1, T2.encode("latin-1"), "A1\tNeg T2\nA2\tNeg T1\n"),
        ["d.ann:2:T2: not UTF-8 at byte 35 of 60"],
        ["T1"],
    ),
    "annotations in UTF-16": (
        {"d.txt": TEXT, "d.ann": T1.encode("utf-16")},
        ["d.ann:1: not UTF-8 at byte 0 of 40; it looks like UTF-16"],
        [],
    ),
    # mentions and offsets
    "mention of another word": (ann("T1\tX 4 12\tZZPERSON\n"), ["d.ann:1:T1: the mention"], []),
    "mention in another case": (ann("T1\tX 19 23\tToux\n"), ["T1: the mention differs"], []),
    "mention with a blank too many": (
        ann("T1\tDISO 19 23\ttoux \n"),
        ["T1: the mention differs .* it has 5 characters, the text 4 there"],
        [],
    ),
    "mention cut short": (ann("T1\tX 4 12\tZZCAN\n"), ["it has 5 characters, the text 8"], []),
    "empty mention": (ann("T1\tX 19 23\t\n"), ["it has 0 characters, the text 4 there$"], []),
    "mention with the line end that brat writes as a blank": (
        ann("T1\tX 19 28\ttoux.\\nPas\n"),
        ["T1: the mention differs"],
        [],
    ),
    "mention of one fragment of two": (
        ann("T1\tX 0 3;19 23\tMme\n"),
        ["T1: the mention differs from the text at 0-23"],
        [],
    ),
    "end out of range": (ann("T1\tX 19 99\ttoux\n"), ["T1: offsets 19-99 are out of range"], []),
    "both out of range": (ann("T1\tX 98 99\tx\n"), ["T1: offsets 98-99 are out of range"], []),
    "negative offset": (ann("T1\tX -4 3\ttoux\n"), ["T1: offsets -4-3 are out of range"], []),
    "inverted offsets": (ann("T1\tX 23 19\ttoux\n"), ["T1: offsets 23-19 are inverted"], []),
    "zero-length entity": (ann("T1\tX 4 4\t\n"), ["T1: offsets 4-4 cover nothing"], []),
    "offsets in an empty text": (
        ann(T1, text=""),
        ["T1: offsets 19-23 are out of range: the text has 0 characters"],
        [],
    ),
    "second fragment out of range": (
        ann("T1\tX 0 3;90 99\tMme x\n"),
        ["T1: offsets 90-99 are out of range"],
        [],
    ),
    "fragments that overlap": (
        ann("T1\tX 0 3;2 5\tMme e Z\n"),
        ["T1: fragments overlap: one ends at 3, another begins at 2"],
        [],
    ),
    # malformed lines
    "entity without mention": (ann("T1\tX 19 23\n"), ["T1: malformed T line of 10"], []),
    "entity with blanks for tabs": (ann("T1 X 19 23 toux\n"), ["T1: malformed T line"], []),
    "entity without label": (ann("T1\t19 23\ttoux\n"), ["T1: malformed T line"], []),
    "label of two words": (ann("T1\tA B 19 23\ttoux\n"), ["T1: malformed T line"], []),
    "offset that is no number": (ann("T1\tX 19 x\ttoux\n"), ["T1: malformed T line"], []),
    "offset in other digits": (ann("T1\tX ١٩ ٢٣\ttoux\n"), ["T1: malformed T line"], []),
    "offset with a decimal point": (ann("T1\tX 1.0 3\ttoux\n"), ["T1: malformed T line"], []),
    "very long offset": (ann(f"T1\tX 0 {'9' * 9999}\tx\n"), ["T1: malformed T line"], []),
    "fragments by comma": (ann("T1\tX 0 3,4 5\tx\n"), ["T1: malformed T line"], []),
    "id without number": (ann("T\tX 19 23\ttoux\n"), ["d.ann:1: malformed T line"], []),
    "a line of the text among the annotations": (
        ann("Toux de ZZCANARY depuis hier\n", T1),
        ["d.ann:1: malformed T line of 28 characters"],
        ["T1"],
    ),
    "a mention broken over two lines": (
        ann("T1\tX 4 14\tZZCANARY\n a\n"),
        ["T1: the mention differs"],
        [],
    ),
    "attribute without target": (ann(T1, "A1\tNeg\n"), ["d.ann:2:A1: malformed A line"], ["T1"]),
    "attribute with a tab": (ann(T1, "A1\tNeg T1\tx\n"), ["A1: malformed A line"], ["T1"]),
    "modification without target": (ann(T1, "M1\tNeg\n"), ["M1: malformed M line"], ["T1"]),
    "normalisation without source": (
        ann(T1, "N1\tReference T1 D01\n"),
        ["d.ann:2:N1: malformed N line"],
        ["T1"],
    ),
    "note without target": (ann(T1, "#1\tAnnotatorNotes\tZZCANARY\n"), ["#1: malformed #"], ["T1"]),
    "comment": (ann(T1, "# ZZCANARY\n"), ["d.ann:2: malformed # line of 10"], ["T1"]),
    "relation with one argument": (ann(T1, "R1\tOf Arg1:T1\n"), ["R1: malformed R line"], ["T1"]),
    "relation without roles": (ann(T1, T2, "R1\tOf T1 T2\n"), ["R1: malformed R"], ["T1", "T2"]),
    "event without trigger": (ann(T1, "E1\tDose\n"), ["E1: malformed E line"], ["T1"]),
    "equivalence of one": (ann(T1, "*\tEquiv T1\n"), [r"d.ann:2: malformed \* line"], ["T1"]),
    "git conflict": (
        ann("<<<<<<< HEAD\n", T1, "=======\n", T2, ">>>>>>> other\n"),
        [rf"d.ann:{line}: mark of a git conflict" for line in (1, 3, 5)],
        ["T1", "T2"],
    ),
    "git conflict in diff3 style": (
        ann("||||||| base\n", T1),
        ["d.ann:1: mark of a git conflict"],
        ["T1"],
    ),
    # ids
    "id used twice": (
        ann(T1, T2, T1),
        ["d.ann:3:T1: the id is used twice: on line 1 and on line 3"],
        ["T1", "T2"],
    ),
    "id of an attribute used twice": (
        ann(T1, "A1\tNeg T1\nA1\tSure T1\n"),
        ["d.ann:3:A1: the id is used twice: on line 2 and on line 3"],
        ["T1"],
    ),
    "id used in both of two files": (
        {"d.txt": TEXT, "d.a1": T1, "d.a2": T1},
        [r"d.a2:1:T1: the id is used twice: on .*d.a1, line 1, and on line 1"],
        ["T1"],
    ),
    "attribute of nothing": (ann(T1, "A1\tNeg T7\n"), ["A1: points at T7, which no line"], ["T1"]),
    "attribute of a word": (ann(T1, "A1\tNeg ZZCANARY\n"), ["A1: points at something"], ["T1"]),
    "normalisation of nothing": (ann("N1\tReference T7 M:1\n"), ["N1: points at T7"], []),
    "note on nothing": (ann("#1\tAnnotatorNotes R7\tZZCANARY\n"), ["#1: points at R7"], []),
    "relation to nothing": (ann(T1, "R1\tOf a:T1 b:T7\n"), ["R1: points at T7"], ["T1"]),
    "event on nothing": (ann("E1\tDose:T7\n"), ["E1: points at T7"], []),
    "event with an argument that is nothing": (
        ann(T1, "E1\tDose:T1 By:E9\n"),
        ["E1: points at E9"],
        ["T1"],
    ),
    "event whose trigger is no entity": (
        ann(T1, "E1\tDose:T1\nE2\tDose:E1\n"),
        ["d.ann:3:E2: the trigger of an event is the id of an entity"],
        ["T1"],
    ),
    "equivalence with nothing": (
        ann(T1, "*\tEquiv T1 T7\n"),
        [r"d.ann:2:\*: points at T7"],
        ["T1"],
    ),
    # files
    "annotations without a text": (
        {**ann(T1), "e.ann": T1},
        ["e.ann: annotations without a text: expected a .txt"],
        ["T1"],
    ),
    "text under another suffix": ({"d.TXT": "", "d.ann": T1}, ["d.ann: annotations without"], None),
    "whole and split annotations": (
        {"d.txt": TEXT, "d.ann": T1, "d.a1": T1},
        ["d.txt: the document has a .ann, and a .a1 or .a2 too"],
        None,
    ),
    "two documents with one id": (
        {"a%20b.txt": "", "a%2520b.txt": ""},
        ["a%2520b.txt: has the same id as .*a%20b.txt"],
        [],
    ),
    "no documents": ({"notes.csv": ""}, ["the folder holds no .txt file"], None),
    "damaged map": ({"d.txt": "", "ids.json": "{"}, ["ids.json: damaged"], None),
}


def case(name: str, tmp_path):
    files, messages, left = CASES[name]
    return write_files(tmp_path / "in", files), messages, left


@pytest.mark.parametrize("name", CASES)
def test_every_problem_is_listed_and_no_text_is_quoted(name, tmp_path):
    folder, messages, _ = case(name, tmp_path)
    problems = check_corpus(folder).problems
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert re.search(message, str(problem)), str(problem)
        for quoted in ("CANARY", "toux", "fièvre", "ZZ"):
            assert quoted not in str(problem) + repr(problem)


@pytest.mark.parametrize("name", CASES)
def test_the_first_problem_is_raised(name, tmp_path):
    folder, messages, _ = case(name, tmp_path)
    with pytest.raises(DataError) as caught:
        list(read_records(list_standoff_files(folder)))
    assert any(re.search(message, str(caught.value)) for message in messages)


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_is_sound_and_counted(name, tmp_path):
    folder, messages, left = case(name, tmp_path)
    report = ReadReport()
    counted: list[DataError] = []
    try:
        documents = list_standoff_files(folder, on_problem=counted.append)
    except DataError as error:
        documents = []
        counted.append(error)
    records = list(read_records(documents, on_error="skip", report=report))
    found = [entity["id"] for record in records for entity in record["entities"]]
    assert found == (left or [])
    assert (left is None) == (not records)
    assert len(counted) + report.reasons.total() == len(messages)
    docs = (record_to_doc(record, EdsTokenizer(Vocab())) for record in records)
    write_folder(tmp_path / "out", map(doc_to_record, docs))
    if records:
        assert check_corpus(tmp_path / "out").ok
        assert any(name.endswith(".txt") for name in contents(tmp_path / "out"))


def test_a_strict_reader_refuses_a_text_without_annotations(tmp_path):
    folder = write_files(tmp_path, {"d.txt": TEXT})
    with pytest.raises(DataError, match=r"d\.txt: text without annotations: expected a \.ann"):
        list(read_records(list_standoff_files(folder), strict=True))
    report = ReadReport()
    assert list(read_records(list_standoff_files(folder), strict=True, on_error="skip")) == []
    assert len(list(read_records(list_standoff_files(folder), report=report))) == 1
    assert report.txt_without_ann == 1


def test_a_file_name_that_is_not_utf8_is_a_problem(tmp_path):
    try:
        write_files(tmp_path, {"d.txt": "", "bad\udcff.txt": ""})
    except OSError:
        pytest.skip("this disk takes no names that are not UTF-8")
    (problem,) = check_corpus(tmp_path).problems
    assert re.search(r"bad\\xff\.txt: the name of the file is not UTF-8", str(problem))


def test_there_are_sixty_of_them():
    assert len(CASES) >= 60
