"""What a saved model is, seen from outside: nothing of it is loaded, nothing is imported."""

from __future__ import annotations

from pathlib import Path

from edspipe.config.registry import registry
from edspipe.config.schema import walk
from edspipe.pipeline.serialization import check_folder, read_meta, read_model_config


def inspect_model(path: Path) -> str:
    """Say what a saved model would run, before anything of it is loaded or imported.

    Raises:
        CheckpointError: The folder is not a whole model.
        ConfigError: Its config is not well formed.
    """
    folder = check_folder(path)
    config = read_model_config(folder)
    meta = read_meta(folder)
    lines = [f"{path}: every file is as it was saved"]
    lines += [f"  {key}: {value}" for key, value in sorted(meta.items())]
    lines.append("What it would run:")
    for where, value in walk(config):
        for key in ("@core", "@factory"):
            if isinstance(value, dict) and key in value:
                lines.append(f"  {'.'.join(where)}: {value[key]}  ({_home(key, value[key])})")
    lines.append("Files:")
    lines += [
        f"  {file.relative_to(folder).as_posix()}  {file.stat().st_size:,} bytes"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    lines.append("Nothing in it is code; names above are looked up among registered components.")
    return "\n".join(lines)


def _home(key: str, name: object) -> str:
    """Say where a registered name comes from, without importing it."""
    found = getattr(registry, key[1:]).home(str(name))
    return found or "not registered here: import the code that registers it first"
