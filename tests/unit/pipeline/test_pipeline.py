"""Pipelines: adding, finding, switching and running pipes, and what they say when it goes wrong."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.tokens import Doc
from support import TEXTS, found_spans

import edspipe
import edspipe.pipes as eds
from edspipe.config.draft import Draft
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipes.rules.sentences import Sentences
from edspipe.stream.stream import Stream

MakeNlp = Callable[..., edspipe.Pipeline]


class Mark:
    """A pipe that writes its letter into `doc.user_data`."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    def __call__(self, doc: Doc) -> Doc:
        doc.user_data["marks"] = doc.user_data.get("marks", "") + self.letter
        return doc


@pytest.fixture
def nlp() -> edspipe.Pipeline:
    """A pipeline with the pipes a, b, c, which write their letters."""
    nlp = edspipe.blank("eds")
    for letter in "abc":
        nlp.add_pipe(Mark(letter), name=letter)
    return nlp


@pytest.fixture
def factory() -> Iterator[Callable[[Any], str]]:
    """Registers a class as `test.pipe` for one test."""
    names = edspipe.registry.factory._functions

    def register(cls: Any) -> str:
        edspipe.registry.factory.register("test.pipe")(cls)
        return "test.pipe"

    yield register
    names.pop("test.pipe", None)


# ---- adding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: "eds.sentences", "sentences"),
        (lambda: eds.sentences(), "sentences"),
        (lambda: "sentencizer", "sentencizer"),
        (lambda: Sentences(name="mine"), "mine"),
        (lambda: Mark("a"), "Mark"),
        (lambda: deepcopy, "deepcopy"),
    ],
)
def test_a_pipe_is_a_name_a_draft_or_a_callable(make: Callable[[], Any], name: str) -> None:
    nlp = edspipe.blank("eds")
    pipe = nlp.add_pipe(make())
    assert nlp.pipe_names == [name]
    assert nlp.get_pipe(name) is pipe
    assert callable(pipe)
    assert not isinstance(pipe, Draft)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({}, "abcx"),
        ({"first": True}, "xabc"),
        ({"before": "b"}, "axbc"),
        ({"after": "b"}, "abxc"),
        ({"before": 0}, "xabc"),
        ({"after": 0}, "axbc"),
        ({"after": 2}, "abcx"),
    ],
)
def test_a_pipe_goes_where_it_is_told(
    nlp: edspipe.Pipeline, where: dict[str, Any], names: str
) -> None:
    nlp.add_pipe(Mark("x"), name="x", **where)
    assert "".join(nlp.pipe_names) == names
    assert nlp("one").user_data["marks"] == names


