"""Configs from text: YAML, JSON, INI. Reading one runs no code, and ends soon.

No tags, no aliases that multiply, no depth without end; a value is a number, a text, a list, or a
reference `${ ... }`, which stays as it is here.
"""

from __future__ import annotations

import configparser
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from confit import Config
from confit.utils.collections import split_path
from confit.utils.xjson import loads

from edspipe.errors import ConfigError

MAX_BYTES = 1_000_000
"""A config is written by hand: a larger file is something else."""
MAX_VALUES = 50_000
"""Values after aliases and references are followed: more is a bomb."""
MAX_DEPTH = 40
"""Levels of nesting."""
MAX_NOTATION = 10_000
"""Characters of a value that is read as more than a text."""

INI = (".cfg", ".ini")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_SPECIAL = {"": None, "~": None, ".inf": float("inf"), "-.inf": -float("inf"), ".nan": float("nan")}
_KEYWORDS = ("true", "True", "false", "False", "null", "None", "Infinity", "NaN")
_OPENS_NOTATION = frozenset("\"'[{($+-.0123456789")


def read_config(path: str | Path) -> Config:
    """Read a config from YAML (`.yml`, `.yaml`), JSON (`.json`) or INI (`.cfg`, `.ini`).

    Raises:
        ConfigError: The file is missing, too large, not of these kinds, or not well formed; the
            message names file and line.
    """
    path = Path(path)
    parse = _PARSERS.get(path.suffix)
    if parse is None:
        raise ConfigError(f"{path}: expected {', '.join(_PARSERS)}")
    return parse(_read_text(path), str(path))


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise ConfigError(f"{path}: expected a config file, found none")
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{path}: a config has at most {MAX_BYTES} bytes")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None


# ---- values ---------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _is_text(value: str) -> bool:
    return value not in _KEYWORDS and value[0] not in _OPENS_NOTATION


def parse_value(text: str) -> Any:
    """Read one value: `3`, `1e-3`, `true`, `null`, `[1, 2]`, `"text"`, `text`, `${ a.b }`.

    Raises:
        ValueError: `${` does not begin a reference that ends with the value.
    """
    text = text.strip()
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    value: Any = text
    if not _is_text(text) and len(text) <= MAX_NOTATION:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text in brackets is a text
            value = loads(text)
    if isinstance(value, str) and text[0] not in "\"'" and "${" in text:
        raise ValueError(
            'a reference ${ ... } must be the whole value; join texts inside: ${ a.b + "/x" }'
        )
    return value


# ---- YAML -----------------------------------------------------------------------------------


def parse_yaml(text: str, file: str = "<config>") -> Config:
    """Parse YAML into a config.

    Raises:
        ConfigError: The text is not well formed, or holds tags, double keys, or too many values.
    """
    return _YamlReader(text, file).config


def _line(event: Any) -> int:
    return event.start_mark.line + 1


