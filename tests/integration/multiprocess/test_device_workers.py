"""Models on workers of their own: the same results, the same care for deaths."""

from __future__ import annotations

import os
import time

import pytest
from leftovers import our_workers
from worker_streams import MAIN, numbers, on_workers

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import executor
from edspipe.stream.ops.map_gpu import DeviceStep


def prepare(x):
    return {"x": x, "prepared in": os.getpid()}


def forward(batch):
    return [{**features, "run in": os.getpid()} for features in batch]


def model(items=200):
    return numbers(items).map(lambda x: x + 1).map_gpu(prepare, forward, batch_size=8).map(dict)


def processes(found: list[dict]) -> tuple[set[int], set[int]]:
    return {x["prepared in"] for x in found}, {x["run in"] for x in found}


@pytest.mark.parametrize(("cpu", "gpu"), [(0, 0), (2, 0), (0, 1), (1, 1), (2, 2)])
def test_workers_of_both_kinds_give_what_none_gives(cpu, gpu):
    found = list(on_workers(model(), cpu, num_gpu_workers=gpu))
    assert [x["x"] for x in found] == list(range(1, 201))
    prepared, run = processes(found)
    assert prepared.isdisjoint({MAIN}) == (cpu > 0)
    assert run.isdisjoint({MAIN}) == (gpu > 0)
    assert not gpu or prepared.isdisjoint(run)


def test_models_run_on_the_devices_in_turn(monkeypatch):
    monkeypatch.setattr(DeviceStep, "to_device", keep_device, raising=False)

    def told_device(batch):
        time.sleep(0.01)
        return [os.environ["DEVICE"] for _ in batch]

    stream = numbers(400).map_gpu(None, told_device, batch_size=8)
    found = on_workers(stream, 0, num_gpu_workers=2, devices=("meta:0", "meta:1"))
    assert set(found) == {"meta:0", "meta:1"}


def keep_device(op, device):
    os.environ["DEVICE"] = device


@pytest.mark.parametrize(("count", "expected"), [(0, ("cpu",)), (2, ["cuda:0", "cuda:1"])])
def test_all_gpus_are_used_that_torch_sees(monkeypatch, count, expected):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert executor._devices(None) == expected
    assert executor._devices(("cuda:7",)) == ("cuda:7",)


def test_without_torch_devices_are_the_cpu(monkeypatch):
    monkeypatch.setitem(executor.sys.modules, "torch", None)
    assert executor._devices(None) == ("cpu",)


def test_a_model_worker_that_dies_is_replaced_and_the_document_found():
    def die_on_some(batch):
        if any(x == 77 for x in batch):
            os._exit(1)
        return batch

    stream = numbers(200).map(lambda x: x).map_gpu(None, die_on_some, batch_size=8)
    iterator = iter(on_workers(stream, 1, num_gpu_workers=1, on_error="skip"))
    assert list(iterator) == [x for x in range(200) if x != 77]
    assert iterator.counts["skipped"] == 1
    with pytest.raises(WorkerError, match="gpu worker 0 died with exit code 1 on item 77"):
        list(on_workers(stream, 1, num_gpu_workers=1))


def test_no_worker_is_started_that_has_nothing_to_run():
    iterator = iter(on_workers(numbers().map(abs), 1, num_gpu_workers=2))
    next(iterator)
    assert len(our_workers()) == 1
    iterator.close()
