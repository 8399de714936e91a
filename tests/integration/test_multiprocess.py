"""Streams on worker processes: the same items, no silence, nothing left behind."""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edspipe
from edspipe.errors import ConfigError, DataError, EdspipeError, PipeError, WorkerError
from edspipe.stream.executors.multiprocess import pool
from edspipe.stream.executors.multiprocess import worker as worker_module
from edspipe.stream.ops.map import Map
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
MAIN = os.getpid()


def numbers(count: int = 100) -> Stream:
    return Stream.from_items(list(range(count)))


def on_workers(stream: Stream, count: int = 2, method: str = "fork", **settings) -> Stream:
    return stream.set_processing(num_cpu_workers=count, process_start_method=method, **settings)


def our_workers() -> list[psutil.Process]:
    """The living workers of this process, whoever started them."""
    found = []
    for process in psutil.Process(MAIN).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            is_server = "forkserver" in line or "resource_tracker" in line
            is_from_server = process.ppid() != MAIN
            if process.status() != psutil.STATUS_ZOMBIE and (is_from_server or not is_server):
                found.append(process)
    return found


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    """No test of this file leaves a process, or changes the environment."""
    environment = own_environment()
    yield
    deadline = time.monotonic() + 5
    while our_workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert our_workers() == []
    assert own_environment() == environment


def own_environment() -> dict[str, str]:
    """The variables of the environment, but for the one in which pytest names the test."""
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}


# ---- the same items, in the same order, in the same batches ------------------------------------


def parts(x: int, rng):
    """Yield 0 to 2 random parts of an item."""
    for _ in range(x % 3):
        yield x, int(rng.integers(1000))


def in_batch(batch: list) -> list:
    return [(item, len(batch)) for item in batch]


def odd(x: int) -> bool:
    return bool(x % 2)


def size(x) -> int:
    return x % 7 if isinstance(x, int) else 1


STREAMS = {
    "plain": numbers(50),
    "map": numbers(50).map(lambda x: x + 1),
    "random parts": numbers(50).map(parts),
    "filter": numbers(50).filter(odd).map(str),
    "map_batches": numbers(300).filter(odd).map_batches(in_batch, batch_size=10),
    "map_batches by size": numbers(300).map_batches(in_batch, batch_size=20, batch_by=size),
    "map_batches of the dataset": numbers(50).map(abs).map_batches(in_batch, batch_size="dataset"),
    "batchify": numbers(50).map(parts).batchify(7),
    "batchify by size": numbers(50).map(abs).batchify(20, batch_by=size).map(list),
    "unbatch": numbers(50).batchify(7).map(list).unbatch().map(str),
    "shuffle": numbers(50).map(parts).shuffle().map(str),
    "shuffle in a buffer": numbers(50).map(parts).shuffle("5 docs").batchify(4).map(len),
    "loop": numbers(7).map(parts).loop().shuffle().batchify(4).map(list).take(20),
    "take": numbers(100).map(abs).take(33).map(str),
    "mix": Stream.mix(numbers(20).shuffle(), numbers(30).map(str), weights=[1, 2]).map(str),
    "map_gpu": numbers(50).map_gpu(abs, lambda batch: [(x, len(batch)) for x in batch]),
    "empty": numbers(0).map(abs),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", STREAMS)
def test_workers_do_not_show_in_what_comes_out(name, count):
    stream = STREAMS[name].set_processing(seed=5)
    assert list(on_workers(stream, count)) == list(stream)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_forkserver_gives_the_same(count):
    stream = STREAMS["loop"].set_processing(seed=5)
    assert list(on_workers(stream, count, "forkserver")) == list(stream)


@pytest.mark.parametrize("count", [1, 2])
def test_spawn_gives_the_same(count):
    stream = STREAMS["loop"].set_processing(seed=5)
    assert list(on_workers(stream, count, "spawn")) == list(stream)


@pytest.mark.parametrize("name", ["filter", "loop", "random parts"])
def test_workers_do_not_show_in_the_counts(name):
    stream = STREAMS[name].set_processing(seed=5)
    counts, same = stream.execute(), on_workers(stream).execute()
    if name == "loop":  # what was read ahead differs
        counts.pop("read"), same.pop("read")
    assert counts == same


LOCAL = st.sampled_from(
    [
        lambda s: s.map(lambda x: x),
        lambda s: s.map(parts_of_any),
        lambda s: s.filter(lambda x: hash(str(x)) % 4),
        lambda s: s.map_batches(lambda batch: batch[::-1], batch_size=3),
        lambda s: s.map_batches(lambda batch: [str(x) for x in batch], "dataset"),
    ]
)
ORDERED = st.sampled_from(
    [
        lambda s: s.shuffle("dataset"),
        lambda s: s.shuffle("3 docs"),
        lambda s: s.batchify(3),
        lambda s: s.batchify(9, batch_by=lambda x: len(str(x))),
        lambda s: s.take(11),
        lambda s: s.loop().take(25),
    ]
)


def parts_of_any(x, rng):
    yield from [x] * int(rng.integers(3))


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(0, 40),
    ops=st.lists(LOCAL | ORDERED, max_size=5),
    seed=st.integers(0, 9),
    workers=st.integers(1, 3),
)
def test_random_streams_give_the_same_on_workers(count, ops, seed, workers):
    stream = numbers(count).set_processing(seed=seed)
    for op in ops:
        stream = op(stream)
    assert outcome(on_workers(stream, workers)) == outcome(stream)


