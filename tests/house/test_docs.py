"""The documentation: its code runs, its commands exist, and it leaves nothing out."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_runner import Block, commands, isolated, prepare, read_blocks, run_page
from short_runs import not_forced_to_disk

import edspipe
from edspipe.cli.main import COMMANDS, parser
from edspipe.config.registry import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WITH_CODE = [page for page in PAGES if any(b.language == "python" for b in read_blocks(page))]
SHELL = [(page, block) for page in PAGES for block in read_blocks(page) if block.language == "bash"]
WITH_PICTURES = ("reading-a-report.md",)
"""Pages whose pictures are drawn, which takes a second a picture."""
LANGUAGES = {"python", "bash", "yaml", "ini", "text"}
IDENTIFIER = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take for given; only to be copied."""
    folder = tmp_path_factory.mktemp("docs") / "prepared"
    prepare(folder)
    shutil.copy(ROOT / "train.py", folder)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared folder, as the current folder."""
    copy = Path(shutil.copytree(prepared, tmp_path / "page"))
    monkeypatch.chdir(copy)
    return copy


def page_of(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


# The code of the pages


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, folder: Path, drawing: Any) -> None:
    pictures = drawing() if page.name in WITH_PICTURES else nullcontext()
    with isolated(folder), not_forced_to_disk(), pictures:
        assert run_page(page, folder) > 0


@pytest.mark.parametrize(
    ("page", "block"), SHELL, ids=[f"{name_of(page)}:{block.line}" for page, block in SHELL]
)
def test_shell_blocks_are_well_formed(page: Path, block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.code], check=True)


@pytest.mark.parametrize(
    ("page", "block"), SHELL, ids=[f"{name_of(page)}:{block.line}" for page, block in SHELL]
)
def test_commands_of_edspipe_exist_as_written(page: Path, block: Block) -> None:
    for words in commands(block):
        if Path(words[0]).name == "edspipe":
            parser().parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_in_a_known_language_what_it_is(page: Path) -> None:
    assert {block.language for block in read_blocks(page)} <= LANGUAGES


def test_a_page_that_prints_something_else_fails(folder: Path) -> None:
    page = page_of(folder, '```python\nprint(2)\n```\n\n```text title="Output"\n3\n```\n')
    with pytest.raises(AssertionError, match=r"page\.md:6: another output:\n2"):
        run_page(page, folder)


def test_a_page_whose_command_fails_fails(folder: Path) -> None:
    page = page_of(folder, "```bash\nedspipe inspect nothing\n```\n")
    with pytest.raises(AssertionError, match="edspipe inspect nothing ended with code 1"):
        run_page(page, folder)


def test_a_fence_that_is_not_closed_is_named(folder: Path) -> None:
    page = page_of(folder, "text\n\n```python\nx = 1\n")
    with pytest.raises(ValueError, match=r"page\.md:3: this fence is not closed"):
        read_blocks(page)


def test_shell_blocks_marked_as_not_run_are_not_run(folder: Path) -> None:
    page = page_of(folder, "<!-- not run: it fails -->\n```bash\nedspipe inspect nothing\n```\n")
    assert run_page(page, folder) == 0


# The two commands of the README


@pytest.fixture(scope="module")
def two_commands() -> list[Block]:
    blocks = [b for b in read_blocks(ROOT / "README.md") if "pip install" in b.code]
    return blocks[:2]


def test_the_readme_begins_with_two_commands_of_one_line_each(two_commands: list[Block]) -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(two_commands) == 2
    for block in two_commands:
        assert block.code.count("\n") == 1
        assert "\\" not in block.code
        assert lines[block.line - 2] == "```bash"
        assert lines[block.line - 1] == block.code.rstrip("\n")


def test_each_command_makes_its_own_environment(two_commands: list[Block]) -> None:
    places = []
    for block in two_commands:
        first, *others = commands(block)
        assert first[:3] == ["python3", "-m", "venv"]
        assert all(words[0].startswith(f"{first[3]}/bin/") for words in others)
        places.append(first[3])
    assert len(set(places)) == 2


def test_ci_runs_the_second_command(two_commands: list[Block]) -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert two_commands[1].code.strip() in script
    assert "-m pytest" in two_commands[1].code


def test_the_first_command_fits_the_demo_config(two_commands: list[Block]) -> None:
    words = {Path(one[0]).name: one for one in commands(two_commands[0])[1:]}
    all_words = [word for one in commands(two_commands[0]) for word in one]
    file = ROOT / all_words[all_words.index("--config") + 1]
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    corpus = all_words[all_words.index("demo-data") + 1]
    assert words["python"][1] == "train.py"
    assert config["train"]["train_data_path"] == f"{corpus}/train"
    assert config["train"]["output_dir"] == all_words[all_words.index("--model") + 1]
    embedding = config["nlp"]["components"]["ner"]["embedding"]["embedding"]
    assert embedding["model"] == f"{corpus}/encoder"


# Nothing is left out


def documented() -> set[str]:
    """The identifiers that the reference shows."""
    texts = [page.read_text(encoding="utf-8") for page in (DOCS / "reference").rglob("*.md")]
    return {name for text in texts for name in IDENTIFIER.findall(text)}


@pytest.mark.parametrize("name", [n for n in registry.factory if n.startswith("eds.")])
def test_every_pipe_has_its_page(name: str) -> None:
    page = DOCS / "reference/pipes" / f"{name.removeprefix('eds.')}.md"
    function = registry.factory.get_class(name)
    assert page.is_file(), f"expected {name_of(page)}"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert IDENTIFIER.findall(text) == [f"{function.__module__}.{function.__qualname__}"]
    assert f"({page.name})" in (page.parent / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [n for n in edspipe.__all__ if n != "__version__"])
def test_every_public_name_is_in_the_reference(name: str) -> None:
    thing = getattr(edspipe, name)
    names = thing.__all__ if inspect.ismodule(thing) and hasattr(thing, "__all__") else [name]
    if name == "pipes":
        names = []
    shown = {identifier.rpartition(".")[2] for identifier in documented()}
    shown |= {identifier.split(".")[1] for identifier in documented()}
    assert set(names) <= shown


def test_every_command_is_in_the_reference() -> None:
    text = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"## edspipe {command}\n" in text


def test_the_navigation_lists_every_page_once() -> None:
    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry if isinstance(entry, list) else entry.values()  # type: ignore[attr-defined]
        return [page for part in parts for page in pages(part)]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages(nav)) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES[1:])


def test_the_changelog_names_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+)\]$", text, re.MULTILINE)[:2] == [
        "Unreleased",
        edspipe.__version__,
    ]
