"""The examples in the docstrings of codes and scores run as they are written."""

from __future__ import annotations

import inspect
import re
import runpy

import pytest

from edspipe.config.registry import registry

FOLDERS = ("edspipe.pipes.rules.codes.", "edspipe.pipes.rules.scores.")
NAMES = [
    name for name in registry.factory if (registry.factory.home(name) or "").startswith(FOLDERS)
]


def test_there_are_pipes_with_examples():
    assert len(NAMES) >= 17


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_pipe_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"```python\n(.*?)```", inspect.getdoc(registry.factory.get_class(name)), re.DOTALL
    )
    assert blocks
    assert "assert" in blocks[0]
    for block in blocks:
        (tmp_path / "example.py").write_text(block, encoding="utf-8")
        runpy.run_path(str(tmp_path / "example.py"))
