"""The code blocks of a Markdown page, and how they are run.

A page is run from top to bottom, in a folder and a namespace of its own:

- a block with `title="x.yml"` is written to that file;
- a `text` block with `title="Output"` is compared with what the Python block before it printed;
- other `python` blocks are executed;
- in `bash` blocks, `python FILE ...` and `edspipe ...` are run in this process, if the comment
  `<!-- not run: REASON -->` does not stand before the block. Other shell commands are not run.

Code that the page leaves to the reader's own files (a corpus, an encoder) finds small ones there.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edspipe
import edspipe.pipes as eds
from edspipe.cli.main import main
from edspipe.config.registry import Registry, registry
from edspipe.demo import write_corpus, write_encoder

OUTPUT = "Output"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*) *(?P<options>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"<!-- not run: (\w.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: `"python"`, `"yaml"`, `"bash"`, ... or an empty string.
        title: The file that it is written to, `"Output"`, or None.
        code: What is inside, without the indent of the fence.
        line: Line of the page where the code begins, counted from 1.
        not_run: Why a shell block is not run, if the page says so.
    """

    language: str
    title: str | None
    code: str
    line: int
    not_run: str | None = None


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order.

    Raises:
        ValueError: A fence is not closed.
    """
    blocks: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    start, fence, reason = 0, None, None
    for number, line in enumerate(lines, start=1):
        if fence is None:
            fence, start = _FENCE.match(line), number + 1
            if fence is None and line.strip():
                said = _NOT_RUN.fullmatch(line.strip())
                reason = None if said is None else said[1]
        elif line.strip() == "```":
            indent = len(fence["indent"])
            code = "".join(f"{text[indent:]}\n" for text in lines[start - 1 : number - 1])
            found = _TITLE.search(fence["options"])
            title = None if found is None else found[1]
            blocks.append(Block(fence["language"], title, code, start, reason))
            fence, reason = None, None
    if fence is not None:
        raise ValueError(f"{page}:{start - 1}: this fence is not closed")
    return blocks


def prepare(folder: Path) -> None:
    """Write what the pages take for given: `encoder/`, `data/`, and a model in `artifacts/demo`."""
    write_corpus(folder / "data", num_train=8, num_dev=4)
    notes = [note.read_text(encoding="utf-8") for note in (folder / "data/train").glob("*.txt")]
    write_encoder(
        folder / "encoder", sorted(notes), vocab_size=300, hidden_size=32, intermediate_size=64
    )
    nlp = edspipe.blank("eds")
    ner = eds.ner_crf(
        target_span_getter="gold-ner",
        labels=["disorder", "drug"],
        embedding=eds.transformer(model=str(folder / "encoder")),
    )
    nlp.add_pipe(ner, name="ner")
    nlp.to_disk(folder / "artifacts/demo")


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of a shell block; `&&` and `|` part commands.

    Raises:
        ValueError: A quotation is not closed.
    """
    lexer = shlex.shlex(block.code.replace("\\\n", " "), posix=True, punctuation_chars="&|;\n")
    lexer.whitespace = " \t"
    lexer.wordchars += "=.,:/@*?[]{}^%+~-$!'"
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;\n"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for words in found if words]


def run_page(page: Path, folder: Path) -> int:
    """Run the blocks of a page in a folder, which is the current one; return how many were run.

    Raises:
        AssertionError: A block printed something else than the page says.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    count = 0
    for block in read_blocks(page):
        if block.title == OUTPUT:
            where = f"{page.name}:{block.line}"
            assert printed.rstrip() == block.code.rstrip(), f"{where}: another output:\n{printed}"
        elif block.title is not None:
            target = folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            printed = _execute(block, page, namespace)
        elif block.language == "bash" and block.not_run is None:
            printed = "".join(map(_run_command, commands(block)))
        else:
            continue
        count += 1
    return count


def _execute(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    source = "\n" * (block.line - 1) + block.code
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, str(page), "exec", dont_inherit=True), namespace)  # noqa: S102
    return out.getvalue()


def _run_command(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        if words[0] == "edspipe":
            code = main(words[1:])
            assert code == 0, f"{shlex.join(words)} ended with code {code}"
        elif words[0] == "python" and words[1].endswith(".py"):
            with _arguments(words[1:]):
                runpy.run_path(words[1], run_name="__main__")
    return out.getvalue()


@contextlib.contextmanager
def _arguments(words: list[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = words
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def isolated(folder: Path) -> Iterator[None]:
    """Inside, modules of a folder can be imported; afterwards they and their names are gone."""
    kinds = [kind for kind in vars(registry).values() if isinstance(kind, Registry)]
    names = [(kind, dict(kind._functions)) for kind in kinds]
    modules = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(folder):
                del sys.modules[name]
        for kind, functions in names:
            for name in set(kind._functions) - set(functions):
                if not kind._functions[name].__module__.startswith("edspipe."):
                    del kind._functions[name]
