"""A pipeline on disk: one folder, whole or not at all, and nothing in it that runs.

    MODEL/
      config.yml        what builds the pipeline again
      meta.json         language, name, versions
      pipes/<name>/     weights.safetensors and state.json, a sub-folder per inner component
      manifest.json     size and SHA-256 of every file

The tokenizer has no tables of its own (`lang` says which it is), and no string of any document is
written: a Vocab remembers the words of patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confit import Config

from edspipe import atomic
from edspipe.config.files import read_config
from edspipe.config.schema import walk
from edspipe.errors import CheckpointError
from edspipe.pipeline.json_files import read_json
from edspipe.version import __version__

CONFIG = "config.yml"
META = "meta.json"
PIPES = "pipes"
SUFFIXES = (".json", ".jsonl", ".txt", ".yml", ".safetensors", ".model", ".cfg", "")
"""Kinds of files that a model may hold: none of them can run code."""
KINDS = ("@core", "@factory", "@losses")
"""Registries whose names may stand in the config of a model."""
NAMES = ("lookups.bin",)
"""Files with other endings: spaCy's tables, in msgpack."""
_WEIGHTS = "weights.safetensors"  # as every TorchComponent calls them


def save(nlp: Any, path: Path, *, overwrite: bool = True) -> None:
    """Write a pipeline beside, then put it in place.

    Raises:
        ConfigError: A pipe cannot be described in a config.
        CheckpointError: A pipe wrote a file that could not be loaded again.
        FileExistsError: The folder holds something that is not a model, or `overwrite` is False.
    """
    is_model = (path / CONFIG).is_file() and (path / atomic.MANIFEST).is_file()
    if path.is_dir() and any(path.iterdir()) and not is_model:
        raise FileExistsError(
            f"{path} holds files, but no saved pipeline: it is not replaced. "
            "Choose another folder, or empty this one"
        )
    with atomic.write_folder(path, overwrite=overwrite) as staging:
        write_into(nlp, staging)


def write_into(nlp: Any, folder: Path) -> None:
    """Write the files of a pipeline into a folder that `atomic.write_folder` gave.

    Raises:
        ConfigError: A pipe cannot be described in a config.
        CheckpointError: A pipe wrote a file that could not be loaded again.
    """
    atomic.write_text(folder / CONFIG, nlp.config.to_yaml_str())
    atomic.write_json(folder / META, {**nlp.meta, "edspipe_version": __version__})
    written: set[int] = set()
    for name, pipe in nlp.pipes:
        if hasattr(pipe, "process"):
            pipe.to_disk(folder / PIPES / name, exclude=written)
        elif hasattr(pipe, "to_disk"):
            (folder / PIPES).mkdir(exist_ok=True)
            pipe.to_disk(folder / PIPES / name)
    _check_kinds(folder)
    read_model_config(folder)


def load_into(nlp: Any, path: Path) -> None:
    """Read weights and tables of a saved pipeline into one that has the same pipes.

    Raises:
        CheckpointError: A file is missing or damaged, or does not fit.
    """
    read_pipes(nlp, check_folder(path))


def read_pipes(nlp: Any, folder: Path) -> None:
    """As `load_into`, from a folder that was checked."""
    _check_expected(nlp, folder)
    read: set[int] = set()
    for name, pipe in nlp.pipes:
        if hasattr(pipe, "process"):
            pipe.from_disk(folder / PIPES / name, exclude=read)
        elif hasattr(pipe, "from_disk"):
            pipe.from_disk(folder / PIPES / name)


def check_folder(path: Path) -> Path:
    """Check a saved model without loading it: every file, by size and hash, and what it is.

    Returns:
        The folder to read: the model itself, or the one before if a save was cut short.

    Raises:
        CheckpointError: It is not a model folder, a file is missing, damaged, unexpected, a link,
            or of a kind that could run code.
    """
    if path.is_file():
        raise CheckpointError(
            f"{path}: a model is a folder, and this is a file. A file of torch.save is a pickle, "
            "which can run code when it is read; if you trust it, read it with "
            "torch.load(path, weights_only=False) and save it again with nlp.to_disk(folder)"
        )
    try:
        folder = atomic.find_folder(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: expected the folder of a saved model, found none") from None
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder / CONFIG}: missing, so this is not a saved model")
    _check_kinds(folder)
    atomic.verify_manifest(folder)
    return folder


def _check_kinds(folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if not file.is_dir() and file.suffix not in SUFFIXES and file.name not in NAMES:
            raise CheckpointError(
                f"{file}: a model holds {', '.join(filter(None, SUFFIXES))} files only, "
                "and none that could run code"
            )


def _check_expected(nlp: Any, folder: Path) -> None:
    """Refuse weights that no component of the pipeline would read."""
    root = folder / PIPES
    expected: set[Path] = set()
    seen: set[int] = set()
    for name, pipe in nlp.pipes:
        if hasattr(pipe, "child_components"):
            expected.update(_weight_files(pipe, root / name, seen))
    for file in sorted(root.rglob(_WEIGHTS)):
        if file not in expected:
            raise CheckpointError(
                f"{file}: unexpected weights: the pipeline has no component that they belong to"
            )


def _weight_files(component: Any, folder: Path, seen: set[int]) -> Iterator[Path]:
    if id(component) in seen:
        return
    seen.add(id(component))
    yield folder / _WEIGHTS
    for key, child in component.child_components():
        yield from _weight_files(child, folder.joinpath(*key.split(".")), seen)


def read_model_config(folder: Path) -> Config:
    """Read the config of a saved model; it may describe a pipeline and nothing else.

    Raises:
        CheckpointError: It describes something else.
        ConfigError: It is not well formed.
    """
    config = read_config(folder / CONFIG)
    if set(config) != {"nlp"}:
        raise CheckpointError(f"{folder / CONFIG}: expected the block nlp alone")
    for path, value in walk(config):
        for key in value if isinstance(value, dict) else ():
            if isinstance(key, str) and key.startswith("@") and key not in KINDS:
                where = ".".join(path)
                raise CheckpointError(f"{folder / CONFIG}: {where}.{key} has no place in a model")
    return config


def read_meta(folder: Path) -> dict[str, Any]:
    """Read the meta data of a saved model."""
    return read_json(folder / META)


def summary(nlp: Any) -> str:
    """Return what `print(nlp)` shows: pipes, parameters, trainable share."""
    lines = [f"Pipeline(lang={nlp.lang!r})"]
    for name, pipe in nlp.pipes:
        kind = getattr(getattr(pipe, "_origin", None), "factory", type(pipe).__name__)
        off = " (off)" if name in nlp.disabled else ""
        numbers = ""
        if hasattr(pipe, "parameters"):
            sizes = [(p.numel(), p.requires_grad) for p in pipe.parameters()]
            count = sum(size for size, _ in sizes)
            share = sum(size for size, train in sizes if train) / max(1, count)
            numbers = f": {count:,} parameters, {share:.0%} trainable"
        lines.append(f"  {name} [{kind}]{off}{numbers}")
    total = sum(parameter.numel() for parameter in nlp.parameters())
    lines.append(f"  {total:,} parameters in all (shared ones once)")
    return "\n".join(lines)
