"""A model folder is data: whatever lies in it, loading runs none of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hostile_models import HOSTILE, LISTED

ALL = {**HOSTILE, **LISTED}


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_model_is_refused_and_named(other_process: dict[str, Any], name: str) -> None:
    kind, message, _, _ = other_process["hostile"][name]
    if ALL[name][1]:
        assert kind == "CheckpointError", (kind, message)
        assert re.search(ALL[name][1], message), message
    assert kind in ("CheckpointError", "loaded")
    assert kind == "loaded" or name in message


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_model_runs_nothing(other_process: dict[str, Any], name: str) -> None:
    assert other_process["hostile"][name][3] == []


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_model_is_refused_at_once(other_process: dict[str, Any], name: str) -> None:
    assert other_process["hostile"][name][2] < 1


def test_no_payload_ran(other_process: dict[str, Any], hostile: tuple[Path, Path]) -> None:
    assert not hostile[1].exists()


def test_the_watch_sees_what_it_is_for(other_process: dict[str, Any]) -> None:
    assert "pickle.find_class" in other_process["hostile"]["the watch works"]
