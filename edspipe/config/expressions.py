"""What a `${ ... }` may say: the path of another value, and plain arithmetic; nothing else.

    ${ nlp }    ${ train.lr * 2 }    ${ paths.root + "/train" }    ${ 1 if small else 3 }

An expression is read as a syntax tree, and each kind of node that is known here is computed here:
there are no calls, no attributes of objects, and no result that eats memory or time.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.files import MAX_VALUES
from edspipe.errors import ConfigError, did_you_mean

MAX_LENGTH = 200
"""Characters of one expression: longer ones are not arithmetic on settings."""
MAX_TEXT = 10_000
"""Characters (or items) of a result."""
MAX_NUMBER = 10**18
"""The largest whole number."""

MAX_STEPS = 60
"""Levels of nesting, where a reference that is followed counts as one."""
MAX_PLACES = 5_000
"""Paths among which a similar one is looked for."""

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


class References:
    """Follows the references of a config.

    A value that is referred to is the same object in each place, so that a block that two others
    refer to is built once.

    Args:
        root: The whole config; it is not changed.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._done: dict[int, Any] = {}
        self._active: set[int] = set()

    def follow(self, value: Any, path: str = "") -> Any:
        """Return a copy of a value of the config without references.

        Args:
            value: The value.
            path: Where it stands, for messages.

        Raises:
            ConfigError: With the path of the expression: nothing stands where it points, it
                points to itself, or it does more than refer and calculate.
        """
        if not isinstance(value, (dict, list, tuple, Reference)):
            return value
        key = id(value)
        if key in self._done:
            return self._done[key]
        if key in self._active:
            raise ConfigError(f"{path or 'config'}: a value refers to itself")
        if len(self._active) > MAX_STEPS:
            raise ConfigError(
                f"{path}: nested deeper than {MAX_STEPS} levels once references are followed"
            )
        self._active.add(key)
        try:
            self._done[key] = self._follow(value, path)
        finally:
            self._active.discard(key)
        return self._done[key]

    def _follow(self, value: Any, path: str) -> Any:
        dot = f"{path}." if path else ""
        if isinstance(value, Reference):
            return self._evaluate(value.value.strip(), path)
        if isinstance(value, dict):
            return Config({key: self.follow(item, f"{dot}{key}") for key, item in value.items()})
        return type(value)(self.follow(item, f"{dot}{i}") for i, item in enumerate(value))

    def _evaluate(self, source: str, path: str) -> Any:
        if len(source) > MAX_LENGTH:
            raise ConfigError(
                f"{path}: an expression has at most {MAX_LENGTH} characters, got {len(source)}"
            )
        # names that are no identifiers (ner-1, a list's 0) can be referred to by their whole path
        found, value = self._look_up(self.root, source.replace("'", "").replace('"', ""), "")
        if found:
            return value
        try:
            return self._node(ast.parse(source, mode="eval").body, path)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ConfigError(
                f"{path}: '${{...}}' holds a path (a.b.c) or arithmetic (32 * 128), "
                "and this is neither"
            ) from None
        except (TypeError, ArithmeticError, LookupError) as error:
            raise ConfigError(f"{path}: the expression cannot be computed: {error}") from None

    def _look_up(self, value: Any, wanted: str, path: str) -> tuple[bool, Any]:
        """Walk down to a dotted path; names may hold dots themselves."""
        if not wanted:
            return True, self.follow(value, path)
        if isinstance(value, Reference):
            value = self.follow(value, path)
        for key in _keys_that_begin(value, wanted):
            name = str(key)
            if wanted == name or wanted.startswith(f"{name}."):
                below = f"{path}.{name}" if path else name
                found = self._look_up(value[key], wanted[len(name) + 1 :], below)
                if found[0]:
                    return found
        return False, None

    def _node(self, node: ast.AST, path: str) -> Any:
        if isinstance(node, ast.Constant) and not isinstance(node.value, (bytes, complex)):
            return node.value
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node, path)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = self._node(node.left, path), self._node(node.right, path)
            return _calculate(node.op, left, right, path)
        if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            return _UNARY[type(node.op)](self._node(node.operand, path))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPERATORS:
            left, right = self._node(node.left, path), self._node(node.comparators[0], path)
            return _OPERATORS[type(node.ops[0])](left, right)
        if isinstance(node, ast.BoolOp):
            values = [self._node(value, path) for value in node.values]
            return all(values) if isinstance(node.op, ast.And) else any(values)
        if isinstance(node, ast.IfExp):
            return self._node(node.body if self._node(node.test, path) else node.orelse, path)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._node(item, path) for item in node.elts]
        what = node.op if isinstance(node, (ast.BinOp, ast.UnaryOp)) else node
        raise ConfigError(f"{path}: {type(what).__name__} is not allowed in a config")

    def _name(self, node: ast.AST, path: str) -> Any:
        name = ast.unparse(node)
        if name.startswith("__") or ".__" in name:
            raise ConfigError(f"{path}: names that begin with '__' are not allowed in a config")
        found, value = self._look_up(self.root, name, "")
        if not found:
            near = did_you_mean(name, islice(_places(self.root, ""), MAX_PLACES))
            raise ConfigError(f"{path}: nothing stands at '{name}'.{near}")
        return value


def _keys_that_begin(value: Any, wanted: str) -> Iterator[Any]:
    """Yield the keys that a dotted path may begin with: its first part, then longer ones."""
    first = wanted.partition(".")[0]
    if isinstance(value, (list, tuple)):
        if first.isdecimal() and int(first[:9]) < len(value):
            yield int(first[:9])
    elif isinstance(value, dict):
        if first in value:
            yield first
        yield from (key for key in value if key != first and wanted.startswith(str(key)))


def _calculate(op: ast.operator, left: Any, right: Any, path: str) -> Any:
    is_text = [isinstance(side, (str, list, tuple)) for side in (left, right)]
    if any(is_text) and not isinstance(op, ast.Add):
        raise ConfigError(f"{path}: only numbers can be multiplied or divided in a config")
    if all(is_text) and len(left) + len(right) > MAX_TEXT:
        raise ConfigError(f"{path}: the result has more than {MAX_TEXT} characters")
    result = _OPERATORS[type(op)](left, right)
    if isinstance(result, int) and abs(result) > MAX_NUMBER:
        raise ConfigError(f"{path}: the result is larger than {MAX_NUMBER}")
    return result


def _places(value: Any, path: str) -> Iterator[str]:
    """The paths of all named values."""
    for key, item in value.items() if isinstance(value, dict) else ():
        below = f"{path}.{key}" if path else str(key)
        yield below
        yield from _places(item, below)


def check_size(value: Any, path: str = "config") -> None:
    """Refuse a config that is too large once its references are followed.

    Raises:
        ConfigError: There are more than `MAX_VALUES` values.
    """
    if _count(value, {}) > MAX_VALUES:
        raise ConfigError(f"{path}: more than {MAX_VALUES} values once references are followed")


def _count(value: Any, counted: dict[int, int]) -> int:
    if not isinstance(value, (dict, list, tuple)):
        return 1
    if id(value) not in counted:
        items = value.values() if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_count(item, counted) for item in items)
    return counted[id(value)]
