"""What a training starts from: labels of its data, and weights of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import Watch, data_of, train_shortly, two_pipes, unequal_docs, weights_of

import edspipe
from edspipe.errors import CheckpointError
from edspipe.training.corpus import read_corpus
from edspipe.training.data import TrainingData
from edspipe.training.starting import check_same_data, finish_pipes, start_from


@pytest.fixture(scope="module")
def saved(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with labels A and B, whose weights are those of another seed."""
    from support import tiny_pipeline

    nlp = tiny_pipeline(encoder_dir, seed=5)
    with torch.no_grad():
        for parameter in nlp.parameters():
            parameter.add_(0.01)
    nlp.to_disk(folder := tmp_path_factory.mktemp("starting") / "model")
    return folder


# ---- labels of the data ----------------------------------------------------------------------


def test_each_pipe_takes_labels_from_the_data_that_it_learns_from(encoder_dir: Path) -> None:
    nlp = two_pipes(encoder_dir, labels=None)
    data, corpora = [], []
    for name, labels in (("first", "BA"), ("second", "CB"), ("second", "D")):
        docs = unequal_docs(nlp, 3, labels)
        for doc in docs:
            for group in ("gold-first", "gold-second"):
                doc.spans[group] = list(doc.spans["gold-ner"])
        data.append(TrainingData(docs, pipe_names=[name]))  # type: ignore[arg-type]
        corpora.append(read_corpus(data[-1], {}, "train"))
    finish_pipes(nlp, data, corpora)
    assert nlp.pipes.first.labels == ["A", "B"]
    assert nlp.pipes.second.labels == ["B", "C", "D"]


def test_a_pipe_that_learns_from_nothing_is_left_alone(encoder_dir: Path) -> None:
    nlp = two_pipes(encoder_dir, labels=None)
    docs = unequal_docs(nlp, 2)
    for doc in docs:
        doc.spans["gold-first"] = list(doc.spans["gold-ner"])
    data = TrainingData(docs, pipe_names=["first"])  # type: ignore[arg-type]
    finish_pipes(nlp, [data], [read_corpus(data, {}, "train")])
    assert nlp.pipes.second.labels == []


# ---- weights of before -----------------------------------------------------------------------


def test_weights_and_labels_are_taken(make_nlp: Any, saved: Path, log: list[str]) -> None:
    nlp = make_nlp(labels=None)
    start_from(nlp, saved)
    assert nlp.pipes.ner.labels == ["A", "B"]
    expected = weights_of(edspipe.load(saved))
    found = weights_of(nlp)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [line for line in log if "tensors were taken" in line]
    assert not [line for line in log if line.startswith("WARNING")]


def test_new_labels_keep_the_rows_of_those_of_before(
    make_nlp: Any, saved: Path, tmp_path: Path
) -> None:
    nlp = make_nlp(labels=None)
    old = edspipe.load(saved).pipes.ner.classifier
    rows: list[torch.Tensor] = []

    watch = Watch(
        on_start=lambda run: rows.append(nlp.pipes.ner.classifier.weight.detach().clone())
    )
    data = TrainingData(unequal_docs(nlp, 4, "ZBA"), batch_size="2 docs")  # type: ignore[arg-type]
    result = train_shortly(nlp, data, tmp_path / "run", init_from=saved, callbacks=[watch])
    assert nlp.pipes.ner.labels == ["A", "B", "Z"]
    assert torch.equal(rows[0][: len(old.weight)], old.weight)
    assert len(rows[0]) == len(old.weight) * 3 // 2
    assert result.step == 4
    assert edspipe.load(result.model).pipes.ner.labels == ["A", "B", "Z"]


