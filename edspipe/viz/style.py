"""How all pictures look, and how they are written.

A picture is a function decorated with `picture`, which draws on a `matplotlib.figure.Figure` of its
own: pyplot, whose current figure is global, is never imported.
"""

from __future__ import annotations

import functools
import io
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from edspipe import atomic
from edspipe.optional import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE, BLACK = "#E69F00", "#56B4E9", "#CC79A7", "#222222"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Colours that colour-blind people can tell apart (M. Okabe and K. Ito, "Color Universal Design",
2008). Their yellow is left out: it is lost on white."""

GREY, LIGHT = "#666666", "#DDDDDD"
LINES = ("-", "--", ":", "-.")
DOTS_PER_INCH = 110
"""With letters of 10 points: 15 pixels high at 100 % zoom."""

FLAT = 1e-3
"""Share of its value by which a line moves at most if it is to look flat, as it is."""

FORMATS = (".png", ".svg", ".pdf")
MAX_CHARS = 28
"""Longer labels would leave no room for what they label."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": DOTS_PER_INCH,
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": DOTS_PER_INCH,
    "svg.hashsalt": "edspipe",
    "text.parse_math": False,  # a label may hold dollar signs
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@contextmanager
def _styled() -> Iterator[None]:
    """Inside, our style holds, whatever the user's own is; signs without a glyph are boxes."""
    style = require("matplotlib.style", "plot", "drawing a picture")
    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def picture(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Let a function draw in our style."""

    @functools.wraps(draw)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with _styled():
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width: Inches.
        height: Inches.
    """
    figure = require("matplotlib.figure", "plot", "drawing a picture")
    return figure.Figure(figsize=(width, height))


def save(figure: Figure, path: str | Path) -> Path:
    """Write a picture; the file is replaced whole or not at all.

    Args:
        figure: What to write.
        path: The file; its suffix says the format: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        ValueError: The suffix is another one.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"{path}: expected a picture that ends in one of {known}")
    data = _render(figure, path.suffix.lower()[1:])
    with atomic.write_file(path) as handle:
        handle.write(data)
    return path


def to_svg(figure: Figure) -> bytes:
    """Return a picture as an SVG file; letters are drawn as shapes, so that it needs no font."""
    return _render(figure, "svg")


def _render(figure: Figure, kind: str) -> bytes:
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    with _styled():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata[kind])
    return buffer.getvalue()


# Texts and axes


def clean(text: object) -> str:
    """Return a text that any file can hold: blanks on one line, no control signs, no half pairs."""
    bad = ("Cc", "Cs")
    line = "".join(" " if sign.isspace() else sign for sign in str(text))
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(s) in bad else s for s in line
    )


def shorten(text: object, max_chars: int = MAX_CHARS) -> str:
    """Return a label cut in its middle to a length, as ends tell labels apart."""
    label = clean(text)
    if len(label) <= max_chars:
        return label
    head = (max_chars - 1) // 2
    return f"{label[:head]}…{label[head - max_chars + 1 :]}"


def say_empty(axes: Axes, text: str) -> None:
    """Say in the middle of a panel why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def legend(axes: Axes, handles: Sequence[Any], **options: Any) -> None:
    """Add a legend, if there is something to tell apart; labels may begin with `_`."""
    if handles:
        labels = [handle.get_label() for handle in handles]
        axes.legend(handles, labels, **options)


def no_legend_name(text: object) -> str:
    """Return a label as the name of a line: a leading `_` would hide it from legends."""
    label = shorten(text)
    return f"\u200b{label}" if label.startswith("_") else label


def use_plain_numbers(axes: Axes) -> None:
    """Write numbers at the y axis in full; a line that hardly moves is drawn as a flat one."""
    ticker = require("matplotlib.ticker", "plot", "drawing a picture")
    low, high = axes.dataLim.intervaly
    middle = (low + high) / 2
    if high - low < FLAT * abs(middle):
        axes.set_ylim(middle - 0.05 * abs(middle), middle + 0.05 * abs(middle))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.6g}"))


def use_log_scale(axes: Axes, which: str = "y") -> None:
    """Make an axis logarithmic, with plain numbers at its ticks."""
    ticker = require("matplotlib.ticker", "plot", "drawing a picture")
    axis = axes.yaxis if which == "y" else axes.xaxis
    (axes.set_yscale if which == "y" else axes.set_xscale)("log")
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if which == "y" else (1,)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
