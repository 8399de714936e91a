"""Exported classifiers give what the pipe gives, or are not there at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from served_classifiers import LABELS, NOTES, make_classifier, make_docs

import edspipe
import edspipe.pipes as eds
from edspipe.cli.main import main
from edspipe.errors import CheckpointError, ConfigError, MissingExtraError
from edspipe.serving import onnx_export
from edspipe.serving.onnx_export import OnnxExport, export_onnx
from edspipe.serving.onnx_runtime import GRAPH, SETTINGS, OnnxClassifier

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

OPTIONS: dict[str, Any] = {
    "pooling": "attention",
    "features": ["_.age"],
    "temperature": 1.5,
    "pos_weight": {"pain": 3.0},
    "correct_pos_weight": True,
    "thresholds": {"cough": 0.3, "pain": 0.7},
    "num_layers": 1,
}


@pytest.fixture(scope="module")
def nlp(encoder_dir: Path) -> edspipe.Pipeline:
    return make_classifier(encoder_dir, **OPTIONS)


@pytest.fixture(scope="module")
def exported(nlp: edspipe.Pipeline, tmp_path_factory: pytest.TempPathFactory) -> OnnxExport:
    return export_onnx(nlp, tmp_path_factory.mktemp("export") / "onnx")


@pytest.fixture
def no_tracing(exported: OnnxExport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies the graph that is there: writing one takes seconds."""

    def copied(graph: Any, example: Any, file: Path) -> None:
        shutil.copy(exported.folder / GRAPH, file)

    monkeypatch.setattr(onnx_export, "write_graph", copied)


def assert_same(nlp: edspipe.Pipeline, folder: Path) -> None:
    docs = make_docs(nlp)
    found = OnnxClassifier(folder).predict(docs)
    for doc, prediction in zip(docs, found, strict=True):
        nlp.pipes.classifier.batch_process([doc])
        assert prediction.labels == doc._.labels
        assert prediction.probabilities == pytest.approx(doc.cats, abs=1e-5)


def test_labels_and_probabilities_are_those_of_the_pipe(
    nlp: edspipe.Pipeline, exported: OnnxExport
) -> None:
    assert_same(nlp, exported.folder)
    assert len({tuple(p.labels) for p in OnnxClassifier(exported.folder).predict(NOTES)}) > 1


def test_the_export_says_how_near_it_is(exported: OnnxExport) -> None:
    assert 0 <= exported.max_difference < 1e-5
    assert str(exported).endswith("(tolerance 1e-04), and labels are the same")
    settings = json.loads((exported.folder / SETTINGS).read_text("utf-8"))
    assert settings["parity"]["num_docs"] == exported.num_docs == 7
    assert settings["opset"] == exported.opset == 18


def test_settings_hold_what_decides(exported: OnnxExport) -> None:
    classifier = OnnxClassifier(exported.folder)
    assert classifier.labels == LABELS
    assert classifier.thresholds == {"cough": 0.3, "fever": 0.5, "pain": 0.7}
    assert classifier.mode == "multi_label"
    assert classifier.settings["temperature"] == 1.5


def test_batches_do_not_matter(exported: OnnxExport) -> None:
    classifier = OnnxClassifier(exported.folder)
    alone = classifier.probabilities(NOTES, batch_size=1)
    np.testing.assert_allclose(alone, classifier.probabilities(NOTES), atol=1e-6)


def test_one_note_is_predicted_as_a_list_of_one(exported: OnnxExport) -> None:
    classifier = OnnxClassifier(exported.folder)
    assert classifier(NOTES[3]) == classifier.predict([NOTES[3]])[0]
    assert classifier.predict([]) == []


def test_it_runs_where_torch_is_not_installed(exported: OnnxExport) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from edspipe.serving.onnx_runtime import OnnxClassifier\n"
        f"print(*OnnxClassifier({str(exported.folder)!r}).probabilities([{NOTES[3]!r}])[0])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = OnnxClassifier(exported.folder).probabilities([NOTES[3]])[0]
    assert [float(x) for x in out.stdout.split()] == pytest.approx(expected.tolist())


@pytest.mark.usefixtures("no_tracing")
def test_a_graph_that_differs_is_not_kept(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    weight = nlp.pipes.classifier.head.output.weight
    with torch.no_grad():
        weight += 0.1
    try:
        with pytest.raises(CheckpointError, match=r"differ by .* tolerance=1e-04 is allowed"):
            export_onnx(nlp, tmp_path / "onnx")
    finally:
        with torch.no_grad():
            weight -= 0.1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_tracing")
def test_a_graph_that_gives_no_numbers_is_not_kept(
    nlp: edspipe.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.full(len(LABELS), np.nan)
    monkeypatch.setattr(
        OnnxClassifier, "probabilities", lambda self, notes, **_: np.tile(nothing, (len(notes), 1))
    )
    with pytest.raises(CheckpointError, match="differ by nan, where tolerance"):
        export_onnx(nlp, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_tracing")
def test_what_is_there_is_kept_unless_told(
    nlp: edspipe.Pipeline, exported: OnnxExport, tmp_path: Path
) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export_onnx(nlp, tmp_path / "onnx")
    export_onnx(nlp, tmp_path / "onnx", overwrite=True)
    assert not (tmp_path / "onnx" / "mine.txt").exists()


@pytest.mark.usefixtures("no_tracing")
def test_the_command_exports_a_saved_model(
    nlp: edspipe.Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nlp.to_disk(tmp_path / "model")
    words = ["export", "--model", str(tmp_path / "model"), "--output", str(tmp_path / "onnx")]
    assert main(words) == 0
    assert "3 labels, opset 18" in capsys.readouterr().out
    assert_same(nlp, tmp_path / "onnx")


def test_what_stands_on_the_encoder_is_refused(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = make_classifier(encoder_dir, on_encoder=eds.text_cnn)
    with pytest.raises(ConfigError, match=r"with nothing on it, got TextCnn"):
        export_onnx(nlp, tmp_path / "onnx")


def test_an_encoder_that_cannot_be_traced_is_named(
    nlp: edspipe.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("an operator is missing")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ConfigError, match="BertModel cannot be exported to ONNX: an operator"):
        export_onnx(nlp, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(
    nlp: edspipe.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"'onnxscript'.*edspipe\[export\]"):
        export_onnx(nlp, tmp_path / "onnx")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / GRAPH).unlink(), "model.onnx: missing"),
        (
            lambda folder: (folder / SETTINGS).write_text('{"format": 9}'),
            "expected format 1, got 9",
        ),
        (
            lambda folder: (folder / "tokenizer" / "tokenizer.json").write_text("no"),
            "expected a tokenizer of pieces",
        ),
    ],
)
def test_a_damaged_folder_is_refused(
    exported: OnnxExport, tmp_path: Path, damage: Any, message: str
) -> None:
    folder = tmp_path / "onnx"
    shutil.copytree(exported.folder, folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        OnnxClassifier(folder)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
def test_all_poolings_and_modes(encoder_dir: Path, tmp_path: Path, pooling: str, mode: str) -> None:
    options: dict[str, Any] = {"max_length": 40, "truncation": True} if pooling == "max" else {}
    nlp = make_classifier(encoder_dir, pooling=pooling, mode=mode, head="mlp", **options)
    found = export_onnx(nlp, tmp_path / "onnx", tolerance=1e-5)
    assert found.max_difference <= 1e-5
    assert_same(nlp, tmp_path / "onnx")
