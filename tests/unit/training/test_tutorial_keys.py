"""The settings of `train.py`, said as those of the trainer."""

from __future__ import annotations

from typing import Any

import pytest
from confit import Config

from edspipe.errors import ConfigError
from edspipe.training.tutorial_keys import KEYS, resolve_tutorial_keys


def resolved(train: dict[str, Any], **more: Any) -> Any:
    return resolve_tutorial_keys(Config({"nlp": {}, **more, "train": train}))["train"]


def test_a_config_without_them_is_as_it_was() -> None:
    config = Config({"train": {"train_data": 1, "batch_size": 8}})
    assert resolve_tutorial_keys(config) == config
    assert resolve_tutorial_keys({}) == {}


def test_folders_become_training_data() -> None:
    train = resolved(
        {"train_data_path": "a", "val_data_path": "b", "max_words": 40, "batch_size": 300, "lr": 1}
    )
    assert not set(KEYS) & set(train)
    assert train["lr"] == 1
    assert "batch_size" not in train
    data, val = train["train_data"], train["val_data"]
    assert data["batch_size"] == "300 tokens"
    assert data["only_with"] == "ents"
    assert data["pipes"] == [{"@factory": "eds.split", "regex": "\n\n", "max_length": 40}]
    assert val["pipes"] == [{"@factory": "eds.split", "regex": "\n\n", "max_length": 0}]
    for block, path in ((data, "a"), (val, "b")):
        stream = dict(block["stream"])
        assert str(stream.pop("tokenizer")) == "${nlp}"
        assert stream == {"@readers": "standoff", "path": path, "span_setter": ["ents", "gold-ner"]}


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, "4096 tokens"), (7, "7 tokens"), ("20 docs", "20 docs"), ("9 words", "9 words")],
)
def test_a_plain_batch_size_counts_word_pieces(size: Any, expected: str) -> None:
    block = {"train_data_path": "a", **({} if size is None else {"batch_size": size})}
    assert resolved(block)["train_data"]["batch_size"] == expected


def test_references_are_followed() -> None:
    config = Config.from_str(
        "[nlp]\n[base]\nsize = 50\n[train]\ntrain_data_path = 'a'\nbatch_size = ${base.size}\n"
    )
    found = resolve_tutorial_keys(config)["train"]["train_data"]["batch_size"]
    assert found == "50 tokens"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"train_data_path": "a", "train_data": 1},
            "train.train_data_path: give either this or tr",
        ),
        (
            {"val_data_path": "a", "val_data": 1},
            "train.val_data_path: give either this or val_data",
        ),
    ],
)
def test_both_at_once_is_an_error(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(block)


def test_the_config_that_is_given_stays_as_it_was() -> None:
    config = Config({"nlp": {}, "train": {"train_data_path": "a", "batch_size": 3}})
    before = config.to_str()
    resolve_tutorial_keys(config)
    assert config.to_str() == before
