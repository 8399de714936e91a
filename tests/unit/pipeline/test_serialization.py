"""Saved models: what is loaded is what was saved, and nothing else is loaded."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from saved_models import MODELS, fingerprint
from support import TEXTS, found_spans, tiny_pipeline

import edspipe
import edspipe.pipes as eds
from edspipe import atomic
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.inspection import inspect_model
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.serialization import check_folder, load_into
from edspipe.pipeline.tensors import load_tensors, save_tensors

CNN = "pipes/ner/embedding/weights.safetensors"
NER = "pipes/ner/weights.safetensors"
STATE = "pipes/ner/state.json"
ENCODER = "pipes/ner/embedding/embedding/encoder"
FILES = [
    "config.yml",
    "manifest.json",
    "meta.json",
    CNN,
    f"{ENCODER}/config.json",
    f"{ENCODER}/tokenizer.json",
    f"{ENCODER}/tokenizer_config.json",
    "pipes/ner/embedding/embedding/weights.safetensors",
    STATE,
    NER,
]
"""What the tiny model is made of."""


@pytest.fixture
def model(model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the saved tiny model, to be damaged."""
    return shutil.copytree(model_dir, tmp_path / "model")


def rewrite(file: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the tensors of a file."""
    with safe_open(file, framework="pt") as saved:
        tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
        metadata = saved.metadata()
    edit(tensors)
    save_file(tensors, file, metadata=metadata)


# ---- saved = loaded -------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_reloaded_model_is_the_same_to_the_bit(
    saved: tuple[Path, dict[str, Any]], name: str
) -> None:
    folder, prints = saved
    assert fingerprint(edspipe.load(folder / name)) == prints[name]


@pytest.mark.parametrize("name", MODELS)
def test_a_moved_model_is_the_same_in_another_working_directory(
    saved: tuple[Path, dict[str, Any]],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, prints = saved
    shutil.copytree(folder / name, tmp_path / "a b" / "é")
    monkeypatch.chdir(tmp_path / "a b")
    assert fingerprint(edspipe.load("é")) == prints[name]


def test_all_models_are_the_same_in_another_process(
    saved: tuple[Path, dict[str, Any]], other_process: dict[str, Any]
) -> None:
    assert other_process["saved"] == json.loads(json.dumps(saved[1]))


def test_the_models_say_something(saved: tuple[Path, dict[str, Any]]) -> None:
    """Equality of models that find nothing would prove little."""
    for name, found in saved[1].items():
        said = [item for doc in found["said"] for item in doc]
        spans = [item for item in said if isinstance(item, list)]
        assert spans or True in said or found["outputs"], name


def test_a_second_save_is_the_same_to_the_byte(model_dir: Path, tmp_path: Path) -> None:
    edspipe.load(model_dir).to_disk(tmp_path / "again")
    for file in FILES:
        assert (tmp_path / "again" / file).read_bytes() == (model_dir / file).read_bytes(), file


def test_a_loaded_model_is_in_evaluation_mode(model_dir: Path) -> None:
    nlp = edspipe.load(model_dir)
    assert not any(module.training for module in nlp.pipes.ner.modules())


def test_a_model_can_be_trained_further_after_loading(model_dir: Path) -> None:
    nlp = edspipe.load(model_dir)
    nlp.post_init([])
    assert all(parameter.requires_grad for parameter in nlp.parameters())
    assert nlp.pipes.ner.labels == ["A", "B"]


def test_weights_are_read_into_a_pipeline_that_is_there(
    model_dir: Path, make_nlp: Callable[..., edspipe.Pipeline]
) -> None:
    nlp = make_nlp(seed=5)
    before = found_spans(nlp.pipe(TEXTS))
    assert nlp.from_disk(model_dir) is nlp
    after = found_spans(nlp.pipe(TEXTS))
    assert after == found_spans(edspipe.load(model_dir).pipe(TEXTS))
    assert after != before


def test_a_model_needs_its_encoder_no_more(
    tmp_path: Path, encoder_dir: Path, tiny_nlp: edspipe.Pipeline
) -> None:
    encoder = shutil.copytree(encoder_dir, tmp_path / "encoder")
    tiny_pipeline(encoder).to_disk(tmp_path / "model")
    shutil.rmtree(encoder)
    loaded = edspipe.load(tmp_path / "model")
    assert found_spans(loaded.pipe(TEXTS)) == found_spans(tiny_nlp.pipe(TEXTS))


def test_a_shared_embedding_is_saved_once_and_loaded_shared(
    encoder_dir: Path, tmp_path: Path
) -> None:
    nlp, shared = (
        edspipe.blank("eds"),
        eds.transformer(model=str(encoder_dir), window=32, stride=24),
    )
    for name in ("one", "two"):
        nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["A"]), name=name)
    nlp.to_disk(tmp_path / "m")
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.safetensors"))
    assert files == [
        "m/pipes/one/embedding/weights.safetensors",
        "m/pipes/one/weights.safetensors",
        "m/pipes/two/weights.safetensors",
    ]
    loaded = edspipe.load(tmp_path / "m")
    assert loaded.pipes.one.embedding is loaded.pipes.two.embedding


def test_no_word_of_a_document_is_saved(tiny_nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    canary = "zzcanary4711"
    tiny_nlp(f"Patient {canary}, fièvre.")
    tiny_nlp.to_disk(tmp_path / "m")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and canary in p.read_text("latin1")]


def test_a_tensor_with_two_names_is_written_once(tmp_path: Path) -> None:
    tensor, other = torch.rand(64, 64), torch.rand(2)
    save_tensors(tmp_path / "t", {"a": tensor, "b": tensor, "c": other, "d": torch.zeros(0)})
    assert (tmp_path / "t").stat().st_size < 1.5 * tensor.nbytes
    target = {name: torch.zeros(64, 64) for name in "ab"}
    target |= {"c": torch.zeros(2), "d": torch.zeros(0)}
    load_tensors(tmp_path / "t", target)
    assert torch.equal(target["b"], tensor)
    assert torch.equal(target["c"], other)


# ---- a model package ------------------------------------------------------------------------


def test_an_installed_package_is_found_and_not_imported(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model_dir, tmp_path / "my_model_pkg" / "model-1.0")
    (tmp_path / "my_model_pkg" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert edspipe.load("my_model_pkg").pipe_names == ["ner"]
    assert "my_model_pkg" not in sys.modules


def test_a_name_that_is_nothing_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"nosuchmodel: expected the folder of a saved model"):
        edspipe.load("nosuchmodel")


def test_a_name_on_a_hub_is_not_fetched() -> None:
    with pytest.raises(CheckpointError, match=r"owner/model: expected the folder of a saved model"):
        edspipe.load("owner/model")


# ---- damage ---------------------------------------------------------------------------------


def test_the_files_of_a_model_are_known(model_dir: Path) -> None:
    files = [p.relative_to(model_dir).as_posix() for p in model_dir.rglob("*") if p.is_file()]
    assert sorted(files) == sorted(FILES)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_bit_is_found_and_the_file_named(model: Path, file: str, place: float) -> None:
    data = bytearray((model / file).read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    (model / file).write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"{file}: (its bytes are not those|damaged)"):
        edspipe.load(model)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_cut_file_is_found_and_named(model: Path, file: str, place: float) -> None:
    data = (model / file).read_bytes()
    (model / file).write_bytes(data[: int(place * len(data))])
    with pytest.raises(CheckpointError, match=rf"{file}: (expected \d+ bytes, found|damaged)"):
        edspipe.load(model)


@pytest.mark.parametrize("file", FILES)
def test_a_deleted_file_is_found_and_named(model: Path, file: str) -> None:
    (model / file).unlink()
    with pytest.raises(CheckpointError, match=rf"{file}: .*missing"):
        edspipe.load(model)


@pytest.mark.parametrize(("one", "two"), [(NER, CNN), (STATE, "meta.json"), ("config.yml", NER)])
def test_swapped_files_are_found_and_named(model: Path, one: str, two: str) -> None:
    first, second = (model / one).read_bytes(), (model / two).read_bytes()
    (model / one).write_bytes(second)
    (model / two).write_bytes(first)
    with pytest.raises(CheckpointError, match=rf"({one}|{two}): (expected|its bytes)"):
        edspipe.load(model)


@pytest.mark.parametrize(
    "file", ["extra.txt", "pipes/ner/more.json", "pipes/x/weights.safetensors"]
)
def test_an_added_file_is_found_and_named(model: Path, file: str) -> None:
    (model / file).parent.mkdir(exist_ok=True)
    (model / file).write_text("{}")
    with pytest.raises(CheckpointError, match=rf"{file}: not listed in manifest\.json"):
        edspipe.load(model)


def test_damage_is_found_before_weights_are_read_into_a_pipeline(
    model: Path, tiny_nlp: edspipe.Pipeline
) -> None:
    (model / CNN).write_bytes((model / CNN).read_bytes()[:-1])
    before = fingerprint(tiny_nlp)
    with pytest.raises(CheckpointError, match=CNN):
        tiny_nlp.from_disk(model)
    assert fingerprint(tiny_nlp) == before


def test_a_save_that_was_cut_short_leaves_the_one_before(
    model_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    shutil.copytree(model_dir, tmp_path / ".m.previous")
    assert edspipe.load(tmp_path / "m").pipe_names == ["ner"]
    assert any("is missing, its save was cut short" in message for message in log)


# ---- whole, but not what it should be -------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (NER, lambda t: t.pop("classifier.bias"), r"misses the weights classifier\.bias$"),
        (CNN, lambda t: t.clear(), r"misses the weights .*, .*, .*, .*, .* and \d+ more$"),
        (NER, lambda t: t.update(new=torch.zeros(1)), r"holds unexpected weights new$"),
        (
            NER,
            lambda t: t.update({"classifier.bias": torch.zeros(7)}),
            r"the weight classifier\.bias is float32\[7\], and float32\[10\] is expected",
        ),
        (
            NER,
            lambda t: t.update({"classifier.bias": torch.zeros(10, dtype=torch.float64)}),
            r"the weight classifier\.bias is float64\[10\], and float32\[10\] is expected",
        ),
    ],
)
def test_a_wrong_tensor_is_named(
    model: Path, file: str, edit: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    rewrite(model / file, edit)
    atomic.write_manifest(model)
    with pytest.raises(CheckpointError, match=rf"{file}: {message}"):
        edspipe.load(model)


@pytest.mark.parametrize("aliases", ["5", "[", '{"a": "nothing"}', '{"classifier.bias": "x"}'])
def test_wrong_notes_in_a_weights_file_are_refused(model: Path, aliases: str) -> None:
    with safe_open(model / NER, framework="pt") as saved:
        tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
    if "classifier" in aliases:
        del tensors["classifier.bias"]
    save_file(tensors, model / NER, metadata={"aliases": aliases})
    atomic.write_manifest(model)
    with pytest.raises(CheckpointError, match=rf"{NER}: (damaged|holds unexpected)"):
        edspipe.load(model)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"labels": ["A", "C"]}, r"the labels are not those of the config"),
        ({"labels": ["A"]}, r"the labels are not those of the config"),
        ({"labels": ["A", "A"]}, r"a label stands twice under 'labels'"),
        ({"labels": "AB"}, r"expected a list of labels under 'labels'"),
        ({"labels": [1, 2]}, r"expected a list of labels under 'labels'"),
        ({"labels": [""]}, r"expected a list of labels under 'labels'"),
        ({}, r"expected a list of labels under 'labels'"),
        ([], r"expected a JSON object, got a list"),
        (None, r"missing"),
    ],
)
def test_a_wrong_label_table_is_named(model: Path, state: Any, message: str) -> None:
    if state is None:
        (model / STATE).unlink()
    else:
        (model / STATE).write_text(json.dumps(state))
    atomic.write_manifest(model)
    with pytest.raises(CheckpointError, match=rf"{STATE}: {message}"):
        edspipe.load(model)


def test_fewer_learned_labels_than_weights_are_refused(encoder_dir: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    MODELS["learned_labels"](encoder_dir).to_disk(model)
    (model / STATE).write_text('{"labels": ["A"]}')
    atomic.write_manifest(model)
    with pytest.raises(CheckpointError, match=rf"{NER}: the weight classifier\.\w+ is float32\[10"):
        edspipe.load(model)


@pytest.mark.parametrize("name", ["pipes/two", "pipes/ner/more", "pipes/ner/embedding/x"])
def test_weights_that_no_component_reads_are_refused(model: Path, name: str) -> None:
    (model / name).mkdir()
    shutil.copy(model / NER, model / name)
    atomic.write_manifest(model)
    with pytest.raises(CheckpointError, match=rf"{name}/weights\.safetensors: unexpected weights"):
        edspipe.load(model)


def test_weights_of_other_pipes_do_not_fit(model_dir: Path, encoder_dir: Path) -> None:
    nlp = edspipe.blank("eds")
    embedding = eds.transformer(model=str(encoder_dir), window=32, stride=24)
    nlp.add_pipe(eds.ner_crf(embedding=embedding, labels=["A", "B"]), name="other")
    with pytest.raises(CheckpointError, match=r"unexpected weights: the pipeline has no component"):
        load_into(nlp, model_dir)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (NER, b"", r"damaged \(SafetensorError"),
        (NER, b"\x00" * 7, r"damaged \(SafetensorError"),
        (NER, b"\xff" * 100, r"damaged \(SafetensorError"),
        ("meta.json", b"[]", r"expected a JSON object, got a list"),
        ("meta.json", b"{", r"not valid JSON"),
        ("meta.json", b"[" * 100_000, r"not valid JSON"),
        ("meta.json", None, r"missing"),
        ("config.yml", b"nlp: 5\n", r"nlp: expected a block"),
        ("config.yml", b"nlp: {}\ntrain: {}\n", r"expected the block nlp alone"),
        ("config.yml", b"nlp: {\n", r"expected"),
        (f"{ENCODER}/tokenizer.json", b"{}", r"model: a component cannot be built .*KeyError"),
        (f"{ENCODER}/config.json", b"{}", r"model: no encoder could be read"),
    ],
)
def test_a_wrong_content_is_refused(
    model: Path, file: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (model / file).unlink()
    else:
        (model / file).write_bytes(content)
    atomic.write_manifest(model)
    with pytest.raises((CheckpointError, ConfigError), match=message):
        edspipe.load(model)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json: missing"):
        read_json(tmp_path / "x.json")
    with pytest.raises(CheckpointError, match=r"w: missing"):
        load_tensors(tmp_path / "w", {})


# ---- saving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [["notes.txt"], ["config.yml"], ["config.yml", "train.py"]])
def test_a_folder_that_is_no_model_is_not_replaced(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds files, but no saved pipeline"):
        edspipe.blank("eds").to_disk(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(files)


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"found a file there"):
        edspipe.blank("eds").to_disk(tmp_path / "m")


def test_a_model_is_replaced_unless_told_not_to(model: Path) -> None:
    with pytest.raises(FileExistsError):
        edspipe.blank("eds").to_disk(model, overwrite=False)
    assert edspipe.load(model).pipe_names == ["ner"]
    edspipe.blank("eds").to_disk(model)
    assert edspipe.load(model).pipe_names == []
    assert [path.name for path in model.parent.iterdir()] == ["model"]


class Fails:
    """A pipe that cannot be saved."""

    def __init__(self, nlp: Any, name: str, how: str = "raise") -> None:
        self.how = how

    def __call__(self, doc: Any) -> Any:
        return doc

    def to_disk(self, path: Path) -> None:
        path.mkdir(parents=True)
        if self.how == "raise":
            raise OSError("no power")
        (path / "weights.bin").write_bytes(b"x")


@pytest.fixture
def failing() -> Any:
    """The registered factory `test.fails`."""
    edspipe.registry.factory.register("test.fails")(Fails)
    yield "test.fails"
    del edspipe.registry.factory._functions["test.fails"]


@pytest.mark.parametrize(
    ("pipe", "config", "error", "message"),
    [
        ("test.fails", {}, OSError, r"no power"),
        ("test.fails", {"how": "write"}, CheckpointError, r"weights\.bin: a model holds \.json"),
        (lambda doc: doc, None, ConfigError, r"nlp\.components\.x: a config holds plain values"),
        (
            "eds.sentences",
            {"punct_chars": ["x" * 1_100_000]},
            ConfigError,
            r"config\.yml: a config has at most 1000000 bytes",
        ),
    ],
)
def test_a_save_that_fails_keeps_the_old_model(
    model: Path, failing: str, pipe: Any, config: Any, error: type[Exception], message: str
) -> None:
    nlp = edspipe.load(model)
    before = fingerprint(nlp)
    for parameter in nlp.parameters():
        torch.nn.init.zeros_(parameter)
    nlp.add_pipe(pipe, name="x", config=config)
    with pytest.raises(error, match=message):
        nlp.to_disk(model)
    assert fingerprint(edspipe.load(model)) == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_relative_path_is_saved_where_it_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    edspipe.blank("eds").to_disk("m")
    assert Path.cwd() == tmp_path
    assert edspipe.load("./m").lang == "eds"


# ---- seen from outside ----------------------------------------------------------------------


def test_inspecting_says_what_a_model_would_run(model_dir: Path) -> None:
    lines = inspect_model(model_dir).splitlines()
    assert lines[0] == f"{model_dir}: every file is as it was saved"
    assert "  lang: eds" in lines
    assert "  nlp: pipeline  (edspipe.pipeline.pipeline)" in lines
    assert "  nlp.components.ner: eds.ner_crf  (edspipe.pipes.trainable.ner_crf)" in lines
    assert any(line.startswith(f"  {NER}  ") and line.endswith(" bytes") for line in lines)
    assert lines[-1].startswith("Nothing in it is code")


@pytest.mark.parametrize("name", ["evil.pipe", ["a"]])
def test_inspecting_shows_names_that_are_not_registered(model: Path, name: Any) -> None:
    text = (model / "config.yml").read_text()
    (model / "config.yml").write_text(text.replace("eds.text_cnn", json.dumps(name)))
    atomic.write_manifest(model)
    shown = inspect_model(model)
    assert f"nlp.components.ner.embedding: {name}  (not registered here: import the code" in shown


def test_inspecting_refuses_a_damaged_model(model: Path) -> None:
    (model / NER).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=rf"{NER}: expected \d+ bytes, found 1"):
        inspect_model(model)


def test_checking_returns_the_folder(model: Path) -> None:
    assert check_folder(model) == model
    os.rename(model, model.with_name("other"))
    with pytest.raises(CheckpointError, match=r"expected the folder of a saved model, found none"):
        check_folder(model)
