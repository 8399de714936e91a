"""edspipe: streaming, component-based clinical NLP.

Importing this package loads neither torch nor spaCy: each public name is imported when it is
first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edspipe.version import __version__

if TYPE_CHECKING:
    from edspipe import data, metrics, pipes
    from edspipe.cli.app import Cli
    from edspipe.config.registry import registry
    from edspipe.pipeline.loading import blank, load
    from edspipe.pipeline.pipeline import Pipeline
    from edspipe.pipeline.torch_component import TorchComponent
    from edspipe.stream.stream import Stream
    from edspipe.training.randomness import set_seed

__all__ = [
    "Cli",
    "Pipeline",
    "Stream",
    "TorchComponent",
    "__version__",
    "blank",
    "data",
    "load",
    "metrics",
    "pipes",
    "registry",
    "set_seed",
]

_HOMES = {
    "Cli": "edspipe.cli.app",
    "Pipeline": "edspipe.pipeline.pipeline",
    "Stream": "edspipe.stream.stream",
    "TorchComponent": "edspipe.pipeline.torch_component",
    "blank": "edspipe.pipeline.loading",
    "load": "edspipe.pipeline.loading",
    "registry": "edspipe.config.registry",
    "set_seed": "edspipe.training.randomness",
}
_ROOMS = ("data", "metrics", "pipes")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"edspipe.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edspipe' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
