"""Optional libraries, imported where they are used, with an error that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from edspipe.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional library.

    Args:
        module: The module to import, e.g. `"matplotlib.pyplot"`.
        extra: The extra of edspipe that installs it.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: The library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"{purpose} needs the library '{module.split('.')[0]}', which is not installed. "
            f"Install it with: pip install 'edspipe[{extra}]'"
        ) from None
