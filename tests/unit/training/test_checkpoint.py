"""Checkpoints: whole or named as damaged, and the one before is taken."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from short_runs import data_of, train_shortly, unequal_docs, weights_of

import edspipe
from edspipe import atomic
from edspipe.errors import CheckpointError
from edspipe.training.checkpoint import (
    TrainingState,
    check_checkpoint,
    checkpoint_path,
    find_checkpoint,
    list_checkpoints,
    read_plain,
    read_state,
    remove_old,
    save_checkpoint,
    step_of,
)
from edspipe.training.randomness import rng_state

FILES = (
    "config.yml",
    "manifest.json",
    "meta.json",
    "pipes/ner/embedding/embedding/encoder/config.json",
    "pipes/ner/embedding/embedding/encoder/tokenizer.json",
    "pipes/ner/embedding/embedding/encoder/tokenizer_config.json",
    "pipes/ner/embedding/embedding/weights.safetensors",
    "pipes/ner/embedding/weights.safetensors",
    "pipes/ner/state.json",
    "pipes/ner/weights.safetensors",
    "training/optimizer.safetensors",
    "training/random-0.safetensors",
    "training/state.json",
)


@pytest.fixture(scope="module")
def original(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of the steps 1 and 2; only to be read."""
    from support import tiny_pipeline

    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    nlp = tiny_pipeline(encoder_dir)
    train_shortly(nlp, data_of(nlp), folder, max_steps=2, checkpoint_every=1)
    return folder


@pytest.fixture
def run_dir(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(original, tmp_path / "run"))


@pytest.fixture
def last(run_dir: Path) -> Path:
    return checkpoint_path(run_dir, 2)


# ---- damage ----------------------------------------------------------------------------------


def test_a_checkpoint_has_these_files(original: Path) -> None:
    folder = checkpoint_path(original, 2)
    found = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    assert tuple(sorted(found)) == FILES


