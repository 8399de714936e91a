"""What crosses between main and workers arrives equal, and no side waits for the other."""

from __future__ import annotations

import itertools
import os

import numpy as np
import psutil
import pytest
from leftovers import slow
from worker_streams import MAIN, in_worker, numbers, on_workers

import edspipe
from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import memory, parcels, pool
from edspipe.stream.stream import Stream


@pytest.mark.parametrize("method", ["fork", "forkserver", slow("spawn")])
def test_lambdas_and_local_functions_travel(method):
    factor = 3

    def local(x):
        return x * factor

    stream = numbers(5).map(local).map(lambda x: x + factor)
    assert list(on_workers(stream, 1, method)) == [3, 6, 9, 12, 15]


def test_large_items_never_block_both_sides():
    stream = Stream.from_items([bytes(300_000)] * 100).map(lambda x: x + b"1")
    assert all(len(x) == 300_001 for x in on_workers(stream))


# ---- arrays and tensors ------------------------------------------------------------------------

SIZES = [0, 100, 20_000, 3_000_000]
"""Bytes: within the pickle, beside it, and in a file."""


@pytest.mark.parametrize("size", SIZES)
def test_arrays_cross_both_ways_and_can_be_written(size):
    arrays = [np.arange(size // 8, dtype=np.int64) * i for i in range(20)]

    def add_one(array):
        array += 1
        return array

    back = list(on_workers(Stream.from_items(arrays).map(add_one)))
    assert all(np.array_equal(new, old + 1) for old, new in zip(arrays, back, strict=True))
    back[0] += 1


@pytest.mark.parametrize("size", SIZES)
def test_tensors_cross_both_ways(size):
    torch = pytest.importorskip("torch")
    tensors = [torch.arange(size // 8) for _ in range(4)]
    back = list(on_workers(Stream.from_items(tensors).map(lambda x: x.add_(1))))
    assert all(torch.equal(new, old + 1) for old, new in zip(tensors, back, strict=True))


def test_several_buffers_of_one_item_come_back_each_in_its_place():
    def several(i):
        return {name: np.full(n, i) for name, n in (("a", 9_000), ("b", 2), ("c", 70_001))}

    for i, found in enumerate(on_workers(numbers(40).map(several))):
        assert {name: len(array) for name, array in found.items()} == {
            "a": 9000,
            "b": 2,
            "c": 70001,
        }
        assert all((array == i).all() for array in found.values())


def test_an_array_lives_longer_than_its_run():
    arrays = list(on_workers(numbers(4).map(lambda i: np.full(400_000, i))))
    assert [int(array.sum()) for array in arrays] == [0, 400_000, 800_000, 1_200_000]


def test_arrays_that_are_kept_hold_no_descriptors():
    with iter(on_workers(numbers(100).map(lambda i: np.full(200_000, i)))) as iterator:
        kept = [next(iterator)]
        before = psutil.Process().num_fds()
        kept += [next(iterator) for _ in range(80)]
        assert psutil.Process().num_fds() <= before + 8


def test_without_files_in_memory_arrays_cross_too(monkeypatch):
    monkeypatch.setattr(parcels, "HAS_MEMFD", False)
    back = list(on_workers(numbers(20).map(lambda i: np.full(400_000, i))))
    assert [int(array[-1]) for array in back] == list(range(20))


def test_without_files_in_memory_other_files_carry_what_is_shared(monkeypatch):
    monkeypatch.setattr(memory, "HAS_MEMFD", False)
    back = list(on_workers(numbers(20).map(lambda i: np.full(400_000, i))))
    assert [int(array[-1]) for array in back] == list(range(20))


def test_large_values_are_not_read_far_ahead(monkeypatch):
    monkeypatch.setattr(pool, "MAX_BYTES", 10_000_000)
    read = itertools.count()
    stream = Stream.from_items(lambda: (bytes(500_000 + next(read)) for _ in range(200))).map(len)
    with iter(on_workers(stream)) as iterator:
        next(iterator)
        assert next(read) <= 16 * 3


def test_large_results_are_not_made_far_ahead(monkeypatch, tmp_path):
    monkeypatch.setattr(pool, "MAX_BYTES", 10_000_000)

    def large(i):
        (tmp_path / str(i)).touch()
        return bytes(500_000)

    with iter(on_workers(numbers(400).map(large))) as iterator:
        for _ in range(100):
            next(iterator)
        assert len(list(tmp_path.iterdir())) <= 100 + 16 * 4


# ---- documents ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize("method", ["fork", slow("forkserver"), slow("spawn")])
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


def test_a_worker_that_takes_the_place_of_another_has_the_vocab_too(nlp, tmp_path):
    docs = [note(nlp, i) for i in range(100)]

    def die_once(doc):
        if doc.user_data["number"] == 70 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return doc

    iterator = iter(on_workers(Stream.from_items(docs).map(die_once)))
    assert [told(doc) for doc in iterator] == [told(doc) for doc in docs]
    assert iterator.counts["restarts"] == 1


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


class Rebuilt:
    """Runs a function wherever it is rebuilt."""

    def __init__(self, function) -> None:
        self.function = function

    def __reduce__(self):
        return _rebuild, (self.function,)


def _rebuild(function):
    function()
    return Rebuilt(function)


def _leave_the_worker():
    if in_worker():
        os._exit(4)


def test_a_worker_that_dies_of_rebuilding_an_op_is_an_error():
    thing = Rebuilt(_leave_the_worker)
    with pytest.raises(WorkerError, match="died with exit code 4 before it was ready"):
        list(on_workers(numbers().map(lambda x: thing)))


def test_a_document_that_is_deadly_to_rebuild_is_left_out_and_never_rebuilt_here():
    stream = Stream.from_items([1, 2, Rebuilt(_leave_the_worker), 4]).map(lambda x: x)
    iterator = iter(on_workers(stream, on_error="skip"))
    assert list(iterator) == [1, 2, 4]
    assert iterator.counts["skipped"] == 1