def outcome(stream: Stream) -> list | str:
    """The items, or the error of a loop that has none."""
    try:
        return list(stream)
    except ValueError as error:
        return str(error)


# ---- what crosses ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_lambdas_and_local_functions_travel(method):
    factor = 3

    def local(x):
        return x * factor

    stream = numbers(5).map(local).map(lambda x: x + factor)
    assert list(on_workers(stream, 1, method)) == [3, 6, 9, 12, 15]


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_ops_run_in_other_processes(method):
    pids = set(on_workers(numbers(100).map(lambda x: os.getpid()), 2, method))
    assert pids
    assert MAIN not in pids


def test_workers_share_the_work():
    stream = numbers(300).map(lambda x: time.sleep(0.002) or os.getpid())
    assert len(set(on_workers(stream, 3))) == 3


def test_large_items_never_block_both_sides():
    stream = Stream.from_items([bytes(300_000)] * 100).map(lambda x: x + b"1")
    assert all(len(x) == 300_001 for x in on_workers(stream))


def test_no_more_is_read_than_keeps_the_workers_busy():
    read = itertools.count()
    stream = Stream.from_items(lambda: (next(read) for _ in range(10_000))).map(abs)
    with iter(on_workers(stream)) as iterator:
        next(iterator)
        assert next(read) <= 2 * 3 * 16 + 16


@pytest.fixture
def nlp():
    return edspipe.blank("eds")


def note(nlp, i: int):
    from spacy.tokens import Span  # not above: workers that are spawned import this file

    doc = nlp.make_doc(f"Note {i} : pas de fièvre, toux.")
    doc._.note_id = f"n{i}"
    doc.ents = [Span(doc, 3, 4, label="Negation")]
    doc.spans["all"] = list(doc.ents)
    doc.user_data["number"] = i
    return doc


def told(doc) -> tuple:
    spans = [(s.start_char, s.end_char, s.label_) for s in [*doc.ents, *doc.spans["all"]]]
    return doc.text, doc._.note_id, spans, doc.user_data["number"]


@pytest.mark.parametrize(
    "method", ["fork", "forkserver", pytest.param("spawn", marks=pytest.mark.slow)]
)
def test_docs_come_back_equal_on_the_vocab_that_they_came_from(nlp, method):
    docs = [note(nlp, i) for i in range(10)]

    def mark(doc):
        doc._.note_id += "x"
        return doc

    back = list(on_workers(Stream.from_items(docs).map(mark), 2, method))
    assert [told(doc) for doc in back] == [told(mark(doc)) for doc in docs]
    assert all(doc.vocab is nlp.vocab for doc in back)


def test_docs_of_a_later_vocab_come_back_on_it_too(nlp):
    others = [edspipe.blank("eds") for _ in range(3)]
    docs = [note(pipeline, i) for i, pipeline in enumerate([nlp, *others] * 20)]
    back = on_workers(Stream.from_items(docs).map(lambda doc: doc))
    assert all(old.vocab is new.vocab for old, new in zip(docs, back, strict=True))