def flip(number: int) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        place = random.Random(number).randrange(8 * len(content))
        byte = content[place // 8] ^ (1 << place % 8)
        return content[: place // 8] + bytes([byte]) + content[place // 8 + 1 :]

    return damage


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(share * len(content))]


def grow(content: bytes) -> bytes:
    return content + b"\0"


def is_detected(folder: Path, file: str, damage: Callable[[bytes], bytes]) -> bool:
    """Whether damage is found, and the file is named, by all that read a checkpoint."""
    path = folder / file
    before = path.read_bytes()
    path.write_bytes(damage(before))
    try:
        for read in (check_checkpoint, read_state, find_checkpoint, edspipe.load):
            try:
                read(folder)
            except CheckpointError as error:
                if file not in str(error):
                    return False
                continue
            return False
        return find_checkpoint(folder.parent.parent) == checkpoint_path(folder.parent.parent, 1)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("file", FILES)
def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_taken(
    last: Path, file: str, log: list[str]
) -> None:
    for damage in (
        flip(1),
        flip(2),
        cut(0),
        cut(0.4),
        grow if file != "manifest.json" else flip(3),
    ):
        assert is_detected(last, file, damage)
    assert log
    assert all("damaged checkpoint: " in line and file in line for line in log)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_all_damage_to_any_file_is_found(last: Path, file: str) -> None:
    damages = [flip(number) for number in range(100)] + [cut(i / 20) for i in range(20)]
    missed = [i for i, damage in enumerate(damages) if not is_detected(last, file, damage)]
    assert missed == []


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_gone_is_named(last: Path, file: str) -> None:
    (last / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        check_checkpoint(last)


def test_a_file_too_many_is_named(last: Path) -> None:
    (last / "training/random-1.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"training/random-1\.safetensors"):
        check_checkpoint(last)


@pytest.mark.parametrize("first", FILES[:7:3])
@pytest.mark.parametrize("second", FILES[7:])
def test_two_files_that_changed_places_are_found(last: Path, first: str, second: str) -> None:
    one, other = last / first, last / second
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1]), other.write_bytes(contents[0])
    with pytest.raises(CheckpointError, match=f"{first}|{second}"):
        check_checkpoint(last)


# ---- damage by who also wrote a new manifest --------------------------------------------------


def drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[max(tensors)]


def add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["one/too/many"] = torch.zeros(2)


def reshape(tensors: dict[str, torch.Tensor]) -> None:
    tensors[max(tensors)] = torch.zeros(3, 5, dtype=tensors[max(tensors)].dtype)


def recast(tensors: dict[str, torch.Tensor]) -> None:
    tensors[max(tensors)] = tensors[max(tensors)].to(torch.float16)


TENSOR_FILES = [file for file in FILES if file.endswith(".safetensors")]


def resume(encoder_dir: Path, last: Path) -> None:
    """Go on from a checkpoint; raises what is wrong with it."""
    from support import tiny_pipeline

    nlp = tiny_pipeline(encoder_dir)
    train_shortly(nlp, data_of(nlp), last.parents[2] / "later", resume=last, max_steps=3)


@pytest.mark.parametrize("change", [drop, add, reshape, recast])
@pytest.mark.parametrize(
    "file",
    [
        *TENSOR_FILES[2:],
        *(pytest.param(file, marks=pytest.mark.slow) for file in TENSOR_FILES[:2]),
    ],
)
def test_tensors_that_do_not_fit_are_named_with_their_file(
    encoder_dir: Path, last: Path, file: str, change: Any
) -> None:
    tensors = load_file(last / file)
    name = "one/too/many" if change is add else max(tensors)
    change(tensors)
    save_file(tensors, last / file, metadata={"aliases": "{}"})
    atomic.write_manifest(last)
    with pytest.raises(CheckpointError, match="safetensors") as raised:
        resume(encoder_dir, last)
    assert file in str(raised.value)
    assert name.rsplit("/", 1)[0] in str(raised.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TENSOR_FILES[0], TENSOR_FILES[1]),
        (TENSOR_FILES[1], TENSOR_FILES[2]),
        (TENSOR_FILES[3], TENSOR_FILES[4]),
        ("pipes/ner/state.json", "training/state.json"),
    ],
)
def test_files_that_changed_places_do_not_fit_either(
    encoder_dir: Path, last: Path, first: str, second: str
) -> None:
    one, other = last / first, last / second
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1]), other.write_bytes(contents[0])
    atomic.write_manifest(last)
    with pytest.raises(CheckpointError, match=f"{first}|{second}"):
        resume(encoder_dir, last)


def change_state(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / "training/state.json"
    state = json.loads(file.read_text())
    change(state)
    file.write_text(json.dumps(state))
    atomic.write_manifest(folder)


@pytest.mark.parametrize(
    "key", ["data", "step", "plan", "batches", "optimizer", "callbacks", "random", "records"]
)
def test_a_part_of_the_state_that_is_gone_is_named(encoder_dir: Path, last: Path, key: str) -> None:
    change_state(last, lambda state: state.pop(key))
    with pytest.raises(CheckpointError, match=rf"state\.json: misses {key}"):
        resume(encoder_dir, last)


def test_another_format_is_refused(encoder_dir: Path, last: Path) -> None:
    change_state(last, lambda state: state.update(format=99))
    with pytest.raises(CheckpointError, match="format 99, and this version of edspipe reads form"):
        resume(encoder_dir, last)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(spikes={"num_seen": 1}, callbacks=[["Checkpoint"]]),
        lambda state: state.update(batches={"streams": [], "epoch": 0}),
        lambda state: state.update(callbacks=[["Checkpoint", {}], ["SlowestSteps", {}]]),
        lambda state: state.update(records={"train/loss": 3}),
        lambda state: state.update(batches={}),
    ],
)
def test_a_state_that_does_not_fit_is_refused(encoder_dir: Path, last: Path, change: Any) -> None:
    change_state(last, change)
    with pytest.raises(CheckpointError, match="the checkpoint does not fit this training"):
        resume(encoder_dir, last)


# ---- found -----------------------------------------------------------------------------------


def test_the_latest_is_found_in_a_run_and_a_folder_is_itself(original: Path) -> None:
    assert find_checkpoint(original) == checkpoint_path(original, 2)
    assert find_checkpoint(checkpoint_path(original, 1)) == checkpoint_path(original, 1)


