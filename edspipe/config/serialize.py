"""From built components back to the config that builds them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import confit
import yaml
from confit.utils.xjson import Reference

from edspipe.config.draft import Draft, Origin
from edspipe.config.files import parse_value
from edspipe.errors import ConfigError


class Config(confit.Config):
    """A config whose YAML reads back as what was written, whatever a text looks like."""

    def to_yaml_str(self) -> str:
        """Return the config as YAML; a text that would read as something else is quoted."""
        return yaml.dump(
            confit.Config.serialize(self),
            Dumper=_Dumper,
            sort_keys=False,
            indent=4,
            allow_unicode=True,
            width=100,
        )


class _Dumper(yaml.SafeDumper):
    """Writes configs; a value that stands in two places is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    try:
        value = parse_value(text)
        reads_as_text = isinstance(value, str) and value == text
    except ValueError:
        reads_as_text = False
    style = None if reads_as_text and not set(text) & set(",'\"{}[]$\n\t") else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_reference(dumper: _Dumper, reference: Reference) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(reference))


for kind in (Config, confit.Config):
    _Dumper.add_representer(kind, _Dumper.represent_dict)
_Dumper.add_representer(tuple, _Dumper.represent_list)
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Reference, _represent_reference)


def to_config(value: Any, path: str, seen: dict[int, str]) -> Any:
    """Describe a value as config; a component that came before becomes a reference to it.

    Args:
        value: A component, draft, or plain value.
        path: Where it will stand in the config.
        seen: Paths of components by identity; filled on the way. The caller keeps the components
            alive as long as the table.

    Raises:
        ConfigError: The value has no description (an object, a lambda).
    """
    origin = value if isinstance(value, Draft) else getattr(value, "_origin", None)
    if isinstance(origin, (Draft, Origin)):
        if id(value) in seen:
            return Reference(seen[id(value)])
        seen[id(value)] = path
        block = {f"@{origin.kind}": origin.factory}
        block.update(
            {key: to_config(item, f"{path}.{key}", seen) for key, item in origin.params.items()}
        )
        return Config(block)
    if isinstance(value, dict):
        return Config({key: to_config(v, f"{path}.{key}", seen) for key, v in value.items()})
    if isinstance(value, (list, tuple)):
        return [to_config(item, f"{path}.{i}", seen) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str, Reference)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise ConfigError(
        f"{path}: a config holds plain values and registered components, and this is a "
        f"{type(value).__name__}. Register what you pass (@edspipe.registry.factory.register) "
        "or pass it by name"
    )
