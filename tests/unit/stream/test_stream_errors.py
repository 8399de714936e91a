"""What an op raises reaches the caller: stage, document and type, never the message."""

from __future__ import annotations

import pytest

from edspipe.errors import DataError, PipeError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Unprintable(Exception):
    def __str__(self):
        raise ValueError(SECRET)


ERRORS = {
    "ValueError": lambda: ValueError(SECRET),
    "TwoArguments": lambda: TwoArguments(SECRET, 2),
    "Unprintable": Unprintable,
    "StopIteration": lambda: StopIteration(SECRET),
    "StopAsyncIteration": lambda: StopAsyncIteration(SECRET),
    "GeneratorExit": lambda: GeneratorExit(SECRET),
    "SystemExit": lambda: SystemExit(SECRET),
    "MemoryError": lambda: MemoryError(SECRET),
    "RecursionError": lambda: RecursionError(SECRET),
    "EOFError": lambda: EOFError(SECRET),
    "BrokenPipeError": lambda: BrokenPipeError(SECRET),
}


def failing(make_error, at: int = 3):
    def op(x):
        if x == at:
            raise make_error()
        return x

    return op


def batches(function):
    return lambda batch: [function(x) for x in batch]


def generator(function):
    def op(x):
        yield function(x)

    return op


STREAMS = {
    "map": lambda s, f: s.map(f),
    "map of a generator": lambda s, f: s.map(generator(f)),
    "filter": lambda s, f: s.filter(f),
    "map_batches": lambda s, f: s.map_batches(batches(f), batch_size=2),
    "batchify": lambda s, f: s.batchify(3, batch_by=f),
    "map_gpu": lambda s, f: s.map_gpu(f, lambda features: features),
}


@pytest.mark.parametrize("place", STREAMS)
@pytest.mark.parametrize("name", ERRORS)
def test_any_error_of_any_op_reaches_the_caller(place, name):
    stream = STREAMS[place](Stream.from_items(list(range(10))), failing(ERRORS[name]))
    with pytest.raises(PipeError) as caught:
        list(stream)
    error = caught.value
    expected = name
    if place == "map of a generator" and name.startswith("Stop") and "Async" not in name:
        expected = "RuntimeError"  # Python's own name for it inside a generator
    assert (error.doc_id, error.error_type) == ("item 3", expected)
    assert error.stage.startswith(place.split(" ")[0])
    assert SECRET not in str(error)


@pytest.mark.parametrize("name", ERRORS)
def test_any_error_is_skipped_and_counted_where_asked(name):
    stream = Stream.from_items(list(range(10))).map(failing(ERRORS[name]))
    iterator = iter(stream.set_processing(on_error="skip"))
    assert list(iterator) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert iterator.counts == {"read": 10, "done": 9, "skipped": 1, "delivered": 9}


def one(op, *, value=3, **settings) -> PipeError:
    """The error of a stream of one item."""
    with pytest.raises(PipeError) as caught:
        list(Stream.from_items([value]).map(op).set_processing(**settings))
    return caught.value


def test_the_frames_are_file_line_and_function_only():
    error = one(failing(ERRORS["ValueError"]))
    assert f'  File "{__file__}", line ' in error.frames
    assert error.frames.endswith(", in op")
    assert "raise make_error" not in error.frames


def test_nothing_of_the_original_error_is_printed():
    error = one(failing(ERRORS["ValueError"]))
    assert error.__suppress_context__
    assert error.__cause__ is None


def test_the_message_says_how_to_see_the_original():
    assert "set_processing(debug_show_text=True)" in str(one(failing(ERRORS["ValueError"])))


def test_debug_show_text_shows_the_original_message():
    error = one(failing(ERRORS["ValueError"]), debug_show_text=True)
    assert str(error).startswith(f"map(failing.op) failed on item 0 with ValueError: {SECRET}\n")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"note_id": "n1"}, "document 'n1'"),
        ({"doc_id": 7}, "document '7'"),
        ({"id": "x"}, "document 'x'"),
        ({"id": {"text": SECRET}}, "item 0"),
        ({"text": SECRET}, "item 0"),
        (SECRET, "item 0"),
        ([SECRET], "item 0"),
    ],
)
def test_a_document_is_named_by_its_id_or_its_index_never_by_its_text(value, name):
    error = one(lambda x: 1 / 0, value=value)
    assert error.doc_id == name
    assert SECRET not in str(error)


def test_a_doc_is_named_by_its_note_id():
    import edspipe

    doc = edspipe.blank("eds")(SECRET)
    doc._.note_id = "n1"
    assert one(lambda x: 1 / 0, value=doc).doc_id == "document 'n1'"


def test_errors_of_our_own_are_left_as_they_are():
    def op(x):
        raise DataError("expected a text", "notes.jsonl", 7, "n1")

    with pytest.raises(DataError, match=r"^notes.jsonl:7:n1: expected a text$"):
        list(Stream.from_items([1]).map(op))


def test_what_is_skipped_is_logged_without_text(log):
    list(
        Stream.from_items([1]).map(failing(ERRORS["ValueError"], 1)).set_processing(on_error="skip")
    )
    assert log[0].startswith("WARNING skipped: map(failing.op) failed on item 0 with ValueError")
    assert SECRET not in "".join(log)


def test_ctrl_c_is_no_error_of_an_op():
    def op(x):
        raise KeyboardInterrupt

    for stream in (Stream.from_items([1]).map(op), Stream.from_items([1]).map_batches(op)):
        with pytest.raises(KeyboardInterrupt):
            list(stream.set_processing(on_error="skip"))


def test_the_iterator_is_closed_after_an_error():
    iterator = iter(Stream.from_items(list(range(9))).map(failing(ERRORS["ValueError"])))
    with pytest.raises(PipeError):
        list(iterator)
    assert list(iterator) == []


def test_an_error_of_the_source_reaches_the_caller_without_its_message():
    def source():
        yield 1
        raise ValueError(SECRET)

    with pytest.raises(PipeError, match="source failed on item 1 with ValueError") as caught:
        list(Stream.from_items(source).map(abs))
    assert SECRET not in str(caught.value)
    assert ", in source" in caught.value.frames


def test_a_source_that_raises_stop_iteration_does_not_end_the_stream():
    def source():
        yield 1
        raise StopIteration

    with pytest.raises(PipeError, match="source failed on item 1 with RuntimeError"):
        list(Stream.from_items(source))


@pytest.mark.parametrize("error", [DataError("bad", "f", 1), FileNotFoundError("f")])
def test_errors_of_the_source_that_name_files_are_left_as_they_are(error):
    def source():
        raise error
        yield

    with pytest.raises(type(error)) as caught:
        list(Stream.from_items(source))
    assert caught.value is error
