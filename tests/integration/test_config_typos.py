"""Each key of twenty training configs, misspelt once: an error with its path and the right name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from confit.utils.xjson import Reference

import edspipe
from edspipe.config.serialize import Config
from edspipe.errors import ConfigError

app = edspipe.Cli()


@app.command(name="train", registry=edspipe.registry)
def train(
    nlp: edspipe.Pipeline,
    train_data_path: str,
    val_data_path: str,
    output_dir: Path,
    batch_size: int = 32 * 128,
    max_steps: int = 400,
    max_words: int = 0,
    lr: float = 1e-3,
    grad_max_norm: float = 5.0,
    evaluate_every: int = 100,
    num_preprocessing_workers: int = 0,
    seed: int = 42,
) -> edspipe.Pipeline:
    """Stand in for the training script, which has these arguments."""
    return nlp


def base(encoder: Path) -> dict[str, Any]:
    """A full training config, as in the folder configs."""
    transformer = {"@factory": "eds.transformer", "model": str(encoder), "window": 32, "stride": 24}
    cnn = {"@factory": "eds.text_cnn", "kernel_sizes": [3], "embedding": transformer}
    ner = {
        "@factory": "eds.ner_crf",
        "mode": "joint",
        "target_span_getter": "gold-ner",
        "window": 20,
        "embedding": cnn,
    }
    return {
        "nlp": {"@core": "pipeline", "lang": "eds", "components": {"ner": ner}},
        "train": {
            "nlp": Reference("nlp"),
            "train_data_path": "train",
            "val_data_path": "dev",
            "output_dir": "out",
            "batch_size": Reference("16 * 128"),
            "max_steps": 300,
            "lr": 1e-3,
            "evaluate_every": 50,
            "seed": 42,
        },
    }


def _ner(config: dict[str, Any]) -> dict[str, Any]:
    return config["nlp"]["components"]["ner"]


def _cnn(config: dict[str, Any]) -> dict[str, Any]:
    return _ner(config)["embedding"]


def _transformer(config: dict[str, Any]) -> dict[str, Any]:
    return _cnn(config)["embedding"]


def _without_cnn(config: dict[str, Any]) -> None:
    _ner(config)["embedding"] = _transformer(config)


def _second(config: dict[str, Any]) -> None:
    config["nlp"]["components"]["two"] = {
        "@factory": "eds.ner_crf",
        "labels": ["X"],
        "embedding": Reference("nlp.components.ner.embedding"),
    }


def _pipe(**block: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["nlp"]["components"].update(extra=block)


def _shared_section(config: dict[str, Any]) -> None:
    config["encoder"] = _cnn(config)["embedding"]
    _cnn(config)["embedding"] = Reference("encoder")


VARIANTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "plain": lambda c: None,
    "labels": lambda c: _ner(c).update(labels=["A", "B"], span_setter="ents"),
    "decoding": lambda c: _ner(c).update(window=0, stride=5, learn_transitions=False),
    "marginal": lambda c: _ner(c).update(mode="marginal", dropout=0.1, confidence=True),
    "convolutions": lambda c: _cnn(c).update(out_channels=8, activation="gelu"),
    "widths": lambda c: _cnn(c).update(output_size=16, residual=False, normalize="post"),
    "layers": lambda c: _transformer(c).update(layers=[0, -1], layer_pooling="scalar_mix"),
    "strides": lambda c: _transformer(c).update(training_stride=False, new_tokens=["x"]),
    "tokenizer": lambda c: _transformer(c).update(tokenizer=_transformer(c)["model"]),
    "no_cnn": _without_cnn,
    "shared": _second,
    "section": _shared_section,
    "sentences": _pipe(**{"@factory": "eds.sentences", "punct_chars": ["."]}),
    "capitals": _pipe(**{"@factory": "eds.sentences", "check_capitalized": False}),
    "spacy": _pipe(
        **{"@factory": "spacy", "factory": "sentencizer", "config": {"punct_chars": ["."]}}
    ),
    "language": lambda c: c["nlp"].update(lang="en"),
    "disabled": lambda c: c["nlp"].update(disable=["ner"]),
    "workers": lambda c: c["train"].update(num_preprocessing_workers=2, max_words=100),
    "clipping": lambda c: c["train"].update(grad_max_norm=1.0, lr=Reference("train.max_steps / 9")),
    "paths": lambda c: c["train"].update(output_dir=Reference('train.train_data_path + "/out"')),
}
"""What is changed in the full config."""

CHOSEN = ("ner", "two", "extra")
"""Names that the user chose: those of components."""


def keys_of(block: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each key."""
    for key, value in block.items() if isinstance(block, dict) else ():
        yield (*path, key)
        yield from keys_of(value, (*path, key))


def misspell(key: str, swap: bool) -> str:
    """Swap two letters in the middle of a name, or drop one."""
    at = len(key) // 2
    if swap:
        while key[at] == key[at - 1]:
            at += 1
        return key[: at - 1] + key[at] + key[at - 1] + key[at + 1 :]
    return key[:at] + key[at + 1 :]


