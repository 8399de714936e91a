"""Reading the words of a language, with a user's changes.

A user changes words in three ways, all with the same rules:

- `changes`, a mapping in the shape of the file, given to a pipe;
- a folder of YAML files of the same names, given instead of a language;
- such a file that begins with `extends: fr`: the rest of it are changes to that language's file.

In changes, a list is added to: `preceding: [sans, aucun]` adds two terms, and `preceding: [-sans]`
takes one away. `{add: [...], remove: [...]}` says the same, for terms that begin with a hyphen and
for entries that are no text; `{replace: [...]}` puts a list in place of the whole one. A mapping is
merged key by key, `null` takes a key away, and any other value replaces what was there.

The files are YAML 1.2 in one respect: `no`, `yes`, `on`, `off`, `12:30` and `2020-01-01` are plain
text, as clinical words must be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.schema import SCHEMAS

FOLDER = Path(__file__).parent
EXTENDS = "extends"
LIST_CHANGES = frozenset(("add", "remove", "replace"))


def languages() -> list[str]:
    """Return the languages that have words, sorted: `["en", "es", "fr"]`."""
    return sorted(p.name for p in FOLDER.iterdir() if any(p.glob("*.yml")))


def choose_lang(lang: str | Path | None, nlp: Any, pipe: str) -> str | Path:
    """Return the language of a rule pipe: the one that was given, else its pipeline's.

    Args:
        lang: A language, a folder of word files, or None.
        nlp: The pipeline, whose `lang` is taken where none was given.
        pipe: The pipe, for the message, e.g. `"eds.negation"`.

    Raises:
        ConfigError: There is no such language, or none is known.
    """
    if lang is not None:
        _folder_of(lang)
        return lang
    own = getattr(nlp, "lang", None)
    if own in languages():
        return own
    raise ConfigError(
        f"{pipe}: expected lang=, one of {', '.join(languages())} or a folder of word files: "
        f"the pipeline's own language is {own!r}, which has no words"
    )


def load_words(name: str, lang: str | Path, changes: Mapping[str, Any] | None = None) -> Any:
    """Return the words of a file, validated.

    Args:
        name: The file without `.yml`, a key of `edspipe.lang.schema.SCHEMAS`.
        lang: A language (`"fr"`), or a folder of files of one's own.
        changes: What to add and to take away, see above.

    Returns:
        The model that `SCHEMAS[name]` names; it cannot be changed.

    Raises:
        ConfigError: There is no such language or file, it is not well formed, or a value does not
            fit; the message names the file and the path in it.
    """
    if name not in SCHEMAS:
        raise ConfigError(f"{name}: no words have this name.{did_you_mean(name, SCHEMAS)}")
    path = _folder_of(lang) / f"{name}.yml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such file: the language has no words for {name!r}")
    values = read_words_file(path)
    if changes:
        values = merge_changes(values, changes, f"changes to {path}")
    try:
        return SCHEMAS[name].model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(path, error)) from None


def read_words_file(path: Path) -> dict[str, Any]:
    """Return the values of a word file, merged onto the language that it extends, if any.

    Raises:
        ConfigError: The file is not well formed.
    """
    stat = path.stat()
    values = deepcopy(_parse(path, stat.st_mtime_ns, stat.st_size))
    extended = values.pop(EXTENDS, None)
    if extended is None:
        return values
    if extended not in languages():
        raise ConfigError(
            f"{path}: {EXTENDS}: expected one of {', '.join(languages())}; got {extended!r}"
        )
    base = FOLDER / extended / path.name
    return merge_changes(read_words_file(base) if base.is_file() else {}, values, str(path))


def merge_changes(base: dict[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values with the changes; neither argument is changed.

    Args:
        base: Values of a word file.
        changes: What to add and to take away, in the same shape.
        where: The file, for messages.

    Raises:
        ConfigError: A change does not fit, or takes away what is not there.
    """
    merged = dict(base)
    for key, change in changes.items():
        path = f"{where}: {key}"
        old = merged.get(key)
        if change is None:
            merged.pop(key, None)
        elif isinstance(old, list):
            merged[key] = _merge_list(old, change, path)
        elif isinstance(old, dict):
            if not isinstance(change, Mapping):
                raise ConfigError(f"{path}: expected a mapping; got {type(change).__name__}")
            merged[key] = merge_changes(old, change, path)
        elif isinstance(change, list) or (isinstance(change, Mapping) and _changes_list(change)):
            merged[key] = _merge_list([], change, path)
        else:
            merged[key] = merge_changes({}, change, path) if isinstance(change, Mapping) else change
    return merged


def _changes_list(change: Mapping[str, Any]) -> bool:
    return bool(change) and set(change) <= LIST_CHANGES


def _merge_list(old: list[Any], change: Any, path: str) -> list[Any]:
    if isinstance(change, Mapping):
        parts = dict(change)
    else:
        listed = change if isinstance(change, (list, tuple)) else [change]
        parts = {
            "add": [value for value in listed if not _is_removal(value)],
            "remove": [value[1:] for value in listed if _is_removal(value)],
        }
    well_formed = isinstance(change, (list, tuple)) or (
        isinstance(change, Mapping) and _changes_list(change)
    )
    if not well_formed or not all(isinstance(part, (list, tuple)) for part in parts.values()):
        raise ConfigError(
            f"{path}: expected a list, or a mapping of lists with the keys add, remove or replace"
        )
    kept = list(parts.get("replace", old))
    for value in parts.get("remove", ()):
        if value not in kept:
            raise ConfigError(f"{path}: cannot take {value!r} away: it is not in the list")
        kept.remove(value)
    return kept + [value for value in parts.get("add", ()) if value not in kept]


def _is_removal(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 1 and value[0] == "-" and not value[1].isspace()


def _folder_of(lang: str | Path) -> Path:
    if isinstance(lang, str) and lang in languages():
        return FOLDER / lang
    if Path(lang).is_dir() and (isinstance(lang, Path) or len(Path(lang).parts) > 1):
        return Path(lang)
    raise ConfigError(
        f"lang: expected one of {', '.join(languages())}, or an existing folder of word files "
        f"(with a slash in its path); got {str(lang)!r}"
    )


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which only `true`, `false`, `null` and plain numbers are not text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one mapping", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


_PLAIN = {
    "bool": (r"true|false", "tf"),
    "null": (r"null|~|", "n~"),
    "int": (r"[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789"),
    "float": (r"[-+]?[0-9]{1,18}\.[0-9]{1,18}(?:[eE][-+]?[0-9]{1,3})?", "-+0123456789"),
    "merge": (r"<<", "<"),
}
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"(?:{_pattern})\Z"),
        [*_first, ""] if _tag == "null" else list(_first),
    )


@lru_cache(maxsize=256)
def _parse(path: Path, mtime_ns: int, size_bytes: int) -> dict[str, Any]:
    """Parse a file once for each state of it."""
    try:
        values = yaml.load(path.read_bytes(), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{place}: not well-formed YAML in UTF-8: {problem}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping; got {type(values).__name__}")
    return values


def _explain(path: Path, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        lines.append(f"{place}: {problem['msg']}")
    return f"{path}: " + "; ".join(lines)
