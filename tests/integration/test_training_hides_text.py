"""Whatever happens in a training, no text of a document shows in what it writes and says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import Watch, files_below, not_forced_to_disk, train_shortly, unequal_docs
from spacy.tokens import Doc

from edspipe.errors import EdspipeError
from edspipe.training.data import TrainingData

CANARY = "ZZCANARY"


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with not_forced_to_disk():
        yield


def secret_docs(nlp: Any, number: int, first: int = 0) -> list[Doc]:
    """Make documents each word of which is a canary of its own."""
    docs = []
    for index, doc in enumerate(unequal_docs(nlp, number), start=first):
        new = nlp.make_doc(" ".join(f"{CANARY}{index}x{i}" for i in range(len(doc))))
        new._.note_id = f"note-{index}"
        new.spans["gold-ner"] = [new.char_span(0, len(new[0].text), label="A")]
        docs.append(new)
    return docs


def check(folder: Path, capsys: pytest.CaptureFixture[str], log: list[str], *said: str) -> None:
    """Look for a canary in all files, in what was printed and logged, and in messages."""
    captured = capsys.readouterr()
    for text in (captured.out, captured.err, *log, *said):
        assert CANARY.lower() not in text.lower()
    found = [
        name
        for name, content in files_below(folder).items()
        if CANARY.lower().encode() in content.lower() or CANARY.encode("utf-16-le") in content
    ]
    assert found == []


@pytest.mark.parametrize("report", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_training_that_goes_well(
    tmp_path: Path, make_nlp: Any, capsys: Any, log: list[str], report: bool
) -> None:
    nlp = make_nlp(labels=None)
    docs = secret_docs(nlp, 6)
    val, test = secret_docs(nlp, 3, 10), secret_docs(nlp, 3, 20)
    val[0].spans["gold-ner"][0].label_ = "UNSEEN"
    for settings in ({"max_steps": 2}, {"max_steps": 4, "resume": tmp_path / "run"}):
        train_shortly(
            nlp,
            TrainingData(docs, batch_size="2 docs"),  # type: ignore[arg-type]
            tmp_path / "run",
            val,
            test_data=test,
            loggers=None,
            progress=True,
            report=report,
            evaluate_every=1,
            callbacks=["trace_weights"],
            **settings,
        )
    assert {"evaluation/val.json", "slowest_steps.json", "metrics.csv"} <= set(
        files_below(tmp_path / "run")
    )
    errors = json.dumps(json.loads((tmp_path / "run/evaluation/val.json").read_text()))
    assert "note-1" in errors, "documents are named"
    check(tmp_path / "run", capsys, log)


def fail_in(nlp: Any, where: str) -> Any:
    """Let a training fail at its third step; return a callback to train with."""
    pipe = nlp.pipes.ner
    preprocess, forward = pipe.preprocess_supervised, pipe.forward
    step = [0]

    def bad_preprocess(doc: Doc) -> Any:
        if step[0] >= 2 and where == "preprocess":
            raise ValueError(doc.text)
        return preprocess(doc)

    def bad_forward(batch: Any) -> Any:
        if step[0] >= 2 and where == "forward":
            raise RuntimeError("shapes do not fit")
        if step[0] >= 2 and where == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    def before(run: Any) -> None:
        if run.step == 3 and where == "nan":
            torch.nn.init.constant_(pipe.classifier.bias, torch.nan)

    def after(run: Any) -> None:
        step[0] = run.step
        if run.step == 2 and where == "callback":
            raise KeyError("mine")

    pipe.preprocess_supervised, pipe.forward = bad_preprocess, bad_forward
    return Watch(before_step=before, on_step=after)


@pytest.mark.parametrize("where", ["preprocess", "forward", "memory", "nan", "callback"])
def test_a_training_that_fails(
    tmp_path: Path, make_nlp: Any, capsys: Any, log: list[str], where: str
) -> None:
    nlp = make_nlp(labels=["A"])
    watch = fail_in(nlp, where)
    with pytest.raises((EdspipeError, RuntimeError, KeyError)) as raised:
        train_shortly(
            nlp,
            TrainingData(secret_docs(nlp, 6), batch_size="2 docs"),  # type: ignore[arg-type]
            tmp_path / "run",
            loggers=None,
            progress=True,
            callbacks=[watch],
            checkpoint_every=1,
            max_steps=6,
        )
    said = str(raised.value)
    if where in ("preprocess", "memory", "nan"):
        assert "note-" in said, "the document is named"
    check(tmp_path / "run", capsys, log, said)
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"


def test_what_does_not_fit_a_checkpoint(
    tmp_path: Path, make_nlp: Any, capsys: Any, log: list[str]
) -> None:
    nlp = make_nlp(labels=["A"])
    train_shortly(nlp, secret_docs(nlp, 4), tmp_path / "run", max_steps=1)
    with pytest.raises(EdspipeError, match="other documents") as raised:
        train_shortly(
            nlp, secret_docs(nlp, 4, 1), tmp_path / "run", resume=tmp_path / "run", max_steps=2
        )
    check(tmp_path / "run", capsys, log, str(raised.value))
