"""BestModel: the pipelines that scored best, in their order, on disk."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_runs import FakeRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from short_runs import not_forced_to_disk

from edspipe import atomic
from edspipe.training.callbacks.best_model import BestModel


class Numbered:
    """A pipeline that writes the step of its run, as weights."""

    run: FakeRun

    def to_disk(self, folder: Path) -> None:
        with atomic.write_folder(folder) as staging:
            (staging / "weights.safetensors").write_text(str(self.run.step))


def run_in(folder: Path) -> FakeRun:
    run = FakeRun(folder, Numbered())
    run.nlp.run = run
    return run


def steps_on_disk(folder: Path) -> list[int]:
    """Return the steps of the models on disk, the best first."""
    names = ["model-best", *(f"model-best-{i}" for i in range(2, 9))]
    files = [folder / name / "weights.safetensors" for name in names]
    assert [f.exists() for f in files] == sorted((f.exists() for f in files), reverse=True)
    for file in files:
        if file.exists():
            atomic.verify_manifest(file.parent)
    return [int(file.read_text()) for file in files if file.exists()]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8),
    st.integers(1, 3),
    st.sampled_from(["min", "max"]),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_the_best_are_on_disk_in_their_order(
    tmp_path_factory: Any, figures: list[tuple[int, int]], top_k: int, mode: Any
) -> None:
    """By brute force: sorted by score, then by loss, then by the time."""
    folder = tmp_path_factory.mktemp("best") / "run"
    run, callback = run_in(folder), BestModel(mode=mode, top_k=top_k)
    with not_forced_to_disk():
        for value, loss in figures:
            run.validate(callback, micro_f=value, loss=loss)
    sign = -1 if mode == "max" else 1
    expected = sorted(range(len(figures)), key=lambda i: (sign * figures[i][0], figures[i][1], i))
    assert steps_on_disk(folder) == [i + 1 for i in expected[:top_k]]
    assert [kept.step for kept in callback.best] == [i + 1 for i in expected[:top_k]]


def test_nan_is_never_best_and_old_records_do_not_count(tmp_path: Path) -> None:
    run, callback = run_in(tmp_path), BestModel()
    run.validate(callback, micro_f=math.nan)
    assert steps_on_disk(tmp_path) == []
    run.validate(callback, micro_f=0.5)
    run.validate(callback, loss=0.1)
    assert steps_on_disk(tmp_path) == [2]


def test_without_a_loss_the_first_of_equals_stays(tmp_path: Path) -> None:
    run, callback = run_in(tmp_path), BestModel()
    for _ in range(2):
        run.validate(callback, micro_f=0.5)
    assert steps_on_disk(tmp_path) == [1]


def resumed(callback: BestModel, folder: Path, run: FakeRun, state: Any) -> BestModel:
    later = BestModel(callback.monitor, callback.mode, callback.top_k)
    later.load_state_dict(json.loads(json.dumps(state)))
    run.output_dir, run.first_step = folder, run.step
    later.on_start(run)  # type: ignore[arg-type]
    return later


@pytest.mark.parametrize("killed_after", range(1, 7))
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_after_a_kill_the_same_models_end_up_on_disk(
    tmp_path: Path, top_k: int, killed_after: int
) -> None:
    """The checkpoint is of the second validation; the run was killed some validations later, which
    come again."""
    values = [0.3, 0.5, 0.2, 0.7, 0.6, 0.9, 0.4]
    calm = run_in(tmp_path / "calm"), BestModel(top_k=top_k)
    for value in values:
        calm[0].validate(calm[1], micro_f=value)
    run, callback = run_in(tmp_path / "run"), BestModel(top_k=top_k)
    state: Any = callback.state_dict()
    for number, value in enumerate(values[: 1 + killed_after], start=1):
        run.validate(callback, micro_f=value)
        state = callback.state_dict() if number <= 2 else state
    run.step = min(2, 1 + killed_after)
    later = resumed(callback, tmp_path / "run", run, state)
    for value in values[run.step :]:
        run.validate(later, micro_f=value)
    assert steps_on_disk(tmp_path / "run") == steps_on_disk(tmp_path / "calm")
    assert [k.step for k in later.best] == [k.step for k in calm[1].best]


def test_a_better_model_of_later_is_not_taken_for_that_of_the_checkpoint(
    tmp_path: Path, log: list[str]
) -> None:
    run, callback = run_in(tmp_path), BestModel()
    run.validate(callback, micro_f=0.3)
    state = callback.state_dict()
    run.validate(callback, micro_f=0.5)
    later = resumed(callback, tmp_path, run, state)
    assert later.best == []
    assert log == [
        f"WARNING the best models of before, of step 1, are not in {tmp_path}: the next ones take "
        "their place"
    ]


def test_a_copy_in_another_folder_is_the_same(tmp_path: Path, log: list[str]) -> None:
    run, callback = run_in(tmp_path / "run"), BestModel(top_k=2)
    for value in (0.3, 0.5):
        run.validate(callback, micro_f=value)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    later = resumed(callback, tmp_path / "copy", run, callback.state_dict())
    assert later.best == callback.best
    assert log == []


def test_a_table_that_changed_after_the_training_is_no_other_model(tmp_path: Path) -> None:
    """As the temperature that calibration chooses."""
    run, callback = run_in(tmp_path), BestModel()
    run.validate(callback, micro_f=0.3)
    (tmp_path / "model-best/state.json").write_text("{}")
    (tmp_path / "model-best/manifest.json").unlink()
    atomic.write_manifest(tmp_path / "model-best")
    assert resumed(callback, tmp_path, run, callback.state_dict()).best == callback.best


def test_in_a_new_run_nothing_is_best_yet(tmp_path: Path) -> None:
    """Also where the callback was in another one before."""
    run, callback = run_in(tmp_path), BestModel()
    run.validate(callback, micro_f=0.9)
    callback.on_start(run_in(tmp_path / "new"))  # type: ignore[arg-type]
    assert callback.best == []


def test_losses_are_better_where_they_are_lower() -> None:
    assert BestModel("val/loss").mode == "min"
    assert BestModel().monitored() == ["val/micro_f"]


def test_none_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="top_k is 1 or more, got 0"):
        BestModel(top_k=0)