class _YamlReader:
    """Turns the events of a YAML text into plain values, as they come.

    Nothing is kept of a text that is too deep or too large, and no parser recurses on it.

    Args:
        text: The text.
        file: Its file, for messages.

    Attributes:
        config: The values.
        lines: The line of each path.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.lines: dict[str, int] = {}
        self.num_values = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._events = yaml.parse(text, Loader=_LOADER)
        try:
            self.config = self._document()
        except yaml.YAMLError as error:
            raise self._problem(error) from None

    def _document(self) -> Config:
        for event in self._events:
            if isinstance(event, yaml.MappingStartEvent):
                root = self._read(event, "", 0)
                rest = [e for e in self._events if isinstance(e, yaml.DocumentStartEvent)]
                if rest:
                    raise self._error(rest[0], "one document is expected, and here is another")
                return root
            if isinstance(event, yaml.NodeEvent):
                raise self._error(event, "expected sections (name: value), found none")
        return Config()

    def _problem(self, error: yaml.YAMLError) -> ConfigError:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "the file is not valid YAML"
        if mark is None:
            return ConfigError(f"{self.file}: {problem}")
        line = self.text.splitlines()[mark.line : mark.line + 1]
        if line and "${" in line[0]:
            problem += ". A reference ${ ... } cannot stand inside [ ] or { }: give it its own line"
        return ConfigError(f"{self.file}:{mark.line + 1}: {problem}")

    def _error(self, event: yaml.Event, message: str) -> ConfigError:
        return ConfigError(f"{self.file}:{_line(event)}: {message}")

    def _read(self, event: Any, path: str, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self.num_values
        self._count(event, 1)
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag not in (None, "!"):
            tag = event.tag.removeprefix("tag:yaml.org,2002:")
            raise self._error(event, f"a config is plain values: the tag {tag!r} is not allowed")
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self._mapping(path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path, depth)
        else:
            value = self._scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self.num_values - before)
        return value

    def _count(self, event: yaml.Event, number: int) -> None:
        self.num_values += number
        if self.num_values > MAX_VALUES:
            raise self._error(event, f"more than {MAX_VALUES} values once aliases are followed")

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise self._error(event, f"the alias *{event.anchor} has no value before it")
        value, number = self._anchors[event.anchor]
        self._count(event, number)
        return deepcopy(value)

    def _mapping(self, path: str, depth: int) -> Config:
        result = Config()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._read(event, path, depth + 1)
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise self._error(event, "a name is expected before the colon")
            if key == "<<":
                raise self._error(event, "'<<' is not supported: refer to values with ${ a.b }")
            if key in result:
                raise self._error(event, f"'{key}' stands twice in one section")
            below = f"{path}.{key}" if path else str(key)
            self.lines[below] = _line(event)
            result[key] = self._read(next(self._events), below, depth + 1)
        return result

    def _sequence(self, path: str, depth: int) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            below = f"{path}.{len(result)}"
            self.lines[below] = _line(event)
            result.append(self._read(event, below, depth + 1))
        return result

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.style or event.tag == "!":
            return event.value
        try:
            return parse_value(event.value)
        except ValueError as error:
            raise self._error(event, str(error)) from None


# ---- JSON and INI ---------------------------------------------------------------------------


def parse_json(text: str, file: str = "<config>") -> Config:
    """Parse JSON into a config; a text that is all `"${ ... }"` is a reference.

    Raises:
        ConfigError: The text is not well formed, holds double keys, or is nested too deep.
    """
    try:
        root = json.loads(text, object_pairs_hook=_unique_pairs)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}:{error.lineno}: {error.msg}") from None
    except RecursionError:
        raise ConfigError(f"{file}: nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not isinstance(root, Config):
        raise ConfigError(f'{file}:1: expected sections ({{"name": value}}), found none')
    try:
        return _from_json(root, 0)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None


def _unique_pairs(pairs: list[tuple[str, Any]]) -> Config:
    result = Config(dict(pairs))
    if len(result) < len(pairs):
        double = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"'{double}' stands twice in one section")
    return result


def _from_json(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return Config({key: _from_json(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list):
        return [_from_json(item, depth + 1) for item in value]
    if isinstance(value, str) and value.strip().startswith("${"):
        return parse_value(value)
    return value


def parse_ini(text: str, file: str = "<config>") -> Config:
    """Parse sections `[train.optimizer]` with values in the notation of `parse_value`.

    Raises:
        ConfigError: The text is not well formed.
    """
    # no section gives its values to all others
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(_ini_problem(error, file)) from None
    config = Config()
    for section in parser.sections():
        block = _ini_section(config, section, file)
        for key, value in parser.items(section):
            name = parse_value(key) if key[0] in "\"'" else key
            try:
                block[name] = parse_value(value)
            except ValueError as error:
                raise ConfigError(f"{file}: {section}.{key}: {error}") from None
    return config


def _ini_problem(error: configparser.Error, file: str) -> str:
    lines = [line for line, _ in getattr(error, "errors", ())]
    line = lines[0] if lines else getattr(error, "lineno", None)
    double = getattr(error, "option", None) or getattr(error, "section", None)
    problem = f"'{double}' stands twice" if double else "expected [section] or name = value"
    return f"{file}:{line}: {problem}" if line else f"{file}: {problem}"


def _ini_section(config: Config, section: str, file: str) -> Config:
    parts = split_path(section)
    if not parts or len(parts) > MAX_DEPTH or "" in parts:
        raise ConfigError(f"{file}: [{section[:80]}] cannot be the name of a section")
    block = config
    for part in parts:
        block = block.setdefault(part, Config())
        if not isinstance(block, dict):
            raise ConfigError(f"{file}: [{section}]: '{part}' is a value already")
    return block


_PARSERS = {
    ".yml": parse_yaml,
    ".yaml": parse_yaml,
    ".json": parse_json,
    ".cfg": parse_ini,
    ".ini": parse_ini,
}


# ---- where something stands -----------------------------------------------------------------


def name_place(error: ConfigError, files: Iterable[str | Path]) -> ConfigError:
    """Return an error that begins with the file and the line of what it is about.

    Args:
        error: An error whose message begins with a path in the config.
        files: The files that the config was read from; the last that has the path is named.
    """
    message = str(error)
    where = message.partition(": ")[0]
    paths = [Path(file) for file in files]
    if where.startswith("--") or any(message.startswith(f"{path}:") for path in paths):
        return error
    for path in reversed(paths):
        if (line := _line_of(path, where)) is not None:
            return ConfigError(f"{path}:{line}: {message}")
    return ConfigError(f"{paths[-1]}: {message}") if len(paths) == 1 else error


def _line_of(file: Path, where: str) -> int | None:
    """Find the line of a path, or of the last part of it that is there."""
    try:
        text = _read_text(file)
        lines = _ini_lines(text) if file.suffix in INI else _YamlReader(text, str(file)).lines
    except ConfigError:
        return None
    while where and where not in lines:
        where = where.rpartition(".")[0]
    return lines.get(where)


def _ini_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\[(.+)\]", line):
            section = header[1]
            lines[section] = number
        elif key := re.match(r"([^=:\s]+)\s*[=:]", line):
            lines[f"{section}.{key[1]}"] = number
    return lines
