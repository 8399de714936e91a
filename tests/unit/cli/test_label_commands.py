"""edspipe calibrate, evaluate and describe on documents with labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_runs import LABELS, classifier, notes
from spacy.tokens import Doc
from support import gold_docs, tiny_pipeline

import edspipe
from edspipe.cli.main import main
from edspipe.metrics import DocumentLabelsMetric
from edspipe.training.evaluation import predict

NLP = edspipe.blank("eds")
DOCS = notes(NLP, 60)


def record(doc: Doc) -> dict[str, Any]:
    return {"note_id": doc._.note_id, "text": doc.text}


def write_jsonl(path: Path, docs: Any) -> Path:
    lines = [json.dumps({**record(doc), "cats": doc.cats}) for doc in docs]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_csv(path: Path, docs: Any) -> Path:
    rows = [",".join([doc._.note_id, doc.text, *map(str, doc.cats.values())]) for doc in docs]
    path.write_text("\n".join([",".join(["note_id", "text", *LABELS]), *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("labels") / "gold.jsonl", DOCS)


@pytest.fixture(scope="module")
def models(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two saved classifiers whose probabilities differ."""
    folder = tmp_path_factory.mktemp("models")
    for name, factor, options in (("a", 6, {}), ("b", -6, {"label_attribute": "topics_test"})):
        nlp = classifier(encoder_dir, LABELS, **options)
        nlp.pipes.classifier.head.output.weight.data.mul_(factor)
        nlp.to_disk(folder / name)
    return [str(folder / "a"), str(folder / "b")]


