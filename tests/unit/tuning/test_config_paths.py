"""Values of a config, set by path."""

from __future__ import annotations

from typing import Any

import pytest
from confit import Config

from edspipe.config.files import parse_yaml
from edspipe.errors import ConfigError
from edspipe.tuning.paths import set_path

TEXT = """
nlp:
    components:
        ner:
            "@factory": eds.text_cnn
            kernel_sizes: [3, 5]
train:
    nlp: ${ nlp }
    optimizer:
        "@optimizers": adamw
        lr: 1e-3
        groups:
            encoder.layer: {lr: 1e-5}
            encoder: {lr: 1e-4}
    train_data: {stream: null}
    callbacks: []
"""


@pytest.fixture
def config() -> Config:
    return parse_yaml(TEXT)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (
            "nlp.components.ner.kernel_sizes.1",
            lambda c: c["nlp"]["components"]["ner"]["kernel_sizes"][1],
        ),
        ("nlp.components.ner.residual", lambda c: c["nlp"]["components"]["ner"]["residual"]),
        ("train.nlp.components.ner.residual", lambda c: c["nlp"]["components"]["ner"]["residual"]),
        ("train.max_steps", lambda c: c["train"]["max_steps"]),
        ("train.max_words", lambda c: c["train"]["max_words"]),
        ("train.train_data.batch_size", lambda c: c["train"]["train_data"]["batch_size"]),
        ("train.optimizer.weight_decay", lambda c: c["train"]["optimizer"]["weight_decay"]),
        (
            "train.optimizer.groups.encoder.layer.lr",
            lambda c: c["train"]["optimizer"]["groups"]["encoder.layer"]["lr"],
        ),
        (
            "train.optimizer.groups.encoder.lr",
            lambda c: c["train"]["optimizer"]["groups"]["encoder"]["lr"],
        ),
    ],
)
def test_a_value_is_set_where_the_path_leads(config: Config, path: str, found: Any) -> None:
    set_path(config, path, "new")
    assert found(config) == "new"


def test_what_is_set_is_a_copy(config: Config) -> None:
    value = [1]
    set_path(config, "train.callbacks", value)
    value.append(2)
    assert config["train"]["callbacks"] == [1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trian.lr", r"trian\.lr: no 'trian' in the config\. Did you mean 'train'\? What exists"),
        ("train.lrr", r"train\.lrr: no 'lrr' in train\. Did you mean 'lr'\?"),
        (
            "nlp.components.ner.kernel_size",
            r"no 'kernel_size' in nlp\.components\.ner\. Did you mean 'kernel_sizes'\?",
        ),
        ("nlp.components.ner.kernel_sizes.2", r"no '2' in .*kernel_sizes\. What exists: 0, 1"),
        ("train.optimizer.lr.max_value", r"train\.optimizer\.lr is a value and has no 'max_value'"),
        ("train.callbacks.0", r"no '0' in train\.callbacks, which is empty"),
        ("train.optimizer.groups.head.lr", r"no 'head' in train\.optimizer\.groups"),
    ],
)
def test_a_place_that_does_not_exist_is_named(config: Config, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        set_path(config, path, 1)


def test_a_reference_to_nothing_has_no_places() -> None:
    config = parse_yaml("a: ${ b.c }\n")
    with pytest.raises(ConfigError, match="a is a value and has no 'x'"):
        set_path(config, "a.x", 1)


def test_a_factory_that_takes_any_argument_checks_them_itself(config: Config) -> None:
    set_path(config, "train.optimizer.anything", 1)
    assert config["train"]["optimizer"]["anything"] == 1
