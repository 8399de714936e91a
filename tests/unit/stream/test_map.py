"""Stream.map: a function, item by item."""

from __future__ import annotations

import numpy as np
import pytest

from edspipe.stream.stream import Stream


def numbers(count: int = 5) -> Stream:
    return Stream.from_items(list(range(count)))


def test_map_calls_the_function_on_each_item():
    assert list(numbers().map(lambda x: x * 2)) == [0, 2, 4, 6, 8]


def test_yields_of_a_generator_become_items():
    def repeat(x):
        for _ in range(x):
            yield x

    assert list(numbers(4).map(repeat)) == [1, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("container", [list, tuple, set, lambda x: dict.fromkeys(x)])
def test_a_returned_container_stays_one_item(container):
    assert list(numbers(2).map(lambda x: container([x]))) == [container([0]), container([1])]


def test_none_is_an_item():
    assert list(numbers(2).map(lambda x: None)) == [None, None]


def test_kwargs_are_passed_with_each_call():
    assert list(numbers(3).map(lambda x, plus: x + plus, kwargs={"plus": 10})) == [10, 11, 12]


def test_later_changes_of_kwargs_do_not_show():
    kwargs = {"plus": 1}
    stream = numbers(2).map(lambda x, plus: x + plus, kwargs=kwargs)
    kwargs["plus"] = 100
    assert list(stream) == [1, 2]


def test_maps_of_one_stream_do_not_share_kwargs():
    first = numbers(1).map(lambda x, **kwargs: kwargs, kwargs={"a": 1})
    second = numbers(1).map(lambda x, **kwargs: kwargs)
    assert (list(first), list(second)) == ([{"a": 1}], [{}])


def test_nothing_runs_before_the_stream_is_iterated():
    seen = []
    stream = numbers(2).map(seen.append)
    assert seen == []
    list(stream)
    assert seen == [0, 1]


def test_iterating_again_runs_again():
    seen = []
    stream = numbers(2).map(seen.append)
    list(stream)
    list(stream)
    assert seen == [0, 1, 0, 1]


def test_ops_leave_the_stream_that_they_are_called_on_as_it_is():
    base = numbers(2)
    base.map(lambda x: x + 1)
    assert list(base) == [0, 1]


def test_items_flow_one_by_one():
    seen = []
    iterator = iter(numbers(100).map(lambda x: seen.append(x) or x))
    next(iterator)
    assert seen == [0]


@pytest.mark.parametrize("pipe", [None, 3, "f"])
def test_what_is_not_a_function_is_refused(pipe):
    with pytest.raises(TypeError, match=f"map takes a function, got {type(pipe).__name__}"):
        numbers().map(pipe)


def test_a_draft_is_built():
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    parts = Stream.from_items([nlp("Un.\n\nDeux.")]).map(eds.split(regex="\n\n"))
    assert [part.text for part in parts] == ["Un.\n\n", "Deux."]


# ---- random ops --------------------------------------------------------------------------------


def draw(x, rng: np.random.Generator) -> tuple[int, float]:
    return x, float(rng.random())


def drawn(stream: Stream, seed: int | None = 0) -> list[tuple[int, float]]:
    return list(stream.map(draw).set_processing(seed=seed))


def test_a_parameter_rng_gets_a_generator_of_the_item():
    values = [value for _, value in drawn(numbers())]
    assert len(set(values)) == 5


def test_the_same_seed_gives_the_same_draws():
    assert drawn(numbers(), 1) == drawn(numbers(), 1)
    assert drawn(numbers(), 1) != drawn(numbers(), 2)


def test_a_draw_does_not_depend_on_the_items_before():
    late, all_ = numbers().filter(lambda x: x >= 3), numbers().filter(lambda x: True)
    assert drawn(late) == drawn(all_)[3:]


def test_each_yield_has_draws_of_its_own():
    def twice(x):
        yield x
        yield x

    values = [value for _, value in drawn(numbers(3).map(twice))]
    assert len(set(values)) == 6


def test_each_epoch_has_draws_of_its_own():
    values = [value for _, value in drawn(numbers(3).loop().take(6))]
    assert len(set(values)) == 6


def test_two_ops_have_draws_of_their_own():
    def add(item, rng):
        return (*item, float(rng.random()))

    first, second = next(iter(numbers(1).map(draw).map(add).set_processing(seed=0)))[1:]
    assert first != second


def test_without_a_seed_each_run_draws_anew():
    stream = numbers().map(draw)
    assert list(stream) != list(stream)


def test_without_a_seed_the_generator_of_python_decides():
    import random

    stream = numbers().map(draw)
    random.seed(3)
    first = list(stream)
    random.seed(3)
    assert list(stream) == first


def test_global_generators_are_not_touched_by_a_seeded_run():
    import random

    random.seed(3)
    np.random.seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist()
    list(numbers().shuffle().map(draw).set_processing(seed=1))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_an_rng_of_the_caller_is_left_alone():
    mine = np.random.default_rng(0)
    stream = numbers(2).map(lambda x, rng: rng is mine, kwargs={"rng": mine})
    assert list(stream) == [True, True]


def test_a_builtin_without_signature_can_be_mapped():
    assert list(Stream.from_items(["1", "2"]).map(int)) == [1, 2]


# ---- looking up writers ------------------------------------------------------------------------


def test_registered_writers_are_methods():
    assert list(numbers(2).to_iterable()) == [0, 1]


def test_an_unknown_writer_is_an_error_that_names_the_nearest():
    with pytest.raises(AttributeError, match=r"no writer 'write_jsno'\. Did you mean 'write_json'"):
        numbers().write_jsno


def test_an_unknown_method_is_an_error_that_names_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'fliter'\. Did you mean 'filter'"):
        numbers().fliter


# ---- sources -----------------------------------------------------------------------------------


def test_a_function_gives_fresh_items_each_time():
    stream = Stream.from_items(lambda: iter([1, 2]))
    assert (list(stream), list(stream)) == ([1, 2], [1, 2])


@pytest.mark.parametrize("items", ["text", b"bytes", 3, None])
def test_a_source_that_is_no_iterable_of_items_is_refused(items):
    with pytest.raises(TypeError, match=rf"a stream reads a list .*; got {type(items).__name__}"):
        Stream.from_items(items)


def test_execute_returns_what_was_counted():
    counts = numbers(5).filter(lambda x: x > 1).execute()
    assert counts == {"read": 5, "done": 3, "filtered": 2, "delivered": 3}


def test_a_progress_bar_is_drawn_and_closed(capfd):
    list(numbers(5).set_processing(show_progress=True))
    assert "5/5" in capfd.readouterr().err


def test_a_closed_iterator_gives_nothing_more():
    iterator = iter(numbers())
    next(iterator)
    iterator.close()
    assert list(iterator) == []