def test_it_is_a_new_run(make_nlp: Any, tmp_path: Path) -> None:
    nlp = make_nlp()
    train_shortly(nlp, data_of(nlp), tmp_path / "old")
    other = make_nlp()
    seen: list[Any] = []

    watch = Watch(
        on_start=lambda run: seen.append(
            (run.step, run.first_step, dict(run.optimizer.tensors()), weights_of(run.nlp))
        )
    )
    train_shortly(
        other, data_of(other, 4), tmp_path / "new", init_from=tmp_path / "old", callbacks=[watch]
    )
    step, first_step, state, weights = seen[0]
    assert (step, first_step, state) == (0, 0, {})
    expected = weights_of(edspipe.load(tmp_path / "old/model-last"))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_tensors_that_do_not_fit_are_named_and_begin_anew(
    make_nlp: Any, saved: Path, log: list[str]
) -> None:
    nlp = make_nlp(labels=["B", "C", "D"])
    before = weights_of(nlp)
    start_from(nlp, saved)
    (warning,) = [line for line in log if "did not fit" in line]
    assert "3 tensors did not fit" in warning or "2 tensors did not fit" in warning
    assert "ner.classifier.weight ([10, 32], now [15, 32])" in warning
    (about_tables,) = [line for line in log if "tables of" in line]
    assert "the tables of 'ner' are not taken: " in about_tables
    after = weights_of(nlp)
    assert torch.equal(after["ner.classifier.weight"], before["ner.classifier.weight"])
    encoder = next(name for name in after if ".encoder." in name)
    assert torch.equal(after[encoder], weights_of(edspipe.load(saved))[encoder])


def test_labels_in_another_order_are_the_same_labels(
    make_nlp: Any, saved: Path, log: list[str]
) -> None:
    nlp = make_nlp(labels=["B", "A"])
    start_from(nlp, saved)
    assert nlp.pipes.ner.labels == ["A", "B"]
    expected = edspipe.load(saved).pipes.ner.classifier.weight
    assert torch.equal(nlp.pipes.ner.classifier.weight, expected)


def test_tensors_without_a_place_and_new_ones_are_named(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    both = two_pipes(encoder_dir)
    both.to_disk(tmp_path / "both")
    only = two_pipes(encoder_dir)
    only.remove_pipe("second")
    start_from(only, tmp_path / "both")
    assert any("(no place for it)" in line and "second." in line for line in log)
    log.clear()
    only.to_disk(tmp_path / "only")
    start_from(both, tmp_path / "only")
    assert any("(new)" in line and "second." in line for line in log)


def test_nothing_that_fits_is_an_error(encoder_dir: Path, saved: Path) -> None:
    nlp = two_pipes(encoder_dir)
    with pytest.raises(
        CheckpointError, match=r"no weight of it fits .* has the pipes ner, .* has first, second"
    ):
        start_from(nlp, saved)


def test_a_folder_that_is_no_model_is_an_error(tiny_nlp: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a checkpoint to go on from, found none"):
        train_shortly(tiny_nlp, data_of(tiny_nlp), tmp_path / "run", init_from=tmp_path)


def test_weights_may_lie_in_the_run_that_is_replaced(make_nlp: Any, tmp_path: Path) -> None:
    nlp = make_nlp()
    folder = tmp_path / "run"
    train_shortly(nlp, data_of(nlp), folder)
    train_shortly(nlp, data_of(nlp), folder, overwrite=True, init_from=folder / "model-best")
    assert (folder / "model-best/config.yml").is_file()


# ---- the same documents ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "message"),
    [([3], "4 then, 3 now"), ([4, 3], "4 then, 4, 3 now"), ([], "4 then,  now")],
)
def test_other_documents_are_refused(
    tiny_nlp: Any, numbers: list[int], message: str, tmp_path: Path
) -> None:
    saved = read_corpus(data_of(tiny_nlp, 4), {}, "train").profile
    now = [read_corpus(data_of(tiny_nlp, number), {}, "train") for number in numbers]
    with pytest.raises(CheckpointError, match=f"began with other documents, .* {message}"):
        check_same_data([saved], now, tmp_path)


def test_another_order_is_refused_and_the_same_is_not(tiny_nlp: Any, tmp_path: Path) -> None:
    docs = unequal_docs(tiny_nlp, 4)
    corpora = [read_corpus(TrainingData(d), {}, "train") for d in (docs, docs[::-1])]  # type: ignore[arg-type]
    check_same_data([corpora[0].profile], corpora[:1], tmp_path)
    with pytest.raises(CheckpointError, match="or in another order: 4 then, 4 now"):
        check_same_data([corpora[0].profile], corpora[1:], tmp_path)
