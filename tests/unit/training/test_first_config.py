"""First configs: what is looked at, which values follow, and that they run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import edspipe
from edspipe.cli.main import main
from edspipe.demo.corpus import write_corpus
from edspipe.errors import DataError
from edspipe.training.first_config import (
    ENCODERS,
    FolderProfile,
    Folders,
    choose_sizes,
    describe_parts,
    find_folders,
    first_config,
    profile_folder,
    write_first_config,
)

ROOT = Path(__file__).resolve().parents[3]
NOTE = "Pas de fièvre. Toux sèche depuis 3 jours.\n"


def write_note(folder: Path, name: str, *spans: tuple[int, int, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(NOTE)
    lines = [f"T{i}\t{label} {b} {e}\t{NOTE[b:e]}\n" for i, (b, e, label) in enumerate(spans, 1)]
    (folder / f"{name}.ann").write_text("".join(lines))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three notes to train on; spans of one label overlap in the first."""
    folder = tmp_path / "corpus"
    write_note(folder / "train", "a", (15, 19, "SIGN"), (15, 25, "SIGN"), (34, 41, "DATE"))
    write_note(folder / "train", "b", (7, 13, "SIGN"))
    write_note(folder / "train", "c")
    return folder


# ---- what is there --------------------------------------------------------------------------


def test_a_folder_is_counted(corpus: Path) -> None:
    profile = profile_folder(corpus / "train")
    assert profile.lengths == [11] * 3
    assert profile.labels == {"SIGN": 3, "DATE": 1}
    assert profile.overlaps == {"SIGN": 1}
    assert (profile.longest_span, profile.num_empty) == (2, 1)
    text = "\n".join(profile.describe())
    assert "3 documents" in text
    assert "4 spans of 2 labels, 2 words at most; 1 documents have none" in text
    assert "1 spans of SIGN overlap a longer one of SIGN: not learned" in text
    assert NOTE[7:13] not in text


@pytest.mark.parametrize(
    ("parts", "data", "expected"),
    [
        ([], "", ("", None, None)),
        (["train"], "", ("train", None, None)),
        (["train", "dev", "test"], "", ("train", "dev", "test")),
        (["training", "val"], "", ("training", "val", None)),
        (["train", "dev"], "train", ("train", "dev", None)),
        (["one", "two"], "one", ("one", None, None)),
    ],
)
def test_parts_are_found_by_their_usual_names(
    tmp_path: Path, parts: list[str], data: str, expected: tuple[str | None, ...]
) -> None:
    for part in parts:
        (tmp_path / part).mkdir()
    train, dev, test = (None if name is None else tmp_path / name for name in expected)
    assert train is not None
    assert find_folders(tmp_path / data) == Folders(train, dev, test)


def test_the_folder_to_validate_on_may_be_elsewhere(tmp_path: Path) -> None:
    for part in ("train", "dev", "other"):
        (tmp_path / part).mkdir()
    assert find_folders(tmp_path, tmp_path / "other").dev == tmp_path / "other"


@pytest.mark.parametrize(("data", "dev"), [("no", None), ("", "no")])
def test_folders_that_do_not_exist_are_named(tmp_path: Path, data: str, dev: str | None) -> None:
    with pytest.raises(FileNotFoundError, match=r"/no: expected a folder of \.txt and \.ann"):
        find_folders(tmp_path / data, None if dev is None else tmp_path / dev)


@pytest.mark.parametrize("part", ["dev", "test"])
def test_parts_to_score_on_without_one_to_train_on_are_refused(tmp_path: Path, part: str) -> None:
    (tmp_path / part).mkdir()
    with pytest.raises(DataError, match=f"expected the sub-folder train beside {part}, found none"):
        find_folders(tmp_path)


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    write_note(tmp_path, "a")
    with pytest.raises(DataError, match="expected annotated spans, found none in 1 documents"):
        profile_folder(tmp_path)


# ---- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_docs", "words", "batch", "steps"),
    [
        (5, 100, 1024, 200),  # one batch holds all: as few steps as are worth it
        (100, 300, 2048, 450),  # 45,000 pieces, 22 batches of 2048
        (1000, 300, 4096, 2200),  # 450,000 pieces, 110 batches
        (100_000, 300, 4096, 5000),  # as many steps as a first try should take
    ],
)
def test_batches_and_steps_follow_from_the_size(
    num_docs: int, words: int, batch: int, steps: int
) -> None:
    sizes = choose_sizes(FolderProfile(lengths=[words] * num_docs))
    assert (sizes.batch_pieces, sizes.max_steps) == (batch, steps)
    assert sizes.evaluate_every * 10 == steps


