"""HTML in which every text is escaped: only what `tag` returned is taken as it is."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from edspipe.viz.style import clean


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


EMPTY = Html("")


def escape(value: object) -> Html:
    """Return a value as HTML; what is HTML already stays."""
    return value if isinstance(value, Html) else Html(html.escape(clean(value)))


def join(children: Iterable[object]) -> Html:
    """Return values as HTML, one after the other."""
    return Html("".join(map(escape, children)))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """Return an element.

    Args:
        name: E.g. `"td"`.
        children: What is inside; texts are escaped.
        attributes: By name, with `kind` for `class`; None leaves one out, True gives a bare one.
    """
    written = []
    for key, value in attributes.items():
        key = "class" if key == "kind" else key
        if value is True:
            written.append(f" {key}")
        elif value is not None:
            written.append(f' {key}="{escape(value)}"')
    return Html(f"<{name}{''.join(written)}>{join(children)}</{name}>")


def table(header: Sequence[object], rows: Iterable[Sequence[object]], **attributes: object) -> Html:
    """Return a table; a cell that is no `<td>` or `<th>` becomes one, right-aligned for numbers."""
    cells = [[_cell(value) for value in row] for row in rows]
    first = cells[0] if cells else [EMPTY] * len(header)
    kinds = ["num" if cell.startswith('<td class="num') else None for cell in first]
    titles = [tag("th", t, scope="col", kind=k) for t, k in zip(header, kinds, strict=True)]
    head, body = tag("thead", tag("tr", *titles)), tag("tbody", *(tag("tr", *r) for r in cells))
    return tag("div", tag("table", head, body, **attributes), kind="scroll")


def _cell(value: object) -> Html:
    if isinstance(value, Html) and value.startswith(("<td", "<th")):
        return value
    if isinstance(value, (int, float)):
        return tag("td", f"{value:,}", kind="num")
    return tag("td", "–" if value is None else value)


def bar(text: object, share: float, kind: str = "") -> Html:
    """Return a cell with a bar behind its text.

    Args:
        text: What the cell says.
        share: Length of the bar, 0 to 1.
        kind: Class of the colour: `""`, `"bad"` or `"pale"`.
    """
    width = f"--share:{100 * min(max(share, 0.0), 1.0):.1f}%"
    return tag("td", text, kind=f"num bar {kind}".strip(), style=width)


def image(svg: bytes, alt: str) -> Html:
    """Return a picture that is inside the page; scripts in a picture are never run."""
    data = base64.b64encode(svg).decode("ascii")
    return Html(f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">')


def details(summary: object, *children: object, is_open: bool = False) -> Html:
    """Return a part that can be opened and closed."""
    return tag("details", tag("summary", summary), *children, open=is_open or None)


def section(title: str, *children: object) -> Html:
    """Return a part with a heading, or nothing where there is nothing in it."""
    content = join(children)
    if not content:
        return EMPTY
    return tag("section", tag("h2", title), content, id=title.lower().replace(" ", "-"))


STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #5c5c5c; --paper: #fff; --card: #f6f7f8;
  --rule: #dcdfe2; --bar: #bcdcf0; --bad-bar: #f5cfb5; --pale-bar: #f4e3b8; --good: #00785a;
  --warn: #9a6a00; --bad: #b34700; --unknown: #5c5c5c; --gold: #cdeadf; --found: #f8d5bd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a5a9ad; --paper: #16181a; --card: #202326; --rule: #3a3e42;
    --bar: #15486a; --bad-bar: #6b3413; --pale-bar: #54430f; --good: #3ecf9f; --warn: #e6b23c;
    --bad: #ff8a4c; --unknown: #a5a9ad; --gold: #14513e; --found: #6b3413; }
  img { filter: invert(0.91) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1.5rem 4rem; max-width: 72rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; margin: 1rem 0; }
.answer { background: var(--card); border-left: 5px solid var(--tone); border-radius: 4px;
  padding: .6rem .9rem .7rem; overflow-wrap: anywhere; }
.answer h2 { border: 0; margin: 0; font-size: .85rem; font-weight: 500; color: var(--soft); }
.answer .verdict { font-size: 1.15rem; font-weight: 650; color: var(--tone); margin: 0 0 .2rem; }
.good { --tone: var(--good); } .warn { --tone: var(--warn); }
.bad { --tone: var(--bad); } .unknown { --tone: var(--unknown); }
.scores { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; margin: .8rem 0; }
.scores div { line-height: 1.3; } .scores b { font-size: 1.35rem; font-weight: 650; }
img { display: block; max-width: 100%; height: auto; margin: .6rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .22rem .7rem; border-bottom: 1px solid var(--rule);
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { min-width: 6.5rem; background: linear-gradient(to right, var(--bar) var(--share),
  transparent var(--share)); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bar.bad { --bar: var(--bad-bar); } .bar.pale { --bar: var(--pale-bar); }
tr.sum td, tr.sum th { font-weight: 650; }
details { margin: .5rem 0; } summary { cursor: pointer; }
.gold { background: var(--gold); text-decoration: underline; } .found { background: var(--found); }
.gold.found { background: var(--pale-bar); }
@media (max-width: 46rem) { .answers { grid-template-columns: 1fr; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; }
  details::details-content { content-visibility: visible; }
  section, .answer, tr, img { break-inside: avoid; } section { break-inside: auto; } }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Nothing is loaded and no script is run, whatever the page holds."""


def page(title: str, *children: object) -> str:
    """Return a whole page that needs no other file."""
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            tag("style", Html(STYLE)),
        ]
    )
    body = tag("body", *children)
    return f'<!doctype html>\n<html lang="en">{tag("head", head)}{body}</html>\n'
