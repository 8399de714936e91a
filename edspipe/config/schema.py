"""Configs from files, checked before anything is built, and every error with its path.

A config is data. Reading one runs no code: no YAML tags, no aliases that multiply, no expression
beyond arithmetic, and only names that are registered.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from confit import Config
from confit.errors import ConfitValidationError, CyclicReferenceError, MissingReference
from confit.utils.xjson import Reference, loads

from edspipe.config.draft import config_error
from edspipe.config.expressions import check_expression
from edspipe.config.registry import Registry, registry
from edspipe.errors import ConfigError, did_you_mean

MAX_BYTES = 1_000_000
"""A config is written by hand: a larger file is something else."""
MAX_VALUES = 100_000
"""Values after aliases are followed: more is a bomb."""
MAX_DEPTH = 40
"""Levels of nesting."""

_PLAIN_TAGS = ("tag:yaml.org,2002:", "!")


def read_config(path: str | Path) -> Config:
    """Read a config from YAML (`.yml`, `.yaml`), JSON (`.json`) or INI (`.cfg`, `.ini`).

    Raises:
        ConfigError: The file is missing, too large, not of these kinds, or not well formed; the
            message names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: expected a config file, found none")
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{path}: a config has at most {MAX_BYTES} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    if path.suffix in (".yml", ".yaml", ".json"):
        return parse_yaml(text, str(path))
    if path.suffix in (".cfg", ".ini"):
        return parse_ini(text, str(path))
    raise ConfigError(f"{path}: expected .yml, .yaml, .json, .cfg or .ini")


def parse_ini(text: str, file: str = "<config>") -> Config:
    """Parse sections `[train.optimizer]` with values in the same notation as YAML's.

    Raises:
        ConfigError: The text is not well formed.
    """
    try:
        return Config.from_cfg_str(text)
    except configparser.Error as error:
        raise ConfigError(f"{file}: {str(error).splitlines()[0]}") from None
    except (AssertionError, AttributeError, TypeError, RecursionError, ValueError):
        raise ConfigError(f"{file}: a section or a value cannot be read") from None


def parse_yaml(text: str, file: str = "<config>") -> Config:
    """Parse YAML (or JSON) into a config; `${ a.b }` becomes a reference.

    Raises:
        ConfigError: The text is not well formed, or holds tags, double keys, or too many values.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "the file is not valid YAML"
        raise ConfigError(f"{file}{line}: {problem}") from None
    except RecursionError:
        raise ConfigError(f"{file}: nested deeper than {MAX_DEPTH} levels") from None
    if root is None:
        return Config()
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{file}:1: expected sections (name: value), found none")
    return _Builder(file).build(root, 0)


class _Builder:
    """Turns YAML nodes into plain values, counting them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.num_values = 0

    def fail(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{self.file}:{node.start_mark.line + 1}: {message}")

    def build(self, node: yaml.Node, depth: int) -> Any:
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            raise self.fail(node, f"more than {MAX_VALUES} values once aliases are followed")
        if depth > MAX_DEPTH:
            raise self.fail(node, f"nested deeper than {MAX_DEPTH} levels")
        if not node.tag.startswith(_PLAIN_TAGS[0]) or ":python/" in node.tag:
            raise self.fail(node, f"the tag {node.tag.rpartition(':')[2]} is not allowed")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> Config:
        result = Config()
        for key_node, value_node in node.value:
            key = self.build(key_node, depth + 1)
            if not isinstance(key, (str, int)):
                raise self.fail(key_node, "a name is expected before the colon")
            if key in result:
                raise self.fail(key_node, f"'{key}' stands twice in one section")
            result[key] = self.build(value_node, depth + 1)
        return result

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style is not None or node.value == "":
            return node.value if node.style is not None else None
        try:
            return loads(node.value)
        except (RecursionError, MemoryError, ValueError, SyntaxError):
            raise self.fail(node, "the value cannot be read") from None


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every (path, value) of a config, containers before what they hold."""
    yield path, value
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        yield from walk(item, (*path, str(key)))


def registry_kinds() -> list[str]:
    """The names that may follow `@` in a config."""
    return [key for key, value in vars(registry).items() if isinstance(value, Registry)]


def check_config(config: Any, root: Any, path: tuple[str, ...] = ()) -> None:
    """Check expressions and registered names of a config, building nothing.

    Args:
        config: The part to check.
        root: The whole config, which references refer to.
        path: Where the part stands in it.

    Raises:
        ConfigError: With the path of the first value that is wrong.
    """
    kinds = registry_kinds()
    for where, value in walk(config, path):
        loc = ".".join(where)
        if isinstance(value, Reference):
            check_expression(value, root, loc)
        if not isinstance(value, dict):
            continue
        marked = [key for key in value if isinstance(key, str) and key.startswith("@")]
        if len(marked) > 1:
            raise ConfigError(f"{loc}: one '@' name at most in a block, got {', '.join(marked)}")
        for key in marked:
            _check_name(key, value[key], kinds, f"{loc}.{key}" if loc else key)


def _check_name(key: str, name: Any, kinds: list[str], loc: str) -> None:
    if key[1:] not in kinds:
        raise ConfigError(
            f"{loc}: no registry is called '{key}'."
            f"{did_you_mean(key, ['@' + kind for kind in kinds])}"
        )
    if not isinstance(name, str):
        raise ConfigError(f"{loc}: expected a registered name, got {type(name).__name__}")
    names = getattr(registry, key[1:])
    if name not in names:
        raise ConfigError(
            f"{loc}: no '{name}' among the registered {key[1:]} names."
            f"{did_you_mean(name, names.names())} A component of your own must be imported "
            "before a config can name it (import my_module, or --import my_module)"
        )


def resolve(config: Any, root: Any = None, path: tuple[str, ...] = ()) -> Any:
    """Build what a config describes: references followed, registered names called.

    Args:
        config: The part to build.
        root: The whole config, if `config` is a part of one.
        path: Where the part stands in it.

    Raises:
        ConfigError: With the full path of what is wrong, the expected type, and the value.
    """
    root = config if root is None else root
    check_config(root, root)
    where = ".".join(path)
    try:
        return Config.resolve(config, registry=registry, root=root)
    except ConfitValidationError as error:
        raise config_error(error, where) from None
    except MissingReference as error:
        raise _missing_reference(error, root) from None
    except CyclicReferenceError:
        raise ConfigError(f"{where or 'config'}: a value refers to itself") from None
    except (RuntimeError, ArithmeticError, SyntaxError) as error:
        raise ConfigError(f"{where or 'config'}: an expression failed: {error}") from None


def _missing_reference(error: MissingReference, root: Any) -> ConfigError:
    wanted = error.ref.value.strip()
    places = [".".join(path) for path, value in walk(root) if path]
    where = [
        ".".join(path)
        for path, value in walk(root)
        if isinstance(value, Reference) and value.value.strip() == wanted
    ]
    return ConfigError(
        f"{where[0] if where else 'config'}: nothing stands at '{wanted}'."
        f"{did_you_mean(wanted, places)}"
    )
