"""edspipe apply: a pipeline over a folder of notes, a file of records, or one text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import edspipe.pipeline.loading as loading
from edspipe.cli.modules import import_module
from edspipe.data.json import SUFFIXES, read_json, write_json
from edspipe.data.standoff.streams import read_standoff, write_standoff
from edspipe.stream.stream import Stream


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path, help="folder of a saved pipeline")
    which.add_argument("--config", type=Path, help="config of a pipeline, e.g. of rules")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", type=Path, help="brat folder, or .jsonl of OMOP notes")
    source.add_argument("--text", help="one text; its entities are printed")
    command.add_argument("--output", type=Path, help="brat folder, or .jsonl of OMOP notes")
    command.add_argument("--overwrite", action="store_true", help="replace the output")
    command.add_argument("--spans", default="*", help="groups to write: ents, a name, or * for all")
    command.add_argument("--num-cpu-workers", type=int, default=0, metavar="N")
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Read, run, write; or print the entities of one text."""
    for module in options.modules:
        import_module(module)
    nlp = loading.load(options.config if options.model is None else options.model)
    if options.text is not None:
        print(entities_table(nlp(options.text.replace("\\n", "\n"))))
        return
    if options.output is None:
        raise ValueError("--output is missing: a brat folder, or a .jsonl file")
    if not options.input.exists():
        raise ValueError(f"{options.input}: expected a brat folder or a .jsonl file, found none")
    counts = apply_to_files(
        nlp,
        options.input,
        options.output,
        overwrite=options.overwrite,
        spans=options.spans,
        num_cpu_workers=options.num_cpu_workers,
    )
    shown = ", ".join(f"{name} {number:,}" for name, number in counts.items() if number)
    print(f"{options.output}: {shown}")


def apply_to_files(
    nlp: Any,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    spans: str = "*",
    num_cpu_workers: int = 0,
) -> dict[str, int]:
    """Run a pipeline over notes and write them with what it found.

    Args:
        nlp: The pipeline.
        source: A brat folder, or a `.jsonl` (or `.json`) file of OMOP notes.
        target: Likewise.
        overwrite: Replace the target.
        spans: Which spans are written: `"ents"`, the name of a group, or `"*"`.
        num_cpu_workers: Worker processes.

    Returns:
        What was counted: items read, filtered, skipped, delivered.
    """
    stream = _read(nlp, source).map_pipeline(nlp)
    stream = stream.set_processing(num_cpu_workers=num_cpu_workers, show_progress=True)
    getter = ["ents", "*"] if spans == "*" else spans
    if _is_json(target):
        return write_json(stream, target, converter="omop", span_getter=getter, overwrite=overwrite)
    return write_standoff(stream, target, span_getter=getter, overwrite=overwrite)


def _read(nlp: Any, source: Path) -> Stream:
    if _is_json(source):
        return read_json(source, converter="omop", tokenizer=nlp.tokenizer)
    return read_standoff(source, tokenizer=nlp.tokenizer)


def _is_json(path: Path) -> bool:
    return path.suffix in SUFFIXES or path.suffixes[-2:] == [".jsonl", ".gz"]


def entities_table(doc: Any) -> str:
    """Return the entities of a Doc as a table: label, characters, text."""
    spans = {(s.start_char, s.end_char, s.label_): s for s in doc.ents}
    for group in doc.spans.values():
        spans.update({(s.start_char, s.end_char, s.label_): s for s in group})
    rows = [
        (label, f"{b}-{e}", " ".join(span.text.split()))
        for (b, e, label), span in sorted(spans.items())
    ]
    if not rows:
        return "no entities found"
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c}" for a, b, c in rows)
