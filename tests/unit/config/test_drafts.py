"""Drafts and registered names: described first, built once, every error with its path."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edspipe
from edspipe.config.draft import Draft, Origin
from edspipe.config.registry import Registry, registry
from edspipe.config.schema import merge, resolve, walk
from edspipe.errors import ConfigError, EdspipeError


class Part:
    """A component that remembers what it was built with."""

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        size: int = 1,
        inner: Any = None,
        labels: list[str] | None = None,
    ) -> None:
        self.nlp, self.name, self.size, self.inner, self.labels = nlp, name, size, inner, labels


class Pipe:
    """A pipeline, as far as drafts know one."""


@pytest.fixture
def part() -> Iterator[Any]:
    """The registered factory `test.part`."""
    registry.factory.register("test.part")(Part)
    yield registry.factory.get("test.part")
    del registry.factory._functions["test.part"]


def test_a_call_without_a_pipeline_is_a_draft(part: Any) -> None:
    draft = part(size=3, labels=["a"])
    assert isinstance(draft, Draft)
    assert repr(draft) == "test.part(size=3, labels=['a'])"


def test_a_call_with_a_pipeline_builds(part: Any) -> None:
    nlp = Pipe()
    built = part(nlp=nlp, name="x", size=3)
    assert type(built) is Part
    assert (built.nlp, built.name, built.size) == (nlp, "x", 3)


def test_a_draft_takes_keyword_arguments_only(part: Any) -> None:
    with pytest.raises(TypeError, match=r"test\.part takes keyword arguments only"):
        part(3)


def test_inner_drafts_are_built_first_wherever_they_stand(part: Any) -> None:
    nlp = Pipe()
    inner = {"a": [part(size=2), part(size=3)], "b": (part(size=4),)}
    built = part(inner=inner).build(nlp, "top")
    assert [p.size for p in built.inner["a"]] == [2, 3]
    assert isinstance(built.inner["b"], tuple)
    assert built.inner["b"][0].name == "top.inner.b.0"
    assert built.inner["a"][1].nlp is nlp


def test_a_draft_of_two_parents_is_built_once(part: Any) -> None:
    nlp, shared = Pipe(), part(size=2)
    one, two = part(inner=shared).build(nlp, "one"), part(inner=shared).build(nlp, "two")
    assert one.inner is two.inner


def test_another_pipeline_gets_a_component_of_its_own(part: Any) -> None:
    one, two, shared = Pipe(), Pipe(), part(size=2)
    assert shared.build(one) is not shared.build(two)


def test_a_component_of_a_pipeline_that_is_gone_is_not_used_again(part: Any) -> None:
    nlp, shared = Pipe(), part(size=2)
    first = shared.build(nlp)
    first.nlp = None
    del nlp
    gc.collect()
    assert shared.build(None) is not first


def test_a_built_component_knows_its_origin(part: Any) -> None:
    built = part(size=2, inner=part()).build(Pipe(), "x")
    assert isinstance(built._origin, Origin)
    assert built._origin.factory == "test.part"
    assert list(built._origin.params) == ["size", "inner"]
    assert built._origin.params["inner"] is built.inner


def test_a_component_made_by_its_class_knows_its_origin_too(part: Any) -> None:
    built = registry.factory.get_class("test.part")(nlp=Pipe(), name="x", size=2)
    assert (built._origin.factory, built._origin.params) == ("test.part", {"size": 2})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sise": 1}, r"^at\.sise: test\.part has no argument 'sise'\. Did you mean 'size'\?"),
        ({"size": "x"}, r"^at\.size: input should be a valid integer.*, got 'x' \(str\)"),
        ({"labels": [1]}, r"^at\.labels\.0: input should be a valid string, got 1 \(int\)"),
    ],
)
def test_a_wrong_argument_is_named_with_path_type_and_value(
    part: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        part(**params).build(Pipe(), "x", "at")


def test_a_wrong_argument_of_an_inner_draft_has_the_full_path(part: Any) -> None:
    draft = part(inner=[{"k": part(size="x")}])
    with pytest.raises(ConfigError, match=r"^nlp\.components\.x\.inner\.0\.k\.size: input should"):
        draft.build(Pipe(), "x", "nlp.components.x")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("size: must be even", r"^top\.inner\.size: must be even$"),
        ("no power", r"^top\.inner: no power$"),
        ("top.inner.size: no", r"^top\.inner\.size: no$"),
    ],
)
def test_an_error_of_the_constructor_gets_the_path(part: Any, message: str, said: str) -> None:
    def fails(size: int = 1) -> None:
        raise ConfigError(message)

    draft = part(inner=Draft("test.fails", fails, {}))
    with pytest.raises(ConfigError, match=said):
        draft.build(Pipe(), "x", "top")


def test_a_function_that_takes_any_argument_is_not_second_guessed() -> None:
    assert Draft("test.any", lambda **kwargs: Part(size=kwargs["b"]), {"b": 2}).build().size == 2


# ---- registries -----------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_nearest(part: Any) -> None:
    with pytest.raises(ConfigError, match=r"^no 'test\.prat' among .* Did you mean 'test\.part'\?"):
        registry.factory.get("test.prat")


def test_names_are_listed_without_being_imported() -> None:
    assert "eds.ner_crf" in registry.factory
    assert registry.factory.get_available() == list(registry.factory) == registry.factory.names()


def test_the_home_of_a_name_is_known_before_it_is_imported(part: Any) -> None:
    assert registry.readers.home("standoff") is not None
    assert registry.factory.home("eds.ner_crf") == "edspipe.pipes.trainable.ner_crf"
    assert registry.factory.home("test.part") == __name__
    assert registry.factory.home("nobody") is None


@pytest.mark.parametrize(
    ("kind", "group"), [("factory", "edspipe_factories"), ("readers", "edspipe_readers")]
)
def test_each_kind_has_its_group_of_entry_points(kind: str, group: str) -> None:
    assert Registry(kind).group == group


def test_every_kind_is_there() -> None:
    kinds = ["core", "factory", "readers", "writers", "converters", "metrics", "schedules"]
    kinds += ["optimizers", "callbacks", "loggers", "losses"]
    assert [
        kind for kind in kinds if not isinstance(getattr(edspipe.registry, kind), Registry)
    ] == []


# ---- configs to components ------------------------------------------------------------------


def test_a_block_becomes_what_it_names(part: Any) -> None:
    built = resolve({"x": {"@factory": "test.part", "size": 2}, "y": 1})
    assert isinstance(built["x"], Draft)
    assert built["x"].params == {"size": 2}
    assert built["y"] == 1


def test_two_references_to_a_block_give_one_draft(part: Any) -> None:
    config = edspipe.config.files.parse_yaml(
        "a: {'@factory': test.part}\nb:\n  '@factory': test.part\n  inner: ${ a }\nc:\n- ${ a }\n"
    )
    built = resolve(config)
    assert built["b"].params["inner"] is built["a"] is built["c"][0]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"@factory": "test.prat"}, r"^a\.x\.@factory: no 'test\.prat' .*mean 'test\.part'\?"),
        ({"@factroy": "test.part"}, r"^a\.x\.@factroy: no registry .* Did you mean '@factory'\?"),
        ({"@factory": 3}, r"^a\.x\.@factory: expected a registered name, got int"),
        ({"@factory": "test.part", "@core": "pipeline"}, r"^a\.x: one '@' name at most in a block"),
        ({"@factory": "test.part!draft"}, r"^a\.x\.@factory: no 'test\.part!draft' among"),
        ({"@factory": "os.system"}, r"^a\.x\.@factory: no 'os\.system' among"),
        ({"@core": "pipeline", "lag": "eds"}, r"^a\.x\.lag: .*"),
        ({"@core": "pipeline", "lang": ["eds"]}, r"^a\.x\.lang: input should be a valid string"),
    ],
)
def test_a_wrong_block_is_named_with_its_path(
    part: Any, block: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve({"a": {"x": block}})


def test_walking_gives_containers_before_what_they_hold() -> None:
    paths = [".".join(path) for path, _ in walk({"a": [1, {"b": 2}], "c": 3})]
    assert paths == ["", "a", "a.0", "a.1", "a.1.b", "c"]


def test_merging_changes_values_and_keeps_the_rest() -> None:
    old = {"a": {"x": 1, "y": [1]}, "b": 2}
    new = {"a": {"y": [2]}, "c": {"z": 3}, 5: 6}
    assert merge(old, new) == {"a": {"x": 1, "y": [2]}, "b": 2, "c": {"z": 3}, 5: 6}
    assert old == {"a": {"x": 1, "y": [1]}, "b": 2}


@pytest.mark.parametrize(
    ("new", "merged"),
    [
        ({"@factory": "two", "y": 1}, {"@factory": "two", "y": 1}),
        ({"@factory": "one", "y": 1}, {"@factory": "one", "x": 1, "y": 1}),
        ({"y": 1}, {"@factory": "one", "x": 1, "y": 1}),
    ],
)
def test_merging_replaces_a_block_that_names_something_else(
    new: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert merge({"a": {"@factory": "one", "x": 1}}, {"a": new}) == {"a": merged}


def test_all_errors_have_one_root(tmp_path: Path) -> None:
    with pytest.raises(EdspipeError):
        edspipe.load(tmp_path / "none.yml")
