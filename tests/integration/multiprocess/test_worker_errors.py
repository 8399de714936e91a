"""What fails in a worker reaches the caller, with its place and without clinical text."""

from __future__ import annotations

import threading

import pytest
from leftovers import slow
from worker_streams import (
    SECRET,
    in_batch,
    in_main,
    in_worker,
    numbers,
    on_workers,
    parts,
    record,
    records,
)

from edspipe.errors import ConfigError, DataError, EdspipeError, PipeError, WorkerError
from edspipe.stream.executors.multiprocess.process import start_worker
from edspipe.stream.stream import Stream


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


class WithLock(Exception):
    def __init__(self):
        super().__init__(SECRET)
        self.lock = threading.Lock()


class WithGenerator(Exception):
    def __init__(self):
        super().__init__(SECRET)
        self.generator = (x for x in SECRET)


def fail_at(place: int, make_error):
    def op(x):
        if x == place:
            raise make_error()
        return x

    return op


ERRORS = {
    "ValueError": lambda: ValueError(SECRET),
    "TwoArguments": lambda: TwoArguments(SECRET, 2),
    "WithLock": WithLock,
    "WithGenerator": WithGenerator,
    "StopIteration": lambda: StopIteration(SECRET),
    "GeneratorExit": lambda: GeneratorExit(SECRET),
    "SystemExit": lambda: SystemExit(SECRET),
    "MemoryError": lambda: MemoryError(SECRET),
    "RecursionError": lambda: RecursionError(SECRET),
    "EOFError": lambda: EOFError(SECRET),
    "BrokenPipeError": lambda: BrokenPipeError(SECRET),
}


@pytest.mark.parametrize("place", [slow(0), 57])
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


@pytest.mark.parametrize("name", ERRORS)
def test_documents_that_fail_are_skipped_and_counted_where_asked(name):
    def op(x):
        if x % 10 == 3:
            raise ERRORS[name]()
        return x

    iterator = iter(on_workers(numbers().map(op), on_error="skip"))
    assert list(iterator) == [x for x in range(100) if x % 10 != 3]
    assert iterator.counts == {"read": 100, "done": 90, "skipped": 10, "delivered": 90}


def deeper(x):
    return deeper(x) if x == 57 else x


def test_an_op_that_runs_out_of_stack_is_an_error():
    with pytest.raises(PipeError, match=r"map\(deeper\) failed on item 57 with RecursionError"):
        list(on_workers(numbers().map(deeper)))


def test_a_failing_document_is_named_by_its_id():
    with pytest.raises(PipeError, match=r"failed on document 'n3' with ZeroDivisionError"):
        list(on_workers(records(9).map(lambda doc: 1 / (doc["note_id"] != "n3"))))


def test_errors_are_never_lost_to_the_end_of_the_stream():
    for _ in range(12):
        with pytest.raises(PipeError):
            list(on_workers(numbers(3).map(fail_at(2, ValueError)), 1))


@pytest.mark.parametrize("method", ["forkserver", slow("spawn")])
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


def test_ctrl_c_that_an_op_raises_itself_is_an_error_too():
    with pytest.raises(WorkerError, match="a worker failed with KeyboardInterrupt"):
        list(on_workers(numbers().map(fail_at(7, KeyboardInterrupt))))


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


def test_the_measure_of_a_batch_that_fails_is_named_from_a_worker_too():
    stream = numbers(10).map_batches(in_batch, batch_size="10 words")
    with pytest.raises(PipeError, match=r"on item 0 .*cannot count words in a int; give batch_by"):
        list(on_workers(stream))


# ---- what cannot travel ------------------------------------------------------------------------


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
    iterator = iter(on_workers(LOCKED[way], on_error="skip"))
    assert len(list(iterator)) == 2
    assert iterator.counts == {"read": 3, "done": 2, "skipped": 1, "delivered": 2}


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


@pytest.mark.parametrize("is_bad", [in_worker, in_main])
def test_an_item_that_cannot_be_rebuilt_is_named(is_bad):
    stream = Stream.from_items([1, Prison(is_bad)]).map(lambda x: x)
    with pytest.raises(PipeError, match="failed on item 1 with ValueError") as caught:
        list(on_workers(stream))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("is_bad", [in_worker, in_main])
def test_an_item_that_cannot_be_rebuilt_is_skipped_where_asked(is_bad):
    stream = Stream.from_items([1, Prison(is_bad), 3]).map(lambda x: x)
    iterator = iter(on_workers(stream, on_error="skip"))
    assert list(iterator) == [1, 3]
    assert iterator.counts == {"read": 3, "done": 2, "skipped": 1, "delivered": 2}


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_an_op_that_cannot_be_rebuilt_is_an_error_at_once(method):
    prison = Prison(in_worker)
    message = r"a worker could not load what it should run .ValueError"
    with pytest.raises(WorkerError, match=message):
        list(on_workers(numbers().map(lambda x: prison), 2, method))


@pytest.mark.parametrize("shown", [False, True])
def test_why_an_op_cannot_be_rebuilt_is_quoted_only_where_text_may_be_shown(shown):
    prison = Prison(in_worker)
    with pytest.raises(WorkerError) as caught:
        list(on_workers(numbers().map(lambda x: prison), debug_show_text=shown))
    assert (SECRET in str(caught.value)) == shown


def test_a_worker_has_no_workers():
    def nested(x):
        return list(on_workers(numbers(3).map(abs)))

    with pytest.raises(WorkerError, match="a worker cannot have workers: run the stream"):
        list(on_workers(numbers(3).map(nested)))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EOFError("unexpected EOF"), "worker 1 cannot be started: the process that starts workers"),
        (ConnectionResetError(), "worker 1 cannot be started: the process that starts workers"),
        (OSError(11, "no more"), r"worker 1 cannot be started \(BlockingIOError: \[Errno 11\]"),
    ],
)
def test_a_worker_that_cannot_be_started_says_why(error, message):
    class Process:
        def __init__(self, **_):
            pass

        def start(self):
            raise error

    class Context:
        Process = None

        def get_start_method(self):
            return "forkserver"

    context = Context()
    context.Process = Process
    with pytest.raises(WorkerError, match=message):
        start_worker(context, "worker 1", None)


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


class LooksPlain(dict):
    """JSON takes it for a dict; it cannot be pickled."""

    def __reduce__(self):
        raise ValueError(SECRET)


def test_a_document_that_fails_in_a_worker_is_quarantined_with_its_content(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    stream = (
        records(20).map(lambda doc: LooksPlain(doc)).map(lambda doc: 1 / (doc["note_id"] != "n3"))
    )
    iterator = iter(on_workers(stream, on_error=f"quarantine:{path}"))
    assert len(list(iterator)) == 19
    assert iterator.counts == {"read": 20, "done": 19, "quarantined": 1, "delivered": 19}
    again = list(stream.set_processing(on_error="skip").only(path))
    assert again == []
    assert f'"document": {{"note_id": "n3", "text": "{record(3)["text"]}"' in path.read_text()
