"""The processes of a training: this one alone unless torchrun says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import Watch, data_of, train_shortly

from edspipe.errors import ConfigError
from edspipe.training import processes
from edspipe.training.processes import Processes, _buckets, find_processes


@pytest.mark.parametrize(
    "environment",
    [{}, {"WORLD_SIZE": "1"}, {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "1"}],
)
def test_one_process_trains_alone(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], log: list[str]
) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = find_processes("cpu")
    assert type(found) is Processes
    assert found.is_main
    assert log == []


def test_a_stray_variable_does_not_make_it_wait_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_nlp: Any, log: list[str]
) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    nlp = make_nlp()
    seen: list[Any] = []
    watch = Watch(on_step=lambda run: seen.extend(run.tasks[0].doc_ids))
    train_shortly(nlp, data_of(nlp, 5), tmp_path / "run", max_epochs=1, callbacks=[watch])
    assert sorted(seen) == [f"note-{i}" for i in range(5)]
    assert (tmp_path / "run/model-last").is_dir(), "it writes, whatever its rank"
    assert (
        "WARNING WORLD_SIZE=4 is set, but not by torchrun: this process trains alone, on all data"
    ) in log


def test_alone_every_exchange_is_nothing() -> None:
    alone = Processes("cpu")
    tensor = torch.ones(2)
    parameter = torch.nn.Parameter(torch.ones(2))
    alone.add_gradients([parameter])
    alone.take_from_main([parameter])
    alone.wait()
    alone.close()
    assert alone.add([1, 2.5]) == [1, 2.5]
    assert alone.add_tensor(tensor) is tensor
    assert alone.gather("a") == ["a"]
    assert alone.from_main("a") == "a"
    assert parameter.grad is None
    assert parameter.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("device", ["banana", "cpu:x", "gpu"])
def test_a_device_that_does_not_exist_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device is auto, cpu, cuda or .*, got '{device}'"):
        Processes(device)


def test_neighbours_of_one_type_go_into_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRADIENT_BUCKET", 10)
    sizes = [4, 6, 1, 30, 2, 2]
    parameters = [torch.nn.Parameter(torch.zeros(n)) for n in sizes]
    parameters[5] = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    found = [[p.numel() for p in bucket] for bucket in _buckets(parameters)]
    assert found == [[4, 6], [1], [30], [2], [2]]
    assert _buckets([]) == []
