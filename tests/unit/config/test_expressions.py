"""References and arithmetic in configs, and what they refuse to do."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from edspipe.config.files import parse_yaml
from edspipe.config.schema import link
from edspipe.errors import ConfigError

ROOT = """
n: 4
text: abc
items: [5, 6]
on: true
deep: {er: {x: 7}}
ner-1: {a.b: 8}
"""


@pytest.mark.parametrize(
    ("source", "value"),
    [
        *(("n", 4), ("deep.er.x", 7), ("deep . er . x", 7), ("items.1", 6), ("ner-1.a.b", 8)),
        *(("ner-1.'a.b'", 8), ("32 * 128", 4096), ("n + 1", 5), ("n - 1", 3), ("n / 8", 0.5)),
        *(("n // 3", 1), ("n % 3", 1), ("-n", -4), ("+n", 4), ("(n + 1) * 2", 10)),
        *(('text + "/x"', "abc/x"), ("items + [7]", [5, 6, 7]), ("[n, 1]", [4, 1])),
        *(("1 if n > 3 else 2", 1), ("1 if n < 3 else 2", 2), ("not on", False)),
        *(("n in items", False), ("n not in items", True), ("on and n == 4", True)),
        *(("on or n", True), ("n is None", False), ("n != 4", False), ("n >= 4", True)),
        *(("n <= 4", True), ("on is not None", True), ("1e3", 1000.0), ("'a'", "a")),
    ],
)
def test_an_expression_is_computed(source: str, value: Any) -> None:
    result = link(parse_yaml(f"{ROOT}r: ${{ {source} }}\n"))["r"]
    assert result == value
    assert type(result) is type(value)


def test_a_reference_may_point_at_a_reference_and_inside_one() -> None:
    linked = link(parse_yaml("a: ${ b }\nb: ${ c }\nc: {x: {y: 1}}\nd: ${ a.x.y }\n"))
    assert linked["a"] == {"x": {"y": 1}}
    assert linked["d"] == 1


def test_what_is_referred_to_is_one_object() -> None:
    linked = link(parse_yaml("a: {x: 1}\nb: ${ a }\nc: [1]\nd:\n- ${ c }\n"))
    assert linked["b"] is linked["a"]
    assert linked["d"][0] is linked["c"]


def test_following_leaves_the_config_as_it_was() -> None:
    config = parse_yaml("a: {x: 1}\nb: ${ a }\n")
    before = config.to_yaml_str()
    link(config)
    assert config.to_yaml_str() == before


def test_a_block_may_refer_to_its_own_values() -> None:
    assert link(parse_yaml("t:\n  a: 1\n  b: ${ t.a }\n"))["t"] == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("deep.err.x", r"^r: nothing stands at 'deep\.err\.x'\. Did you mean 'deep\.er\.x'\?"),
        ("items.2", r"^r: '\$\{\.\.\.\}' holds a path \(a\.b\.c\) or arithmetic"),
        ("text.upper", r"^r: nothing stands at 'text\.upper'"),
        ("text._x", r"^r: nothing stands at 'text\._x'"),
        ("r", r"^r: a value refers to itself"),
        ("a b", r"^r: '\$\{\.\.\.\}' holds a path .* and this is neither"),
        ("n if", r"neither"),
        ("n()", r"^r: Call is not allowed in a config"),
        ("__import__('os').system('x')", r"^r: Call is not allowed"),
        ("text.__class__", r"^r: names that begin with '__' are not allowed"),
        ("__builtins__", r"^r: names that begin with '__' are not allowed"),
        ("().__class__", r"^r: names that begin with '__' are not allowed"),
        ("text['__class__']", r"^r: Subscript is not allowed"),
        ("[x for x in items]", r"^r: ListComp is not allowed"),
        ("b'x'", r"^r: Constant is not allowed"),
        ("1j", r"^r: Constant is not allowed"),
        ("(n := 5)", r"^r: NamedExpr is not allowed"),
        ("1 < n < 5", r"^r: Compare is not allowed"),
        ("~n", r"^r: Invert is not allowed"),
        ("n ** 2", r"^r: Pow is not allowed"),
        ("1 << 9", r"^r: LShift is not allowed"),
        ("n / 0", r"^r: the expression cannot be computed: division by zero"),
        ("n + text", r"^r: the expression cannot be computed: unsupported operand"),
        ("text < n", r"^r: the expression cannot be computed: '<' not supported"),
        ("text * 9", r"^r: only numbers can be multiplied or divided"),
        ("9 * items", r"^r: only numbers can be multiplied or divided"),
        ("text % n", r"^r: only numbers can be multiplied or divided"),
        ("999999999999 * 999999999999", r"^r: the result is larger than 10"),
        ("+".join(["1"] * 101), r"^r: an expression has at most 200 characters, got 201"),
    ],
)
def test_an_expression_that_is_wrong_or_does_more_is_refused(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        link(parse_yaml(f"{ROOT}r: ${{ {source} }}\n"))


def test_values_that_refer_to_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^a\.x: a value refers to itself|^b: a value refers"):
        link(parse_yaml("a: {x: 1}\nb: ${ c }\nc:\n  d: ${ b }\n"))


@pytest.mark.parametrize(
    ("line", "num_lines", "message"),
    [
        ("x{i}: ${{ x{j} + x{j} }}", 40, r"x\d+: the result has more than 10000 characters"),
        ("x{i}:\n- ${{ x{j} }}\n- ${{ x{j} }}", 40, r"more than 50000 values once references"),
        ("x{i}:\n- ${{ x{k} }}\n- ${{ x{k} }}", 2000, r"nested deeper than 60 levels once"),
    ],
)
def test_references_that_multiply_are_refused_at_once(
    line: str, num_lines: int, message: str
) -> None:
    lines = [line.format(i=i, j=i - 1, k=i + 1) for i in range(1, num_lines)]
    text = "\n".join(["x0: aaaaaaaaaa", *lines, f"x{num_lines}: bbbbbbbbbb"])
    start = process_time()
    with pytest.raises(ConfigError, match=message):
        link(parse_yaml(text))
    assert process_time() - start < 1


def test_long_paths_that_nest_are_refused() -> None:
    deep = "a: 1"
    for _ in range(30):
        deep = "b: {" + deep + "}"
    path = ".".join(["b"] * 29)
    lines = [f"x{i}:\n- ${{ x{i + 1} }}\n- ${{ {path} }}" for i in range(100)]
    with pytest.raises(ConfigError, match=r"nested (deeper|too deep)"):
        link(parse_yaml("\n".join([deep, *lines, "x100: 1"])))
