r"""Throw damaged files at the readers: nothing but an error that names the file may come out.

    python -m benchmarks.fuzz --minutes 10 --target ann
    python -m benchmarks.fuzz --minutes 1                    # each target in turn
    python -m benchmarks.fuzz --minutes 10 --target ann --engine atheris

Each input is a seed that was changed some times: bytes replaced, parts cut out, moved, repeated,
mixed with another seed, words of the format put in. Inputs that end in an error of a new kind are
seeds from then on. `atheris` (if it is installed) looks at which code runs instead, and stops at
the first finding.

A finding is any exception but `DataError` (`ConfigError` for a config), a call that takes more than
a second of the processor, or more than 500 MB of memory. Its input is written to a folder, and the
exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from loguru import logger

from benchmarks.fuzz.changes import MAX_BYTES
from benchmarks.fuzz.running import Findings, fuzz, keep, rss_mb, run_one
from benchmarks.fuzz.targets import MAKERS, make_target

SHOWN_KINDS = 30


def show(name: str, findings: Findings, seconds: float) -> None:
    """Print what came out."""
    speed = findings.runs / seconds
    worst = f"worst {findings.worst_seconds:.2f} s, peak {rss_mb():.0f} MB"
    print(f"{name}: {findings.runs:,} inputs, {speed:,.0f} a second, {worst}")
    for kind, number in findings.kinds.most_common(SHOWN_KINDS):
        print(f"  {number:>9,}  {kind}")
    if len(findings.kinds) > SHOWN_KINDS:
        print(f"  and {len(findings.kinds) - SHOWN_KINDS} kinds more")
    for problem, where in findings.problems.items():
        print(f"  FOUND  {problem}: {where}")


def fuzz_with_atheris(name: str, seconds: float, out: Path) -> None:
    """Let libFuzzer choose the inputs by the code that they reach; does not return."""
    atheris = importlib.import_module("atheris")
    work = Path(tempfile.mkdtemp())
    with atheris.instrument_imports(include=["edspipe.data", "edspipe.doc", "edspipe.config"]):
        target = make_target(name, work)
    seeds = work / "seeds"
    seeds.mkdir()
    for number, data in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(data)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    (work / "words").write_text("".join(f'"{word}"\n' for word in escaped))
    out.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    run_one(target, target.seeds[0], Findings())

    def run(data: bytes) -> None:
        problem = run_one(target, data, findings)
        if problem is not None:
            raise RuntimeError(f"{problem}: {keep(data, out)}")

    options = [
        f"-max_total_time={int(seconds)}",
        f"-max_len={MAX_BYTES}",
        f"-dict={work / 'words'}",
        f"-artifact_prefix={out}/",
        "-rss_limit_mb=1000",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(seeds)], run)
    atheris.Fuzz()


def main() -> int:
    """Fuzz as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--target", choices=[*MAKERS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz_findings"), help="where inputs go")
    parser.add_argument("--engine", choices=["own", "atheris"], default="own")
    args = parser.parse_args()
    logger.remove()
    seconds = args.minutes * 60
    if args.engine == "atheris":
        if args.target == "all":
            parser.error("--engine atheris takes one --target: it does not come back")
        fuzz_with_atheris(args.target, seconds, args.out / args.target)
    names = list(MAKERS) if args.target == "all" else [args.target]
    found = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            target = make_target(name, Path(folder))
            findings = fuzz(target, seconds, args.seed, args.out / name)
        show(name, findings, seconds)
        found += len(findings.problems)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