def rename(config: dict[str, Any], path: tuple[Any, ...], name: str) -> dict[str, Any]:
    """Return a copy of a config with one key renamed, in its place."""
    config = deepcopy(config)
    block: Any = config
    for key in path[:-1]:
        block = block[key]
    items = [(name if key == path[-1] else key, value) for key, value in block.items()]
    block.clear()
    block.update(items)
    return config


def run(config: dict[str, Any], folder: Path) -> edspipe.Pipeline:
    """Write a config to a file, and run the command with it."""
    file = folder / "config.yml"
    file.write_text(Config(config).to_yaml_str())
    return app.main(["train", "--config", str(file)])


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_misspelt_key_is_named_with_its_path_and_the_right_one(
    variant: str, encoder_dir: Path, tmp_path: Path
) -> None:
    config = base(encoder_dir)
    VARIANTS[variant](config)
    run(config, tmp_path)
    paths = [path for path in keys_of(config) if path[-1] not in CHOSEN]
    assert len(paths) >= 18
    for path in paths:
        for swap in (False, True):
            wrong = misspell(path[-1], swap)
            with pytest.raises(ConfigError) as caught:
                run(rename(config, path, wrong), tmp_path)
            message = str(caught.value)
            where = ".".join((*path[:-1], wrong))
            assert message.startswith(f"{tmp_path / 'config.yml'}:"), message
            assert where in message or _short(path, wrong) in message, (where, message)
            assert f"Did you mean '{path[-1]}'?" in message, (where, message)


def _short(path: tuple[Any, ...], wrong: str) -> str:
    """How spaCy names a setting of its component."""
    return f"sentencizer.{wrong}" if path[-2:-1] == ("config",) else "\0"


@pytest.mark.parametrize("swap", [False, True])
def test_a_misspelt_name_of_a_component_is_found_where_it_is_used(
    encoder_dir: Path, tmp_path: Path, swap: bool
) -> None:
    config = base(encoder_dir)
    _second(config)
    wrong = misspell("ner", swap)
    message = (
        rf"nlp\.components\.two\.embedding: nothing stands at 'nlp\.components\.ner\.embedding'\. "
        rf"Did you mean 'nlp\.components\.{wrong}\.embedding'\?"
    )
    with pytest.raises(ConfigError, match=message):
        run(rename(config, ("nlp", "components", "ner"), wrong), tmp_path)


@pytest.mark.parametrize("swap", [False, True])
def test_a_misspelt_name_of_a_switched_off_component_is_found(
    encoder_dir: Path, tmp_path: Path, swap: bool
) -> None:
    config = base(encoder_dir)
    config["nlp"]["disable"] = ["ner"]
    wrong = misspell("ner", swap)
    message = rf"nlp\.disable: there is no pipe 'ner'\. Did you mean '{wrong}'\?"
    with pytest.raises(ConfigError, match=message):
        run(rename(config, ("nlp", "components", "ner"), wrong), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "nlp.components.ner.@factory",
            "eds.ner_cfr",
            r"@factory: no 'eds\.ner_cfr' .*eds\.ner_crf'",
        ),
        ("nlp.components.ner.mode", "jiont", r"ner\.mode: input should be 'joint', 'marginal' or"),
        ("nlp.components.ner.window", "many", r"ner\.window: .* integer.*, got 'many' \(str\)"),
        ("nlp.components.ner.embedding.activation", "rellu", r"embedding.*rellu"),
        ("nlp.components.ner.embedding.embedding.window", 999, r"embedding\.embedding.*do not fit"),
        (
            "nlp.components.ner.embedding.embedding.model",
            "/no",
            r"embedding\.model: expected the fol",
        ),
        ("train.max_steps", "many", r"train\.max_steps: .*integer.* got 'many' \(str\)"),
        ("train.lr", [1], r"train\.lr: .*number.* got \[1\] \(list\)"),
        ("train.seed", "x", r"train\.seed: expected a whole number, got 'x'"),
        ("train.seed", -1, r"train\.seed: a seed is 0 to"),
        (
            "train.output_dir",
            Reference("train.outptu"),
            r"train\.output_dir: nothing .* mean 'train\.",
        ),
    ],
)
def test_a_wrong_value_is_named_with_path_expectation_value_and_line(
    encoder_dir: Path, tmp_path: Path, path: str, value: Any, message: str
) -> None:
    config = base(encoder_dir)
    block: Any = config
    *above, last = path.split(".")
    for key in above:
        block = block[key]
    block[last] = value
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/config\.yml:\d+: .*{message}"):
        run(config, tmp_path)


def test_the_good_config_runs(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = run(base(encoder_dir), tmp_path)
    assert nlp.pipe_names == ["ner"]
    assert isinstance(next(nlp.parameters()), torch.nn.Parameter)
