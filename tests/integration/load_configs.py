"""Loads configs in a process of its own: `load_configs.py FOLDER GOOD TRAIN` prints JSON.

The good config is loaded first, so that what loading imports is imported. Then every event is
watched that would mean that a config runs code, and each file of the folder is loaded, by
`edspipe.load` and by a command line.
"""

from __future__ import annotations

import json
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edspipe

WATCHED = (
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "ctypes.dlopen",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
)

app = edspipe.Cli()


@app.command(name="train", registry=edspipe.registry)
def train(nlp: edspipe.Pipeline, steps: int = 1) -> str:
    """Stand in for a training."""
    return nlp.lang


def main(folder: Path, good: Path, section: Path) -> None:
    """Load all, and print for each file and door: the error, the seconds, the events."""
    doors: dict[str, Callable[[Path], Any]] = {
        "load": edspipe.load,
        "cli": lambda path: app.main(["--config", str(path), "--config", str(section)]),
    }
    for door in doors.values():
        door(good)
    events: list[str] = []

    installed = (sys.prefix, sys.base_prefix, str(Path(edspipe.__file__).parent))

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event in ("compile", "exec"):
            file = str(args[1] if event == "compile" else args[0].co_filename)
            by = sys._getframe(1).f_code.co_filename
            if not file.startswith(installed) and by != typing.__file__:  # it reads annotations
                events.append(f"{event} of {file}")
        elif event in WATCHED:
            events.append(event)

    sys.addaudithook(watch)
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        for name, door in doors.items():
            events.clear()
            start = time.process_time()
            try:
                door(path)
                said = ["loaded", ""]
            except Exception as error:
                said = [type(error).__name__, str(error)]
            seconds = time.process_time() - start
            # ast.parse compiles to a tree, under the name "<unknown>"; nothing of it is run
            ran = [event for event in events if event != "compile of <unknown>"]
            found[f"{path.name} {name}"] = [*said, seconds, ran]
    found["modules"] = sorted(name for name in sys.modules if "evil" in name)
    events.clear()
    exec("1 + 1")  # noqa: S102 - to be seen
    found["the watch works"] = list(events)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*(Path(arg) for arg in sys.argv[1:]))