def devices(tree) -> set[str]:
    import torch

    if isinstance(tree, dict):
        return {device for value in tree.values() for device in devices(value)}
    return {tree.device.type} if isinstance(tree, torch.Tensor) else set()


@pytest.mark.parametrize("more", [False, True], ids=["last op", "ops behind"])
def test_a_device_asked_for_in_a_worker_is_used_on_arrival_here(tiny_nlp, more):
    docs = [tiny_nlp.make_doc("Pas de fièvre.") for _ in range(4)]
    stream = Stream.from_items(docs).map(tiny_nlp.preprocess).batchify(2)
    stream = stream.map(tiny_nlp.collate, kwargs={"device": "meta"})
    if more:
        stream = stream.map(lambda batch: {**batch, "worker": os.getpid()})
    seen = list(on_workers(stream))
    assert [devices(batch) for batch in seen] == [{"meta"}, {"meta"}]
    assert not more or all(batch["worker"] != MAIN for batch in seen)


# ---- errors ------------------------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def fail_at(place: int, make_error):
    def op(x):
        if x == place:
            raise make_error()
        return x

    return op


ERRORS = {
    "ValueError": lambda: ValueError(SECRET),
    "TwoArguments": lambda: TwoArguments(SECRET, 2),
    "StopIteration": lambda: StopIteration(SECRET),
    "SystemExit": lambda: SystemExit(SECRET),
    "MemoryError": lambda: MemoryError(SECRET),
    "GeneratorExit": lambda: GeneratorExit(SECRET),
    "EOFError": lambda: EOFError(SECRET),
    "BrokenPipeError": lambda: BrokenPipeError(SECRET),
}


@pytest.mark.parametrize("place", [0, 57])
@pytest.mark.parametrize("name", ERRORS)
def test_what_an_op_raises_in_a_worker_reaches_the_caller(name, place):
    with pytest.raises(PipeError) as caught:
        list(on_workers(numbers().map(fail_at(place, ERRORS[name]))))
    error = caught.value
    assert (error.stage, error.doc_id) == ("map(fail_at.op)", f"item {place}")
    assert error.error_type == name
    assert f'File "{__file__}"' in error.frames
    assert error.frames.endswith(", in op")
    assert SECRET not in str(error)


def test_errors_are_never_lost_to_the_end_of_the_stream():
    for _ in range(12):
        with pytest.raises(PipeError):
            list(on_workers(numbers(3).map(fail_at(2, ValueError)), 1))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_an_error_reaches_the_caller_from_other_kinds_of_workers(method):
    with pytest.raises(PipeError, match="item 7 with TwoArguments"):
        list(on_workers(numbers().map(fail_at(7, ERRORS["TwoArguments"])), 1, method))


def test_debug_show_text_shows_the_original_message():
    stream = numbers().map(fail_at(7, ERRORS["ValueError"]))
    with pytest.raises(PipeError, match=f"with ValueError: {SECRET}"):
        list(on_workers(stream, debug_show_text=True))


@pytest.mark.parametrize(
    "error", [DataError("expected a text", "notes.jsonl", 7, "n1"), ConfigError("a.b: wrong")]
)
def test_errors_of_our_own_cross_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        list(on_workers(numbers().map(fail_at(7, lambda: error))))
    assert (str(caught.value), vars(caught.value)) == (str(error), vars(error))


class OwnError(DataError):
    """A kind of error that edspipe does not know."""


def test_kinds_of_our_errors_that_others_made_keep_their_message():
    stream = numbers().map(fail_at(7, lambda: OwnError("expected a text", "notes.jsonl", 7)))
    with pytest.raises(EdspipeError, match=r"^OwnError: notes.jsonl:7: expected a text$"):
        list(on_workers(stream))


def test_errors_are_the_same_without_workers():
    stream = numbers().map(parts).map_batches(fail_on_long, batch_size=5)
    errors = []
    for run in (stream, on_workers(stream)):
        with pytest.raises(PipeError) as caught:
            list(run.set_processing(seed=0))
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def fail_on_long(batch):
    if any(x == 50 for x, _ in batch):
        raise ValueError(SECRET)
    return batch