def test_config_gives_the_arguments_of_a_name() -> None:
    nlp = edspipe.blank("eds")
    pipe = nlp.add_pipe("eds.sentences", name="s", config={"punct_chars": ["|"]})
    assert (pipe.name, pipe.punct_chars) == ("s", frozenset("|"))


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (["eds.sentence"], {}, ConfigError, r"no component 'eds\.sentence'.*'eds\.sentences'\?"),
        (["sentensizer"], {}, ConfigError, r"no component .* Did you mean 'sentencizer'\?"),
        ([3], {}, TypeError, r"takes a registered name, a draft or a callable, got a int"),
        (["eds.sentences", "a"], {}, ValueError, r"a pipe 'a' already; .*name='a_2'"),
        (["eds.sentences", "stats"], {}, ValueError, r"'stats' cannot be the name of a pipe"),
        (["eds.sentences", "_x"], {}, ValueError, r"'_x' cannot be the name of a pipe"),
        (["eds.sentences", "../x"], {}, ValueError, r"'\.\./x' cannot .* a folder is named after"),
        (["eds.sentences", ".."], {}, ValueError, r"'\.\.' cannot be the name of a pipe: a folder"),
        (["eds.sentences"], {"first": True, "after": "a"}, ValueError, r"at most one of first"),
        (["eds.sentences"], {"before": "d"}, ValueError, r"no pipe 'd'\. Its pipes are: a, b, c"),
        (["eds.sentences"], {"before": 9}, ValueError, r"there is no pipe 9: the pipeline has 3"),
        (["eds.sentences"], {"after": -1}, ValueError, r"there is no pipe -1"),
        ([eds.sentences()], {"config": {"a": 1}}, ValueError, r"a draft has its arguments"),
        (["eds.sentences"], {"config": {"a": 1}}, ConfigError, r"^nlp\.components\.sentences\.a: "),
        (["sentencizer"], {"config": {"a": 1}}, ConfigError, r"^nlp\.components\.sentencizer\.con"),
        (
            ["ner"],
            {"config": {"model": {"@architectures": "x.y"}}},
            ConfigError,
            r"^nlp\.components\.ner\.config: spaCy's 'ner' refuses it: .*Could not find",
        ),
        (["spacy"], {"config": {"factory": "nerr"}}, ConfigError, r"no factory 'nerr'\. Did you"),
    ],
)
def test_a_pipe_that_cannot_be_added_is_refused(
    nlp: edspipe.Pipeline,
    args: list[Any],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        nlp.add_pipe(*args, **options)
    assert nlp.pipe_names == ["a", "b", "c"]


def test_a_constructor_may_leave_out_the_pipeline_and_the_name(
    factory: Callable[[Any], str],
) -> None:
    class Bare:
        def __init__(self, factor: int = 1) -> None:
            self.factor = factor

        def __call__(self, doc: Doc) -> Doc:
            return doc

    assert edspipe.blank("eds").add_pipe(factory(Bare), config={"factor": 2}).factor == 2


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TypeError, KeyError])
@pytest.mark.parametrize("by_config", [False, True])
def test_an_error_of_a_constructor_is_shown_as_it_is(
    factory: Callable[[Any], str], error: type[Exception], by_config: bool
) -> None:
    class Broken:
        def __init__(self, nlp: Any, name: str) -> None:
            raise error("no power")

    name = factory(Broken)
    build = (
        partial(edspipe.Pipeline.from_config, {"components": {"x": {"@factory": name}}})
        if by_config
        else partial(edspipe.blank("eds").add_pipe, name)
    )
    with pytest.raises(error, match=r"^'?no power'?$"):
        build()


# ---- finding, taking out --------------------------------------------------------------------


def test_pipes_are_found_by_name(nlp: edspipe.Pipeline) -> None:
    assert nlp.pipes.b is nlp.pipes["b"] is nlp.get_pipe("b")
    assert nlp.has_pipe("b")
    assert not nlp.has_pipe("d")
    assert [name for name, _ in nlp.pipes] == nlp.component_names == ["a", "b", "c"]
    assert [name for name, _ in nlp.pipeline] == nlp.active_names == ["a", "b", "c"]
    assert len(nlp.pipes) == 3
    assert "b" in dir(nlp.pipes)


def test_a_pipe_that_is_not_there_is_named_with_the_nearest() -> None:
    nlp = edspipe.blank("eds")
    with pytest.raises(ValueError, match=r"no pipe 'x'\. Its pipes are: none"):
        nlp.get_pipe("x")
    nlp.add_pipe("eds.sentences")
    with pytest.raises(ValueError, match=r"no pipe 'sentence'\. Did you mean 'sentences'\?"):
        nlp.get_pipe("sentence")
    with pytest.raises(AttributeError, match=r"no pipe 'sentence'\. Did you mean 'sentences'\?"):
        nlp.pipes.sentence
    with pytest.raises(AttributeError, match=r"^_x$"):
        nlp.pipes._x
    with pytest.raises(ValueError, match=r"has a pipe 'sentences' already"):
        nlp.pipes.insert(0, "sentences", None)


def test_a_removed_pipe_is_gone_and_returned(nlp: edspipe.Pipeline) -> None:
    pipe = nlp.get_pipe("b")
    nlp.select_pipes(disable="b")
    assert nlp.remove_pipe("b") is pipe
    nlp.add_pipe(pipe, name="b")
    assert nlp.pipe_names == ["a", "c", "b"]
    with pytest.raises(ValueError, match=r"no pipe 'd'"):
        nlp.remove_pipe("d")


