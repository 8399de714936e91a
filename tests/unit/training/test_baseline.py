"""The baseline: TF-IDF and logistic regression, chosen without test documents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import edspipe
from edspipe.cli.main import main
from edspipe.data.converters.labels import LabelsConverter
from edspipe.errors import DataError, MissingExtraError
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.training.baseline import BaselineSettings, LabelTask, find_labels, fit_baseline
from edspipe.training.baseline_report import BaselineData, run_baseline

SIGNS = {"flu": "fever shivers", "cold": "sneezing", "rash": "spots"}
LABELS = sorted(SIGNS)


def records(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Notes with the signs of their labels, and words that say nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        found = [label for label in LABELS if rng.random() < 0.4]
        words = [SIGNS[label] for label in found] + list(rng.choice(["le", "a", "and", "of"], 4))
        rng.shuffle(words)
        rows.append({"id": f"{seed}-{i}", "p": f"p{i // 2}", "text": " ".join(words), "l": found})
    return rows


def docs_of(rows: list[dict[str, Any]], **options: Any) -> list[Any]:
    options = {"list_column": "l", "labels": LABELS, **options}
    converter = LabelsConverter(id_column="id", group_column="p", **options)
    return [converter.to_doc(row) for row in rows]


@pytest.fixture(scope="module")
def parts() -> tuple[list[Any], list[Any], list[Any]]:
    return docs_of(records(60)), docs_of(records(20, 1)), docs_of(records(30, 2))


TASK = LabelTask(LABELS)
SMALL = BaselineSettings(min_df=1, inverse_regularisations=(1.0, 16.0))


@pytest.mark.parametrize("with_val", [True, False])
def test_it_learns_what_words_tell(parts, with_val):
    train, val, test = parts
    baseline = fit_baseline(train, val if with_val else None, TASK, SMALL, group_by="group")
    scores = DocumentLabelsMetric(decisions="_.labels")(test, baseline.predict(test))
    assert scores["macro"]["f"] > 0.95
    assert scores["macro"]["ap"] > 0.99
    said = "validation documents" if with_val else "3-fold cross-validation over the training"
    assert baseline.choice["chosen_on"].startswith(said)


def test_probabilities_are_those_of_scikit_learn(parts):
    train, val, test = parts
    settings = BaselineSettings(inverse_regularisations=(4.0,))
    baseline = fit_baseline(train, val, TASK, settings)
    vectors = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"
    )
    features = vectors.fit_transform([doc.text for doc in train])
    gold = [doc.cats["flu"] for doc in train]
    model = LogisticRegression(solver="liblinear", C=4.0, tol=1e-8).fit(features, gold)
    expected = model.predict_proba(vectors.transform([doc.text for doc in test]))[:, 1]
    found = baseline.probabilities(test)[:, LABELS.index("flu")]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_test_documents_choose_nothing(parts):
    train, val, test = parts
    twice = [
        run_baseline(BaselineData({"train": train, "val": val, "test": one}, TASK), SMALL, ci=False)
        for one in (test, test[:5])
    ]
    assert twice[0].baseline.choice == twice[1].baseline.choice


def test_the_same_documents_give_the_same_figures(parts):
    train, _, test = parts
    twice = [fit_baseline(train, None, TASK, SMALL).probabilities(test) for _ in range(2)]
    assert (twice[0] == twice[1]).all()


def test_folds_keep_groups_together(parts):
    train = [doc for doc in parts[0] if doc._.group in ("p0", "p1")]
    for doc in train:
        doc._.group = "p0"
    with pytest.raises(DataError, match="several groups to choose by cross-validation, got 1; giv"):
        fit_baseline(train, None, TASK, SMALL, group_by="group")


def test_one_label_is_the_most_probable_one():
    rows = [{**row, "l": row["l"][:1] or ["none"]} for row in records(80)]
    train = docs_of(rows, labels=None)
    labels = find_labels(train, "_.gold_labels")
    task = LabelTask(labels, "single_label", "_.gold_labels")
    baseline = fit_baseline(train, train, task, SMALL)
    assert baseline.thresholds == {}
    predicted = baseline.predict(train)
    best = [max(doc.cats, key=doc.cats.get) for doc in predicted]
    assert [doc._.labels for doc in predicted] == [[label] for label in best]
    assert np.allclose([sum(doc.cats.values()) for doc in predicted], 1)
    assert baseline.choice["accuracy"]["16.0"] > 0.9


def test_accuracy_is_of_documents_whose_label_is_among_those_to_tell():
    rows = [{**row, "l": row["l"][:1] or ["none"]} for row in records(80)]
    docs = docs_of(rows, labels=None)
    labels = find_labels(docs, "_.gold_labels")
    task = LabelTask([x for x in labels if x != "none"], "single_label", "_.gold_labels")
    known = [doc for doc in docs if doc._.gold_labels != ["none"]]
    assert len(known) < len(docs)
    all_docs, some = (fit_baseline(docs, val, task, SMALL).choice for val in (docs, known))
    assert all_docs["accuracy"] == some["accuracy"]


def test_labels_that_all_or_none_have_get_their_share(parts):
    train, val, test = parts
    baseline = fit_baseline(train, val, LabelTask([*LABELS, "never"]), SMALL)
    assert set(baseline.probabilities(test)[:, -1]) == {0.0}


def test_predictions_cannot_see_gold(parts):
    train, val, test = parts
    baseline = fit_baseline(train, val, TASK, SMALL)
    bare = [edspipe.blank("eds").make_doc(doc.text) for doc in test]
    assert [d.cats for d in baseline.predict(bare)] == [d.cats for d in baseline.predict(test)]


def test_letters_may_be_features_too(parts):
    train, val, _ = parts
    settings = BaselineSettings(char_ngrams=(3, 4), class_weight="balanced")
    words = fit_baseline(train, val, TASK, SMALL).choice["num_features"]
    assert fit_baseline(train, val, TASK, settings).choice["num_features"] > words


def test_documents_without_labels_are_left_out(parts):
    train, val, _ = parts
    unknown = docs_of([{**row, "l": None} for row in records(3, 5)], missing="unknown")
    assert fit_baseline([*train, *unknown], val, TASK, SMALL).choice["num_train_docs"] == 60
    with pytest.raises(DataError, match="expected training documents with labels in 'cats', got 3"):
        fit_baseline(unknown, val, TASK, SMALL)
    with pytest.raises(DataError, match="expected labels in 'cats' of the training documents, fou"):
        find_labels(unknown)


def test_words_must_be_frequent_enough(parts):
    with pytest.raises(DataError, match="no word stands in 99 or more of 60 training documents"):
        fit_baseline(parts[0], parts[1], TASK, BaselineSettings(min_df=99))


def test_several_labels_are_an_error_where_one_is_expected(parts):
    with pytest.raises(DataError, match="expected one label in 'cats' under mode='single_label'"):
        fit_baseline(parts[0], parts[1], LabelTask(LABELS, "single_label"), SMALL)


def test_the_extra_is_named(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edspipe\[baseline\]'"):
        fit_baseline(parts[0], parts[1], TASK, SMALL)


def test_there_must_be_something_to_score_on(parts):
    with pytest.raises(DataError, match="expected documents to score the baseline on: test or val"):
        run_baseline(BaselineData({"train": parts[0]}, TASK), SMALL)


# ---- the command -------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for seed, role in enumerate(("train", "val", "test")):
        found[role] = tmp_path / f"{role}.jsonl"
        found[role].write_text("".join(json.dumps(row) + "\n" for row in records(60, seed)))
    return found


COLUMNS = ["--list-column", "l", "--id-column", "id", "--group-column", "p", "--min-df", "1"]


def test_files_are_scored(files, tmp_path, capsys):
    words = ["baseline", *(w for role in files for w in (f"--{role}", str(files[role])))]
    words += [*COLUMNS, "--group-by", "group", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "test: all labels right" in said
    assert "thresholds chosen on validation documents" in said
    rows = [
        json.loads(x) for x in (tmp_path / "out/predictions/test.jsonl").read_text().splitlines()
    ]
    assert [row["note_id"] for row in rows] == [row["id"] for row in records(60, 2)]
    assert set(rows[0]) == {"note_id", "labels", "scores"}
    evaluation = json.loads((tmp_path / "out/evaluation/test.json").read_text())
    assert evaluation["scores"]["micro"]["f"] > 0.9
    assert "ci" in evaluation["scores"]
    assert main(words) == 1
    assert "there is a baseline in it; replace it with overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--no-ci"]) == 0


CONFIG = """
nlp:
  "@core": pipeline
  lang: eds
  components:
    classifier:
      "@factory": eds.doc_classifier
      attribute: _.gold_labels
      embedding: {"@factory": eds.text_cnn, embedding: {"@factory": eds.char_cnn}}