@pytest.mark.parametrize("name", ["ValueError", "SystemExit", "GeneratorExit"])
def test_skipped_items_are_counted(name):
    def op(x):
        if x % 10 == 3:
            raise ERRORS[name]()
        return x

    iterator = iter(on_workers(numbers().map(op), on_error="skip"))
    assert list(iterator) == [x for x in range(100) if x % 10 != 3]
    assert iterator.counts == {"read": 100, "skipped": 10, "delivered": 90}


def test_the_measure_of_a_batch_that_fails_is_named_from_a_worker_too():
    stream = numbers(10).map_batches(in_batch, batch_size="10 words")
    with pytest.raises(PipeError, match=r"on item 0 .*cannot count words in a int; give batch_by"):
        list(on_workers(stream))


def test_an_op_that_cannot_travel_is_named():
    lock = threading.Lock()
    stream = numbers().map(abs).filter(lambda x: lock)
    message = r"filter\(.*<lambda>\) cannot run in a worker: .* it holds a _thread.lock"
    with pytest.raises(WorkerError, match=message):
        list(on_workers(stream))


def test_settings_that_cannot_travel_are_named():
    lock = threading.Lock()
    stream = numbers().map(abs).set_processing(batch_size=3, batch_by=lambda x: lock)
    message = "the settings of the stream cannot be sent to a worker: .* it holds a _thread.lock"
    with pytest.raises(WorkerError, match=message):
        list(on_workers(stream))


LOCKED = {
    "on its way there": Stream.from_items([1, threading.Lock(), 3]).map(lambda x: x),
    "on its way back": numbers(3).map(lambda x: threading.Lock() if x == 1 else x),
}


@pytest.mark.parametrize("way", LOCKED)
def test_an_item_that_cannot_travel_is_named(way):
    message = "failed on item 1 with WrongValue: a lock cannot cross to another process: it holds"
    with pytest.raises(PipeError, match=message):
        list(on_workers(LOCKED[way]))


@pytest.mark.parametrize("way", LOCKED)
def test_an_item_that_cannot_travel_is_skipped_where_asked(way):
    assert len(list(on_workers(LOCKED[way], on_error="skip"))) == 2


class Prison:
    """Arrives in some processes only: it can be packed everywhere, and not be rebuilt there."""

    def __init__(self, is_bad) -> None:
        self.is_bad = is_bad

    def __reduce__(self):
        return _escape, (self.is_bad,)


def _escape(is_bad):
    if is_bad():
        raise ValueError(SECRET)
    return Prison(is_bad)


def in_main() -> bool:
    return multiprocessing.parent_process() is None


def in_worker() -> bool:
    return multiprocessing.parent_process() is not None


@pytest.mark.parametrize("is_bad", [in_worker, in_main])
def test_an_item_that_cannot_be_rebuilt_is_named(is_bad):
    stream = Stream.from_items([1, Prison(is_bad)]).map(lambda x: x)
    with pytest.raises(PipeError, match="failed on item 1 with ValueError") as caught:
        list(on_workers(stream))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_an_op_that_cannot_be_rebuilt_is_an_error_at_once(method):
    prison = Prison(in_worker)
    start = time.monotonic()
    with pytest.raises(
        WorkerError, match=r"a worker could not load what it should run .ValueError"
    ):
        list(on_workers(numbers().map(lambda x: prison), 2, method))
    assert time.monotonic() - start < 10


def test_an_arrival_that_fails_is_an_error_with_its_place():
    class Collator:
        def collate(self, x):
            return x

        def stream_op(self, method, kwargs):
            return (lambda x: x), {}, lambda x: 1 / 0

    with pytest.raises(PipeError, match=r"map\(.*Collator.collate\) failed on item 0 with ZeroDiv"):
        list(on_workers(numbers().map(Collator().collate)))


def test_a_worker_that_fails_to_prepare_is_an_error():
    class Unready:
        def __call__(self, x):
            return x

        def worker_init(self):
            raise ConfigError("no such file")

    with pytest.raises(ConfigError, match="no such file"):
        list(on_workers(numbers().map(Unready())))


# ---- death, silence, lateness ------------------------------------------------------------------


def timed_error(stream: Stream) -> tuple[str, float]:
    """The WorkerError of a stream, and how many seconds after its last item it came."""
    times = [time.monotonic()]
    with pytest.raises(WorkerError) as caught:
        times.extend(time.monotonic() for _ in stream)
    return str(caught.value), time.monotonic() - times[-1]


