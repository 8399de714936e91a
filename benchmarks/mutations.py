"""Do the tests bite? Known faults are put back into a copy of the sources, and tests have to fail.

    python benchmarks/mutations.py                  all of them
    python benchmarks/mutations.py --only 3 7       the third and the seventh
    python benchmarks/mutations.py --list           what there is, and whether it still applies

Each fault is a change of one text in one file. Tests that fail without it prove nothing, so they
are run without it first. Where the text is not found any more, the sources have moved on: the
script says so, and the fault counts as missed until its text is brought up to date.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("edspipe", "tests", "configs", "benchmarks", "pyproject.toml", "train.py")
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*")
TEST_TIMEOUT_S = 30
"""What one test gets: some of these faults make tests hang."""
SELECTION_TIMEOUT_S = 300
FAILED = 1
"""Exit code of pytest where tests failed; others mean that they could not be run."""


@dataclass(frozen=True)
class Mutation:
    """A fault that can be put back.

    Attributes:
        title: What is wrong then.
        file: The file, from the root of the checkout.
        old: A text that stands once in the file.
        new: What is put in its place.
        tests: Arguments of pytest: the tests that should notice.
    """

    title: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self, root: Path) -> str:
        """Return why the fault cannot be put back, or an empty string."""
        path = root / self.file
        if not path.is_file():
            return f"{self.file} is not there any more: bring this mutation up to date"
        count = path.read_text(encoding="utf-8").count(self.old)
        if count == 1:
            return ""
        first = self.old.strip().splitlines()[0]
        found = "is not found any more" if count == 0 else f"stands {count} times"
        return f"in {self.file} the text that begins '{first}' {found}: bring it up to date"


MUTATIONS = [
    Mutation(
        "A save deletes the version before, then writes",
        "edspipe/atomic.py",
        "    with _staging(target) as staging:\n        FS.mkdir(staging)\n",
        "    discard(target)\n    with _staging(target) as staging:\n        FS.mkdir(staging)\n",
        ("tests/unit/pipeline/test_serialization.py", "-k", "save_that_fails"),
    ),
    Mutation(
        "Weights that a file misses keep their random values (strict=False)",
        "edspipe/pipeline/tensors.py",
        "            _check_names(file, {*saved.keys(), *aliases}, set(tensors))\n"
        "            for name, tensor in tensors.items():\n",
        "            there = {*saved.keys(), *aliases}\n"
        "            for name, tensor in [(n, t) for n, t in tensors.items() if n in there]:\n",
        ("tests/unit/pipeline/test_serialization.py", "-k", "wrong_tensor"),
    ),
    Mutation(
        "The manifest of a model is not verified",
        "edspipe/pipeline/serialization.py",
        "    atomic.verify_manifest(folder)\n",
        "",
        ("tests/unit/pipeline/test_serialization.py", "-k", "flipped_bit"),
    ),
    Mutation(
        "Nobody watches for the end of a worker",
        "edspipe/stream/executors/multiprocess/pool.py",
        "        for fd in (worker.channel.fileno(), worker.process.sentinel):\n",
        "        for fd in (worker.channel.fileno(),):\n",
        ("tests/integration/multiprocess/test_worker_deaths.py", "-k", "error_that_names_it"),
    ),
    Mutation(
        "Batches depend on the number of workers",
        "edspipe/stream/ops/grouping.py",
        "        return MIN_CHUNK\n",
        "        return MIN_CHUNK + 7 * settings.num_cpu_workers\n",
        ("tests/integration/multiprocess/test_worker_results.py", "-k", "what_comes_out"),
    ),
    Mutation(
        "Line ends of brat texts are translated",
        "edspipe/data/standoff/parse.py",
        '        return data.decode("utf-8")\n    except UnicodeDecodeError as error:\n',
        '        return data.decode("utf-8").replace("\\r\\n", "\\n")\n'
        "    except UnicodeDecodeError as error:\n",
        ("tests/unit/data/test_standoff_files.py",),
    ),
    Mutation(
        "Two records with one id are both written",
        "edspipe/data/output/ids.py",
        "        if twins:\n",
        "        if twins and self.count < 0:\n",
        ("tests/unit/data/test_json.py", "-k", "one_id"),
    ),
    Mutation(
        "An id is taken as a path, and may leave the folder",
        "edspipe/data/safe_names.py",
        '    *folders, name = doc_id.split("/")\n',
        '    return doc_id\n    *folders, name = doc_id.split("/")\n',
        ("tests/unit/data/test_safe_names.py",),
    ),
    Mutation(
        "Expressions in configs are given to eval",
        "edspipe/config/expressions.py",
        '            return self._node(ast.parse(source, mode="eval").body, path)\n',
        "            return eval(source)\n",
        ("tests/integration/test_hostile_configs.py",),
    ),
    Mutation(
        "A file is deleted before its new version is written",
        "edspipe/data/output/placing.py",
        "        atomic.check_no_folder(self.target)\n",
        "        atomic.check_no_folder(self.target)\n"
        "        self.target.unlink(missing_ok=True)\n",
        ("tests/unit/data/test_json.py", "-k", "leaves_the_old_file"),
    ),
]


def main(arguments: list[str] | None = None) -> int:
    """Put the faults back one by one; return 0 if all of them were noticed."""
    args = _parser().parse_args(arguments)
    chosen = [(n, one) for n, one in enumerate(MUTATIONS, 1) if n in (args.only or [n])]
    if args.list:
        for number, mutation in chosen:
            print(f"{number:2d}. {mutation.title}: {mutation.problem(ROOT) or 'applies'}")
        return 0
    noticed = 0
    for number, mutation in chosen:
        verdict = try_mutation(mutation)
        noticed += verdict == "noticed"
        print(f"{number:2d}. {mutation.title}: {verdict}", flush=True)
    print(f"{noticed} of {len(chosen)}")
    return 0 if noticed == len(chosen) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutations")
    parser.add_argument("--list", action="store_true", help="run nothing")
    return parser


def try_mutation(mutation: Mutation) -> str:
    """Put one fault back into a copy, and run its tests there.

    Returns:
        "noticed", or what is wrong.
    """
    problem = mutation.problem(ROOT)
    if problem:
        return f"CANNOT BE PUT BACK, {problem}"
    with copied_checkout() as root:
        code = run_tests(root, mutation.tests)
        if code != 0:
            return f"PROVES NOTHING, its tests do not pass without it (pytest ended with {code})"
        path = root / mutation.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        code = run_tests(root, mutation.tests)
    if code == FAILED:
        return "noticed"
    return "MISSED, all tests pass" if code == 0 else f"NOT RUN, pytest ended with code {code}"


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """Copy what tests need to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="edspipe-mutation-") as name:
        for part in COPIED:
            source, target = ROOT / part, Path(name) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=NOT_COPIED)
            else:
                shutil.copy2(source, target)
        yield Path(name)


def run_tests(root: Path, tests: tuple[str, ...]) -> int:
    """Run tests in a copy until the first one fails; return pytest's exit code.

    The copy comes before an installed edspipe on the path, for the processes of tests too.
    """
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-n0", f"--timeout={TEST_TIMEOUT_S}", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SELECTION_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return FAILED  # it hangs, which nobody would overlook
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
