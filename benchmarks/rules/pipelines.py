"""A pipeline of every rule pipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import edspipe
from edspipe.config.registry import registry

LANGS = ("en", "fr", "es")
HOME = "edspipe.pipes.rules."
FIRST = ("normalizer", "end_lines", "sentences", "sections", "tables", "dates")
LAST = ("reason", "negation", "hypothesis", "family", "history", "reported_speech")
LEFT_OUT = ("split", "explode", "filter", "umls")
"""Stream helpers, and what needs a file."""


def build_all(lang: str, options: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return a pipeline of all rule pipes, in an order in which each reads what others wrote.

    Args:
        lang: The language, for the pipes that have one.
        options: By pipe, what else it needs.
    """
    names = [
        name.removeprefix("eds.")
        for name in registry.factory
        if (registry.factory.home(name) or "").startswith(HOME)
    ]
    middle = [name for name in names if name not in (*FIRST, *LAST, *LEFT_OUT)]
    nlp = edspipe.blank("eds")
    for name in (*FIRST, *middle, *LAST):
        cls = registry.factory.get_class(f"eds.{name}")
        config = dict(options.get(name, {}))
        if "lang" in inspect.signature(cls.__init__).parameters:
            config["lang"] = lang
        nlp.add_pipe(f"eds.{name}", name=name, config=config)
    return nlp