def killed(x: int) -> int:
    if x == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def gone(x: int) -> int:
    if x == 40:
        os._exit(7)
    return x


def gone_quietly(x: int) -> int:
    if x == 40:
        os._exit(0)
    return x


def crashed(x: int) -> int:
    if x == 40:
        faulthandler.disable()  # that of pytest would print a page
        os.kill(os.getpid(), signal.SIGSEGV)
    return x


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("op", "code"), [(killed, -9), (gone, 7), (gone_quietly, 0), (crashed, -11)]
)
def test_a_dead_worker_is_an_error_within_two_seconds(op, code, count):
    message, seconds = timed_error(on_workers(numbers().map(op), count))
    assert re.match(rf"worker [01] died with exit code {code}\b", message)
    assert "in flight: item 32, item 33, item 34, item 35, item 36 and 11 more" in message
    assert ("perhaps it ran out of memory" in message) == (code == -9)
    assert seconds < 2


def test_a_dead_worker_of_a_forkserver_is_an_error_too():
    list(on_workers(numbers(1).map(abs), 1, "forkserver"))  # the server starts
    message, seconds = timed_error(on_workers(numbers().map(killed), 2, "forkserver"))
    assert "in flight: item 32" in message
    assert seconds < 2


def test_documents_in_flight_are_named_by_their_ids():
    records = [{"note_id": f"n{i}", "text": SECRET} for i in range(3)]
    stream = Stream.from_items(records).map(lambda record: os._exit(3))
    message, _ = timed_error(on_workers(stream, 1))
    assert message.endswith("in flight: document 'n0', document 'n1', document 'n2'")
    assert SECRET not in message


def test_a_worker_killed_from_outside_is_an_error():
    stream = on_workers(numbers(1000).map(lambda x: time.sleep(0.001)))
    with iter(stream) as iterator:
        next(iterator)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="died with exit code -9"):
            list(iterator)


def test_a_worker_that_dies_at_its_start_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: os._exit(3))
    message, seconds = timed_error(on_workers(numbers().map(abs)))
    assert "ended with exit code 3 before it was ready" in message
    assert "put what it runs under if __name__ == '__main__':" in message
    assert seconds < 2


def test_a_worker_that_does_not_get_ready_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: time.sleep(60))
    monkeypatch.setattr(pool, "START_TIMEOUT_S", 0.3)
    message, seconds = timed_error(on_workers(numbers().map(abs)))
    assert re.match(
        "worker [01] took longer than 0.3 s for its start; in flight: no document", message
    )
    assert seconds < 5


def test_a_plan_that_a_worker_does_not_read_is_an_error(monkeypatch):
    monkeypatch.setattr(worker_module, "main", lambda *args: time.sleep(60))
    monkeypatch.setattr(pool, "START_TIMEOUT_S", 0.3)
    large = bytes(10**7)
    message, _ = timed_error(on_workers(numbers().map(lambda x: large)))
    assert "took longer than 0.3 s for its start; in flight: no document" in message


def sleep_on(x: int) -> int:
    if x == 20:
        time.sleep(60)
    return x


def hold_the_lock(x: str) -> bool:
    """A regex that takes for ever, and keeps the interpreter's lock as it does."""
    return x.startswith("b") or re.match("(a+)+$", x) is None


def test_a_task_that_takes_too_long_is_an_error():
    message, seconds = timed_error(on_workers(numbers().map(sleep_on), timeout_s=0.4))
    assert re.match("worker [01] took longer than 0.4 s for its task; in flight: item 16", message)
    assert seconds < 4


def test_a_task_that_lets_nothing_else_run_is_an_error():
    large = "b" * 100_000
    texts = Stream.from_items(["a" * 40 + "b"] + [large] * 200).map(hold_the_lock)
    message, seconds = timed_error(on_workers(texts, 1, timeout_s=0.5))
    assert "worker 0 took longer than 0.5 s for its task; in flight: item 0" in message
    assert seconds < 8


def test_time_that_the_caller_takes_is_not_held_against_the_workers():
    stream = on_workers(numbers(200).map(abs), timeout_s=0.3)
    for i, _ in enumerate(stream):
        if i in (0, 150):
            time.sleep(0.6)


# ---- nothing is left behind --------------------------------------------------------------------


