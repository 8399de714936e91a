"""Loading an encoder and its tokenizer from a folder or a hub, quietly and without running code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from edspipe.errors import ConfigError


@dataclass(frozen=True)
class SavedEncoder:
    """An encoder inside a saved pipe: its config and tokenizer; the weights come with the pipe's.

    Attributes:
        folder: The folder.
    """

    folder: Path


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the bars and load reports of transformers, and set them back."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def load_encoder(model: str | Path | SavedEncoder) -> PreTrainedModel:
    """Load an encoder in fp32, in training mode, without a pooler that would get no gradient.

    Raises:
        ConfigError: There is no such model; the message says where it was looked for.
    """
    with quiet_transformers(), _explain(model):
        if isinstance(model, SavedEncoder):
            config = AutoConfig.from_pretrained(model.folder, trust_remote_code=False)
            encoder = AutoModel.from_config(
                config, dtype=torch.float32, trust_remote_code=False, **_without_pooler(config)
            )
        else:
            config = AutoConfig.from_pretrained(_place(model), trust_remote_code=False)
            encoder = AutoModel.from_pretrained(
                _place(model),
                config=config,
                dtype=torch.float32,
                trust_remote_code=False,
                **_without_pooler(config),
            )
    return encoder.train()


def enable_checkpointing(encoder: PreTrainedModel) -> None:
    """Compute activations of the encoder's layers again in the backward pass, not keep them."""
    new_name = getattr(encoder, "activation_checkpointing_enable", None)
    (new_name or encoder.gradient_checkpointing_enable)()


def load_tokenizer(model: str | Path | SavedEncoder, **kwargs: Any) -> Any:
    """Load a fast tokenizer.

    Raises:
        ConfigError: There is none, or it is not a fast one.
    """
    place = model.folder if isinstance(model, SavedEncoder) else _place(model)
    with quiet_transformers(), _explain(model):
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **kwargs)
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(
            f"{place}: a fast tokenizer (tokenizer.json) is needed, for the offsets of its pieces"
        )
    return tokenizer


def _place(model: str | Path) -> str:
    """A folder is taken as it is; a name that looks like a path must exist."""
    text = str(model)
    if Path(text).is_dir():
        return str(Path(text))
    if isinstance(model, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1:
        raise ConfigError(f"model: expected the folder of an encoder, and {text} is none")
    return text


@contextlib.contextmanager
def _explain(model: Any) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        where = model.folder if isinstance(model, SavedEncoder) else model
        raise ConfigError(
            f"model: no encoder could be read from '{where}', neither as a folder nor from the "
            f"model hub ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from None


def _without_pooler(config: Any) -> dict[str, bool]:
    """Return the argument that leaves the pooler out, for the families that have one."""
    with_pooler = ("bert", "roberta", "camembert", "xlm-roberta", "electra-with-pooler")
    return {"add_pooling_layer": False} if config.model_type in with_pooler else {}


def max_pieces(config: Any) -> int | None:
    """Return the longest input of an encoder, specials included; None if it has no limit.

    RoBERTa's positions begin after the padding index, so that two of its 514 are not usable.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    if config.model_type in ("roberta", "camembert", "xlm-roberta", "longformer"):
        return positions - config.pad_token_id - 1
    return positions


def special_pieces(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """Return the specials before a text, after it, and between a prompt and a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
    prefix, suffix = full[:at], full[at + len(bare) :]
    pair = tokenizer("a", "a", add_special_tokens=True)["input_ids"]
    between = pair[at + len(bare) : len(pair) - len(bare) - len(suffix)]
    return prefix, suffix, between
