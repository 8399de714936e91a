"""Functions as commands: configs, overrides, seeds, imports, and errors that say what to write."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confit
import numpy as np
import pytest
import torch

import edspipe
from edspipe.cli.overrides import check_sections, parse_options
from edspipe.config.files import parse_yaml
from edspipe.errors import ConfigError

CONFIG = """
nlp:
  "@core": "pipeline"
  lang: "eds"
  components:
    ner:
      "@factory": "eds.ner_crf"
      mode: "joint"
      target_span_getter: "gold-ner"
      window: 20
      embedding:
        "@factory": "eds.text_cnn"
        kernel_sizes: [3]
        embedding:
          "@factory": "eds.transformer"
          model: "ENCODER"
          window: 128
          stride: 96

train:
  nlp: ${ nlp }
  steps: ${ 4 * 8 }
"""


def numbers() -> tuple[float, float, float]:
    """Draw from each generator."""
    return random.random(), float(np.random.random()), float(torch.rand(1))


@pytest.fixture
def app() -> edspipe.Cli:
    """A command line with the command `train`, which returns its arguments."""
    app = edspipe.Cli()

    @app.command(name="train", registry=edspipe.registry)
    def train(nlp: edspipe.Pipeline, steps: int = 1, lr: float = 0.1, seed: int = 42) -> Any:
        """Train a pipeline."""
        return {"nlp": nlp, "steps": steps, "lr": lr, "seed": seed, "numbers": numbers()}

    return app


@pytest.fixture
def config(encoder_dir: Path, tmp_path: Path) -> str:
    """The config of the tutorial, as a file."""
    file = tmp_path / "config.yml"
    file.write_text(CONFIG.replace("ENCODER", str(encoder_dir)))
    return str(file)


def test_a_command_runs_with_a_config(app: edspipe.Cli, config: str) -> None:
    result = app.main(["train", "--config", config])
    assert result["nlp"].pipe_names == ["ner"]
    assert (result["steps"], result["lr"], result["seed"]) == (32, 0.1, 42)


def test_the_only_command_needs_no_name(app: edspipe.Cli, config: str) -> None:
    assert app.main(["--config", config])["steps"] == 32


@pytest.mark.parametrize("start", ["run", "__call__"])
def test_words_come_from_the_process(
    app: edspipe.Cli, config: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--config", config, "--steps", "7"])
    assert getattr(app, start)()["steps"] == 7


def test_run_prints_an_error_and_ends_with_code_1(
    app: edspipe.Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app.run(["--config", "none.yml"])
    assert ended.value.code == 1
    assert "ConfigError: none.yml: expected a config file, found none" in capsys.readouterr().err


def test_an_error_of_the_function_is_its_own(app: edspipe.Cli, tmp_path: Path) -> None:
    @app.command(name="fail", registry=edspipe.registry)
    def fail(kind: str) -> None:
        raise {"config": ConfigError, "other": RuntimeError}[kind]("no power")

    file = tmp_path / "c.yml"
    file.write_text("fail: {kind: config}\n")
    with pytest.raises(ConfigError, match=r"^no power$"):
        app.main(["fail", "--config", str(file)])
    with pytest.raises(RuntimeError, match=r"^no power$"):
        app.run(["fail", "--kind=other"])


@pytest.mark.parametrize("words", [["train", "--help"], ["-h"], ["--steps=2", "--help"]])
def test_help_lists_the_arguments(
    app: edspipe.Cli, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app.main(words)
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Train a pipeline."
    assert "  --steps int = 1" in lines
    assert any(line.startswith("  --nlp ") and line.endswith(" (required)") for line in lines)


def test_help_lists_the_commands_where_there_are_several(
    app: edspipe.Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    app.command(name="other", registry=edspipe.registry)(numbers)
    with pytest.raises(SystemExit) as ended:
        app.main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "train" in out
    assert "other" in out


# ---- seeds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--seed", "7"], ["--seed=7"], ["--train.seed=7"]])
def test_a_seed_seeds_everything_and_reaches_the_function(
    app: edspipe.Cli, config: str, words: list[str]
) -> None:
    first = app.main(["--config", config, *words])
    numbers()
    second = app.main(["--config", config, *words])
    assert first["seed"] == 7
    assert first["numbers"] == second["numbers"]
    assert first["numbers"] != app.main(["--config", config, "--seed=8"])["numbers"]


def test_the_seed_is_set_before_the_config_is_built(app: edspipe.Cli, config: str) -> None:
    weights = [
        next(
            iter(app.main(["--config", config, "--seed=7"])["nlp"].pipes.ner.embedding.parameters())
        )
        for _ in range(2)
    ]
    assert torch.equal(*weights)


def test_a_seed_works_for_a_function_without_the_argument() -> None:
    app = edspipe.Cli()
    app.command(name="draw", registry=edspipe.registry)(numbers)
    assert app.main(["--seed", "43"]) == app.main(["--seed", "43"])
    assert app.main(["--seed", "43"]) != app.main(["--seed", "44"])


def test_a_seed_in_the_config_or_the_default_counts(app: edspipe.Cli, config: str) -> None:
    by_default = [app.main(["--config", config])["numbers"] for _ in range(2)]
    assert by_default[0] == by_default[1]
    text = Path(config).read_text()
    Path(config).write_text(text + "  seed: 5\n")
    assert (
        app.main(["--config", config])["numbers"]
        == app.main(["--seed=5", "--config", config])["numbers"]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed"], r"^--seed: expected a whole number, got True"),
        (["--seed=x"], r"^--seed: expected a whole number, got 'x'"),
        (["--seed=-1"], r"^--seed: a seed is 0 to 4294967295, got -1"),
        (["--train.seed=1.5"], r"train\.seed: expected a whole number, got 1\.5"),
    ],
)
def test_a_wrong_seed_is_refused(
    app: edspipe.Cli, config: str, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        app.main(["--config", config, *words])


# ---- overrides ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("--nlp.components.ner.embedding.embedding.window=64", lambda r: _transformer(r).window),
        ("--train.nlp.components.ner.window=64", lambda r: r["nlp"].pipes.ner.window),
        ("--nlp.components.ner.embedding.kernel_sizes=[64]", lambda r: _kernel(r)),
        ("--nlp.components.ner.embedding.kernel_sizes.0=64", lambda r: _kernel(r)),
        ("--nlp.components.ner.stride=64", lambda r: r["nlp"].pipes.ner.stride),
        ("--train.steps=64", lambda r: r["steps"]),
        ("--steps=64", lambda r: r["steps"]),
        ("--steps=${ 8 * 8 }", lambda r: r["steps"]),
        ("--lr=64", lambda r: r["lr"]),
    ],
)
def test_an_override_reaches_its_place(
    app: edspipe.Cli, config: str, word: str, read: Callable[[Any], Any]
) -> None:
    assert read(app.main(["--config", config, word])) == 64


def _transformer(result: dict[str, Any]) -> Any:
    return result["nlp"].pipes.ner.embedding.embedding


def _kernel(result: dict[str, Any]) -> int:
    return result["nlp"].config["nlp"]["components"]["ner"]["embedding"]["kernel_sizes"][0]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--step=5", r"^--step: no 'step' there\. Did you mean 'steps'\?"),
        ("--nlp.componnts.ner.window=5", r"no 'componnts' there\. Did you mean 'components'\?"),
        ("--nlp.components.nre.window=5", r"no 'nre' there\. Did you mean 'ner'\?"),
        ("--nlp.components.ner.windw=5", r"no 'windw' there\. Did you mean 'window'\?"),
        ("--nlp.components.ner.embedding.embedding.strid=5", r"Did you mean 'stride'\?"),
        ("--nlp.components.ner.embedding.kernel_sizes.7=5", r"no '7' there\. What exists: 0$"),
        ("--nlp.lang.x=5", r"no 'x' there\. What exists: nothing"),
        ("--train.stepz=5", r"no 'stepz' there\. Did you mean 'steps'\?"),
        ("--trian.steps=5", r"no 'trian' there\."),
        ("--steps=${ 5", r"^--steps: a reference .* must be the whole value"),
        ("steps=5", r"expected an option \(--name value\), got 'steps=5'"),
        ("--", r"expected an option \(--name value\), got '--'"),
    ],
)
def test_an_override_of_nothing_is_refused_with_the_nearest_name(
    app: edspipe.Cli, config: str, word: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        app.main(["--config", config, word])


def test_options_are_split_in_three_ways() -> None:
    words = ["--a=1", "--b-c", "2", "--d", "--e", "x=y"]
    assert parse_options(words) == [("a", "1"), ("b_c", "2"), ("d", "true"), ("e", "x=y")]


def test_a_value_may_begin_with_a_minus(app: edspipe.Cli, config: str) -> None:
    assert app.main(["--config", config, "--lr", "-0.5"])["lr"] == -0.5


# ---- configs --------------------------------------------------------------------------------


def test_later_configs_change_earlier_ones(app: edspipe.Cli, config: str, tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text("train: {steps: 3}\nnlp: {components: {ner: {window: 5}}}\n")
    result = app.main(["--config", config, "--config", str(more), "--lr=2"])
    assert (result["steps"], result["lr"]) == (3, 2)
    assert result["nlp"].pipes.ner.window == 5
    assert result["nlp"].pipes.ner.target_span_getter == "gold-ner"


def test_an_error_names_the_file_that_has_it(app: edspipe.Cli, config: str, tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text("train:\n  steps: many\n")
    with pytest.raises(ConfigError, match=rf"^{more}:2: train\.steps: .*integer.*, got 'many'"):
        app.main(["--config", config, "--config", str(more)])
    more.write_text("nlp: {components: {ner: {mode: jiont}}}\n")
    with pytest.raises(ConfigError, match=rf"^{more}:1: nlp\.components\.ner\.mode: input should"):
        app.main(["--config", config, "--config", str(more)])


def test_the_printed_config_of_a_pipeline_is_a_config(
    app: edspipe.Cli, tiny_nlp: edspipe.Pipeline, tmp_path: Path
) -> None:
    file = tmp_path / "c.yml"
    file.write_text(tiny_nlp.config.to_yaml_str() + "train:\n  nlp: ${ nlp }\n  steps: 9\n")
    result = app.main(["--config", str(file)])
    assert result["steps"] == 9
    assert result["nlp"].config == tiny_nlp.config


def test_a_pipeline_may_be_given_by_its_block_alone(app: edspipe.Cli, tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("train:\n  nlp: {components: {s: {'@factory': eds.sentences}}}\n")
    assert app.main(["--config", str(file)])["nlp"].pipe_names == ["s"]


@pytest.mark.parametrize("suffix", ["json", "cfg"])
def test_a_config_may_be_json_or_ini(app: edspipe.Cli, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"c.{suffix}"
    text = {
        "json": '{"nlp": {"components": {}}, "train": {"nlp": "${ nlp }", "steps": 3}}',
        "cfg": "[nlp]\nlang = eds\n[train]\nnlp = ${ nlp }\nsteps = 3\n",
    }
    file.write_text(text[suffix])
    assert app.main(["--config", str(file)])["steps"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {nlp: {}}\ntrian: {}\n", r"c\.yml:2: trian: nothing uses this section\..*'train'"),
        ("train: {steps: 3}\n", r"c\.yml:1: train\.nlp: missing; give it in .* or as --nlp"),
        ("train: 5\n", r"c\.yml:1: train: expected a block with the arguments of the command"),
        (
            "train: {nlp: 5}\n",
            r"c\.yml:1: train\.nlp: .*expected a Pipeline or its config, got int",
        ),
        ("train: {nlp: {}, stepz: 5}\n", r"c\.yml:1: train\.stepz: .*Did you mean 'steps'\?"),
        ("train: {nlp: {lagn: x}}\n", r"c\.yml: nlp\.lagn: unknown\. Did you mean 'lang'\?"),
    ],
)
def test_a_wrong_config_is_refused(
    app: edspipe.Cli, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "c.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        app.main(["--config", str(file)])


def test_sections_that_are_referred_to_are_used() -> None:
    check_sections(parse_yaml("a: 1\nb: ${ a }\nrun: {x: '${ b }', y: 5}\n"), ["run", "b"])
    with pytest.raises(ConfigError, match=r"^a: nothing uses this section"):
        check_sections(parse_yaml("a: 1\nrun: {x: 5}\n"), ["run"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tran"], r"expected a command \(train, other\), got tran\. Did you mean 'train'\?"),
        ([], r"expected a command \(train, other\), got nothing\."),
        (["--steps=5"], r"expected a command \(train, other\), got --steps=5\."),
    ],
)
def test_the_name_of_a_command_is_needed_where_there_are_several(
    app: edspipe.Cli, words: list[str], message: str
) -> None:
    app.command(name="other", registry=edspipe.registry)(numbers)
    with pytest.raises(ConfigError, match=message):
        app.main(words)


def test_a_default_config_is_used_where_none_is_given(tmp_path: Path) -> None:
    app = edspipe.Cli()
    default = {"go": {"x": 1, "y": 2}}
    options: dict[str, Any] = {"registry": edspipe.registry, "default_config": default}

    def go(x: int = 0, y: int = 0) -> tuple[int, int]:
        return x, y

    app.command(name="go", **options)(go)
    app.command(name="merged", merge_with_default_config=True, **options)(go)
    file = tmp_path / "c.yml"
    file.write_text("go: {x: 5}\nmerged: {}\n")
    assert app.main(["go"]) == (1, 2)
    assert app.main(["go", "--y=7"]) == (1, 7)
    assert app.main(["go", "--config", str(file)]) == (5, 0)
    assert default == {"go": {"x": 1, "y": 2}}


# ---- code of one's own ----------------------------------------------------------------------


def test_a_module_that_is_imported_may_be_named(
    app: edspipe.Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_pipes_4711.py").write_text(
        "import edspipe\n\n"
        "@edspipe.registry.factory.register('my.pipe')\n"
        "class Mine:\n"
        "    def __init__(self, nlp, name, size: int = 1):\n        self.size = size\n"
        "    def __call__(self, doc):\n        return doc\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "c.yml"
    file.write_text("train: {nlp: {components: {x: {'@factory': my.pipe, size: 3}}}}\n")
    with pytest.raises(ConfigError, match=r"no 'my\.pipe' among .* --import my_module"):
        app.main(["--config", str(file)])
    result = app.main(["--config", str(file), "--import", "my_pipes_4711"])
    assert result["nlp"].pipes.x.size == 3
    del edspipe.registry.factory._functions["my.pipe"]


def test_a_module_that_is_not_there_is_named(app: edspipe.Cli) -> None:
    with pytest.raises(ConfigError, match=r"no module 'nosuch_4711' in /.*, nor installed"):
        app.main(["--import=nosuch_4711"])


def test_a_module_in_the_current_folder_is_found(
    app: edspipe.Cli, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here_4711.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    path = list(sys.path)
    app.main(["--config", config, "--import=here_4711"])
    assert sys.modules["here_4711"].__file__ == str(tmp_path / "here_4711.py")
    assert sys.path == path


def test_a_module_that_misses_another_shows_its_own_error(
    app: edspipe.Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_4711.py").write_text("import nosuch_4711\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="nosuch_4711"):
        app.main(["--import=broken_4711"])


# ---- confit's own Cli -----------------------------------------------------------------------


@pytest.fixture
def plain() -> confit.Cli:
    """confit's own command line."""
    app = confit.Cli()

    @app.command(name="train", registry=edspipe.registry)
    def train(nlp: edspipe.Pipeline, steps: int = 1) -> Any:
        return {"nlp": nlp, "steps": steps}

    return app


def test_confits_own_cli_works(
    plain: confit.Cli, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--config", config, "--nlp.components.ner.embedding.embedding.window=64"]
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    result = plain()
    assert result["steps"] == 32
    assert _transformer(result).window == 64


def test_confits_own_cli_names_the_nearest_name_below_nlp(
    plain: confit.Cli, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--config", config, "--nlp.components.ner.embedding.embedding.windw=64"]
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    message = r"embedding\.embedding\.windw: eds\.transformer has no .* Did you mean 'window'\?"
    with pytest.raises(ConfigError, match=message):
        plain()
