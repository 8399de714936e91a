"""edspipe convert IN OUT: documents from one format to another."""

from __future__ import annotations

import argparse

from edspipe.data.formats import FORMATS, read_docs, write_docs


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("source", metavar="IN", help="file, folder, pattern or address")
    command.add_argument("target", metavar="OUT", help="file, or a folder of brat files")
    command.add_argument("--from", dest="source_format", choices=FORMATS, help="format of IN")
    command.add_argument("--to", dest="target_format", choices=FORMATS, help="format of OUT")
    command.add_argument("--in-converter", metavar="NAME", help="how records become documents")
    command.add_argument("--out-converter", metavar="NAME", help="how documents become records")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--overwrite", action="store_true", help="replace OUT")
    how.add_argument("--append", action="store_true", help="add to OUT")
    command.add_argument("--resume", action="store_true", help="go on with a broken-off run")
    command.add_argument("--num-cpu-workers", type=int, default=0, metavar="N")
    command.add_argument(
        "--on-error", default="raise", metavar="POLICY", help="raise, skip, quarantine:FILE.jsonl"
    )


def run(options: argparse.Namespace) -> None:
    """Read, write, and say what became of the documents."""
    docs = read_docs(
        options.source, format=options.source_format, converter=options.in_converter
    ).set_processing(
        num_cpu_workers=options.num_cpu_workers, on_error=options.on_error, show_progress=True
    )
    report = write_docs(
        docs,
        options.target,
        format=options.target_format,
        converter=options.out_converter,
        overwrite="append" if options.append else options.overwrite,
        resume=options.resume,
    )
    print(f"{options.target}: {report}")
