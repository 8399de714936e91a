"""Rule pipes inside spaCy have the arguments, and the defaults, of the pipes themselves."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from spacy.language import Language

import edspipe.pipeline.spacy_bridge as bridge
from edspipe.config.registry import registry

FACTORIES = sorted(name for name in vars(bridge) if name.startswith("edspipe_"))


def plain(value: Any) -> Any:
    """Return a default as a config would have it: tuples are lists."""
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("factory", FACTORIES)
def test_arguments_and_defaults_are_those_of_the_pipe(factory: str) -> None:
    pipe = registry.factory.get(f"eds.{factory.removeprefix('edspipe_')}")
    wanted = {
        name: parameter.default
        for name, parameter in inspect.signature(pipe).parameters.items()
        if name not in ("nlp", "name")
    }
    known = inspect.signature(getattr(bridge, factory)).parameters
    assert set(known) - {"nlp", "name"} == set(wanted)
    defaults = Language.get_factory_meta(factory).default_config
    optional = {k: plain(v) for k, v in wanted.items() if v is not inspect.Parameter.empty}
    assert defaults == optional
