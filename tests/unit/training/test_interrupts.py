"""Ctrl-C and SIGTERM: noted once, with their usual effect after that."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from edspipe.training.interrupts import SIGNALS, Interrupts


@pytest.fixture(autouse=True)
def usual() -> Iterator[list[int]]:
    """Handlers of before, which note what comes."""
    seen: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: seen.append(number)) for n in SIGNALS}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_noted_and_the_second_goes_to_who_was_there(
    number: signal.Signals, usual: list[int], log: list[str]
) -> None:
    with Interrupts() as interrupts:
        assert interrupts.received is None
        os.kill(os.getpid(), number)
        assert interrupts.received == number
        assert usual == []
        os.kill(os.getpid(), number)
        assert usual == [number]
    assert log == [
        f"WARNING {number.name}: the training ends after this step, with a checkpoint; "
        "once more ends it at once"
    ]


def test_handlers_are_given_back(usual: list[int]) -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]

    def fail() -> None:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) not in handlers
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_after_it_a_signal_is_nobodys(usual: list[int]) -> None:
    with Interrupts() as interrupts:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.received is None
    assert usual == [signal.SIGTERM]


def test_outside_the_main_thread_it_does_nothing() -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    found = []

    def enter() -> None:
        with Interrupts():
            found.append([signal.getsignal(number) for number in SIGNALS])

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [handlers]