def test_steps_are_compared_as_numbers(tmp_path: Path) -> None:
    for name in ("step-00000009", "step-100000000", "step-00000010", "other", "step-x"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert [step_of(path) for path in list_checkpoints(tmp_path)] == [100000000, 10, 9]


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"found none whole: no folder step-<number> in .*"):
        find_checkpoint(tmp_path)


def test_where_all_are_damaged_each_is_named(run_dir: Path) -> None:
    for folder in list_checkpoints(run_dir):
        (folder / "meta.json").unlink()
    with pytest.raises(CheckpointError, match=r"step-00000002.*meta\.json.*step-00000001.*meta"):
        find_checkpoint(run_dir)


def test_a_model_is_no_checkpoint(model_dir: Path) -> None:
    with pytest.raises(CheckpointError, match=r"but no checkpoint of a training .* use init_from="):
        check_checkpoint(model_dir)


def test_the_last_ones_are_kept(run_dir: Path) -> None:
    remove_old(run_dir, 1)
    assert list_checkpoints(run_dir) == [checkpoint_path(run_dir, 2)]


# ---- saved and read --------------------------------------------------------------------------


def test_it_loads_as_a_pipeline_that_predicts(original: Path) -> None:
    nlp = edspipe.load(checkpoint_path(original, 2))
    (doc,) = nlp.pipe(unequal_docs(nlp, 1))
    assert "gold-ner" in doc.spans


def test_what_is_saved_comes_back(tmp_path: Path, tiny_nlp: Any) -> None:
    tensors, plain = rng_state()
    state = TrainingState(
        {
            **dict.fromkeys(("data", "step", "epoch", "num_docs_seen", "plan", "batches"), 1),
            **dict.fromkeys(("optimizer", "spikes", "scaler", "callbacks"), None),
            "records": {"a": [math.inf, 1], "b": [-math.inf, 2], "c": [0.1 + 0.2, 3]},
            "random": [plain],
        },
        {"weight/step": torch.tensor(3.0), "weight/exp": torch.rand(2, 3)},
        [tensors],
    )
    save_checkpoint(tmp_path / "step-00000001", tiny_nlp, state)
    found = read_state(tmp_path / "step-00000001")
    assert {key: found.plain[key] for key in state.plain} == state.plain
    for expected, got in ((state.optimizer, found.optimizer), (tensors, found.random[0])):
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_nan_in_the_state_comes_back(last: Path) -> None:
    change_state(last, lambda state: state.update(records={"val/loss": [{"float": "nan"}, 2]}))
    assert math.isnan(read_plain(last)["records"]["val/loss"][0])


def test_another_process_takes_its_own_generators_or_the_first_ones(original: Path) -> None:
    folder = checkpoint_path(original, 2)
    own, other = read_state(folder, rank=0), read_state(folder, rank=5)
    assert torch.equal(own.random[0]["torch"], other.random[0]["torch"])


def test_a_checkpoint_of_more_processes_says_what_differs(
    encoder_dir: Path, last: Path, log: list[str]
) -> None:
    change_state(last, lambda state: state["random"].append(state["random"][0]))
    resume(encoder_dir, last)
    assert any("the checkpoint is of 2 processes, and there are 1: gradients" in m for m in log)


@pytest.fixture
def failing_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("edspipe.training.checkpoint.save_tensors", fail)


def test_one_that_cannot_be_written_leaves_the_one_before(
    encoder_dir: Path, run_dir: Path, failing_disk: None, make_nlp: Any
) -> None:
    nlp = make_nlp()
    before = weights_of(edspipe.load(checkpoint_path(run_dir, 2)))
    with pytest.raises(OSError, match="no space left"):
        train_shortly(nlp, data_of(nlp), run_dir, resume=run_dir, max_steps=4, checkpoint_every=1)
    assert find_checkpoint(run_dir) == checkpoint_path(run_dir, 2)
    after = weights_of(edspipe.load(checkpoint_path(run_dir, 2)))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((run_dir / "run.json").read_text())["status"] == "failed"
