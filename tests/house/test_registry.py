"""One place to register a pipe: names in the code, in pyproject.toml and in the snapshot agree."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import edspipe
from edspipe.config.registry import Registry, registry

PACKAGE = Path(edspipe.__file__).parent
SNAPSHOT = Path(__file__).with_name("registered_names.txt")
KINDS = [kind for kind, value in vars(registry).items() if isinstance(value, Registry)]


def entry_points() -> dict[str, dict[str, str]]:
    """The entry points of pyproject.toml: group -> name -> place."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    return project["entry-points"]


@functools.cache
def decorated() -> dict[str, dict[str, str]]:
    """What the code registers: group -> name -> `module:object`, read without importing."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            for call in getattr(node, "decorator_list", ()):
                if (place := _group_and_name(call)) is not None:
                    found.setdefault(place[0], {})[place[1]] = f"{module}:{node.name}"  # type: ignore[attr-defined]
            if (name := _spacy_factory(node)) is not None:
                found.setdefault("spacy_factories", {})[name] = f"{module}:{name}"
    return found


def _spacy_factory(node: ast.AST) -> str | None:
    """Return the name of `edspipe_x = _factory("x", ...)`."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
        return None
    if ast.unparse(node.value.func) != "_factory":
        return None
    name = ast.unparse(node.targets[0])
    assert ast.literal_eval(node.value.args[0]) == name.removeprefix("edspipe_")
    return name


def _group_and_name(call: ast.expr) -> tuple[str, str] | None:
    if not (isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)):
        return None
    what = ast.unparse(call.func)
    name = str(call.args[0].value)
    owner, _, verb = what.rpartition(".")
    if verb != "register" or not owner.startswith("registry."):
        return None
    return getattr(registry, owner.partition(".")[2]).group, name


def test_every_registered_name_has_its_entry_point() -> None:
    assert decorated() == entry_points()


def test_the_installed_package_has_the_same_entry_points() -> None:
    installed: dict[str, dict[str, str]] = {}
    for point in distribution("edspipe").entry_points:
        if point.group != "console_scripts":
            installed.setdefault(point.group, {})[point.name] = point.value
    assert installed == entry_points(), "install the checkout again: pip install -e ."


def test_no_name_is_lost_or_added_unseen() -> None:
    """A name that goes, or a new one, shows as a changed line of the snapshot."""
    lines = [
        f"{group}: {name}" for group, names in sorted(decorated().items()) for name in sorted(names)
    ]
    assert lines == SNAPSHOT.read_text().splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_can_be_got(kind: str) -> None:
    names = getattr(registry, kind)
    own = entry_points().get(names.group, {})
    for name, place in own.items():
        module, _, attribute = place.partition(":")
        target = getattr(importlib.import_module(module), attribute)
        found = getattr(names, "get_class", names.get)(name)
        assert found is target
        assert names.home(name) == module


def test_spacy_names_have_no_dot_and_a_light_module() -> None:
    for name, place in entry_points()["spacy_factories"].items():
        assert name.startswith("edspipe_")
        assert "." not in name
        assert place.startswith("edspipe.pipeline.spacy_bridge:")


def test_all_public_names_are_importable() -> None:
    assert sorted(edspipe.__all__) == dir(edspipe)
    for name in edspipe.__all__:
        assert getattr(edspipe, name) is not None, name
    with pytest.raises(AttributeError, match="module 'edspipe' has no attribute 'nothing'"):
        edspipe.nothing


def test_public_names_are_those_of_the_type_checker() -> None:
    """What is imported for type checking, what is lazy and what is public is one list."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    checked = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert checked | {"__version__"} == set(edspipe.__all__)
    assert set(edspipe._HOMES) | set(edspipe._ROOMS) | {"__version__"} == set(edspipe.__all__)


@pytest.mark.parametrize("room", ["data", "metrics", "pipes"])
def test_all_names_of_a_room_are_importable(room: str) -> None:
    module: Any = getattr(edspipe, room)
    names = [name for name in dir(module) if not name.startswith("_")]
    assert names
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        module.nothing_at_all


def test_every_pipe_has_a_name_of_its_own_kind() -> None:
    """A pipe `eds.negation` is the class `Negation` of `negation.py`."""
    for name, place in entry_points()["edspipe_factories"].items():
        module, _, attribute = place.partition(":")
        if name.startswith("eds."):
            assert module.rpartition(".")[2] == name.removeprefix("eds.")
            assert attribute == "".join(p.capitalize() for p in name[4:].split("_"))


def test_every_pipe_is_documented() -> None:
    for name in registry.factory:
        if name.startswith("eds."):
            cls = registry.factory.get_class(name)
            assert inspect.getdoc(cls), name
