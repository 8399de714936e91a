"""Which callbacks a training has, and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.errors import ConfigError, EdspipeError
from edspipe.metrics.ner import NerExactMetric
from edspipe.metrics.tokens import TokenAccuracyMetric
from edspipe.training.callbacks.best_model import BestModel
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.checkpoint import Checkpoint
from edspipe.training.callbacks.defaults import in_order
from edspipe.training.callbacks.early_stopping import EarlyStopping
from edspipe.training.callbacks.progress import Progress
from edspipe.training.callbacks.slowest_steps import SlowestSteps
from edspipe.training.callbacks.trace_weights import TraceWeights
from edspipe.training.callbacks.unfreeze import Unfreeze
from edspipe.training.callbacks.validation import Validation
from edspipe.training.settings import Settings


@pytest.fixture
def docs() -> list[Doc]:
    doc = edspipe.blank("eds").make_doc("Pas de fièvre.")
    doc.spans["gold-ner"] = [Span(doc, 2, 3, "A")]
    return [doc]


class Mine(Callback):
    pass


def callbacks(docs: Any, metrics: Any = None, is_main: bool = True, **given: Any) -> list[Any]:
    chosen = Settings.of(
        {"output_dir": Path("run"), "max_steps": 9, "report": False, "progress": False, **given}
    )
    metrics = {"ner": NerExactMetric(span_getter="gold-ner")} if metrics is None else metrics
    return in_order(chosen, metrics, docs, is_main)


def test_the_default_ones(docs: Any) -> None:
    found = callbacks(docs, progress=True)
    assert [type(one) for one in found] == [
        Validation,
        BestModel,
        SlowestSteps,
        Checkpoint,
        Progress,
    ]
    assert found[1].monitor == found[-1].score == "val/micro_f"


def test_without_validation_nothing_is_best() -> None:
    assert [type(one) for one in callbacks(())] == [SlowestSteps, Checkpoint]


def test_only_the_main_process_draws_a_bar(docs: Any) -> None:
    assert Progress not in map(type, callbacks(docs, is_main=False, progress=True))


def test_who_records_comes_before_who_reads_and_a_checkpoint_after_all(docs: Any) -> None:
    given = [Mine(), "early_stopping", TraceWeights(), Progress(), Unfreeze("a", 1), Mine()]
    assert [type(one) for one in callbacks(docs, callbacks=given)] == [
        *(Unfreeze, TraceWeights, Validation, BestModel, EarlyStopping),
        *(Mine, Mine, SlowestSteps, Checkpoint, Progress),
    ]


def test_those_given_replace_the_default_ones_of_their_kind(docs: Any) -> None:
    given = [Checkpoint("3 steps"), BestModel("val/loss"), Validation("2 steps"), SlowestSteps(1)]
    found = callbacks(docs, callbacks=given)
    assert len(found) == 4
    assert set(found) == set(given)
    assert given[2].docs is docs


@pytest.mark.parametrize(
    ("metrics", "monitor", "expected"),
    [
        (None, None, "val/micro_f"),
        (None, "val/macro_f", "val/macro_f"),
        ({"a": lambda g, p: {"s": 1.0}}, None, "val/loss"),
        ({"a": TokenAccuracyMetric()}, None, "val/accuracy"),
        ({"a": lambda g, p: {"micro": {"f": 0.5}, "accuracy": 0.5}}, None, "val/micro_f"),
        (
            {name: NerExactMetric(span_getter="gold-ner") for name in ("one", "other")},
            None,
            "val/loss",
        ),
    ],
)
def test_what_chooses_the_best_model(
    docs: Any, metrics: Any, monitor: str | None, expected: str
) -> None:
    found = callbacks(docs, metrics, monitor=monitor)
    assert next(one.monitor for one in found if isinstance(one, BestModel)) == expected


def test_intervals_of_checkpoints_are_those_of_validations_unless_given(docs: Any) -> None:
    def every(**given: Any) -> str:
        return str(next(c.every for c in callbacks(docs, **given) if isinstance(c, Checkpoint)))

    assert every() == "100 steps"
    assert every(evaluate_every=7) == "7 steps"
    assert every(evaluate_every=7, checkpoint_every="1 epoch") == "1 epoch"
    assert every(max_steps=None, max_epochs=2) == "1 epoch"


@pytest.mark.parametrize("given", [[3], [{"@callbacks": "progress"}], [Progress]])
def test_what_is_no_callback_is_refused(docs: Any, given: Any) -> None:
    with pytest.raises(ConfigError, match="callbacks: expected callbacks or names, got a "):
        callbacks(docs, callbacks=given)


def test_a_name_that_does_not_exist_is_refused(docs: Any) -> None:
    with pytest.raises(EdspipeError, match="early_stopping"):
        callbacks(docs, callbacks=["early_stoping"])


def test_a_callback_does_nothing_by_itself() -> None:
    run: Any = None
    one = Callback()
    for hook in ("on_start", "before_step", "on_step", "on_validation", "on_end", "on_finish"):
        getattr(one, hook)(run)
    one.on_error(run, ValueError())
    one.load_state_dict(one.state_dict())
    assert one.recorded() == one.monitored() == []
    assert one.state_dict() == {}
