"""What a `${ ... }` may say: references to other values and plain arithmetic, nothing else.

confit evaluates these expressions on a restricted syntax tree. This page narrows the syntax
further, before anything is evaluated, so that a hostile config can neither look inside objects
(`${ a.__class__ }`) nor eat the memory or time of the machine (`${ 9**9**9 }`, `${ 'a' * 10**9 }`).
"""

from __future__ import annotations

import ast
from typing import Any

from confit.utils.xjson import Reference

from edspipe.errors import ConfigError

MAX_LENGTH = 200
"""Characters of one expression: longer ones are not arithmetic on settings."""

_REFUSED = (ast.Pow, ast.LShift, ast.MatMult, ast.Starred)


def check_expression(reference: Reference, root: Any, path: str) -> None:
    """Refuse an expression that does more than refer and calculate.

    Args:
        reference: The expression.
        root: The whole config, to see what is multiplied.
        path: Where the expression stands, for the message.

    Raises:
        ConfigError: The expression is too long, not an expression, or not allowed.
    """
    source = reference.value.strip()
    if len(source) > MAX_LENGTH:
        raise ConfigError(
            f"{path}: an expression has at most {MAX_LENGTH} characters, got {len(source)}"
        )
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(
            f"{path}: '${{...}}' holds a path (a.b.c) or arithmetic (32 * 128), and this is neither"
        ) from None
    for node in ast.walk(tree):
        if isinstance(node, _REFUSED):
            raise ConfigError(f"{path}: {type(node).__name__} is not allowed in a config")
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            raise ConfigError(f"{path}: names that begin with '__' are not allowed in a config")
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Mod)):
            for side in (node.left, node.right):
                if not _is_number(side, root, depth=0):
                    raise ConfigError(f"{path}: only numbers can be multiplied in a config")


def _is_number(node: ast.AST, root: Any, depth: int) -> bool:
    if depth > 20:
        return False
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    if isinstance(node, ast.BinOp):
        return all(_is_number(side, root, depth + 1) for side in (node.left, node.right))
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _is_numeric_value(_look_up(node, root), root, depth)
    return False


def _is_numeric_value(value: Any, root: Any, depth: int) -> bool:
    if isinstance(value, Reference):
        try:
            return _is_number(ast.parse(value.value.strip(), mode="eval").body, root, depth + 1)
        except SyntaxError:
            return False
    return isinstance(value, (int, float))


def _look_up(node: ast.AST, root: Any) -> Any:
    if isinstance(node, ast.Name):
        return root.get(node.id) if isinstance(root, dict) else None
    if isinstance(node, ast.Attribute):
        parent = _look_up(node.value, root)
        return parent.get(node.attr) if isinstance(parent, dict) else None
    return None
