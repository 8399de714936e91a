"""What is said of a registered model is checked before anything is trained or sent."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from edspipe.errors import ConfigError, MissingExtraError
from edspipe.serving import settings as module
from edspipe.serving.settings import RegisterSettings


def test_a_block_of_a_config_is_read() -> None:
    found = RegisterSettings.of({"name": "notes-1.2 x", "alias": "champion", "tags": {"a": 1}})
    assert (found.name, found.alias, found.tags) == ("notes-1.2 x", "champion", {"a": 1})
    assert not found.with_onnx


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("model", r"register: expected a block with a name, got 'model'"),
        ({}, r"register\.name: missing"),
        ({"nam": "x"}, r"register\.nam: unknown\. Did you mean 'name'\?"),
        ({"name": "a/b"}, r"register\.name: expected letters.* got 'a/b'"),
        ({"name": "a'b"}, r"register\.name: expected letters"),
        ({"name": ""}, r"register\.name: expected letters"),
        ({"name": 3}, r"register\.name: expected letters"),
        ({"name": "x", "alias": "latest"}, r"register\.alias: .*neither 'latest'"),
        ({"name": "x", "alias": "v2"}, r"register\.alias: .*got 'v2'"),
        ({"name": "x", "alias": "a b"}, r"register\.alias: expected"),
        ({"name": "x", "tags": ["a"]}, r"register\.tags: expected a table"),
        ({"name": "x", "tags": {"a=b": 1}}, r"register\.tags: expected names of letters.*'a=b'"),
        ({"name": "x", "description": 5}, r"register\.description: expected a text, got 5"),
        ({"name": "x", "tracking_uri": 5}, r"register\.tracking_uri: expected a text, got 5"),
        ({"name": "x", "with_onnx": "yes"}, r"register\.with_onnx: expected true or false"),
        ({"name": "x", "tracking_uri": "runs"}, r"tracking_uri: .*sqlite:///mlflow\.db"),
    ],
)
def test_what_mlflow_would_not_take_is_refused(block: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RegisterSettings.of(block)


@pytest.mark.parametrize("missing", ["pandas", "sqlalchemy"])
def test_a_library_that_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"'{missing}'.*edspipe\[register\]"):
        RegisterSettings("x").check()


def test_onnx_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    for library in ("onnx", "onnxscript"):
        pytest.importorskip(library)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"'onnxruntime'.*edspipe\[export\]"):
        RegisterSettings("x", with_onnx=True).check()


def test_the_store_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    looked: list[str] = []
    monkeypatch.setattr(module, "check_store", looked.append)
    RegisterSettings("x", tracking_uri="sqlite:///x.db").check()
    assert looked == ["sqlite:///x.db"]
