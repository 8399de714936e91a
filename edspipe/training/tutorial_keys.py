"""The settings of `train.py`, said as those of `edspipe.train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.expressions import References
from edspipe.errors import ConfigError

KEYS = ("train_data_path", "val_data_path", "max_words")
"""What only `train.py` has; `lr`, `batch_size` and the others are settings of both."""
GOLD = "gold-ner"
"""Where `train.py` puts gold entities, besides `ents`."""
DEFAULT_BATCH = 32 * 128


def resolve_tutorial_keys(config: Mapping[str, Any]) -> Config:
    """Return a config whose block `train:` has training data in place of folders of brat files.

    Where `train_data_path` is given, a plain number as `batch_size` counts word pieces, and one as
    `max_words` cuts long documents, as in `train.py`; documents without entities are left out.

    Args:
        config: The whole config; one whose block has none of these keys is returned as it is.

    Raises:
        ConfigError: A key stands beside the one that replaces it.
    """
    train = config.get("train") or {}
    given = {key: train[key] for key in KEYS if train.get(key) is not None}
    if not given:
        return Config(config)
    block = Config({key: value for key, value in train.items() if key not in KEYS})
    for key, new in (("train_data_path", "train_data"), ("val_data_path", "val_data")):
        if key in given and block.get(new) is not None:
            raise ConfigError(f"train.{key}: give either this or {new}")
    nlp = Reference("nlp" if "nlp" in config else "train.nlp")
    if "train_data_path" in given:
        batch_size = References(config).follow(block.pop("batch_size", DEFAULT_BATCH))
        block["train_data"] = Config(
            {
                "stream": _reader(given["train_data_path"], nlp),
                "batch_size": f"{batch_size} tokens" if isinstance(batch_size, int) else batch_size,
                "pipes": [_split(given.get("max_words", 0))],
                "only_with": "ents",
            }
        )
    if "val_data_path" in given:
        block["val_data"] = Config(
            {"stream": _reader(given["val_data_path"], nlp), "pipes": [_split(0)]}
        )
    return Config({**config, "train": block})


def _reader(path: Any, nlp: Reference) -> Config:
    return Config(
        {
            "@readers": "standoff",
            "path": path,
            "tokenizer": nlp,
            "span_setter": ["ents", GOLD],
        }
    )


def _split(max_words: Any) -> Config:
    return Config({"@factory": "eds.split", "regex": "\n\n", "max_length": max_words})
