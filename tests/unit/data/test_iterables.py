"""from_iterable, to_iterable, and the converter "text"."""

from __future__ import annotations

import pytest

import edspipe
from edspipe.data import from_iterable, to_iterable
from edspipe.errors import ConfigError, DataError, PipeError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
RECORD = {"note_id": "n1", "note_text": "Toux."}


def test_items_without_a_converter_stay_as_they_are():
    assert list(from_iterable([1, "a", None])) == [1, "a", None]


def test_a_stream_is_taken_as_it_is():
    stream = Stream.from_items([1, 2]).map(lambda x: x + 1)
    assert list(from_iterable(stream)) == [2, 3]


def test_texts_and_records_become_docs():
    first, second = from_iterable(["Toux.", RECORD], converter="text")
    assert (first.text, first._.note_id) == ("Toux.", None)
    assert (second.text, second._.note_id) == ("Toux.", "n1")


@pytest.mark.parametrize(
    "record", [{"text": "Toux.", "doc_id": "n1"}, {"note_text": "Toux.", "note_id": "n1"}]
)
def test_text_and_id_have_two_names(record):
    (doc,) = from_iterable([record], converter="text")
    assert (doc.text, doc._.note_id) == ("Toux.", "n1")


def test_docs_are_on_the_vocab_of_the_tokenizer_that_is_given():
    nlp = edspipe.blank("eds")
    (doc,) = from_iterable(["Toux."], converter="text", tokenizer=nlp.tokenizer)
    assert doc.vocab is nlp.vocab


def test_docs_become_records():
    docs = from_iterable([RECORD], converter="text")
    assert list(to_iterable(docs, converter="text")) == [RECORD]
    assert list(docs.to_iterable(converter="text")) == [RECORD]


def test_to_iterable_takes_a_list_too():
    assert list(to_iterable([1, 2])) == [1, 2]


def test_a_function_can_convert_with_arguments():
    def convert(record, factor):
        return record * factor

    assert list(from_iterable([1, 2], converter=convert, factor=3)) == [3, 6]
    assert list(to_iterable([1, 2], converter=convert, factor=3)) == [3, 6]


def test_a_function_with_arguments_keeps_its_name_in_errors():
    def convert(record, factor):
        raise ValueError(SECRET)

    with pytest.raises(PipeError, match=r"map\(.*convert\) failed on item 0 with") as caught:
        list(from_iterable([1], converter=convert, factor=3))
    assert SECRET not in str(caught.value)


def test_an_object_with_the_methods_of_a_converter_can_convert():
    class Upper:
        def to_doc(self, record):
            return record.upper()

        def to_record(self, doc):
            return doc.lower()

    assert list(from_iterable(["a"], converter=Upper())) == ["A"]
    assert list(to_iterable(["A"], converter=Upper())) == ["a"]


def test_items_can_be_looped_and_shuffled():
    items = list(from_iterable(list(range(9)), loop=True, shuffle="dataset", seed=1).take(18))
    assert sorted(items[:9]) == sorted(items[9:]) == list(range(9))
    assert items[:9] != items[9:]


@pytest.mark.parametrize("shuffle", ["dataset", "3 docs", 3])
def test_shuffle_takes_a_size(shuffle):
    assert list(from_iterable(list(range(20)), shuffle=shuffle, seed=0)) != list(range(20))


def test_shuffle_may_be_true():
    items = list(from_iterable(list(range(50)), shuffle=True, seed=0))
    assert any(item > place + 1 for place, item in enumerate(items))


@pytest.mark.parametrize("shuffle", [None, pytest.param(False)])
def test_shuffle_can_be_off(shuffle):
    assert list(from_iterable([1, 2, 3], shuffle=shuffle)) == [1, 2, 3]


def test_a_looped_list_of_docs_gives_the_same_docs():
    docs = [edspipe.blank("eds")("a")]
    first, second = from_iterable(docs, loop=True).take(2)
    assert first is second is docs[0]


def test_a_generator_cannot_be_looped():
    with pytest.raises(TypeError, match="a generator can be read only once"):
        from_iterable(iter([1]), loop=True)


def test_arguments_of_no_converter_are_refused():
    with pytest.raises(
        TypeError, match=r"^span_setter: arguments of a converter, and converter= is"
    ):
        from_iterable([1], span_setter="ents")


def test_an_unknown_converter_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"ompo.*omop"):
        from_iterable([1], converter="ompo")


def test_an_unknown_argument_of_a_converter_is_refused():
    with pytest.raises(Exception, match="tokeniser"):
        from_iterable([1], converter="text", tokeniser=None)


def test_what_is_no_converter_is_refused():
    with pytest.raises(TypeError, match="a converter is a name or a function, got int"):
        from_iterable([1], converter=3)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, r"expected a record \(a dict\), got a int"),
        ({}, "expected a text under note_text or text; the record has: nothing"),
        (
            {"note_id": "n1", "body": SECRET},
            "^n1: expected a text under note_text or text; the record has: body, note_id$",
        ),
    ],
)
def test_a_record_without_text_is_an_error_without_its_content(record, message):
    with pytest.raises(DataError, match=message) as caught:
        list(from_iterable([record], converter="text"))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_show_in_what_comes_out(workers):
    records = [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(40)]
    stream = from_iterable(records, converter="text").to_iterable(converter="text")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    assert list(stream) == records
