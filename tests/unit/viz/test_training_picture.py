"""training.png and weights.png: what is in each panel."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import metrics_rows, write_rows

from edspipe.errors import MissingExtraError
from edspipe.viz import Best, Metrics, plot_training, plot_weights, read_metrics
from edspipe.viz.training import MAX_POINTS, draw_training
from edspipe.viz.weights import MAX_PANELS, draw_weights

pytestmark = pytest.mark.usefixtures("drawn")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    folder = write_rows(tmp_path_factory.mktemp("run"), metrics_rows())
    return read_metrics(folder / "metrics.jsonl")


def panels(figure: Any) -> dict[str, Any]:
    return {axes.get_title(loc="left").partition(" (")[0]: axes for axes in figure.axes}


def labels_of(axes: Any) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def texts_of(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_train_and_validation_share_the_panel_of_the_loss(metrics: Metrics) -> None:
    loss = panels(draw_training(metrics))["Loss"]
    assert labels_of(loss) == ["train, mean of 11 steps", "validation"]
    validation = next(line for line in loss.lines if line.get_label() == "validation")
    assert list(validation.get_xdata()) == list(range(20, 301, 20))
    assert loss.get_yscale() == "log"


def test_the_lowest_validation_loss_is_marked(metrics: Metrics) -> None:
    loss = panels(draw_training(metrics))["Loss"]
    series = metrics.series("val", "loss")
    lowest = series.steps[series.values.argmin()]
    assert f"lowest {series.values.min():.3g} at {lowest:g}" in texts_of(loss)


def test_the_best_step_is_marked_in_all_panels_and_named(metrics: Metrics) -> None:
    figure = draw_training(metrics, best=Best(140, "val/micro_f", 0.5))
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [140, 140] for line in axes.lines)
    assert "best val/micro_f: 140" in texts_of(panels(figure)["Scores"])


def test_sums_of_scores_are_drawn_and_labels_are_not(metrics: Metrics) -> None:
    scores = panels(draw_training(metrics))["Scores"]
    names = ("micro_f", "macro_f", "micro_p", "micro_r")
    assert labels_of(scores) == [f"validation, {name}" for name in names]
    assert scores.get_ylim() == (0, 1.02)


def test_learning_rates_of_several_groups_are_told_apart() -> None:
    metrics = Metrics()
    for step in (1, 2):
        metrics.add(step, "train", "lr/encoder", 1e-5)
        metrics.add(step, "train", "lr/_rest", 1e-3)
    rates = panels(draw_training(metrics))["Learning rate"]
    assert [text.strip("\u200b") for text in labels_of(rates)] == ["encoder", "_rest"]
    assert rates.get_yscale() == "log"


def test_losses_of_several_components_are_drawn() -> None:
    metrics = Metrics()
    for name in ("loss", "loss/ner", "loss/span"):
        metrics.add(1, "train", name, 1.0)
    loss = panels(draw_training(metrics))["Loss"]
    assert labels_of(loss) == ["train", "train, ner", "train, span"]


def test_a_run_without_validation_says_so() -> None:
    metrics = Metrics()
    metrics.add(1, "train", "loss", 2.0)
    figure = draw_training(metrics)
    assert texts_of(panels(figure)["Scores"]) == ["no scores were recorded: no validation"]
    assert len(panels(figure)["Loss"].lines) == 1


def test_values_that_are_not_finite_are_marked_and_counted() -> None:
    metrics = Metrics()
    for step in range(1, 6):
        metrics.add(step, "train", "loss", None if step in (3, 5) else 1.0)
        metrics.add(step, "train", "grad_norm", math.inf)
    figure = panels(draw_training(metrics))
    assert "× 2 not finite" in texts_of(figure["Loss"])
    assert list(figure["Loss"].lines[1].get_xdata()) == [3, 5]
    norms = figure["Gradient norm, before clipping"]
    assert texts_of(norms) == ["none of 5 values is finite"]


def test_a_long_line_is_drawn_by_its_extremes() -> None:
    metrics = Metrics()
    for step in range(20_000):
        metrics.add(step, "train", "loss", 99.0 if step == 12_345 else 1.0)
    raw = panels(draw_training(metrics))["Loss"].lines[0]
    assert len(raw.get_xdata()) <= MAX_POINTS
    assert max(raw.get_ydata()) == 99.0


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_suffix_says_the_format(tmp_path: Path, suffix: str) -> None:
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    path = plot_training(Metrics(), tmp_path / f"training{suffix}")
    assert path.read_bytes().startswith(magic[suffix])


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.gif: expected a picture that ends in one of \.png"):
        plot_training(Metrics(), tmp_path / "a.gif")


def test_the_same_metrics_give_the_same_bytes(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.add(1, "train", "loss", 2.0)
    first = plot_training(metrics, tmp_path / "a.svg").read_bytes()
    assert plot_training(metrics, tmp_path / "b.svg").read_bytes() == first


# Weights


def test_weights_of_a_parameter_share_a_panel(metrics: Metrics) -> None:
    shown = {axes.get_title(loc="left"): axes for axes in draw_weights(metrics).axes}
    assert list(shown)[:2] == ["ner.classifier.weight", "ner.classifier.bias"]
    assert labels_of(shown["ner.classifier.weight"]) == ["0,0", "1,7", "2,1", "3,8", "4,2"]


def test_parameters_that_find_no_room_are_counted() -> None:
    metrics = Metrics()
    for i in range(MAX_PANELS + 3):
        metrics.add(1, "weights", f"p{i}.weight[0]", 1.0)
    figure = draw_weights(metrics)
    assert figure.get_supxlabel() == "3 more parameters were traced"


def test_without_traced_weights_the_picture_says_so(tmp_path: Path) -> None:
    assert texts_of(draw_weights(Metrics()).axes[0]) == ["no weights were traced"]
    assert plot_weights(Metrics(), tmp_path / "weights.png").stat().st_size > 0


# matplotlib


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edspipe\[plot\]'"):
        draw_training(Metrics())


def test_drawing_needs_neither_pyplot_nor_spacy_nor_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from edspipe.viz import Metrics, plot_training
assert "matplotlib" not in sys.modules
plot_training(Metrics(), {str(tmp_path / "a.png")!r})
print(*{{"matplotlib.pyplot", "spacy", "torch"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_style_of_the_user_is_neither_used_nor_changed() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"axes.facecolor": "black"}):
        figure = draw_training(Metrics())
        assert matplotlib.rcParams["axes.facecolor"] == "black"
    assert figure.axes[0].get_facecolor() == (1, 1, 1, 1)
