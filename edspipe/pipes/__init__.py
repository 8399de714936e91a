"""All pipes, as drafts: `import edspipe.pipes as eds`, then `eds.ner_crf(...)`.

A pipe `eds.xxx` of the registry is the function `xxx` here. Called without `nlp` it gives a draft
that `nlp.add_pipe` builds. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import did_you_mean

PREFIX = "eds."


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and PREFIX + name in registry.factory:
        return registry.factory.get(PREFIX + name)
    raise AttributeError(f"no pipe 'eds.{name}'.{did_you_mean(name, __dir__())}")


def __dir__() -> list[str]:
    return [name.removeprefix(PREFIX) for name in registry.factory if name.startswith(PREFIX)]
