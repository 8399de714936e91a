"""edspipe evaluate: what it prints and writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Span
from support import TEXTS, tiny_pipeline

import edspipe
from edspipe.cli.evaluate import comparison_text, evaluation_text, kappa_text
from edspipe.cli.main import main
from edspipe.training.scoring import predict_file


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brat folder with three notes."""
    nlp = edspipe.blank("eds")
    docs = [nlp.make_doc(text) for text in TEXTS]
    for index, doc in enumerate(docs):
        doc._.note_id = f"note-{index}"
        doc.ents = [Span(doc, 0, 3, "A"), Span(doc, 4, 5, "B")]
    folder = tmp_path_factory.mktemp("corpus") / "gold"
    edspipe.data.from_iterable(docs).write_standoff(folder)
    return folder


@pytest.fixture(scope="module")
def other_model(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other") / "model"
    tiny_pipeline(encoder_dir, seed=5).to_disk(folder)
    return folder


def test_a_model_is_scored(
    model_dir: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    words = ["--model", str(model_dir), "--data", str(corpus), "--ci", "--output", str(out)]
    assert main(["evaluate", *words]) == 0
    printed = capsys.readouterr().out
    expected = predict_file(edspipe.load(model_dir), corpus).evaluate(ci={}).to_dict()
    assert json.loads(out.read_text()) == expected
    assert evaluation_text(expected) in printed
    assert printed.startswith("3 documents, ")
    assert "with bootstrap intervals of 95 % over documents" in printed
    assert "calibration error" in printed
    assert f"All figures are in {out}" in printed


def test_json_is_all_that_is_printed(
    model_dir: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", str(model_dir), "--data", str(corpus), "--json"]
    assert main([*words, "--no-confidence", "--batch-size", "2 docs"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["format"] == 1
    assert report["confidence"] is None
    assert "ci" not in report["scores"]


def test_two_models_are_compared(
    model_dir: Path, other_model: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(model_dir), "--compare", str(other_model), "--data", str(corpus)]
    assert main(["evaluate", *words]) == 0
    text = capsys.readouterr().out
    assert main(["evaluate", *words, "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    assert comparison["model"] == str(other_model)
    assert comparison["evaluation"]["num_docs"] == 3
    assert set(comparison["test"]) == {"difference", "ci", "p_value"}
    names = (str(model_dir), str(other_model))
    assert comparison_text(comparison["test"], names, 3) in text


def test_annotators_are_compared(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    (other / "note-0.ann").write_text("")
    assert main(["evaluate", "--gold", str(corpus), "--pred", str(other), "--ci"]) == 0
    printed = capsys.readouterr().out
    assert "Cohen's kappa over " in printed
    assert main(["evaluate", "--gold", str(corpus), "--pred", str(other), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["errors"]["counts"]["missed"] == 2
    assert kappa_text(report["kappa"]) in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --model and --data, or --gold and --pred"),
        (["--model", "m"], "give --model and --data, or --gold and --pred"),
        (["--gold", "g"], "--gold and --pred go together, and without --model"),
        (["--gold", "g", "--pred", "p", "--model", "m"], "and without --model"),
        (["--model", "m", "--data", "d", "--import", "nosuch_4711"], "no module 'nosuch_4711'"),
        (["--model", "{model}", "--data", "{corpus}", "--span-getter", "x"], "name that as"),
        (["--gold", "{corpus}", "--pred", "{corpus}/../none"], "found no file of a known format"),
    ],
)
def test_what_is_wrong_is_named(
    model_dir: Path,
    corpus: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word.format(model=model_dir, corpus=corpus) for word in words]
    assert main(["evaluate", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("difference", "p", "parts"),
    [
        (0.03, 0.01, ["of a is 0.030 higher than that of b", "p = 0.010", "more than chance"]),
        (-0.03, 0.2, ["of a is 0.030 lower than that of b", "which may be chance"]),
        (0.0, 1.0, ["the micro F1 of a is that of b", "which may be chance"]),
    ],
)
def test_a_test_is_put_into_words(difference: float, p: float, parts: list[str]) -> None:
    test: dict[str, Any] = {"difference": difference, "ci": [-0.01, 0.05], "p_value": p}
    text = comparison_text(test, ("a", "b"), 1200)
    assert all(part in text for part in parts)
    assert "interval of the difference -0.010 to +0.050" in text
    assert "1,200 documents" in text


def test_kappa_that_is_undefined_is_a_dash() -> None:
    kappa = {"labels": {"A": 0.5, "LONG": None}, "label_sets": 0.25, "num_words": 1000}
    assert kappa_text(kappa).splitlines() == [
        "Cohen's kappa over 1,000 words",
        "A                     0.500",
        "LONG                  -",
        "all labels of a word  0.250",
    ]