train:
  nlp: ${nlp}
  train_data:
    "@readers": json
    path: TRAIN
    converter: labels
    list_column: l
    id_column: id
    group_column: p
  test_data:
    "@readers": json
    path: TEST
    converter: labels
    list_column: l
    id_column: id
    group_column: p
"""


@pytest.mark.parametrize("several", [False, True])
def test_the_documents_of_a_config_are_scored_and_a_model_tested(files, tmp_path, capsys, several):
    config = tmp_path / "config.yml"
    text = CONFIG.replace("TRAIN", str(files["train"])).replace("TEST", str(files["test"]))
    config.write_text(text)
    nlp = edspipe.blank("eds")
    cnn = edspipe.pipes.text_cnn(embedding=edspipe.pipes.char_cnn())
    nlp.add_pipe(
        edspipe.pipes.doc_classifier(embedding=cnn, labels=LABELS, attribute="_.gold_labels"),
        name="classifier",
    )
    if several:
        nlp.add_pipe(
            edspipe.pipes.doc_classifier(embedding=cnn, labels=["x"], label_attribute="others"),
            name="second",
        )
    nlp.to_disk(tmp_path / "model")
    words = ["baseline", "--config", str(config), "--group-by", "group", "--min-df", "1"]
    words += ["--compare", str(tmp_path / "model"), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "3-fold cross-validation over the training documents" in said
    assert f"macro F1 of {tmp_path / 'model'} less that of the baseline: -" in said
    tests = json.loads((tmp_path / "out/baseline.json").read_text())["comparison"]["tests"]
    assert tests["macro"]["ap"]["difference"] < 0
    assert tests["macro"]["ap"]["p_value"] < 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --config of a training, or --train with --test"),
        (["--config", "x.yml", "--test", "a.csv"], "--val and --test go with --train, in place of"),
        (["--config", "x.yml", "--train", "a.csv"], "--train stands in place of a config; got"),
        (["--train", "a.csv"], "say where labels are: --labels-columns, --label-column or --list"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, message, capsys):
    assert main(["baseline", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_config_needs_a_classifier(files):
    nlp = edspipe.blank("eds")
    with pytest.raises(
        edspipe.errors.ConfigError, match="expected one among the pipes that classi"
    ):
        BaselineData.of_training(nlp, [])
