"""What makes short trainings short."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from short_runs import not_forced_to_disk

from edspipe.training import step


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Force nothing to the disk: no test here is about a loss of power. And collect no garbage
    where memory runs out: in a process full of tests that takes longer than a training."""
    with not_forced_to_disk(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "gc", SimpleNamespace(collect=lambda: 0))
        yield
