"""edspipe profile: the config of a training run, as train.py takes it, and where its time goes."""

from __future__ import annotations

import inspect
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from edspipe.cli import profile
from edspipe.cli.main import main
from edspipe.cli.profile import profile_config
from edspipe.demo.corpus import write_corpus
from edspipe.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    write_corpus(folder, num_train=4, num_dev=3)
    return folder


@pytest.fixture
def config(corpus: Path, encoder_dir: Path, tmp_path: Path) -> Path:
    """The demo config, on a few notes and a tiny encoder."""
    text = (ROOT / "configs" / "demo.yml").read_text(encoding="utf-8")
    text = text.replace("demo_data/encoder", str(encoder_dir)).replace("demo_data", str(corpus))
    file = tmp_path / "config.yml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `profile_run` was called with; nothing is run."""
    calls: list[Any] = []

    def fake(*args: Any, **kwargs: Any) -> str:
        calls.append((args, kwargs))
        return "a report"

    monkeypatch.setattr(profile, "profile_run", fake)
    return calls


def test_a_run_is_profiled_printed_and_written(
    config: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    options = ["--steps=2", "--train.batch_size=200", "--docs", "2", f"--out={out}"]
    assert main(["profile", "--config", str(config), *options]) == 0
    printed = capsys.readouterr().out
    assert "training: 2 steps" in printed
    assert "what to try" in printed
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["training"]["num_steps"] == 2
    assert sum(stage["share"] for stage in report["training"]["timings"]["stages"]) == (
        pytest.approx(1)
    )
    assert report["inference"]["num_documents"] > 0
    written = printed + out.read_text(encoding="utf-8")
    for note in corpus.rglob("*.ann"):
        for line in note.read_text(encoding="utf-8").splitlines():
            mention = line.split("\t")[-1]
            assert len(mention) < 8 or mention not in written


def test_overrides_reach_the_run(config: Path, calls: list[Any]) -> None:
    words = ["--nlp.components.ner.window=40", "--train.batch_size", "512", "--lr=0.5"]
    assert main(["profile", f"--config={config}", *words, "--steps=7"]) == 0
    ((nlp, *_, settings), options) = calls[0]
    assert nlp.pipes.ner.window == 40
    assert (settings.batch_size, settings.lr) == (512, 0.5)
    assert options == {"num_steps": 7}


def test_later_configs_change_earlier_ones(config: Path, calls: list[Any], tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text("train:\n  num_preprocessing_workers: 2\n")
    assert main(["profile", "--config", str(config), "--config", str(more)]) == 0
    settings = calls[0][0][3]
    assert settings.num_preprocessing_workers == 2
    assert settings.batch_size == 16 * 128


def test_all_arguments_of_the_training_script_are_taken(config: Path, calls: list[Any]) -> None:
    train = runpy.run_path(str(ROOT / "train.py"))["train"]
    given = {
        name: parameter.default
        for name, parameter in inspect.signature(train).parameters.items()
        if parameter.default is not parameter.empty
    }
    assert "batch_size" in given
    profile_config([f"--config={config}", *(f"--{name}={value}" for name, value in given.items())])
    assert calls


@pytest.mark.parametrize(("num_docs", "train", "val"), [(None, 4, 3), (1, 1, 1)])
def test_documents_of_each_folder_are_limited(
    config: Path, calls: list[Any], num_docs: int | None, train: int, val: int
) -> None:
    profile_config([f"--config={config}"], num_docs=num_docs)
    _, train_docs, val_docs, _ = calls[0][0]
    assert len({doc._.parent_id for doc in train_docs}) == train
    assert len({doc._.parent_id for doc in val_docs}) == val
    assert all(doc.ents for doc in train_docs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nlp.components.ner.windw=3"], "Did you mean 'window'?"),
        (["--train.batchsize=3"], "Did you mean 'batch_size'?"),
        (["--stesp=3"], "--stesp: no 'stesp' there"),
        (["--docs=0"], "docs: expected 1 or more, got 0"),
        (["--steps=0"], "num_steps: expected 1 or more, got 0"),
        (["--train.train_data_path=nowhere"], "nowhere"),
        (["word"], "expected an option (--name value), got 'word'"),
    ],
)
def test_what_is_wrong_is_named(
    config: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", f"--config={config}", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  batchsize: 3\n", r"train\.batchsize: the command has no argument 'batchsize'"),
        ("nlp:\n  '@core': pipeline\n", "nlp: nothing uses this section"),
        ("{}", r"train\.nlp: missing; give it in the config"),
    ],
    ids=["an unknown key", "no section train", "nothing"],
)
def test_wrong_configs_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        profile_config([f"--config={file}"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["profile"], "required: --config"),
        (["profile", "--config=x", "--steps=many"], "invalid int value"),
        (["inspect", "m", "--nlp.lang=fr"], "unrecognized arguments: --nlp.lang=fr"),
    ],
)
def test_wrong_words_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
