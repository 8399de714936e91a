"""`--import MODULE`: code of one's own, whose registered names a config may then use."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from edspipe.errors import ConfigError


def import_module(name: str) -> None:
    """Import a module that the user named on the command line; the current folder is searched too.

    Raises:
        ConfigError: There is no such module.
    """
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"--import: no module '{name}' in {here}, nor installed") from None
    finally:
        if added:
            sys.path.remove(here)
