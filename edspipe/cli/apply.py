"""edspipe apply: a pipeline over notes in any format, or over one text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edspipe.pipeline.loading as loading
from edspipe.cli.label_options import add_text_columns
from edspipe.cli.label_output import classifiers_of, label_writer, labels_table, note_columns
from edspipe.cli.modules import import_module
from edspipe.data.formats import RECORDS, find_format, find_target_format, read_docs, write_docs
from edspipe.doc.bare import bare_copy
from edspipe.doc.token_tags import tagged_text
from edspipe.stream.account import RunReport

WITH_SPANS = ("standoff", "json", "parquet", "csv")
"""Formats of which some groups of spans can be chosen."""

CONVERTERS = {"json": "omop", "parquet": "omop", "csv": "note_nlp"}
"""How documents become records, by format."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path, help="folder of a saved pipeline")
    which.add_argument("--config", type=Path, help="config of a pipeline, e.g. of rules")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", type=Path, help="brat folder, .jsonl, .parquet, .csv, ...")
    source.add_argument("--text", help="one text; its entities, or words/TAGS, are printed")
    command.add_argument("--output", type=Path, help="brat folder, .jsonl, .parquet, .spacy, ...")
    command.add_argument("--overwrite", action="store_true", help="replace the output")
    command.add_argument("--resume", action="store_true", help="go on with a broken-off run")
    command.add_argument("--spans", default="*", help="groups to write: ents, a name, or * for all")
    command.add_argument("--converter", help="how records are made: omop, note_nlp, ...")
    command.add_argument(
        "--keep-annotations", action="store_true", help="those that the input has, too"
    )
    add_text_columns(command)
    command.add_argument(
        "--keep", nargs="+", default=[], metavar="COLUMN", help="of records: write it with labels"
    )
    command.add_argument("--with-text", action="store_true", help="write the text with labels")
    command.add_argument("--num-cpu-workers", type=int, default=0, metavar="N")
    command.add_argument("--timeout-s", type=float, metavar="S", help="a document's time limit")
    command.add_argument(
        "--on-error", default="raise", metavar="POLICY", help="raise, skip, quarantine:FILE.jsonl"
    )
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Read, run, write; or print what is found in one text."""
    for module in options.modules:
        import_module(module)
    nlp = loading.load(options.config if options.model is None else options.model)
    if options.text is not None:
        print(found_in(nlp, options.text.replace("\\n", "\n")))
        return
    if options.output is None:
        raise ValueError("--output is missing: a brat folder, or a .jsonl file")
    if not options.input.exists():
        raise ValueError(f"{options.input}: expected a brat folder or a .jsonl file, found none")
    report = apply_to_files(
        nlp,
        options.input,
        options.output,
        overwrite=options.overwrite,
        resume=options.resume,
        spans=options.spans,
        converter=options.converter,
        keep_annotations=options.keep_annotations,
        text_column=options.text_column,
        id_column=options.id_column,
        keep=options.keep,
        with_text=options.with_text,
        num_cpu_workers=options.num_cpu_workers,
        timeout_s=options.timeout_s,
        on_error=options.on_error,
    )
    print(f"{options.output}: {report}")


def apply_to_files(
    nlp: Any,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    spans: str = "*",
    converter: str | None = None,
    keep_annotations: bool = False,
    text_column: str | None = None,
    id_column: str | None = None,
    keep: Sequence[str] = (),
    with_text: bool = False,
    **settings: Any,
) -> RunReport:
    """Run a pipeline over notes and write them with what it found.

    A pipeline that classifies documents writes a record of labels and probabilities a document,
    without its text, to `.csv`, `.jsonl` and `.parquet`; if it looks for spans too, to `.csv` only.

    Args:
        nlp: The pipeline.
        source: A brat folder, a file of records (`.jsonl`, `.parquet`, ...), or any other format.
        target: Likewise; records are OMOP notes.
        overwrite: Replace the target.
        resume: Go on with a run that was broken off.
        spans: Which spans are written: `"ents"`, the name of a group, or `"*"`.
        converter: How records are made of documents; None takes that of labels for a pipeline that
            gives them, else `"omop"`, and for `.csv` `"note_nlp"`, a row an entity.
        keep_annotations: Give the pipeline, and write, the annotations of the source too.
        text_column: Where the text is in records; None looks for `note_text` and `text`.
        id_column: Where the id is; None looks for `note_id`, `doc_id` and `id`.
        keep: Columns of records that are written with labels.
        with_text: Write the text with labels.
        **settings: As of `Stream.set_processing`.

    Returns:
        What became of the documents.

    Raises:
        ValueError: Options do not fit the formats or the pipeline.
        DataError: Records lack a column.
    """
    pipes, format = classifiers_of(nlp), find_target_format(target)
    wanted = format == "csv" or (format in RECORDS and not _finds_spans(nlp))
    labels = bool(pipes) and wanted and converter is None
    if converter is not None and format not in CONVERTERS:
        raise ValueError(
            f"--converter: expected an output of records, .jsonl, .parquet or .csv; got {target}"
        )
    given = text_column is not None or id_column is not None
    if not labels and (keep or with_text):
        raise ValueError(
            "--keep and --with-text go with labels of documents, which are written to .csv, .jsonl "
            "and .parquet by a pipeline that classifies them"
        )
    in_records = find_format(source) in RECORDS
    if not in_records and (given or keep):
        raise ValueError("--text-column, --id-column and --keep are for records, e.g. of a .csv")
    columns = note_columns(source, text_column, id_column, keep, pipes) if in_records else None
    options: dict[str, Any] = {"overwrite": overwrite, "resume": resume}
    if columns is not None and (labels or given):
        if keep_annotations:
            raise ValueError("--keep-annotations: records that are read by columns have none")
        stream = read_docs(source, converter="labels", tokenizer=nlp.tokenizer, **columns.reading())
    else:
        stream = read_docs(source, tokenizer=nlp.tokenizer, span_setter="ents")
    stream = (stream if keep_annotations else stream.map(bare_copy)).map_pipeline(nlp)
    stream = stream.set_processing(show_progress=True, **settings)
    if labels:
        options["converter"] = label_writer(pipes, format, columns, with_text=with_text)
    elif format in CONVERTERS:
        options["converter"] = converter or CONVERTERS[format]
    takes_spans = spans != "*" or converter in (None, *CONVERTERS.values())
    if format in WITH_SPANS and not labels and takes_spans:
        options["span_getter"] = ["ents", "*"] if spans == "*" else spans
    return write_docs(stream, target, format=format, **options)


def _finds_spans(nlp: Any) -> bool:
    """Whether a pipe says where it writes spans."""
    return any(hasattr(pipe, "span_setter") for name, pipe in nlp.pipes if name not in nlp.disabled)


def found_in(nlp: Any, text: str) -> str:
    """Return what a pipeline finds in a text: words with their tags, a table of labels of the
    document, and one of entities.

    The last one is left out where the pipeline does something else and finds no entity.
    """
    doc = nlp(text)
    attributes = [getattr(pipe, "token_attribute", None) for _, pipe in nlp.pipes]
    parts = [tagged_text(doc, name) for name in dict.fromkeys(attributes) if name is not None]
    parts += [labels_table(doc, pipe) for pipe in classifiers_of(nlp)]
    if not parts or doc.ents or any(doc.spans.values()):
        parts.append(entities_table(doc))
    return "\n\n".join(parts)


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
