r"""Score the rule pipes on a folder of clinical corpora.

    python -m benchmarks.rules DATA
    python -m benchmarks.rules DATA qualifiers

`DATA` holds `context_en.tsv` and the folders `e3c_en`, `e3c_fr`, `e3c_es` (brat standoff). Each
part is a module beside this one with a function `main(data)`, which prints its figures. Intervals
are of 95%, by a bootstrap over documents. `speed` (words/s, beside peers), `scale` (long texts,
a million terms) and `fuzz` (hostile texts) have command lines of their own.
"""

from __future__ import annotations

import argparse
import importlib
from importlib.util import find_spec
from pathlib import Path

PARTS = ("qualifiers", "dates", "quantities", "sentences")


def main() -> None:
    """Run the parts that the command line names, else all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of corpora")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    args = parser.parse_args()
    for part in args.parts or PARTS:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}; choose of {', '.join(PARTS)}")
        if args.parts or find_spec(f"benchmarks.rules.{part}"):
            print(f"## {part}")
            importlib.import_module(f"benchmarks.rules.{part}").main(args.data)


if __name__ == "__main__":
    main()
