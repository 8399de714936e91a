"""What becomes of tasks when workers die: the plain rules, without a process."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.stream.executors.multiprocess.hand import RUNNING, InHand
from edspipe.stream.executors.multiprocess.tasks import MAX_DEATHS_IN_A_ROW, Death, Row, Task

EXIT = Death("worker 0", 7)
CRASH = Death("worker 0", -signal.SIGSEGV)
KILL = Death("worker 1", -signal.SIGKILL, peak_mb=1500)
TERM = Death("worker 1", -signal.SIGTERM)
LATE = Death("worker 0", -signal.SIGKILL, timeout_s=2.5)


def task(size: int = 8) -> Task:
    return Task(3, 0, [(0, i, (), ()) for i in range(size)])


def held(first: int | None, last: int | None = None, parts: int = 0) -> InHand:
    return InHand(3, first, first if last is None else last, 1, RUNNING, parts)


# ---- one item in hand --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("death", "deaths"), [(EXIT, 2), (CRASH, 2), (KILL, 3), (TERM, 3), (LATE, 1)]
)
def test_an_item_is_given_up_after_so_many_deaths(death, deaths):
    work = task()
    assert [work.blame(held(4), death) for _ in range(deaths)] == [None] * (deaths - 1) + [4]


def test_one_item_in_hand_leaves_the_task_as_it_is():
    work = task()
    work.blame(held(4), KILL)
    assert work.parts == [(0, 8)]


def test_deaths_on_other_items_do_not_add_up():
    work = task()
    assert [work.blame(held(i), EXIT) for i in range(8)] == [None] * 8


def test_nothing_in_hand_blames_nobody():
    work = task()
    assert [work.blame(held(None), EXIT) for _ in range(9)] == [None] * 9
    assert work.deaths == {}


def test_the_rest_runs_without_an_item_that_is_given_up():
    work = task()
    work.give_up(4, "why")
    assert work.parts == [(0, 4), (5, 8)]
    assert work.given_up == {4: "why"}


@pytest.mark.parametrize(("index", "parts"), [(0, [(1, 3)]), (2, [(0, 2)])])
def test_the_first_and_the_last_item_can_be_given_up(index, parts):
    work = task(3)
    work.give_up(index, "why")
    assert work.parts == parts


def test_a_task_of_which_all_is_given_up_has_nothing_to_run():
    work = task(2)
    work.give_up(0, "why")
    work.give_up(1, "why")
    assert work.parts == []


# ---- several items in hand ---------------------------------------------------------------------


def test_a_batch_in_hand_is_cut_in_halves_apart_from_the_rest():
    work = task()
    assert work.blame(held(2, 5), EXIT) is None
    assert work.parts == [(0, 2), (2, 4), (4, 6), (6, 8)]


@pytest.mark.parametrize("death", [EXIT, KILL, LATE])
@pytest.mark.parametrize("size", [2, 3, 31, 128])
def test_the_guilty_item_of_a_batch_is_found_in_logarithmic_time(size, death):
    for guilty in {0, 1, size // 2, size - 1}:
        work = task(size)
        deaths = 0
        found = None
        while found is None:
            part = next(p for p in work.parts if p[0] <= guilty < p[1])
            found = work.blame(held(part[0], part[1] - 1), death)
            deaths += 1
        assert found == guilty
        assert deaths <= size.bit_length() + death.max_deaths


@given(st.data())
def test_whatever_is_blamed_every_item_runs_once_or_is_given_up(data):
    size = data.draw(st.integers(1, 12))
    work = task(size)
    for _ in range(data.draw(st.integers(0, 12))):
        if not work.parts:
            break
        part = data.draw(st.sampled_from(work.parts))
        first = data.draw(st.integers(part[0], part[1] - 1))
        last = data.draw(st.integers(first, part[1] - 1))
        found = work.blame(held(first, last), data.draw(st.sampled_from([EXIT, KILL, LATE])))
        if found is not None:
            work.give_up(found, "why")
    run = [i for first, behind in work.parts for i in range(first, behind)]
    assert sorted([*run, *work.given_up]) == list(range(size))
    assert run == sorted(run)


def test_attempts_are_one_more_than_deaths_for_what_gets_through():
    work = task()
    work.blame(held(1), KILL)
    for _ in range(2):
        work.blame(held(5), EXIT)
    work.give_up(5, "why")
    assert work.attempts == {1: 2, 5: 2}


# ---- deaths in a row ---------------------------------------------------------------------------


def test_deaths_without_progress_end_the_run():
    row = Row()
    assert [row.death(held(4)) for _ in range(MAX_DEATHS_IN_A_ROW)][-2:] == [False, True]


def test_idle_deaths_count_too():
    row = Row()
    assert any(row.death(None) for _ in range(MAX_DEATHS_IN_A_ROW))


@pytest.mark.parametrize("step", ["a task", "a part of a task"])
def test_progress_begins_the_row_anew(step):
    row = Row()
    for _ in range(MAX_DEATHS_IN_A_ROW - 1):
        row.death(held(4))
    if step == "a task":
        row.progress()
        assert not row.death(held(4))
    else:
        assert not row.death(held(4, parts=1))
    assert row.length == 1


def test_deaths_that_bring_us_nearer_to_the_item_do_not_count():
    row = Row()
    assert not any(row.death(held(0, 9)) for _ in range(2 * MAX_DEATHS_IN_A_ROW))


# ---- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("death", "error", "text"),
    [
        (EXIT, "WorkerDied (exit code 7)", "worker 0 died with exit code 7"),
        (CRASH, "WorkerDied (SIGSEGV)", "worker 0 died with exit code -11 (SIGSEGV)"),
        (
            KILL,
            "WorkerDied (SIGKILL)",
            "worker 1 died with exit code -9 (SIGKILL: perhaps memory ran out (it had used "
            "1,500 MB))",
        ),
        (LATE, "Timeout after 2.5 s", "worker 0 took longer than 2.5 s"),
    ],
)
def test_a_death_is_told_in_words(death, error, text):
    assert (death.error, str(death)) == (error, text)
