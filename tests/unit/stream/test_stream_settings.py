"""Stream.set_processing: how a stream is run."""

from __future__ import annotations

import re

import pytest

from edspipe.stream.settings import Settings
from edspipe.stream.stream import Stream


@pytest.mark.parametrize(
    ("settings", "executor"),
    [
        ({}, "simple"),
        ({"num_cpu_workers": 2}, "multiprocess"),
        ({"num_cpu_workers": 2, "backend": "simple"}, "simple"),
        ({"backend": "multiprocess"}, "multiprocess"),
    ],
)
def test_workers_or_the_backend_choose_the_executor(settings, executor):
    assert Settings().updated(**settings).executor == executor


def test_later_settings_add_to_earlier_ones():
    stream = Stream.from_items([]).set_processing(seed=3).set_processing(on_error="skip")
    assert (stream.settings.seed, stream.settings.on_error) == (3, "skip")


def test_none_leaves_a_setting_as_it_is():
    assert Settings().updated(seed=3).updated(seed=None).seed == 3


def test_settings_keep_their_place_through_ops():
    stream = Stream.from_items([1]).set_processing(seed=3).map(abs).batchify(2)
    assert stream.settings.seed == 3


def test_an_unknown_setting_is_refused_with_the_nearest():
    message = "set_processing has no setting 'num_workers'. Did you mean 'num_.pu_workers'"
    with pytest.raises(TypeError, match=message):
        Stream.from_items([]).set_processing(num_workers=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "ray"}, "backend is one of 'simple', 'multiprocess', 'spark'; got 'ray'"),
        (
            {"process_start_method": "thread"},
            "process_start_method is one of 'forkserver', 'spawn', 'fork'; got 'thread'",
        ),
        ({"precision": "fp8"}, "precision is one of 'auto', 'fp32', 'bf16', 'fp16'; got 'fp8'"),
        (
            {"on_error": "ignore"},
            "on_error is 'raise', 'skip' or 'quarantine:<path>.jsonl'; got 'ignore'",
        ),
        ({"num_cpu_workers": -1}, "num_cpu_workers is 0 or more, got -1"),
        ({"seed": -1}, "seed is 0 or more, got -1"),
        ({"timeout_s": 0}, "timeout_s is more than 0, got 0"),
        ({"batch_size": "3 wrods"}, "no unit 'wrods' for batches."),
        ({"batch_size": "3 words", "batch_by": "docs"}, "has a unit already"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Stream.from_items([]).set_processing(**settings)


@pytest.mark.parametrize(("autocast", "precision"), [(True, "auto"), (False, "fp32")])
def test_autocast_is_another_word_for_precision(autocast, precision):
    assert Settings(precision="bf16").updated(autocast=autocast).precision == precision


def test_autocast_and_precision_must_agree():
    with pytest.raises(ValueError, match="autocast=False and precision='bf16' differ"):
        Settings().updated(autocast=False, precision="bf16")


def test_a_quarantine_has_a_path():
    assert Settings().quarantine_path is None
    assert Settings().updated(on_error="quarantine:out/q.jsonl").quarantine_path == "out/q.jsonl"


@pytest.mark.parametrize("workers", [0, 2])
def test_variables_of_a_distributed_run_that_were_left_behind_change_nothing(workers, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    stream = Stream.from_items(list(range(40))).map(abs)
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    assert list(stream) == list(range(40))
