"""Configs from text: what values mean, what is refused, and which line is named."""

from __future__ import annotations

import math
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from confit.utils.xjson import Reference

from edspipe.config import files
from edspipe.config.files import (
    name_place,
    parse_ini,
    parse_json,
    parse_value,
    parse_yaml,
    read_config,
)
from edspipe.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("3", 3), ("-5", -5), ("0", 0), ("1e-3", 0.001), ("+.5", 0.5), ("2.", 2.0)),
        *(("true", True), ("False", False), ("null", None), ("~", None), ("", None)),
        *((".inf", math.inf), ("-.inf", -math.inf), ("Infinity", math.inf)),
        *(("[1, 'b', [2]]", [1, "b", [2]]), ("(1, 2)", (1, 2)), ('"a, b"', "a, b")),
        *(("hello, you", "hello, you"), ("(EVA 4", "(EVA 4"), ("2020-01-01", "2020-01-01")),
        *(("yes", "yes"), ("x" * 20_000, "x" * 20_000), ("9" * 20_000, "9" * 20_000)),
        ("${ a.b }", Reference("a.b")),
        ("[${ a }]", [Reference("a")]),
        ("'${ a }/x'", "${ a }/x"),
    ],
)
def test_a_value_has_its_plain_meaning(text: str, value: Any) -> None:
    read = parse_value(text)
    assert type(read) is type(value)
    assert read == value


def test_not_a_number_is_read() -> None:
    assert math.isnan(parse_value(".nan"))


@pytest.mark.parametrize("text", ["${ a", "${ a }/x", "x${ a }", "[${ a]"])
def test_a_reference_is_a_whole_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be the whole value; join texts inside"):
        parse_value(text)


def test_yaml_keeps_order_types_and_references() -> None:
    config = parse_yaml(
        "b: 1\na:\n  x: ${ b }\n  y: [1, two, '3']\n5: {k: null}\ntext: |\n  one\n  ${ b }\n"
    )
    assert list(config) == ["b", "a", 5, "text"]
    assert config["a"] == {"x": Reference("b"), "y": [1, "two", "3"]}
    assert config[5] == {"k": None}
    assert config["text"] == "one\n${ b }\n"


def test_an_alias_gives_a_copy() -> None:
    config = parse_yaml("a: &one {x: [1]}\nb: *one\n")
    config["a"]["x"].append(2)
    assert config["b"] == {"x": [1]}


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_an_empty_config(text: str) -> None:
    assert parse_yaml(text) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\n", r"^c\.yml:\d: .*expected"),
        ("a: 1\n\tb: 2\n", r"^c\.yml:2: .*character"),
        ("a: {b: ${ c }}\n", r"^c\.yml:1: .*cannot stand inside \[ \] or \{ \}: give it its own"),
        ("- 1\n", r"^c\.yml:1: expected sections \(name: value\), found none"),
        ("just text\n", r"^c\.yml:1: expected sections"),
        ("a: 1\n---\nb: 2\n", r"^c\.yml:2: one document is expected"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", r"^c\.yml:4: 'c' stands twice in one section"),
        ("a: 1\n? [1, 2]\n: 3\n", r"^c\.yml:2: a name is expected before the colon"),
        ("true: 1\n", r"^c\.yml:1: a name is expected before the colon"),
        ("a: !!python/object:os.system x\n", r"^c\.yml:1: .*the tag 'python/object"),
        ("a: !mine x\n", r"^c\.yml:1: a config is plain values: the tag '!mine' is not allowed"),
        ("a: !!binary aGk=\n", r"^c\.yml:1: .*the tag 'binary' is not allowed"),
        ("a: &x {k: 1}\nb:\n  <<: *x\n", r"^c\.yml:3: '<<' is not supported"),
        ("a: &x [*x]\n", r"^c\.yml:1: the alias \*x has no value before it"),
        ("a: *x\n", r"^c\.yml:1: the alias \*x has no value before it"),
        ("a: 1\nb: ${ a }/x\n", r"^c\.yml:2: a reference \$\{ \.\.\. \} must be the whole value"),
        ("a: \x07\n", r"^c\.yml.*: .*"),
        ("a: " + "[" * 41 + "]" * 41 + "\n", r"^c\.yml:1: nested deeper than 40 levels"),
        ("a: " + "[" * 200_000, r"^c\.yml:1: nested deeper than 40 levels"),
        ("a: [" + "1," * 60_000 + "]\n", r"^c\.yml:1: more than 50000 values"),
    ],
)
def test_a_bad_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "c.yml")


def test_yaml_is_refused_alike_without_the_parser_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOADER", files.yaml.SafeLoader)
    assert parse_yaml("a: [1, x]\nb: ${ a }\n")["a"] == [1, "x"]
    with pytest.raises(ConfigError, match=r"^c\.yml:1: nested deeper than 40 levels"):
        parse_yaml("a: " + "[" * 5_000, "c.yml")


def test_aliases_that_multiply_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = process_time()
    with pytest.raises(ConfigError, match=r":\d+: more than 50000 values once aliases are"):
        parse_yaml("\n".join(lines))
    assert process_time() - start < 1