# ---- switching on and off -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"enable": "b"}, "b"),
        ({"enable": ["a", "b"]}, "ab"),
        ({"disable": "b"}, "ac"),
        ({"disable": ["a", "b"]}, "c"),
        ({"enable": []}, ""),
        ({"disable": []}, "abc"),
    ],
)
def test_a_selection_holds_from_the_call_on_and_as_a_context_inside(
    nlp: edspipe.Pipeline, choice: dict[str, Any], names: str
) -> None:
    with nlp.select_pipes(**choice):
        assert nlp("one").user_data.get("marks", "") == names
    assert "".join(nlp.pipe_names) == "abc"
    selection = nlp.select_pipes(**choice)
    assert "".join(nlp.pipe_names) == names
    selection.restore()
    assert "".join(nlp.pipe_names) == "abc"


def test_selections_nest_and_an_error_restores(nlp: edspipe.Pipeline) -> None:
    with nlp.select_pipes(disable="a"):
        with pytest.raises(KeyError), nlp.select_pipes(enable="a"):
            raise KeyError
        assert nlp.pipe_names == ["b", "c"]
    assert nlp.pipe_names == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, r"takes either enable= or disable="),
        ({"enable": "a", "disable": "b"}, r"takes either enable= or disable="),
        ({"enable": "d"}, r"no pipe 'd'"),
        ({"disable": ["a", "d"]}, r"no pipe 'd'"),
    ],
)
def test_a_wrong_selection_is_refused(
    nlp: edspipe.Pipeline, choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nlp.select_pipes(**choice)
    assert nlp.pipe_names == ["a", "b", "c"]


def test_trainable_pipes_are_listed_while_they_are_on(tiny_nlp: edspipe.Pipeline) -> None:
    tiny_nlp.add_pipe("eds.sentences")
    assert [name for name, _ in tiny_nlp.torch_components()] == ["ner"]
    with tiny_nlp.select_pipes(disable="ner"):
        assert list(tiny_nlp.torch_components()) == []


# ---- running --------------------------------------------------------------------------------


def test_a_text_and_its_doc_give_the_same(nlp: edspipe.Pipeline) -> None:
    assert nlp("Un. Deux.").text == "Un. Deux."
    doc = nlp.make_doc("Un. Deux.")
    assert nlp(doc) is doc
    assert doc.user_data["marks"] == "abc"


def test_many_texts_are_a_stream(nlp: edspipe.Pipeline) -> None:
    stream = nlp.pipe(["one", nlp.make_doc("two")], batch_size="1 docs")
    assert isinstance(stream, Stream)
    assert [doc.text for doc in stream] == ["one", "two"]
    assert [doc.user_data["marks"] for doc in nlp.pipe(Stream.from_items(["x"]))] == ["abc"]


@pytest.mark.parametrize("lang", ["eds", "fr", "en"])
def test_a_doc_keeps_its_text_to_the_letter(lang: str) -> None:
    text = " Pas de\tfièvre.\n\nT° 38,5 "
    assert edspipe.blank(lang).make_doc(text).text == text


def test_a_pipe_that_returns_no_doc_is_named() -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(lambda doc: None, name="bad")
    with pytest.raises(Exception, match=r"pipe 'bad' must return a Doc, got NoneType"):
        nlp("one")


def test_modes_are_restored_after_inference(tiny_nlp: edspipe.Pipeline) -> None:
    ner = tiny_nlp.pipes.ner
    seen: list[tuple[bool, bool]] = []
    hook = ner.embedding.register_forward_hook(
        lambda module, *_: seen.append((module.training, torch.is_inference_mode_enabled()))
    )
    assert ner.training
    assert ner.embedding.embedding.encoder.training
    ner.embedding.eval()
    before = {name: module.training for name, module in ner.named_modules()}
    list(tiny_nlp.pipe(TEXTS))
    tiny_nlp(TEXTS[0])
    hook.remove()
    assert set(seen) == {(False, True)}
    assert {name: module.training for name, module in ner.named_modules()} == before
    assert len(set(before.values())) == 2


def test_modes_are_restored_after_an_error(tiny_nlp: edspipe.Pipeline) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no power")

    hook = tiny_nlp.pipes.ner.embedding.register_forward_hook(fail)
    with pytest.raises(Exception, match=r"no power|RuntimeError"):
        tiny_nlp(TEXTS[0])
    hook.remove()
    assert tiny_nlp.pipes.ner.training
    assert not torch.is_inference_mode_enabled()


def test_train_sets_the_mode_of_all(tiny_nlp: edspipe.Pipeline) -> None:
    assert tiny_nlp.train(False) is tiny_nlp
    assert not any(module.training for module in tiny_nlp.pipes.ner.modules())
    tiny_nlp.train()
    assert all(module.training for module in tiny_nlp.pipes.ner.modules())


# ---- spaCy both ways ------------------------------------------------------------------------


def test_a_pipe_of_spacy_works_here() -> None:
    nlp = edspipe.blank("fr")
    nlp.add_pipe("sentencizer", config={"punct_chars": ["|"]})
    assert [sent.text for sent in nlp("Un | Deux.").sents] == ["Un |", "Deux."]
    assert nlp.pipes.sentencizer.punct_chars == {"|"}
    with pytest.raises(AttributeError):
        nlp.pipes.sentencizer.nothing


def test_a_rule_of_ours_works_in_spacy() -> None:
    nlp = spacy.blank("fr")
    pipe = nlp.add_pipe("edspipe_sentences", config={"check_capitalized": False})
    assert isinstance(pipe, Sentences)
    assert [sent.text for sent in nlp("Un. deux.").sents] == ["Un.", "deux."]


def test_a_rule_of_ours_in_spacy_checks_its_arguments() -> None:
    with pytest.raises(ValueError, match="check_capitalised"):
        spacy.blank("fr").add_pipe("edspipe_sentences", config={"check_capitalised": False})


@pytest.mark.parametrize("lang", ["zz", "freench"])
def test_a_language_that_does_not_exist_is_refused(lang: str) -> None:
    with pytest.raises(ConfigError, match=rf"nlp\.lang: expected 'eds' or a .* got '{lang}'"):
        edspipe.blank(lang)


# ---- what it says of itself -----------------------------------------------------------------


def test_printing_lists_pipes_parameters_and_trainable_share(tiny_nlp: edspipe.Pipeline) -> None:
    tiny_nlp.add_pipe("eds.sentences")
    tiny_nlp.add_pipe("sentencizer")
    tiny_nlp.select_pipes(disable="sentences")
    for parameter in tiny_nlp.pipes.ner.embedding.embedding.parameters():
        parameter.requires_grad = False
    total = sum(p.numel() for p in tiny_nlp.parameters())
    share = sum(p.numel() for p in tiny_nlp.parameters() if p.requires_grad) / total
    assert str(tiny_nlp).splitlines() == [
        "Pipeline(lang='eds')",
        f"  ner [eds.ner_crf]: {total:,} parameters, {share:.0%} trainable",
        "  sentences [eds.sentences] (off)",
        "  sentencizer [spacy]",
        f"  {total:,} parameters in all (shared ones once)",
    ]
    assert 0 < share < 0.5


def test_shared_parameters_count_once(encoder_dir: Path) -> None:
    nlp, shared = (
        edspipe.blank("eds"),
        eds.transformer(model=str(encoder_dir), window=32, stride=24),
    )
    one = nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["A"]), name="one")
    two = nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["A"]), name="two")
    own = sum(p.numel() for p in two.parameters()) - sum(
        p.numel() for p in two.embedding.parameters()
    )
    total = sum(p.numel() for p in one.parameters()) + own
    assert sum(p.numel() for p in nlp.parameters()) == total
    assert f"{total:,} parameters in all" in str(nlp)


