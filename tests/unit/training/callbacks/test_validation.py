"""Validation: when it comes, and what it records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from short_runs import (
    Watch,
    data_of,
    docs_for_two,
    records_of,
    train_shortly,
    two_pipes,
    unequal_docs,
)

from edspipe.training.callbacks.validation import Validation


@pytest.mark.parametrize("pipes", [1, 2])
def test_all_names_that_it_will_record_are_known_at_the_start(
    tmp_path: Path, make_nlp: Any, encoder_dir: Path, pipes: int
) -> None:
    nlp = make_nlp() if pipes == 1 else two_pipes(encoder_dir)
    docs = unequal_docs(nlp, 3) if pipes == 1 else docs_for_two(nlp, 3)
    known: list[str] = []
    watch = Watch(on_start=lambda run: known.extend(run.recorded()))
    train_shortly(nlp, docs, tmp_path / "run", docs, max_steps=1, callbacks=[watch])
    for split in ("train", "val"):
        (row,) = records_of(tmp_path / "run", split)
        found = {f"{split}/{name}" for name in row if name not in ("step", "split")}
        assert found <= set(known), found - set(known)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"evaluate_every": "2 steps", "max_steps": 3}, [2, 3]),
        ({"max_steps": 1}, [1]),
        ({"max_epochs": 2, "callbacks": [Validation(4)]}, [4, 6]),
    ],
)
def test_it_comes_at_intervals_and_after_the_last_step(
    tmp_path: Path, make_nlp: Any, settings: Any, expected: list[int]
) -> None:
    nlp = make_nlp()
    docs = data_of(nlp, 6)
    train_shortly(nlp, docs, tmp_path / "run", list(docs.documents())[:2], **settings)
    assert [row["step"] for row in records_of(tmp_path / "run", "val")] == expected


def test_without_documents_there_is_none(tmp_path: Path, make_nlp: Any) -> None:
    assert Validation().recorded() == []
    nlp = make_nlp()
    train_shortly(nlp, data_of(nlp), tmp_path / "run", callbacks=["validation"], max_steps=1)
    assert records_of(tmp_path / "run", "val") == []


def test_its_state_comes_back() -> None:
    validation, later = Validation(), Validation()
    validation._last_step = 7
    later.load_state_dict(validation.state_dict())
    assert later.state_dict() == {"last_step": 7}
