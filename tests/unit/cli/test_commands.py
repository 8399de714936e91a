"""The command `edspipe`: what each command reads, prints and returns."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from spacy.tokens import Span

import edspipe
from edspipe.cli import demo_data
from edspipe.cli.apply import entities_table
from edspipe.cli.main import main, parser
from edspipe.data import read_standoff

NOTE = "Pas de fièvre. Toux depuis 3 jours.\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A brat folder with two notes, one of them annotated."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, lines in (("one", "T1\tSIGN 7 13\tfièvre\n"), ("two", "")):
        (folder / f"{name}.txt").write_text(NOTE)
        (folder / f"{name}.ann").write_text(lines)
    return folder


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"edspipe {edspipe.__version__}\n"


def test_the_package_is_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["edspipe", "--version"])
    with pytest.raises(SystemExit):
        runpy.run_module("edspipe", run_name="__main__")
    assert edspipe.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["apply", "--model", "m"], "one of the arguments --input --text is required"),
        (["apply", "--text", "x"], "one of the arguments --model --config is required"),
        (["inspect"], "required: MODEL"),
        (["demo-data"], "required: OUT"),
    ],
)
def test_wrong_words_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# ---- inspect --------------------------------------------------------------------------------


def test_inspect_prints_what_a_model_would_run(
    model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(model_dir)]) == 0
    out = capsys.readouterr().out
    assert "every file is as it was saved" in out
    assert "nlp.components.ner: eds.ner_crf" in out


def test_inspect_of_a_damaged_model_ends_with_code_1(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(model_dir, tmp_path / "m")
    (model / "meta.json").unlink()
    assert main(["inspect", str(model)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("CheckpointError: ")
    assert "meta.json" in captured.err


# ---- check ----------------------------------------------------------------------------------


def test_check_of_a_good_corpus_ends_with_code_0(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(corpus)]) == 0
    assert capsys.readouterr().out.strip()


def test_check_of_a_bad_corpus_names_the_line_and_ends_with_code_1(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "two.ann").write_text("T1\tSIGN 7 999\tfièvre\n")
    assert main(["check", str(corpus)]) == 1
    out = capsys.readouterr().out
    assert "two.ann" in out
    assert "fièvre" not in out


# ---- apply ----------------------------------------------------------------------------------


def test_apply_prints_the_entities_of_a_text(
    model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "--model", str(model_dir), "--text", "Pas de fièvre.\\nToux."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line[0] in "AB" for line in lines)
    assert lines


def test_apply_says_when_nothing_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yml").write_text("nlp: {components: {s: {'@factory': eds.sentences}}}\n")
    assert main(["apply", "--config", str(tmp_path / "c.yml"), "--text", "x"]) == 0
    assert capsys.readouterr().out == "no entities found\n"


def test_apply_to_a_brat_folder_writes_one(
    model_dir: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["apply", "--model", str(model_dir), "--input", str(corpus), "--output", str(out)]
    assert main(words) == 0
    assert f"{out}: " in capsys.readouterr().out
    nlp = edspipe.load(model_dir)
    docs = {doc._.note_id: doc for doc in read_standoff(out, tokenizer=nlp.tokenizer)}
    assert sorted(docs) == ["one", "two"]
    assert docs["one"].text == NOTE
    doc = nlp(NOTE)
    expected = {(s.start_char, s.end_char, s.label_) for s in doc.spans["gold-ner"]}
    found = {(s.start_char, s.end_char, s.label_) for s in docs["two"].ents}
    assert found
    assert found <= expected


def test_apply_to_jsonl_writes_jsonl(model_dir: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    records = [{"note_id": name, "note_text": NOTE} for name in ("one", "two")]
    notes.write_text("".join(json.dumps(record) + "\n" for record in records))
    out = tmp_path / "out.jsonl"
    words = ["apply", "--model", str(model_dir), "--input", str(notes), "--output", str(out)]
    assert main(words) == 0
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["note_id"] for record in written] == ["one", "two"]
    assert all(record["note_text"] == NOTE for record in written)
    assert all(record["entities"] for record in written)


@pytest.mark.parametrize(("words", "labels"), [([], 0), (["--keep-annotations"], 1)])
def test_apply_drops_the_annotations_of_its_input_unless_told_to(
    model_dir: Path, corpus: Path, tmp_path: Path, words: list[str], labels: int
) -> None:
    out = tmp_path / "out"
    words = [*words, "--model", str(model_dir), "--input", str(corpus), "--output", str(out)]
    assert main(["apply", *words]) == 0
    assert (out / "one.ann").read_text().count("SIGN") == labels
    assert (corpus / "one.ann").read_text().count("SIGN") == 1


def test_apply_does_not_replace_what_is_there_unless_told_to(
    model_dir: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["apply", "--model", str(model_dir), "--input", str(corpus), "--output", str(out)]
    assert main(words) == 0
    assert main(words) == 1
    assert "Error" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "{corpus}"], "--output is missing: a brat folder, or a .jsonl file"),
        (["--input", "{corpus}/no", "--output", "x"], "expected a brat folder or a .jsonl file"),
        (["--text", "x", "--import", "nosuch_4711"], "no module 'nosuch_4711'"),
        (["--input", "{corpus}", "--output", "{corpus}/o", "--spans", "nosuch"], ""),
    ],
)
def test_apply_says_what_is_missing(
    model_dir: Path,
    corpus: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word.format(corpus=corpus) for word in words]
    code = main(["apply", "--model", str(model_dir), *words])
    assert code == (1 if message else 0)
    assert message in capsys.readouterr().err


def test_apply_imports_a_module_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_entities_4711.py").write_text(
        "import edspipe\n\n"
        "@edspipe.registry.factory.register('my.entities')\n"
        "def make():\n"
        "    def pipe(doc):\n        doc.set_ents([doc.char_span(0, 4, 'X')])\n        return doc\n"
        "    return pipe\n"
    )
    (tmp_path / "c.yml").write_text("nlp: {components: {x: {'@factory': my.entities}}}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["apply", "--config", str(tmp_path / "c.yml"), "--text", "Toux grasse"]
    assert main(words) == 1
    assert "no 'my.entities' among" in capsys.readouterr().err
    assert main([*words, "--import", "my_entities_4711"]) == 0
    assert capsys.readouterr().out == "X  0-4  Toux\n"
    del edspipe.registry.factory._functions["my.entities"]


def test_entities_are_a_table_with_one_row_each() -> None:
    nlp = edspipe.blank("eds")
    doc = nlp("Toux et fièvre\nélevée")
    sign, other = Span(doc, 0, 1, "SIGN"), Span(doc, 2, 5, "LONG_LABEL")
    doc.set_ents([sign])
    doc.spans["x"] = [sign, other]
    assert entities_table(doc).splitlines() == [
        "SIGN         0-4  Toux",
        "LONG_LABEL  8-21  fièvre élevée",
    ]


# ---- demo-data ------------------------------------------------------------------------------


def test_demo_data_writes_to_the_folder_with_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def write_demo(out: Path, *, seed: int) -> str:
        calls.append((out, seed))
        return "two notes"

    monkeypatch.setattr(demo_data, "write_demo", write_demo)
    assert main(["demo-data", str(tmp_path)]) == 0
    assert main(["demo-data", str(tmp_path), "--seed", "9"]) == 0
    assert calls == [(tmp_path, 7), (tmp_path, 9)]
    assert capsys.readouterr().out == f"{tmp_path}: two notes\n" * 2


def test_each_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    help_text = parser().format_help()
    for command in ("apply", "check", "demo-data", "inspect"):
        assert command in help_text
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert command in capsys.readouterr().out