def test_meta_travels_with_the_model(tmp_path: Path) -> None:
    nlp = edspipe.Pipeline("eds", meta={"name": "demo", "version": "1.2"})
    assert nlp.meta["lang"] == "eds"
    nlp.to_disk(tmp_path / "m")
    meta = edspipe.load(tmp_path / "m").meta
    assert (meta["name"], meta["version"], meta["edspipe_version"]) == (
        "demo",
        "1.2",
        edspipe.__version__,
    )


# ---- pickles --------------------------------------------------------------------------------


def test_a_pipeline_saved_by_torch_predicts_the_same(
    tiny_nlp: edspipe.Pipeline, tmp_path: Path
) -> None:
    tiny_nlp.add_pipe("sentencizer")
    tiny_nlp.add_pipe("eds.sentences")
    tiny_nlp(TEXTS[0])
    torch.save(tiny_nlp, tmp_path / "m.pt")
    again = torch.load(tmp_path / "m.pt", weights_only=False)
    assert found_spans(again.pipe(TEXTS)) == found_spans(tiny_nlp.pipe(TEXTS))
    assert any(found_spans(again.pipe(TEXTS)))
    assert again.config == tiny_nlp.config


def test_a_pickled_pipeline_keeps_shared_components(encoder_dir: Path) -> None:
    nlp, shared = (
        edspipe.blank("eds"),
        eds.transformer(model=str(encoder_dir), window=32, stride=24),
    )
    for name in ("one", "two"):
        nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["A"]), name=name)
    again = pickle.loads(pickle.dumps(nlp))  # noqa: S301 - our own
    assert again.pipes.one.embedding is again.pipes.two.embedding