def test_json_is_read_with_tabs_and_references() -> None:
    config = parse_json('{\n\t"a": {"b": [1,\t2.5, null, true]},\n\t"c": "${ a.b }", "d": "$x"}')
    assert config == {"a": {"b": [1, 2.5, None, True]}, "c": Reference("a.b"), "d": "$x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b": }', r"^c\.json:2: Expecting value"),
        ('{"a": 1, "a": 2}', r"^c\.json: 'a' stands twice in one section"),
        ("[1]", r"^c\.json:1: expected sections"),
        ('{"a": ' + "[" * 200_000, r"^c\.json: nested deeper than 40 levels"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", r"^c\.json: nested deeper than 40 levels"),
        ('{"a": ' + "9" * 5_000 + "}", r"^c\.json: Exceeds the limit"),
        ('{"a": "${ b"}', r"^c\.json: a reference .* must be the whole value"),
    ],
)
def test_a_bad_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_json(text, "c.json")


@pytest.mark.parametrize("text", ["[a.x]\ny = 'z'\n[a]\nb = 1\n", "[a]\nb = 1\n[a.x]\ny = 'z'\n"])
def test_ini_sections_nest_in_any_order(text: str) -> None:
    assert parse_ini(text) == {"a": {"b": 1, "x": {"y": "z"}}}


def test_ini_values_are_those_of_yaml() -> None:
    config = parse_ini('[a]\nList = [1, 2]\nref = ${ b.c }\n"@factory" = x, y\n[b]\nc = 50%\n')
    assert config["a"] == {"List": [1, 2], "ref": Reference("b.c"), "@factory": "x, y"}
    assert config["b"] == {"c": "50%"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nb = 1\nb = 2\n", r"^c\.cfg:3: 'b' stands twice"),
        ("[a]\nb = 1\n[a]\nc = 2\n", r"^c\.cfg:3: 'a' stands twice"),
        ("b = 1\n", r"^c\.cfg:1: expected \[section\] or name = value"),
        ("[a]\nnothing\n", r"^c\.cfg:2: expected \[section\] or name = value"),
        ("[a]\nx = ${ b\n", r"^c\.cfg: a\.x: a reference .* must be the whole value"),
        ("[a]\nx = 1\n[a.x.y]\nz = 2\n", r"^c\.cfg: \[a\.x\.y\]: 'x' is a value already"),
        ("[a..b]\nx = 1\n", r"^c\.cfg: \[a\.\.b\] cannot be the name of a section"),
        ("[" + ".".join("a" * 50) + "]\nx = 1\n", r"^c\.cfg: \[a\..*cannot be the name"),
    ],
)
def test_a_bad_ini_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_ini(text, "c.cfg")


@pytest.mark.parametrize("suffix", [".yml", ".yaml"])
def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"c{suffix}"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_config(file) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.toml", b"a = 1", r"c\.toml: expected \.yml, \.yaml, \.json, \.cfg, \.ini"),
        ("c.py", b"a = 1", r"c\.py: expected \.yml"),
        ("c.yml", b"a: \xff", r"c\.yml: not UTF-8 at byte 3"),
        ("c.yml", b"a: 1\n" * 250_000, r"c\.yml: a config has at most 1000000 bytes"),
        ("c.yml", None, r"c\.yml: expected a config file, found none"),
    ],
)
def test_an_unreadable_file_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yml", "a:\n  b:\n    - x: 1\n    - y: 2\nd.e: 3\n"),
        ("c.json", '{"a":\n {"b":\n [{"x": 1},\n {"y": 2}]},\n "d.e": 3}'),
    ],
)
@pytest.mark.parametrize(
    ("path", "line"), [("a.b.1.y", 4), ("a.b.1.z", 4), ("a.q", 1), ("d.e", 5), ("q", None)]
)
def test_an_error_names_the_line_of_its_path(
    tmp_path: Path, name: str, text: str, path: str, line: int | None
) -> None:
    file = tmp_path / name
    file.write_text(text)
    error = name_place(ConfigError(f"{path}: wrong"), [file])
    assert str(error) == f"{file}:{line}: {path}: wrong".replace(":None", "")


def test_an_error_names_the_line_in_an_ini(tmp_path: Path) -> None:
    file = tmp_path / "c.cfg"
    file.write_text("[a]\nb = 1\n\n[a.c]\nd : 2\n")
    assert str(name_place(ConfigError("a.c.d: no"), [file])) == f"{file}:5: a.c.d: no"
    assert str(name_place(ConfigError("a.b: no"), [file])) == f"{file}:2: a.b: no"


def test_the_last_file_that_has_the_path_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / "one.yml", tmp_path / "two.yml", tmp_path / "bad.yml"]
    for path, text in zip(paths, ["a: 1\nb: 1\n", "b: 2\n", "[\n"], strict=True):
        path.write_text(text)
    assert str(name_place(ConfigError("a: no"), paths)) == f"{paths[0]}:1: a: no"
    assert str(name_place(ConfigError("b: no"), paths)) == f"{paths[1]}:1: b: no"
    assert str(name_place(ConfigError("c: no"), paths)) == "c: no"


@pytest.mark.parametrize("message", ["--a.b: no", "{file}:1: no"])
def test_an_error_that_has_a_place_keeps_it(tmp_path: Path, message: str) -> None:
    file = tmp_path / "c.yml"
    file.write_text("a: 1\n")
    message = message.format(file=file)
    assert str(name_place(ConfigError(message), [file])) == message
