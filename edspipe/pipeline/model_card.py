"""The card of a model: what it does, what it was trained on, how well it does, in Markdown.

It is made from files alone. Of them, only names, numbers and hashes get onto the card, never a
text, so nothing of a document can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.config.schema import walk
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.serialization import PIPES, read_meta, read_model_config

RUN, MEMORISATION = "run.json", "memorisation.json"
SCORES = ("evaluation/test.json", "evaluation/val.json")
"""Of these, the first that is there goes onto the card."""
_FIGURES = ("p", "r", "f")
_LIMITS = """\
For research and for tools that support people who check what it finds. It is no medical device, and
no decision about a patient should rest on it alone.

- It was measured on documents like those it was trained on, or not at all (see above). Other
  hospitals, specialties, years and ways of writing may differ: score it on your own notes first.
- It finds what its labels were annotated for, with the errors counted above. What it does not find
  is not thereby absent.
- Who shares it should know whether the documents it was trained on allow that: a model may hold
  traces of them (see memorisation)."""


@dataclass(frozen=True)
class Records:
    """What lies beside a model.

    Attributes:
        run: Seed, versions and data of the training.
        scores: Of test or validation, as `Evaluation.to_dict`, and the name of the part.
        part: `"test"` or `"val"`.
        memorisation: What was measured of memorisation.
    """

    run: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    memorisation: Mapping[str, Any] = field(default_factory=dict)


def read_records(model: Path) -> Records:
    """Read what lies in the folder of a model, or in the one that it is in.

    Raises:
        CheckpointError: A file is damaged.
    """
    places = [model, model.absolute().parent]
    scores = _first(places, SCORES)
    beside = ("evaluation/" + MEMORISATION, MEMORISATION)
    return Records(
        run=_read(_first(places, (RUN,))),
        scores=_read(scores),
        part="" if scores is None else scores.stem,
        memorisation=_read(_first(places, beside)),
    )


def _first(places: Sequence[Path], names: Sequence[str]) -> Path | None:
    files = (place / name for place in places for name in names)
    return next((file for file in files if file.is_file()), None)


def _read(file: Path | None) -> Mapping[str, Any]:
    return {} if file is None else read_json(file)


def model_card(model: Path, name: str, version: str) -> str:
    """Return the card of a saved model.

    Args:
        model: The folder of the model, checked.
        name: What it is called.
        version: Its version.

    Raises:
        CheckpointError: A file of the model, or beside it, is damaged.
    """
    records = read_records(model)
    sections = {
        f"{name} {version}": _summary(model, name),
        "What it does": _pipes(model),
        "Trained on": _data(records.run),
        "Scores": _scores(records),
        "Memorisation": _memorisation(records.memorisation),
        "Intended use and limits": [_LIMITS],
    }
    parts = []
    for level, (title, lines) in enumerate(sections.items()):
        parts += [f"{'#' if level == 0 else '##'} {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _summary(model: Path, name: str) -> Iterator[str]:
    meta = read_meta(model)
    yield "A pipeline of edspipe. Install the package, then:"
    yield f'\n```python\nimport edspipe\n\nnlp = edspipe.load("{name}")\n```\n'
    if description := meta.get("description"):
        yield f"- Description: {_inline(description)}"
    language = meta.get("language") or meta.get("lang")
    yield f"- Language: {_inline('not said' if language == 'eds' else language)}"
    yield f"- Tokenizer: {_inline(meta.get('lang'))}"
    yield f"- Saved by: edspipe {_inline(meta.get('edspipe_version'))}"


def _pipes(model: Path) -> Iterator[str]:
    config = read_model_config(model)
    components = config["nlp"].get("components") or {}
    if not components:
        yield "It cuts text into words; it has no pipes."
        return
    yield "| Pipe | Kind | Labels |"
    yield "|---|---|---|"
    for name, block in components.items():
        labels = _labels(model / PIPES / name)
        yield f"| {_inline(name)} | {_inline(block.get('@factory'))} | {labels} |"
    foreign = sorted(
        {
            str(block["@factory"])
            for _, block in walk(config)
            if isinstance(block, dict)
            and "@factory" in block
            and not (registry.factory.home(str(block["@factory"])) or "").startswith("edspipe.")
        }
    )
    if foreign:
        yield f"\nIt needs code that is not of edspipe for: {', '.join(map(_inline, foreign))}."


def _labels(pipe: Path) -> str:
    state = _read(_first([pipe], ("state.json",)))
    labels = state.get("labels")
    return ", ".join(map(_inline, labels)) if isinstance(labels, list) else ""


def _data(run: Mapping[str, Any]) -> Iterator[str]:
    data = _mapping(run.get("data"))
    if not data:
        yield "Not recorded."
        return
    yield "| Part | Documents | Words | SHA-256 of ids and texts |"
    yield "|---|---|---|---|"
    for part, facts in data.items():
        facts = _mapping(facts)
        numbers = " | ".join(_number(facts.get(key)) for key in ("num_docs", "num_words"))
        digest = str(facts.get("sha256", ""))
        shown = digest if re.fullmatch("[0-9a-f]{64}", digest) else "-"
        yield f"| {_inline(part)} | {numbers} | {shown} |"
    for part, facts in data.items():
        labels = _mapping(_mapping(facts).get("labels"))
        if labels and str(part).startswith("train"):
            counts = ", ".join(f"{_inline(name)} {_number(n)}" for name, n in labels.items())
            yield f"\nSpans in {_inline(part)}: {counts}."
    versions = ", ".join(
        f"{_inline(name)} {_inline(version)}"
        for name, version in _mapping(run.get("versions")).items()
    )
    yield f"\nSeed {_number(run.get('seed'))}" + (f"; {versions}." if versions else ".")


def _scores(records: Records) -> Iterator[str]:
    scores = _mapping(records.scores.get("scores"))
    if not scores:
        yield "Not measured."
        return
    what = {"test": "test", "val": "validation (also used to choose the model)"}[records.part]
    num_docs = _number(records.scores.get("num_docs"))
    yield f"Exact matches on {num_docs} documents of {what}."
    yield "\n| Label | Precision | Recall | F1 | Gold |"
    yield "|---|---|---|---|---|"
    ends = _mapping(scores.get("ci"))
    for label, figures in scores.items():
        figures = _mapping(figures)
        if "f" in figures:
            cells = [_score(figures, _mapping(ends.get(label)), key) for key in _FIGURES]
            gold = _number(figures.get("support"))
            yield f"| {_inline(label)} | {' | '.join(cells)} | {gold} |"
    if ends and "f" not in ends:
        yield "\nIn brackets: bootstrap intervals of 95 % over documents."
    counts = _mapping(_mapping(records.scores.get("errors")).get("counts"))
    if counts:
        said = ", ".join(f"{_inline(kind)} {_number(n)}" for kind, n in counts.items())
        yield f"\nSpans by kind: {said}."


def _memorisation(found: Mapping[str, Any]) -> Iterator[str]:
    exposure = _mapping(found.get("exposure"))
    if not exposure:
        yield "Not measured."
        return
    yield "Exposure (bits) of planted secrets, by how often each stood in the training data:"
    yield "\n| Times | Exposure |"
    yield "|---|---|"
    for times, bits in exposure.items():
        yield f"| {_inline(times)} | {_number(bits)} |"
    yield f"\nMeasured against {_number(found.get('num_twins'))} twins that were not planted."


def _score(figures: Mapping[str, Any], ends: Mapping[str, Any], key: str) -> str:
    shown = _number(figures.get(key))
    interval = ends.get(key)
    if isinstance(interval, list) and len(interval) == 2:
        shown += f" [{_number(interval[0])} {_number(interval[1])}]"
    return shown


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _inline(value: Any) -> str:
    """Return a name as code on one line that no character of it can break."""
    text = " ".join(str(value).replace("`", "'").replace("|", "/").split())
    return f"`{text[:80]}`"
