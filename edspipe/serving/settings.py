"""Settings of the registry: under which name a model is kept, and what is said of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edspipe.errors import ConfigError, refuse_unknown
from edspipe.optional import require
from edspipe.training.loggers.mlflow import read_tags
from edspipe.training.loggers.mlflow_store import check_store, quiet, refuse_folder

REGISTER = "register"
"""The block of a config, the extra, and the command."""
_NAME = re.compile(r"(?!\s)[\w\-. ]{1,250}(?<!\s)")
_ALIAS = re.compile(r"[\w\-]{1,250}")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


@dataclass(frozen=True)
class RegisterSettings:
    """What is said of a model that is registered.

    Attributes:
        name: The name of the registered model; each registration makes a new version of it.
        alias: A name for this version, as `"champion"`; it is taken from the version that had it.
        description: What MLflow shows as the description of the version.
        tags: Tags of the version.
        with_onnx: Keep an ONNX file beside the model.
        tracking_uri: The store; None is the one that the training logged to.

    Raises:
        ConfigError: A name, an alias or a tag is not one that MLflow takes, a value is no text, or
            the store is a folder.
    """

    name: str
    alias: str | None = None
    description: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    with_onnx: bool = False
    tracking_uri: str | None = None

    @classmethod
    def of(cls, block: Any) -> RegisterSettings:
        """Read the block `register:` of a config.

        Raises:
            ConfigError: A key does not exist, or a value is wrong.
        """
        if not isinstance(block, Mapping):
            raise ConfigError(f"{REGISTER}: expected a block with a name, got {block!r}")
        known = [one.name for one in dataclasses.fields(cls)]
        refuse_unknown(block, known, REGISTER, "Its keys are")
        if "name" not in block:
            raise ConfigError(f"{REGISTER}.name: missing; it is the name of the registered model")
        tags = block.get("tags") or {}
        return cls(**{**block, "tags": dict(tags) if isinstance(tags, Mapping) else tags})

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{REGISTER}.name: expected letters, digits, blanks, '-', '_' and '.', got "
                f"{self.name!r}"
            )
        self._check_alias()
        if not isinstance(self.tags, Mapping):
            raise ConfigError(f"{REGISTER}.tags: expected a table, as {{team: x}}")
        read_tags(self.tags, f"{REGISTER}.tags")
        for key in ("description", "tracking_uri"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{REGISTER}.{key}: expected a text, got {value!r}")
        if not isinstance(self.with_onnx, bool):
            raise ConfigError(f"{REGISTER}.with_onnx: expected true or false")
        refuse_folder(self.tracking_uri)

    def _check_alias(self) -> None:
        alias = self.alias
        if alias is None:
            return
        if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or _RESERVED.fullmatch(alias):
            raise ConfigError(
                f"{REGISTER}.alias: expected letters, digits, '-' and '_', and neither 'latest' "
                f"nor the number of a version; got {alias!r}"
            )

    def check(self) -> None:
        """Look whether a model could be registered now: libraries are there, and a server answers.

        Raises:
            MissingExtraError: A library is not installed.
            ConfigError: The store cannot be used.
        """
        require_libraries(self.with_onnx)
        if self.tracking_uri is not None:
            check_store(self.tracking_uri)


def require_libraries(with_onnx: bool = False) -> Any:
    """Import what a registration needs; return the module `mlflow.pyfunc`.

    Raises:
        MissingExtraError: A library is not installed.
    """
    for module in ("mlflow", "sqlalchemy", "pandas"):
        with quiet():
            require(module, REGISTER, "registering a model")
    for module in ("onnx", "onnxscript", "onnxruntime") if with_onnx else ():
        require(module, "export", "registering a model with_onnx")
    with quiet():
        return require("mlflow.pyfunc", REGISTER, "registering a model")
