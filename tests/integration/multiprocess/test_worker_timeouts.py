"""Workers that take too long: they are ended at the deadline of an item, and the rest goes on."""

from __future__ import annotations

import json
import re
import signal
import time
from multiprocessing.process import BaseProcess

import pytest
from leftovers import our_workers, slow
from worker_streams import (
    BAD,
    Deadly,
    be_stopped,
    hold_the_lock,
    loop_in_c,
    numbers,
    on_workers,
    record,
    records,
    sleep_on,
    slowly,
)

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import deadlines
from edspipe.stream.stream import Stream

TIMEOUT_S = 0.5
REST = [record(i) for i in range(400) if i != BAD]
STUCK = {"asleep": sleep_on, "in C": loop_in_c, "stopped": be_stopped}


@pytest.mark.parametrize("count", [slow(1), 2])
@pytest.mark.parametrize("way", STUCK)
def test_a_document_that_takes_too_long_is_quarantined_at_its_deadline(way, count, tmp_path):
    path = tmp_path / "quarantine.jsonl"
    stream = records().map(Deadly(STUCK[way]))
    settings = {"timeout_s": TIMEOUT_S, "on_error": f"quarantine:{path}"}
    start = time.monotonic()
    iterator = iter(on_workers(stream, count, **settings))
    assert list(iterator) == REST
    assert TIMEOUT_S <= time.monotonic() - start < TIMEOUT_S + 3
    assert iterator.counts["quarantined"] == iterator.counts["restarts"] == 1
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["id"], line["error"], line["attempts"]) == ("n100", "Timeout after 0.5 s", 1)
    assert line["document"] == record(BAD)


@pytest.mark.parametrize("way", ["in C", slow("asleep"), slow("stopped")])
def test_a_document_that_takes_too_long_is_an_error_that_names_it(way):
    stream = on_workers(records().map(Deadly(STUCK[way])), timeout_s=TIMEOUT_S)
    start = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        list(stream)
    assert re.search(r"worker [01] took longer than 0.5 s for document 'n100'\.", str(caught.value))
    assert time.monotonic() - start < TIMEOUT_S + 3


def test_the_slow_document_of_a_batch_is_found():
    stream = records(64).map_batches(Deadly(sleep_on, bad=(9,)), batch_size=8)
    iterator = iter(on_workers(stream, timeout_s=0.1, on_error="skip"))
    assert list(iterator) == [record(i) for i in range(64) if i != 9]
    assert iterator.counts["skipped"] == 1


def test_a_batch_has_the_time_of_all_its_items():
    stream = numbers(64).map_batches(lambda batch: time.sleep(0.8) or batch, batch_size=16)
    assert list(on_workers(stream, timeout_s=0.1)) == list(range(64))


def test_a_full_channel_to_a_worker_that_lets_nothing_else_run_is_no_hang():
    large = "b" * 100_000
    texts = Stream.from_items(["a" * 40 + "b"] + [large] * 200).map(hold_the_lock)
    iterator = iter(on_workers(texts, 1, timeout_s=TIMEOUT_S, on_error="skip"))
    assert len(list(iterator)) == 200
    assert iterator.counts["skipped"] == 1


def test_a_worker_that_somebody_stops_is_replaced():
    stream = on_workers(numbers(2000).map(slowly), 1, timeout_s=0.3, on_error="skip")
    with iter(stream) as iterator:
        seen = [next(iterator)]
        our_workers()[0].send_signal(signal.SIGSTOP)
        seen.extend(iterator)
        # it may have been stopped with an item in hand, which is to blame
        assert len(seen) == 2000 - iterator.counts.get("skipped", 0)
        assert iterator.counts["restarts"] == 1


def test_time_that_the_caller_takes_is_not_held_against_the_workers():
    stream = on_workers(numbers(200).map(abs), timeout_s=0.3)
    for i, _ in enumerate(stream):
        if i in (0, 150):
            time.sleep(0.6)


def test_time_to_start_is_not_held_against_the_first_item():
    class SlowToStart:
        def __call__(self, x):
            return x

        def worker_init(self):
            time.sleep(0.6)

    assert list(on_workers(numbers().map(SlowToStart()), timeout_s=0.2)) == list(range(100))


def test_a_worker_that_finishes_its_item_at_the_last_moment_is_replaced_without_blame(monkeypatch):
    now_ms, kill = deadlines.now_ms, BaseProcess.kill
    lies = iter([10**9])  # once, an item looks late that is not

    def kill_a_little_later(process):
        time.sleep(0.2)
        kill(process)

    monkeypatch.setattr(deadlines, "now_ms", lambda: now_ms() + next(lies, 0))
    monkeypatch.setattr(BaseProcess, "kill", kill_a_little_later)
    stream = numbers(1000).map(slowly)
    iterator = iter(on_workers(stream, 1, timeout_s=30, on_error="skip"))
    assert list(iterator) == list(range(1000))
    assert iterator.counts["restarts"] == 1
