"""Batches: whole documents are planned, epochs end where they do, and positions are exact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from short_runs import docs_for_two, two_pipes, unequal_docs
from support import assert_resumes

import edspipe
from edspipe.stream.stream import Stream
from edspipe.training.batches import Batches, BatchMaker, describe_batches
from edspipe.training.data import TrainingData


@pytest.fixture(scope="module")
def nlp(encoder_dir: Any) -> edspipe.Pipeline:
    from support import tiny_pipeline

    return tiny_pipeline(encoder_dir)


def streams(
    nlp: edspipe.Pipeline,
    *,
    number: int = 7,
    across: bool = False,
    world: tuple[int, int] = (0, 1),
    seed: int = 3,
    workers: int = 0,
    **options: Any,
) -> Stream:
    data = TrainingData(unequal_docs(nlp, number), **{"batch_size": "3 docs", **options})  # type: ignore[arg-type]
    maker = BatchMaker(nlp, data, *world)
    return describe_batches(
        maker, data, data.documents(), seed=seed, across_epochs=across, num_workers=workers
    )


def ids(batches: Iterator[Any], number: int) -> list[list[str]]:
    return [next(batches)[0].doc_ids for _ in range(number)]


def joined(batches: list[list[str]]) -> list[str]:
    return [doc_id for batch in batches for doc_id in batch]


# ---- the stream ------------------------------------------------------------------------------


def test_the_last_batch_of_an_epoch_is_cut(nlp: Any) -> None:
    found = ids(Batches([streams(nlp)]), 6)
    assert [len(batch) for batch in found] == [3, 3, 1, 3, 3, 1]
    for epoch in (found[:3], found[3:]):
        assert sorted(joined(epoch)) == [f"note-{i}" for i in range(7)]
    assert found[:3] != found[3:], "each epoch is shuffled anew"


def test_without_a_cut_batches_run_across_epochs(nlp: Any) -> None:
    found = ids(Batches([streams(nlp, across=True)]), 7)
    assert [len(batch) for batch in found] == [3] * 7
    assert Counter(joined(found)) == {f"note-{i}": 3 for i in range(7)}


@pytest.mark.parametrize("size", ["3 docs", "12 words", "30 tokens", "dataset"])
def test_an_epoch_is_cut_whatever_the_unit(nlp: Any, size: str) -> None:
    batches = Batches([streams(nlp, batch_size=size)])
    seen: list[str] = []
    while not batches.ends_epoch:
        seen += next(batches)[0].doc_ids
    assert sorted(seen) == [f"note-{i}" for i in range(7)]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("batch_size", ["3 docs", "11 words"])
def test_batches_of_documents_go_on_from_every_position(across: bool, batch_size: str) -> None:
    def make() -> Stream:
        stream = Stream.from_items(list(range(7))).loop().shuffle("dataset")
        size = batch_size if "docs" in batch_size else 3
        return stream.batchify(size, across_epochs=across).set_processing(seed=5)

    elements = assert_resumes(make, limit=8)
    assert [len(batch) for batch in elements] == ([3] * 8 if across else [3, 3, 1, 3, 3, 1, 3, 3])


def test_the_seed_chooses_the_order(nlp: Any) -> None:
    orders = [ids(Batches([streams(nlp, seed=seed)]), 3) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_without_a_shuffle_documents_keep_their_order(nlp: Any) -> None:
    found = ids(Batches([streams(nlp, shuffle=None)]), 3)
    assert joined(found) == [f"note-{i}" for i in range(7)]


@pytest.mark.parametrize("size", ["3 docs", "30 tokens"])
def test_places_in_the_source_are_those_of_the_documents(nlp: Any, size: str) -> None:
    batches = Batches([streams(nlp, batch_size=size, across=True)])
    for _ in range(5):
        (task,) = next(batches)
        assert task.doc_ids == [f"note-{place}" for place in task.source_indices]


def test_processes_share_a_batch_out(nlp: Any) -> None:
    batches = [next(Batches([streams(nlp, world=(rank, 2))]))[0] for rank in range(2)]
    assert batches[0].doc_ids == batches[1].doc_ids, "both know the whole batch"
    shares = [[i for part in task.parts for i in part.positions] for task in batches]
    assert sorted(shares[0] + shares[1]) == [0, 1, 2]
    assert shares[0]
    assert shares[1]
    for task in batches:
        for part in task.parts:
            assert part.batch["doc_ids"] == [task.doc_ids[i] for i in part.positions]


def test_a_batch_counts_the_words_of_all_processes(nlp: Any) -> None:
    counts = [next(Batches([streams(nlp, world=(r, 2))]))[0].num_words for r in range(2)]
    docs = {doc._.note_id: len(doc) for doc in unequal_docs(nlp, 7)}
    expected = sum(docs[i] for i in next(Batches([streams(nlp)]))[0].doc_ids)
    assert counts == [expected, expected]


def test_batches_hold_only_what_the_named_pipes_need(encoder_dir: Any) -> None:
    nlp = two_pipes(encoder_dir)
    data = TrainingData(docs_for_two(nlp), pipe_names=["second"])  # type: ignore[arg-type]
    (part,) = BatchMaker(nlp, data)(docs_for_two(nlp)).parts
    assert "second" in part.batch
    assert "first" not in part.batch


def test_tensors_of_a_worker_are_moved_on_arrival(nlp: Any) -> None:
    data = TrainingData(unequal_docs(nlp, 3))  # type: ignore[arg-type]
    maker = BatchMaker(nlp, data, device=torch.device("meta"))
    light, _, to_device = maker.stream_op("__call__", {})
    made = light(unequal_docs(nlp, 3))
    assert made.parts[0].batch["ner"]["tags"].device.type == "cpu"
    assert to_device(made).parts[0].batch["ner"]["tags"].device.type == "meta"


# ---- ends of epochs, and positions -----------------------------------------------------------


@pytest.mark.parametrize(("across", "last"), [(False, [3, 6]), (True, [3, 5, 7])])
def test_the_step_that_ends_an_epoch_is_known(nlp: Any, across: bool, last: list[int]) -> None:
    """Of 7 documents by 3: across epochs, batches 3, 5 and 7 hold the last document of one."""
    batches = Batches([streams(nlp, across=across)])
    ends = []
    for number in range(1, 8):
        next(batches)
        if batches.ends_epoch:
            ends.append(number)
    assert ends == last


def test_a_batch_of_several_epochs_ends_them_all(nlp: Any) -> None:
    """2 documents by 5: the batches begin in epochs 0, 2, 5, 7 and 10."""
    batches = Batches([streams(nlp, number=2, across=True, batch_size="5 docs")])
    ended = []
    for _ in range(4):
        next(batches)
        ended.append(batches.epochs_ended)
    assert ended == [2, 3, 2, 3]


def test_one_document_is_an_epoch(nlp: Any) -> None:
    batches = Batches([streams(nlp, number=1)])
    ends = []
    for _ in range(3):
        assert next(batches)[0].doc_ids == ["note-0"]
        ends.append((batches.ends_epoch, batches.epoch))
    assert ends == [(True, 0), (True, 1), (True, 2)]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("size", ["3 docs", "30 tokens"])
def test_two_tasks_go_on_from_every_position(nlp: Any, across: bool, size: str) -> None:
    def make() -> Batches:
        return Batches(
            [
                streams(nlp, across=across, batch_size=size),
                streams(nlp, number=4, across=across, batch_size="2 docs", seed=9),
            ]
        )

    def step(batches: Batches) -> Any:
        tasks = next(batches)
        return [task.doc_ids for task in tasks], batches.ends_epoch, batches.epoch

    whole = make()
    states, steps = [json.dumps(whole.get_state())], []
    for _ in range(8):
        steps.append(step(whole))
        states.append(json.dumps(whole.get_state()))
    for start, state in enumerate(states):
        later = make()
        later.set_state(json.loads(state))
        assert [step(later) for _ in range(8 - start)] == steps[start:], start
        later.close()
    whole.close()


def test_a_position_in_other_data_is_refused(nlp: Any) -> None:
    state = Batches([streams(nlp)]).get_state()
    with pytest.raises(ValueError, match="the position is one in 1 training data, and there are 2"):
        Batches([streams(nlp), streams(nlp)]).set_state(state)
