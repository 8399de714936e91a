"""edspipe.blank and edspipe.load: an empty pipeline, and one that was saved or described."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.serialization import (
    CONFIG,
    PIPES,
    check_folder,
    read_meta,
    read_model_config,
    read_pipes,
)

CONFIG_SUFFIXES = (".yml", ".yaml", ".json", ".cfg", ".ini")


def blank(lang: str = "eds", **kwargs: Any) -> Pipeline:
    """Return a pipeline without pipes.

    Args:
        lang: `"eds"` for the fast clinical tokenizer, or a language code of spaCy.
        **kwargs: As of `Pipeline`.

    Raises:
        ConfigError: The language does not exist.
    """
    return Pipeline(lang, **kwargs)


def load(model: str | Path) -> Pipeline:
    """Load a saved pipeline, an installed model package, or build a pipeline from a config.

    Nothing that comes with a model is run: components are looked up among the registered ones.

    Args:
        model: A folder of `nlp.to_disk`, the name of an installed package, or a config file.

    Raises:
        CheckpointError: The folder is not a whole model, or a file of it is damaged.
        ConfigError: The config is wrong; the message names path and file.
    """
    path = Path(model)
    if path.suffix in CONFIG_SUFFIXES and not path.is_dir():
        return Pipeline.from_config(path)
    if not path.exists() and str(model).isidentifier() and (found := _package_folder(str(model))):
        path = found
    return load_folder(path)


def load_folder(path: Path) -> Pipeline:
    """Load a folder of `nlp.to_disk`, strictly.

    Raises:
        CheckpointError: The folder is not a whole model, or a file of it is damaged.
    """
    folder = check_folder(path)
    try:
        nlp = Pipeline.from_config(
            read_model_config(folder), meta=read_meta(folder), source=folder / PIPES
        )
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    except Exception as error:
        raise CheckpointError(
            f"{folder}: a component cannot be built from it ({type(error).__name__}: {error})"
        ) from error
    read_pipes(nlp, folder)
    nlp.train(False)
    return nlp


def _package_folder(name: str) -> Path | None:
    """Find the model inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(name)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        for config in sorted(Path(location).glob("**/config.yml")):
            return config.parent
    return None
