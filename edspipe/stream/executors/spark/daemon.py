"""The process from which Spark forks its Python workers, with what they need loaded already.

A worker that imports torch and spaCy takes seconds, a forked one none, and what was loaded is in
memory once. Spark runs this module in the place of its own under
`spark.python.daemon.module=edspipe.stream.executors.spark.daemon`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys

from edspipe.optional import require

PRELOAD = "EDSPIPE_PRELOAD"
"""Environment variable: names of modules, parted by commas."""


def preload(names: str) -> None:
    """Import modules, as far as they are there; workers that need others import them."""
    with contextlib.redirect_stdout(sys.stderr):  # Spark reads the port of its daemon from stdout
        for name in filter(None, names.split(",")):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def main() -> None:
    """Load, then do what Spark's own daemon does."""
    daemon = require("pyspark.daemon", "spark", "Spark")
    preload(os.environ.get(PRELOAD, ""))
    gc.freeze()  # workers collect garbage after each task: not again through all these modules
    daemon.manager()


if __name__ == "__main__":
    main()