def test_loading_refuses_a_pickle_and_says_why(tiny_nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    torch.save(tiny_nlp, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"m\.pt: a model is a folder.* is a pickle, which"):
        edspipe.load(tmp_path / "m.pt")


def test_a_pipeline_can_be_saved_to_memory(nlp: edspipe.Pipeline) -> None:
    buffer = io.BytesIO()
    torch.save(edspipe.blank("eds"), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=False).lang == "eds"


# ---- configs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"langg": "eds"}, r"^nlp\.langg: unknown\. Did you mean 'lang'\?"),
        ({"lang": ["eds"]}, r"^nlp\.lang: expected a text, got \['eds'\]"),
        ({"components": 5}, r"^nlp\.components: expected names with a block each"),
        ({"components": {"x": 5}}, r"^nlp\.components\.x: expected a block with '@factory'"),
        ({"components": {5: {"@factory": "eds.sentences"}}}, r"^nlp\.components\.5: .* quote it"),
        ({"disable": 5}, r"^nlp\.disable: expected names of pipes, got 5"),
        (
            {"components": {"sent": {"@factory": "eds.sentences"}}, "disable": ["snet"]},
            r"^nlp\.disable: there is no pipe 'snet'\. Did you mean 'sent'\?",
        ),
        (
            {"components": {"x": {"@factory": "eds.sentences", "check_capitalized": "often"}}},
            r"^nlp\.components\.x\.check_capitalized: input should be a valid bool.* got 'often'",
        ),
    ],
)
def test_a_wrong_config_is_refused_with_its_path(block: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edspipe.Pipeline.from_config({"nlp": block})


def test_a_config_that_is_no_block_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^nlp: expected a block with lang and components"):
        edspipe.Pipeline.from_config({"nlp": 5})


def test_a_wrong_config_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("nlp:\n  lang: eds\n  components:\n    s:\n      '@factory': eds.sentence\n")
    message = rf"^{file}:5: nlp\.components\.s\.@factory: no 'eds\.sentence' .*'eds\.sentences'\?"
    with pytest.raises(ConfigError, match=message):
        edspipe.load(file)


def test_a_string_may_turn_a_pipe_off() -> None:
    nlp = edspipe.Pipeline.from_config(
        "nlp:\n  components:\n    s: {'@factory': eds.sentences}\n  disable: s\n"
    )
    assert nlp.pipe_names == []
