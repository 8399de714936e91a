r"""Throw damaged files at the readers: nothing but an error that names the file may come out.

    python benchmarks/fuzz_readers.py --minutes 10 --target ann
    python benchmarks/fuzz_readers.py --minutes 1                    # each target in turn
    python benchmarks/fuzz_readers.py --minutes 10 --target ann --engine atheris

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
import contextlib
import hashlib
import importlib
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger

MAX_SECONDS = 1.0  # of the processor, for one input
MAX_RSS_MB = 500  # of the whole process, libraries included
HANG_SECONDS = 20  # of the clock: then a call is broken off
MAX_BYTES = 1 << 16  # of one input
SHOWN_KINDS = 30

TEXT = "Pas de fièvre.\r\nToux 🙂 sèche\ndepuis 3 jours\u2028fin"
ANN = (
    "T1\tSign 7 13\tfièvre\nA1\tNegation T1\nT2\tSign 16 20;23 28\tToux sèche\n"
    "N1\tReference T2 MeSH:D003371\tcough\n#1\tAnnotatorNotes T1\tsure\n"
    "R1\tCause Arg1:T1 Arg2:T2\nE1\tSign:T1 Cause:T2\n*\tEquiv T1 T2\nM1\tDegree T2 high\n"
)
CONLL = (
    "-DOCSTART- -X- O\n\nPas\tRB\tO\nde\tIN\tO\nfièvre\tNN\tB-Sign\n\nToux\tNN\tI-Sign\n"
    "# newdoc id = a\n# text = a b\n#\tNN\tE-X\n\n-DOCSTART- (b)\n\nx B L-Y\n"
)
CONLLU = (
    "# global.columns = ID FORM LEMMA UPOS FEATS MISC NER\n# newdoc id = n/1\n# sent_id = s1\n"
    "# text = Du lit.\n1-2\tdu\t_\t_\t_\t_\t_\n1\tde\tde\tADP\t_\tSpaceAfter=No\tO\n"
    "2\tle\tle\tDET\tGender=Masc|Number=Sing\tSpacesAfter=\\s\\n\tO\n3\tlit\tlit\tNOUN\t_\t_\tB-X\n"
    "3.1\tx\t_\t_\t_\t_\t_\n4\t.\t.\tPUNCT\t_\tSpacesBefore=\\t\tO\n\n"
)
RECORD = {
    "note_id": "n1",
    "note_text": TEXT,
    "entities": [
        {"start_char": 7, "end_char": 13, "note_nlp_source_value": "Sign", "negated": True}
    ],
}
CONFIG = (
    "nlp:\n  '@core': pipeline\n  lang: eds\n  components: {a: {'@factory': eds.split, regex: x}}\n"
    "train:\n  nlp: ${ nlp }\n  batch_size: ${ 16 * 128 }\n  lr: 1e-3\n  list: [1, ~, yes, 'x']\n"
    "a: &x {b: 1}\nc: *x\n"
)


@dataclass
class Target:
    """What is fuzzed.

    Attributes:
        run: Reads one input.
        seeds: Inputs to begin with.
        words: What the format is made of.
        allowed: The error that a bad input may end in.
    """

    run: Callable[[bytes], Any]
    seeds: list[bytes]
    words: list[bytes]
    allowed: type[Exception]


# ---- the targets -------------------------------------------------------------------------------


def make_target(name: str, folder: Path) -> Target:
    """Return a target; what reads files has one in the folder."""
    return MAKERS[name](folder)


def _words(*words: str) -> list[bytes]:
    common = [
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "\0",
        "\ufeff",
        "\u2028",
        "é",
        "🙂",
        "e\u0301",
        "<<<<<<< ",
    ]
    numbers = ["0", "-1", "7", "13", "99999999999999999999", "1e999", "0x10", "٣"]
    raw = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\x1f\x8b"]
    return [word.encode() for word in (*common, *numbers, *words)] + raw


def _ann(folder: Path) -> Target:
    from edspipe.data.standoff.parse import parse_annotations
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        parse_annotations({"d.ann": data}, TEXT, on_problem=lambda problem: None)
        parse_annotations({"d.a1": data[: len(data) // 2], "d.a2": data[len(data) // 2 :]}, TEXT)

    words = _words("T1", "T2", "A1", "N1", "R1", "E1", "M1", "#1", "*", ";", ":", "Arg1:", "Equiv")
    lines = [line.encode() for line in ANN.splitlines(keepends=True)]
    return Target(run, [ANN.encode(), *lines, b""], words, DataError)


def _txt(folder: Path) -> Target:
    from edspipe.data.text.streams import read_text
    from edspipe.errors import DataError

    path = folder / "note.txt"
    path.touch()
    streams = [read_text(path, by=by) for by in ("file", "line", "paragraph")]
    seeds = [TEXT.encode(), b"\xef\xbb\xbfa\r\n\r\nb\n\n", b""]
    return Target(_reading(path, streams), seeds, _words(), DataError)


def _jsonl(folder: Path) -> Target:
    from edspipe.data.json.streams import read_json
    from edspipe.errors import DataError

    path = folder / "notes.jsonl"
    path.touch()
    streams = [read_json(path), read_json(path, converter="omop")]
    line = json.dumps(RECORD, ensure_ascii=False).encode()
    words = _words(
        "{", "}", "[", "]", '"', ":", ",", "null", "NaN", "\\u0000", "\\ud800", "note_text"
    )
    return Target(_reading(path, streams), [line, line + b"\n" + line, b"{}"], words, DataError)


def _csv(folder: Path) -> Target:
    from edspipe.data.csv.streams import read_csv
    from edspipe.errors import DataError

    path = folder / "notes.csv"
    path.write_text("a\n")
    streams = [read_csv(path), read_csv(path, converter="text"), read_csv(path, quote=None)]
    seed = 'note_id,note_text\nn1,"Pas de ""fièvre"",\r\ntoux"\nn2,\nn3,""\n'.encode()
    return Target(
        _reading(path, streams), [seed, b"note_text\na\n"], _words(",", '"', '""'), DataError
    )


def _reading(path: Path, streams: list[Any]) -> Callable[[bytes], None]:
    """Return a function that writes a file and reads it with each stream."""
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        path.write_bytes(data)
        problem = None
        for stream in streams:
            try:
                for _ in stream:
                    pass
            except DataError as error:
                problem = error
        if problem is not None:
            raise problem

    return run


def _conll(folder: Path) -> Target:
    from io import BytesIO

    from edspipe.data.conll.format import parse_document, split_documents
    from edspipe.data.converters.conll import ConllConverter
    from edspipe.errors import DataError

    converter = ConllConverter()

    def run(data: bytes) -> None:
        by = "sentence" if len(data) % 2 else "document"
        for raw in split_documents(BytesIO(data), "x.conll", "x", by):
            columns = raw.columns or ("text", "pos", "ner")
            doc = converter.to_doc(parse_document(raw, columns))
            record = converter.to_record(doc)
            again = converter.to_doc(record)
            assert (again.text, len(again.ents)) == (doc.text, len(doc.ents)), "not the same again"

    words = _words(
        "-DOCSTART-", "# ", "# newdoc id = ", "# text = ", "B-X", "I-X", "E-", "O", "_", "1-2"
    )
    words += _words(
        "# global.columns = ", "SpaceAfter=No", "SpacesAfter=\\s", "|", "3.1", "Number=Sing|"
    )
    return Target(run, [CONLL.encode(), CONLLU.encode()], words, DataError)


def _markup(folder: Path) -> Target:
    from edspipe.doc.markup import parse_markup, render_markup
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        preset = "md" if len(data) % 2 else "xml"
        text, spans = parse_markup(data.decode("utf-8", "surrogateescape"), preset)
        again = parse_markup(render_markup(text, spans, preset), preset)
        assert repr(again) == repr((text, spans)), "not the same again"

    xml = (
        'Pas de <ent label=disease negated n=3 x="a &amp; &quot;b">fracture <ent>a</ent></ent> &lt;'
    )
    md = 'Pas de [fracture [a]()](disease negated n=3 x="a \\" b") \\[ \\\\'
    words = _words(
        "<ent", "</ent>", ">", "&lt;", "[", "](", ")", "\\", '"', "=", "label=", "true", "1.5"
    )
    return Target(run, [xml.encode(), md.encode()], words, DataError)


def _docbin(folder: Path) -> Target:
    import zlib

    from spacy.tokens import Doc, DocBin, Span
    from spacy.vocab import Vocab

    from edspipe.data.docbin.format import load_docs
    from edspipe.errors import DataError

    doc = Doc(Vocab(), words=["Pas", "de", "fièvre"], spaces=[True, True, False])
    doc.ents = [Span(doc, 2, 3, "sign")]
    doc.spans["a"] = [Span(doc, 0, 3, "x"), Span(doc, 0, 1, "y")]
    doc.user_data[("._.", "note_id", None, None)] = "n1"
    seed = zlib.decompress(DocBin(docs=[doc, doc], store_user_data=True).to_bytes())

    def run(data: bytes) -> None:
        for found in load_docs(zlib.compress(data, 1), Vocab()):
            assert len(found.text) >= len(found)
            assert all(0 <= ent.start < ent.end <= len(found) for ent in found.ents)

    return Target(run, [seed], _words("\x01", "\x7f"), DataError)


def _config(folder: Path) -> Target:
    from edspipe.config.files import read_config
    from edspipe.config.schema import link
    from edspipe.errors import ConfigError

    path = folder / "config.yml"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        link(read_config(path))

    words = _words(
        "${ ", " }", "&x ", "*x", "<<: ", "!!python/object:os.system", "? ", "- ", "|\n  ", "%"
    )
    words += _words(
        "{", "}", "[", "]", "'", '"', "~", "@factory: ", "@core: ", " ** ", " * ", "---\n", "1e-3"
    )
    return Target(run, [CONFIG.encode(), b"a: ${ b }\nb: ${ 2 ** 3 }\n"], words, ConfigError)


MAKERS: dict[str, Callable[[Path], Target]] = {
    "ann": _ann,
    "txt": _txt,
    "jsonl": _jsonl,
    "csv": _csv,
    "conll": _conll,
    "markup": _markup,
    "docbin": _docbin,
    "config": _config,
}


# ---- changing inputs ---------------------------------------------------------------------------


def mutate(rng: random.Random, pool: list[bytes], words: list[bytes]) -> bytes:
    """Return an input that was changed some times."""
    data = rng.choice(pool)
    for _ in range(1 << rng.randrange(5)):
        data = rng.choice(_CHANGES)(rng, data, pool, words)[:MAX_BYTES]
    return data


def _flip(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    return data[:start] + data[end:]


def _move(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    rest = data[:start] + data[end:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _repeat(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data)
    # most often a few times; now and then so often that anything but linear time shows
    times = rng.randrange(2, 5) if rng.random() < 0.95 else rng.randrange(1000, 5000)
    return data[:start] + data[start:end] * times + data[end:]


def _put_word(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    start, end = _part(rng, data) if rng.random() < 0.3 else (rng.randrange(len(data) + 1),) * 2
    return data[:start] + rng.choice(words) + data[end:]


def _splice(rng: random.Random, data: bytes, pool: list[bytes], words: list[bytes]) -> bytes:
    other = rng.choice(pool)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_CHANGES = (_flip, _cut, _move, _repeat, _put_word, _put_word, _splice)


def _part(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + 1 + int(rng.expovariate(0.1)))


# ---- running -----------------------------------------------------------------------------------


@dataclass
class Findings:
    """What came out.

    Attributes:
        runs: How many inputs were read.
        kinds: How many ended how.
        worst_seconds: Of the processor, for one input.
        problems: Findings by kind, with the file of the first input.
    """

    runs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    worst_seconds: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)


class HangError(BaseException):
    """A call was broken off; no `except Exception` may take it."""


def run_one(target: Target, data: bytes, findings: Findings) -> str | None:
    """Read one input; return what is wrong about that, if anything is."""
    began = time.process_time()
    problem = None
    try:
        with _alarm():
            target.run(data)
        kind = "read"
    except target.allowed as error:
        kind = f"{type(error).__name__}: {_kind_of(error)}"
    except HangError:
        kind = problem = f"no end after {HANG_SECONDS} s"
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
        said = str(error).partition("\n")[0][:100]
        kind = problem = f"{type(error).__name__}{place} ({said})"
    seconds = time.process_time() - began
    findings.runs += 1
    findings.kinds[kind] += 1
    findings.worst_seconds = max(findings.worst_seconds, seconds)
    if problem is None and seconds > MAX_SECONDS:
        problem = f"more than {MAX_SECONDS} s"
    if problem is None and rss_mb() > MAX_RSS_MB:
        problem = f"more than {MAX_RSS_MB} MB"
    return problem


def _kind_of(error: Exception) -> str:
    """Return the message without places, digits, names and lists: one kind of error is one kind."""
    said = getattr(error, "message", None)
    if said is None:
        said = str(error).partition(": ")[2] or str(error)
    return re.sub(r"'[^']*'|[0-9]+|\(.*", "?", said, flags=re.DOTALL)[:50]


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def rss_mb() -> float:
    """The most memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def fuzz(
    target: Target, seconds: float, seed: int, out: Path | None = None, max_runs: int | None = None
) -> Findings:
    """Read changed inputs until the time is over.

    Args:
        target: What is fuzzed.
        seconds: How long, by the clock.
        seed: Of the changes.
        out: Where inputs of findings go.
        max_runs: How many inputs at most.
    """
    rng = random.Random(seed)
    findings, pool = Findings(), list(target.seeds)
    run_one(target, target.seeds[0], Findings())  # what is loaded at the first call takes its time
    end = time.monotonic() + seconds
    waiting = list(target.seeds)
    while time.monotonic() < end and findings.runs != max_runs:
        data = waiting.pop() if waiting else mutate(rng, pool, target.words)
        known = len(findings.kinds)
        problem = run_one(target, data, findings)
        if len(findings.kinds) > known and len(data) < 4096:
            pool.append(data)
        if problem is not None and problem not in findings.problems:
            findings.problems[problem] = _keep(data, out)
    return findings


def _keep(data: bytes, out: Path | None) -> str:
    if out is None:
        return repr(data[:200])
    out.mkdir(parents=True, exist_ok=True)
    path = out / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return str(path)


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
            raise RuntimeError(f"{problem}: {_keep(data, out)}")

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