@pytest.mark.parametrize(("longest", "window"), [(3, 40), (20, 40), (35, 70)])
def test_the_window_holds_the_longest_span_twice(longest: int, window: int) -> None:
    assert choose_sizes(FolderProfile([100], longest_span=longest)).window == window


@pytest.mark.parametrize(("words", "max_words"), [(1000, 0), (1001, 300)])
def test_long_documents_are_cut(words: int, max_words: int) -> None:
    assert choose_sizes(FolderProfile([words])).max_words == max_words


@pytest.mark.parametrize("lang", list(ENCODERS))
def test_an_encoder_is_proposed_for_the_language(corpus: Path, lang: str) -> None:
    folders, profile = Folders(corpus / "train"), profile_folder(corpus / "train")
    config = yaml.safe_load(first_config(folders, profile, lang=lang))
    encoder = config["nlp"]["components"]["ner"]["embedding"]["embedding"]
    assert encoder["model"] == ENCODERS[lang][0]
    own = yaml.safe_load(first_config(folders, profile, lang=lang, model='a "b"'))
    assert own["nlp"]["components"]["ner"]["embedding"]["embedding"]["model"] == 'a "b"'


def test_an_unknown_language_is_refused(corpus: Path) -> None:
    profile = profile_folder(corpus / "train")
    message = (
        r"no encoder is known for the language 'frr'\. Did you mean 'fr'\? Expected fr, en, es"
    )
    with pytest.raises(ValueError, match=message):
        first_config(Folders(corpus / "train"), profile, lang="frr")


@pytest.mark.parametrize(("name", "place"), [("train", "dev"), ("notes", "notes-dev")])
def test_without_a_part_to_validate_on_a_place_is_proposed(name: str, place: str) -> None:
    text = "\n".join(describe_parts(Folders(Path("corpus", name)), 40))
    assert "none was found. Move about 4 of the 40 documents" in text
    assert f"to {Path('corpus', place)}; all notes of a patient" in text


@pytest.mark.parametrize(("train", "name"), [("big/train", "big"), ("big", "big")])
def test_the_output_is_called_as_the_corpus(train: str, name: str) -> None:
    assert Folders(Path(train)).name == name


def test_other_parts_are_named() -> None:
    text = describe_parts(Folders(Path("a/train"), Path("a/dev"), Path("a/test")), 3)
    assert [line.split()[1].rstrip(",") for line in text] == ["a/train", "a/dev", "a/test"]


# ---- the command ----------------------------------------------------------------------------


def test_a_config_says_what_was_found(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "config.yml"
    lines = write_first_config(corpus, out, lang="fr")
    text = out.read_text()
    assert all(f"# {line}".rstrip() in text for line in lines)
    assert yaml.safe_load(text)["train"]["val_data_path"] == str(corpus / "dev")
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 110
    assert NOTE[7:13] not in text


def test_a_config_is_not_replaced(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "config.yml"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match=r"config\.yml exists and is not replaced: name"):
        write_first_config(corpus, out, lang="fr")
    assert out.read_text() == "mine"


def test_the_command_says_what_was_found(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--data", "corpus", "--lang", "en"]) == 0
    printed = capsys.readouterr().out
    assert "3 documents" in printed
    assert printed.endswith("python train.py --config config.yml\n")
    assert main(["init", "--data", "corpus", "--lang", "en"]) == 1
    assert "is not replaced" in capsys.readouterr().err


@pytest.mark.slow
def test_the_config_of_the_demo_trains(encoder_dir: Path, tmp_path: Path) -> None:
    """In a folder whose name has a blank and a quotation mark."""
    folder = tmp_path / 'my "notes"'
    write_corpus(folder, num_train=6, num_dev=2)
    out = tmp_path / "config.yml"
    words = ["--data", str(folder), "--lang", "fr", "--output", str(out)]
    assert main(["init", *words, "--model", str(encoder_dir)]) == 0
    model = tmp_path / "model"
    command = [sys.executable, str(ROOT / "train.py"), f"--config={out}", f"--output_dir={model}"]
    command += ["--max_steps=2", "--evaluate_every=2", "--batch_size=256"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, text=True, capture_output=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "step     2" in done.stdout + done.stderr
    assert edspipe.load(model).pipes.ner.labels == sorted(profile_folder(folder / "train").labels)
    shutil.rmtree(folder)