def test_a_saved_model_is_calibrated(
    models: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["calibrate", "--model", models[0], "--data", str(data), "--output"]
    assert main([*words, str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("classifier: 60 documents\n")
    new = edspipe.load(tmp_path / "new").pipes.classifier
    assert f"{new.thresholds['A']:.4f}" in printed
    assert f"{new.temperature:.4f}" in printed
    assert new.temperature != 1.0 == edspipe.load(models[0]).pipes.classifier.temperature
    assert main([*words, str(tmp_path / "new")]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_model_is_calibrated_in_place(
    encoder_dir: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier(encoder_dir, LABELS).to_disk(tmp_path / "model")
    words = ["--model", str(tmp_path / "model"), "--data", str(data), "--in-place", "--json"]
    rule = ["--constraint", "recall >= 0.9", "--no-temperature", "--grid", "0", "1", "0.25"]
    assert main(["calibrate", *words, *rule]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    pipe = edspipe.load(tmp_path / "model").pipes.classifier
    assert pipe.thresholds == {x: one["fitted_threshold"] for x, one in found["labels"].items()}
    assert set(pipe.thresholds.values()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert pipe.temperature == 1.0


@pytest.mark.parametrize("kind", ["jsonl", "csv", "lists", "docbin"])
def test_a_classifier_is_scored_on_its_labels(
    kind: str, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / {"csv": "gold.csv", "docbin": "gold.spacy"}.get(kind, "gold.jsonl")
    if kind == "jsonl":
        write_jsonl(path, DOCS)
    elif kind == "csv":
        write_csv(path, DOCS)
    elif kind == "docbin":
        edspipe.data.from_iterable(DOCS).write_docbin(path)
    else:
        write_lists(path, DOCS)
    assert main(["evaluate", "--model", models[0], "--data", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = DocumentLabelsMetric(decisions="_.labels")(
        DOCS, predict(edspipe.load(models[0]), DOCS)
    )
    assert report["scores"] == expected


def test_two_classifiers_are_compared(
    models: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", models[0], "--compare", models[1], "--data", str(data)]
    assert main([*words, "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    metric, other = (DocumentLabelsMetric(decisions=f"_.{x}") for x in ("labels", "topics_test"))
    first, second = (predict(edspipe.load(model), DOCS) for model in models)
    assert comparison["evaluation"]["scores"] == other(DOCS, second)
    for doc in second:
        doc._.labels = doc._.topics_test
    assert comparison["test"] == metric.compare(DOCS, first, second)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"micro F1: {comparison['test']['micro']['f']['difference']:+.3f}" in printed
    assert "macro average precision: " in printed


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
def test_saved_labels_are_scored(
    write: Any, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = predict(edspipe.load(models[0]), DOCS)
    suffix = "csv" if write is write_csv else "jsonl"
    gold, pred = write(tmp_path / f"g.{suffix}", DOCS), write(tmp_path / f"p.{suffix}", found[::-1])
    words = ["evaluate", "--gold", str(gold), "--pred", str(pred)]
    words += ["--option", "labels_columns=A,B,C"] if suffix == "csv" else []
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == DocumentLabelsMetric()(DOCS, found)
    assert main([*words, "--ci"]) == 0
    assert "labels of documents, with bootstrap intervals" in capsys.readouterr().out


@pytest.fixture(scope="module")
def strict(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose thresholds are not 0.5."""
    nlp = edspipe.load(models[0])
    scores = [doc.cats["A"] for doc in predict(nlp, DOCS)]
    nlp.pipes.classifier.set_thresholds({"A": sorted(scores)[20], "B": 0.99, "C": 0.01})
    nlp.to_disk(folder := tmp_path_factory.mktemp("strict") / "model")
    return str(folder)


def write_lists(path: Path, docs: Any) -> Path:
    held = [[label for label, value in doc.cats.items() if value] for doc in docs]
    rows = [record(doc) | {"labels": one} for doc, one in zip(docs, held, strict=True)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize("target", ["p.jsonl", "p.csv", "p.parquet"])
@pytest.mark.parametrize("more", [[], ["--with-text"]])
@pytest.mark.parametrize("as_lists", [False, True])
def test_what_apply_writes_is_scored_as_the_model_is(
    target: str,
    more: list[str],
    as_lists: bool,
    strict: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pred, gold = str(tmp_path / target), str(data)
    assert main(["apply", "--model", strict, "--input", gold, "--output", pred, *more]) == 0
    if as_lists:
        gold = str(write_lists(tmp_path / "lists.jsonl", DOCS))
    capsys.readouterr()
    assert main(["evaluate", "--gold", gold, "--pred", pred, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    found = predict(edspipe.load(strict), DOCS)
    assert scores == DocumentLabelsMetric(decisions="_.labels")(DOCS, found)
    assert scores != DocumentLabelsMetric()(DOCS, found)


def test_columns_of_gold_need_not_be_those_of_predictions(
    strict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, pred = str(write_csv(tmp_path / "gold.csv", DOCS)), str(tmp_path / "pred.csv")
    words = ["apply", "--model", strict, "--input", gold, "--keep", "A", "--output", pred]
    assert main(words) == 0
    capsys.readouterr()
    ways = ["--labels-columns", *LABELS, "--text-column", "text", "--json"]
    assert main(["evaluate", "--gold", gold, "--pred", pred, *ways]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    found = predict(edspipe.load(strict), DOCS)
    assert scores == DocumentLabelsMetric(decisions="_.labels")(DOCS, found)


def test_other_columns_may_begin_as_those_of_probabilities(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path / "pred.csv", DOCS)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},p_id", *(f"{line},x" for line in lines[1:])]) + "\n")
    assert main(["evaluate", "--gold", str(data), "--pred", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["micro"]["f"] == 1.0


def test_labels_that_the_model_does_not_know_count_as_missed(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    docs = notes(NLP, 10)
    for doc in docs:
        doc.cats = {**doc.cats, "rare": float(doc._.note_id.endswith("3"))}
    path = write_lists(tmp_path / "gold.jsonl", docs)
    assert main(["evaluate", "--model", models[0], "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert (scores["rare"]["fn"], scores["rare"]["tp"]) == (1, 0)
    assert "not know, and that count as missed: rare (1 documents)" in "".join(log)


def test_labels_are_described_by_patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        record(doc) | {"labels": ["A", "B"][: i % 3], "who": f"p{i // 2}"}
        for i, doc in enumerate(DOCS[:6])
    ]
    path = tmp_path / "notes.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = tmp_path / "out.json"
    assert main(["describe", str(path), "--group-by", "who", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert (found["num_docs"], found["num_groups"]) == (6, 3)
    assert found["classes"] == {"A": {"docs": 4, "groups": 3}, "B": {"docs": 2, "groups": 2}}
    assert found["classes_together"]["A"]["B"] == 2
    assert "6 documents of 3 groups" in capsys.readouterr().out


def test_tables_of_scores_are_described(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(data)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for label in LABELS:
        assert [label, str(int(sum(doc.cats[label] for doc in DOCS)))] in rows


SCORE = "evaluate --model {model} --data"
FIT = "calibrate --output {new} --model"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{SCORE} {{bare}}", "expected labels in the columns"),
        (f"{SCORE} {{bad}}", "expected a number from 0 to 1"),
        (f"{SCORE} {{empty}}", "expected records, found none"),
        (f"{SCORE} {{data}} --pipe clasifier", "'classifier'"),
        (f"{SCORE} {{data}} --option x", "expected NAME=VALUE"),
        (f"{SCORE} {{bad}} --option labels_columns=X", "expected the columns X"),
        (f"{FIT} {{model}} --data {{data}} --grid 1 0 1", "vmin <= vmax"),
        (f"{FIT} {{rules}} --data {{data}}", "none to calibrate"),
    ],
)
def test_what_is_wrong_is_named(
    words: str,
    message: str,
    models: list[str],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bare.jsonl").write_text('{"text": "zzcanary"}\n')
    (tmp_path / "bad.csv").write_text("text,A,B,C\nzzcanary,1,0,zzcanary\n")
    (tmp_path / "empty.jsonl").write_text("")
    edspipe.blank("eds").to_disk(tmp_path / "rules")
    places = {"model": models[0], "data": data, "bare": tmp_path / "bare.jsonl"}
    places |= {"bad": tmp_path / "bad.csv", "empty": tmp_path / "empty.jsonl"}
    places |= {"rules": tmp_path / "rules", "new": tmp_path / "new"}
    assert main([word.format(**places) for word in words.split()]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "zzcanary" not in said


def test_gold_that_is_not_there_is_named(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = notes(NLP, 2)
    for doc in docs:
        doc.cats = {}
    edspipe.data.from_iterable(docs).write_docbin(tmp_path / "gold.spacy")
    words = ["--model", models[0], "--data", str(tmp_path / "gold.spacy")]
    assert main(["evaluate", *words]) == 1
    assert "expected gold labels in 'cats', found none in 2 documents" in capsys.readouterr().err


@pytest.mark.parametrize("beside", [False, True])
def test_a_recogniser_is_calibrated_too(
    beside: bool, encoder_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nlp = tiny_pipeline(encoder_dir)
    if beside:
        nlp.add_pipe(classifier(encoder_dir, LABELS).pipes.classifier, name="classifier")
    nlp.to_disk(tmp_path / "model")
    docs = gold_docs(nlp)
    for doc in docs:
        doc.ents = doc.spans["gold-ner"]
    edspipe.data.from_iterable(docs).write_standoff(tmp_path / "gold")
    words = ["--model", str(tmp_path / "model"), "--data", str(tmp_path / "gold"), "--min-docs=1"]
    words += ["--pipe", "ner"] if beside else []
    assert main(["calibrate", *words, "--output", str(tmp_path / "new")]) == 0
    assert "entities" in capsys.readouterr().out
    assert edspipe.load(tmp_path / "new").pipes.ner.temperature != 1.0
