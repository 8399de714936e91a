"""Workers that die: no hang, nothing lost, nothing twice, and the document is found."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time

import pytest
from leftovers import our_workers, slow, until
from worker_streams import (
    BAD,
    SECRET,
    WAYS,
    Deadly,
    be_killed,
    leave,
    numbers,
    on_workers,
    record,
    records,
    slowly,
)

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import deadlines
from edspipe.stream.executors.multiprocess import worker as worker_module
from edspipe.stream.stream import Stream

RECOVERY_S = 2.0
"""What a death may cost."""
REST = [record(i) for i in range(400) if i != BAD]


def timed(stream: Stream) -> tuple[list, float, dict[str, int]]:
    """The items of a stream, the longest wait for one, and the counts."""
    items, longest = [], 0.0
    with iter(stream) as iterator:
        at = time.monotonic()
        for item in iterator:
            longest, at = max(longest, time.monotonic() - at), time.monotonic()
            items.append(item)
        return items, longest, iterator.counts


def timed_error(stream: Stream) -> tuple[str, float]:
    """The WorkerError of a stream, and how many seconds after its last item it came."""
    times = [time.monotonic()]
    with pytest.raises(WorkerError) as caught:
        times.extend(time.monotonic() for _ in stream)
    return str(caught.value), time.monotonic() - times[-1]


# ---- a deadly document -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "ordered"), [(2, True), slow(1, True), slow(1, False), slow(2, False), (3, False)]
)
@pytest.mark.parametrize("way", WAYS)
def test_a_deadly_document_is_quarantined_and_the_rest_delivered_once(
    way, count, ordered, tmp_path
):
    die, error, deaths = WAYS[way]
    path = tmp_path / "quarantine.jsonl"
    settings = {"ordered": ordered, "on_error": f"quarantine:{path}"}
    items, longest, counts = timed(on_workers(records().map(Deadly(die)), count, **settings))
    assert (items if ordered else sorted(items, key=lambda r: int(r["note_id"][1:]))) == REST
    expected = {"read": 400, "done": 399, "quarantined": 1, "delivered": 399}
    assert counts == {**expected, "restarts": deaths}
    assert longest < RECOVERY_S + deaths * 0.5
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["id"], line["error"], line["attempts"]) == ("n100", error, deaths)
    assert line["document"] == record(BAD)
    assert SECRET not in line["message"]


@pytest.mark.parametrize("count", [slow(1), 2])
@pytest.mark.parametrize("way", WAYS)
def test_a_deadly_document_is_an_error_that_names_it(way, count):
    die, error, deaths = WAYS[way]
    message, seconds = timed_error(on_workers(records().map(Deadly(die)), count))
    cause = error.removeprefix("WorkerDied (").removesuffix(")")
    assert f"on document 'n100' ({deaths} attempts)" in message
    assert "worker " in message
    assert cause in message
    assert ("perhaps memory ran out" in message) == (way == "kill")
    assert SECRET not in message
    assert seconds < RECOVERY_S


@pytest.mark.parametrize("method", ["forkserver", slow("spawn")])
def test_a_deadly_document_is_found_by_other_kinds_of_workers(method):
    list(on_workers(numbers(1).map(abs), 1, method))  # the server starts
    stream = on_workers(records().map(Deadly(leave)), 2, method, on_error="skip")
    items, longest, counts = timed(stream)
    assert items == REST
    assert counts["restarts"] == 2
    assert longest < RECOVERY_S + 2 * (5 if method == "spawn" else 0.5)


@pytest.mark.parametrize("op", ["map_batches", "map of batches"])
def test_a_deadly_document_is_found_in_its_batch(op):
    if op == "map_batches":
        stream = records().map_batches(Deadly(leave), batch_size=32)
        expected, skipped = REST, 1
    else:  # the batch is the item: it goes as a whole
        stream = records().batchify(10).map(Deadly(leave)).unbatch()
        expected = [record(i) for i in range(400) if i // 10 != BAD // 10]
        skipped = 10
    items, _, counts = timed(on_workers(stream, on_error="skip"))
    assert items == expected
    assert counts["skipped"] == skipped
    assert counts["restarts"] <= 7


def test_several_deadly_documents_of_a_task_are_all_found():
    bad = (96, 97, 103, 111, 399)
    stream = records().map(Deadly(leave, bad=bad)).map_batches(lambda batch: batch, batch_size=8)
    items, _, counts = timed(on_workers(stream, on_error="skip"))
    assert items == [record(i) for i in range(400) if i not in bad]
    assert counts["skipped"] == len(bad)


def test_a_document_that_is_deadly_in_parts_is_left_out_with_its_parts():
    def split(doc):
        yield from (doc | {"part": i} for i in range(3))

    def die_on_the_middle(doc):
        if doc["note_id"] == "n100" and doc["part"] == 1:
            os._exit(3)
        return doc

    stream = records().map(split).map(die_on_the_middle)
    items, _, counts = timed(on_workers(stream, on_error="skip"))
    assert [doc["note_id"] for doc in items[::3]] == [doc["note_id"] for doc in REST]
    assert (counts["done"], counts["skipped"], counts["delivered"]) == (399, 1, 3 * 399)


# ---- bad luck ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["map", "map_batches"])
def test_a_document_that_a_worker_died_on_once_is_tried_again(op, tmp_path):
    die = Deadly(be_killed, once=tmp_path / "died")
    stream = getattr(records(), op)(die)
    iterator = iter(on_workers(stream, on_error=f"quarantine:{tmp_path / 'q.jsonl'}"))
    iterator.run.account.keeps_entries = True
    assert list(iterator) == [record(i) for i in range(400)]
    entries = iterator.run.account.drain()
    attempts = {entry.id: entry.attempts for entry in entries}
    assert len(entries) == 400
    assert attempts["n100"] == 2
    assert attempts["n0" if op == "map_batches" else "n99"] == 1
    assert iterator.counts == {"read": 400, "done": 400, "delivered": 400, "restarts": 1}
    assert not (tmp_path / "q.jsonl").exists()


def test_a_worker_killed_from_outside_costs_nothing_but_a_restart():
    stream = on_workers(numbers(1000).map(slowly))
    with iter(stream) as iterator:
        first = next(iterator)
        our_workers()[0].kill()
        assert [first, *iterator] == list(range(1000))
        assert iterator.counts["restarts"] == 1


def test_results_that_a_dead_worker_had_sent_are_taken():
    ran = []

    def leave_when_told(x):
        if x == 32:
            time.sleep(0.2)
            os._exit(1)
        return x, os.getpid()

    iterator = iter(on_workers(numbers(48).map(leave_when_told), 1, on_error="skip"))
    ran = list(iterator)
    assert [x for x, _ in ran] == [x for x in range(48) if x != 32]
    assert len({pid for x, pid in ran if x < 32}) == 1  # not run again by its successor


def test_workers_that_die_of_every_document_end_the_run():
    message, seconds = timed_error(
        on_workers(records().map(lambda doc: os._exit(3)), on_error="skip")
    )
    assert "died with exit code 3; so did 9 before, and nothing was finished in between" in message
    assert "in hand: document 'n" in message
    assert seconds < 5


def kill_at_random(every_s: tuple[float, float], seed: int, stop: threading.Event) -> None:
    rng = random.Random(seed)
    while not stop.wait(rng.uniform(*every_s)):
        workers = our_workers()
        if workers:
            rng.choice(workers).kill()


def run_in_chaos(count: int, seed: int, every_s: tuple[float, float], method: str) -> int:
    """Run documents while workers are killed; return how many were."""
    split = records(count).map(more_slowly).map(twice).map_batches(list, batch_size=8)
    stop = threading.Event()
    killer = threading.Thread(target=kill_at_random, args=(every_s, seed, stop))
    iterator = iter(on_workers(split, 2, method))
    seen = [next(iterator)]
    killer.start()
    try:
        seen.extend(iterator)
    finally:
        stop.set()
        killer.join()
    assert seen == [part for i in range(count) for part in twice(record(i))]
    assert (iterator.report.done, iterator.report.delivered) == (count, 2 * count)
    return iterator.counts.get("restarts", 0)


def more_slowly(doc):
    time.sleep(0.003)
    return doc


def twice(doc):
    yield doc | {"part": 0}
    yield doc | {"part": 1}


@pytest.mark.parametrize("method", [slow("fork"), "forkserver"])
def test_random_kills_lose_nothing_and_double_nothing(method):
    assert run_in_chaos(1500, 0, (0.2, 0.8), method) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(20))
def test_random_kills_lose_nothing_in_any_of_many_runs(seed):
    run_in_chaos(5000, seed, (0.2, 1.0), "forkserver" if seed % 4 else "fork")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("fault", ["kill", "exit", "error"])
def test_random_faults_are_survived_every_time(fault, count):
    for seed in range(20):
        bad = random.Random(seed).randrange(200)
        faults = {"kill": be_killed, "exit": leave, "error": lambda: [][1]}
        op = Deadly(faults[fault], bad=(bad,))
        items, longest, counts = timed(on_workers(records(200).map(op), count, on_error="skip"))
        assert items == [record(i) for i in range(200) if i != bad]
        assert counts["skipped"] == 1
        assert longest < RECOVERY_S + 1.5


# ---- workers that never get ready --------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_that_dies_at_its_start_is_an_error(monkeypatch, count):
    monkeypatch.setattr(worker_module, "main", lambda *args: os._exit(3))
    message, seconds = timed_error(on_workers(numbers().map(abs), count))
    assert "died with exit code 3 before it was ready" in message
    assert "put what it runs under if __name__ == '__main__':" in message
    assert seconds < 2


def test_a_worker_that_is_killed_at_its_start_again_and_again_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: be_killed())
    message, seconds = timed_error(on_workers(numbers().map(abs)))
    assert "exit code -9 (SIGKILL: perhaps memory ran out) before it was ready" in message
    assert seconds < 2


def test_a_worker_that_is_killed_at_its_start_once_is_replaced(monkeypatch, tmp_path):
    main = worker_module.main

    def killed_once(*args):
        try:
            (tmp_path / "died").touch(exist_ok=False)
        except FileExistsError:
            return main(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(worker_module, "main", killed_once)
    assert list(on_workers(numbers().map(abs))) == list(range(100))


def test_a_worker_that_does_not_get_ready_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: time.sleep(60))
    monkeypatch.setattr(deadlines, "START_TIMEOUT_S", 0.3)
    message, seconds = timed_error(on_workers(numbers().map(abs)))
    assert message.startswith("worker ")
    assert message.endswith("took longer than 0.3 s for its start")
    assert seconds < 2


def test_a_plan_that_a_worker_does_not_read_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: time.sleep(60))
    monkeypatch.setattr(deadlines, "START_TIMEOUT_S", 0.3)
    large = bytes(10**7)
    message, _ = timed_error(on_workers(numbers().map(lambda x: large)))
    assert "took longer than 0.3 s for its start" in message


def test_a_worker_that_hangs_up_and_stays_is_replaced(tmp_path):
    def hang_up_once(x):
        if x == 20 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.closerange(3, 100)
            os.kill(os.getpid(), signal.SIGSTOP)
        return x

    iterator = iter(on_workers(numbers().map(hang_up_once)))
    assert list(iterator) == list(range(100))
    assert iterator.counts["restarts"] == 1


def test_the_dead_are_replaced_while_the_caller_is_busy_elsewhere():
    with iter(on_workers(numbers(400).map(slowly))) as iterator:
        seen = list(itertools.islice(iterator, 20))
        for worker in our_workers():
            worker.kill()
        assert until(lambda: our_workers() == [])
        assert [*seen, *iterator] == list(range(400))
