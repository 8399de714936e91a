from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from edspipe.demo import SAMPLE_NOTE, CorpusSummary, write_demo
from edspipe.demo.corpus import generate_corpus, write_corpus
from edspipe.errors import DataError
from edspipe.version import __version__


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CorpusSummary]:
    out = tmp_path_factory.mktemp("demo")
    return out, write_demo(out)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CorpusSummary]:
    """A demo of few notes, quick to copy."""
    out = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edspipe.demo.write_corpus", partial(write_corpus, num_train=10, num_dev=4))
        return out, write_demo(out)


@pytest.fixture
def demo(small: tuple[Path, CorpusSummary], tmp_path: Path) -> Path:
    return Path(shutil.copytree(small[0], tmp_path / "demo"))


def test_a_demo_has_notes_an_encoder_and_a_stamp(written):
    out, summary = written

    assert sorted(path.name for path in out.iterdir()) == ["demo.json", "dev", "encoder", "train"]
    assert len(list((out / "train").iterdir())) == 2 * summary.num_train == 800
    assert len(list((out / "dev").iterdir())) == 2 * summary.num_dev == 200
    assert (out / "encoder" / "model.safetensors").is_file()


def test_the_stamp_says_version_and_seed(written):
    stamp = json.loads((written[0] / "demo.json").read_text(encoding="utf-8"))

    assert (stamp["version"], stamp["seed"]) == (__version__, 7)


def test_word_pieces_are_learnt_from_training_notes_alone(written):
    out, _ = written
    vocabulary = json.loads((out / "encoder" / "tokenizer.json").read_text("utf-8"))["model"]
    train = " ".join(p.read_text("utf-8") for p in sorted((out / "train").glob("*.txt"))).lower()
    whole = [p for p in vocabulary["vocab"] if p.isascii() and p.isalpha() and len(p) > 6]

    assert len(whole) > 200
    # Accents are taken off before pieces are learnt, hence a small rest.
    assert sum(piece in train for piece in whole) > 0.8 * len(whole)


def test_a_finished_demo_is_kept_as_it_is(written):
    out, summary = written
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    assert write_demo(out) == summary
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_other_files_beside_a_finished_demo_are_left_alone(demo, small):
    (demo / "model").mkdir()

    assert write_demo(demo) == small[1]


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")

    with pytest.raises(DataError, match=r"absent or empty folder, or a finished demo.*Choose"):
        write_demo(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(DataError, match="absent or empty folder"):
        write_demo(tmp_path / "file")


def test_an_unfinished_demo_is_refused(demo):
    (demo / "demo.json").unlink()

    with pytest.raises(DataError, match=r"a finished demo with its demo\.json"):
        write_demo(demo)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1, "seed": 7}'])
def test_a_damaged_stamp_is_refused(demo, content):
    (demo / "demo.json").write_text(content)

    with pytest.raises(DataError, match=r"a finished demo with its demo\.json"):
        write_demo(demo)


def test_a_demo_of_another_seed_is_refused(demo):
    with pytest.raises(DataError, match=r"demo of version \S+, seed 8, came one of .*seed 7\. N"):
        write_demo(demo, seed=8)


def test_a_demo_of_another_version_is_refused(demo):
    stamp = json.loads((demo / "demo.json").read_text(encoding="utf-8"))
    (demo / "demo.json").write_text(json.dumps({**stamp, "version": "0.0.0"}))

    with pytest.raises(DataError, match=r"came one of version 0\.0\.0, seed 7"):
        write_demo(demo)


@pytest.mark.parametrize("name", ["train/en_0001.ann", "dev/en_0006.txt", "encoder/config.json"])
def test_a_changed_demo_is_refused(demo, name):
    with (demo / name).open("a", encoding="utf-8") as file:
        file.write("\n")

    with pytest.raises(DataError, match="changed since it was written"):
        write_demo(demo)


def test_a_demo_with_a_lost_note_is_refused(demo):
    (demo / "train" / "en_0001.txt").unlink()

    with pytest.raises(DataError, match="changed since it was written"):
        write_demo(demo)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_sample_notes_are_new(language):
    corpus = generate_corpus(num_train=50, num_dev=2)

    assert 60 <= len(SAMPLE_NOTE[language].split()) <= 120
    assert SAMPLE_NOTE[language] not in [document.note.text for document in corpus.train]