def endless(x: int) -> int:
    time.sleep(60)
    return x


@pytest.mark.parametrize("method", ["fork", "forkserver"])
@pytest.mark.parametrize("way", ["close", "del", "break", "error", "end"])
def test_workers_end_with_the_iterator(way, method):
    iterator = iter(on_workers(numbers(1000).map(abs), 2, method))
    next(iterator)
    assert len(our_workers()) == 2
    if way == "close":
        iterator.close()
    elif way == "del":
        del iterator
    elif way == "break":
        for _ in iterator:
            break
        del iterator
    elif way == "error":
        with pytest.raises(KeyError), iterator:
            raise KeyError
    else:
        list(iterator)
    assert our_workers() == []


def test_workers_in_the_middle_of_something_end_too():
    start = time.monotonic()
    iterator = iter(on_workers(numbers().map(lambda x: endless(x) if x > 20 else x)))
    next(iterator)
    iterator.close()
    assert time.monotonic() - start < 2
    assert our_workers() == []


def test_a_worker_that_refuses_to_end_is_killed(monkeypatch):
    monkeypatch.setattr(pool, "STOP_TIMEOUT_S", 0.3)

    def stubborn(x):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return endless(x) if x > 20 else x

    iterator = iter(on_workers(numbers().map(stubborn), 1))
    next(iterator)
    iterator.close()
    assert our_workers() == []


def test_handlers_of_the_main_process_do_not_run_in_workers(tmp_path):
    old = signal.signal(signal.SIGTERM, lambda *_: (tmp_path / f"{os.getpid()}").touch())
    try:
        iterator = iter(on_workers(numbers().map(lambda x: endless(x) if x > 20 else x)))
        next(iterator)
        iterator.close()
    finally:
        signal.signal(signal.SIGTERM, old)
    assert list(tmp_path.iterdir()) == []


def test_a_forked_copy_of_the_iterator_does_not_end_the_workers():
    iterator = iter(on_workers(numbers(1000).map(abs)))
    next(iterator)
    pid = os.fork()
    if pid == 0:
        iterator.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(iterator)) == 999


def test_a_stream_without_ops_for_workers_starts_none():
    iterator = iter(on_workers(numbers().batchify(3)))
    next(iterator)
    assert our_workers() == []


SCRIPT = """
import os, sys, time
from edspipe.stream.stream import Stream

def slow(x):
    time.sleep(0.05)
    return os.getpid()

def main():
    stream = Stream.from_items(list(range(10_000))).map(slow)
    stream = stream.set_processing(num_cpu_workers=2, process_start_method=sys.argv[1])
    seen = set()
    for pid in stream:
        if pid not in seen:
            seen.add(pid)
            print(pid, flush=True)
"""


def start_script(folder: Path, method: str, guard: bool = True) -> subprocess.Popen:
    path = folder / "script.py"
    path.write_text(
        SCRIPT + ("\nif __name__ == '__main__':\n    main()\n" if guard else "\nmain()\n")
    )
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, str(path), method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )


def are_gone(pids: list[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether a process runs: what is dead may wait for its new parent to notice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_workers_end_when_the_main_process_is_killed(tmp_path, method):
    script = start_script(tmp_path, method)
    workers = [int(script.stdout.readline()) for _ in range(2)]
    script.kill()
    script.communicate()
    assert are_gone(workers, within_s=5)


def test_ctrl_c_ends_everything_with_one_traceback(tmp_path):
    script = start_script(tmp_path, "fork")
    workers = [int(script.stdout.readline()) for _ in range(2)]
    os.killpg(script.pid, signal.SIGINT)
    _, errors = script.communicate(timeout=10)
    assert are_gone(workers, within_s=5)
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1


def test_a_script_without_a_main_guard_gets_an_error_that_says_so(tmp_path):
    script = start_script(tmp_path, "spawn", guard=False)
    _, errors = script.communicate(timeout=30)
    assert "before it was ready" in errors
    assert "if __name__ == '__main__':" in errors
    assert script.returncode != 0


def test_the_name_of_an_op_is_kept_on_its_way():
    op = Map(abs)
    op.stage = "read_notes"
    with pytest.raises(PipeError, match="read_notes failed on item 0 with TypeError"):
        list(on_workers(Stream.from_items(["text"]).with_op(op)))
