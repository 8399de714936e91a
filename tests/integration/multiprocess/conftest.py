"""No test of this folder leaves a process, or changes the environment; a hang fails with stacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leftovers import our_workers, own_environment, until

HANG_S = 60
"""After so long a test is killed, and the stacks of its threads are shown."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration/multiprocess" in str(item.path) and "slow" not in item.keywords:
            item.add_marker(pytest.mark.timeout(HANG_S))


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    environment = own_environment()
    yield
    assert until(lambda: our_workers() == [])
    assert own_environment() == environment
