"""From components back to configs that build them again, to the letter."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from confit.utils.xjson import Reference
from hypothesis import given
from hypothesis import strategies as st

import edspipe
import edspipe.pipes as eds
from edspipe.config.files import parse_yaml
from edspipe.config.serialize import Config, to_config
from edspipe.errors import ConfigError

TRICKY = [
    "None",
    "1e3",
    "5",
    "",
    "~",
    "true",
    ".inf",
    "${ a }",
    "${x",
    "a, b",
    "a: b",
    "# c",
    "- d",
]
TRICKY += ["'q'", '"', "a\nb", " x ", "é€𝒜", "\u2028", "\t", "@x", "%y", "0x1", "[1]", "{", "\\n"]


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_reads_back_as_itself(text: str) -> None:
    config = Config({"a": text, "b": [text], "c": Config({text or "k": 1})})
    assert parse_yaml(config.to_yaml_str()) == config


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t\"'${}")))
def test_any_text_reads_back_as_itself(text: str) -> None:
    assert parse_yaml(Config({"a": text}).to_yaml_str()) == {"a": text}


@pytest.mark.parametrize(
    "value",
    [1, -2, 1.5, 1e-7, 1e22, math.inf, -math.inf, None, True, [], [[1], []], Reference("b")],
)
def test_a_value_reads_back_as_itself(value: Any) -> None:
    assert parse_yaml(Config({"a": value, "b": 1}).to_yaml_str())["a"] == value


def test_a_list_that_stands_twice_is_written_so_that_it_can_be_read() -> None:
    labels = ["A", "B"]
    config = Config({"a": Config({"x": labels}), "b": Config({"x": labels})})
    assert edspipe.config.schema.link(parse_yaml(config.to_yaml_str())) == config


def test_plain_values_are_described_as_they_are() -> None:
    value = {"a": [1, "x", None, True, 2.5], "b": (1, 2), "c": Path("d/e"), "f": Reference("a")}
    described = {"a": [1, "x", None, True, 2.5], "b": [1, 2], "c": "d/e", "f": Reference("a")}
    assert to_config(value, "here", {}) == described


@pytest.mark.parametrize("value", [object(), {1, 2}, len, b"x"])
def test_what_has_no_description_is_refused_with_its_path(value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(ConfigError, match=rf"^a\.b\.1: a config holds plain values .* is a {kind}"):
        to_config([1, value], "a.b", {})


def test_a_draft_is_described_as_what_it_will_be() -> None:
    assert to_config(eds.sentences(check_capitalized=False), "a", {}) == {
        "@factory": "eds.sentences",
        "check_capitalized": False,
    }


def test_the_config_of_a_pipeline_builds_it_again(tiny_nlp: edspipe.Pipeline) -> None:
    again = edspipe.Pipeline.from_config(tiny_nlp.config)
    assert again.config == tiny_nlp.config
    assert again.pipe_names == ["ner"]
    assert type(again.pipes.ner.embedding.embedding) is type(tiny_nlp.pipes.ner.embedding.embedding)


def test_the_printed_yaml_builds_it_again(tiny_nlp: edspipe.Pipeline) -> None:
    again = edspipe.Pipeline.from_config(tiny_nlp.config.to_yaml_str())
    assert again.config == tiny_nlp.config


def test_the_config_written_to_disk_builds_it_again(
    tiny_nlp: edspipe.Pipeline, tmp_path: Path
) -> None:
    for name in ("c.yml", "c.cfg"):
        tiny_nlp.config.to_disk(tmp_path / name)
        assert edspipe.load(tmp_path / name).config == tiny_nlp.config


@pytest.mark.parametrize("config", [dict, MappingProxyType, lambda config: config["nlp"]])
def test_a_config_may_be_a_plain_dict_or_the_block_alone(
    tiny_nlp: edspipe.Pipeline, config: Callable[[Any], Any]
) -> None:
    again = edspipe.Pipeline.from_config(config(tiny_nlp.config))
    assert again.config == tiny_nlp.config


def test_pipes_that_are_off_stay_off() -> None:
    nlp = edspipe.blank("en")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("sentencizer")
    nlp.select_pipes(disable="sentencizer")
    again = edspipe.Pipeline.from_config(nlp.config.to_yaml_str())
    assert (again.lang, again.pipe_names) == ("en", ["sentences"])
    assert again.pipes.names == ["sentences", "sentencizer"]


@pytest.mark.parametrize("names", [("ner", "two"), ("ner-1", "x y"), ("a.b", "2")])
def test_a_shared_component_is_described_once_and_shared_again(
    encoder_dir: Path, names: tuple[str, str]
) -> None:
    nlp, shared = (
        edspipe.blank("eds"),
        eds.transformer(model=str(encoder_dir), window=32, stride=24),
    )
    for name in names:
        nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["A"]), name=name)
    text = nlp.config.to_yaml_str()
    assert text.count("eds.transformer") == 1
    again = edspipe.Pipeline.from_config(text)
    one, two = (again.get_pipe(name) for name in names)
    assert one.embedding is two.embedding
    assert again.config == nlp.config
