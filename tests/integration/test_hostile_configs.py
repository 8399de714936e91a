"""A config is data: whatever it says, reading it runs no code, and ends soon."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GOOD = """
nlp:
  components:
    one: {"@factory": eds.sentences}
    two: {"@factory": spacy, factory: sentencizer}
"""
START = "nlp:\n  lang: eds\n"
TOUCH = "open('MARKER', 'w').close()"


def _component(*lines: str) -> str:
    """A config with one component, whose block has these lines, from line 5 on."""
    return START + "  components:\n    s:\n" + "".join(f"      {line}\n" for line in lines)


def _chain(text: str, first: str, number: int) -> str:
    """Values that each use the one before."""
    lines = [text.format(i=i, j=i - 1) for i in range(1, number)]
    return "\n".join([START + f"x0: {first}", *lines, f"y: ${{ x{number - 1} }}", ""])


def _bomb(opening: str, closing: str, item: str) -> str:
    lines = [f"a0: &a0 {opening}{', '.join(item.format(k=k, v='x') for k in range(9))}{closing}"]
    for i in range(1, 12):
        items = ", ".join(item.format(k=k, v=f"*a{i - 1}") for k in range(9))
        lines.append(f"a{i}: &a{i} {opening}{items}{closing}")
    return START + "\n".join(lines) + "\n"


TAG = r":4: a config is plain values: the tag '{}' is not allowed"
VALUES = r":\d+: more than 50000 values once aliases are followed"
EXPRESSION = r":\d: nlp\.lang: {}"

HOSTILE: dict[str, tuple[str | bytes, str]] = {
    # tags
    "apply.yml": (
        f'\n\nnlp:\n  lang: !!python/object/apply:eval ["{TOUCH}"]\n',
        TAG.format("python/object/apply:eval"),
    ),
    "new.yml": (
        "\n\nnlp:\n  lang: !!python/object/new:os.system ['touch MARKER']\n",
        TAG.format("python/object/new:os.system"),
    ),
    "object.yml": ("\n\nnlp:\n  lang: !!python/object:evil_pkg.Evil {}\n", TAG.format("python/.*")),
    "name.yml": ("\n\nnlp:\n  lang: !!python/name:os.system ''\n", TAG.format("python/.*")),
    "module.yml": ("\n\nnlp:\n  lang: !!python/module:evil_pkg ''\n", TAG.format("python/.*")),
    "tuple.yml": ("\n\nnlp:\n  lang: !!python/tuple [a]\n", TAG.format("python/tuple")),
    "own_tag.yml": ("\n\nnlp:\n  lang: !evil x\n", TAG.format("!evil")),
    "verbatim.yml": ("\n\nnlp:\n  lang: !<evil:x> x\n", TAG.format("evil:x")),
    "tag_directive.yml": (
        "%TAG ! tag:yaml.org,2002:python/\n---\nnlp:\n  lang: !object/apply:os.system ['x']\n",
        TAG.format("python/object/apply:os.system"),
    ),
    "binary.yml": ("\n\nnlp:\n  lang: !!binary ZXZpbA==\n", TAG.format("binary")),
    "set.yml": ("\n\nnlp:\n  lang: !!set {a, b}\n", TAG.format("set")),
    # aliases, depth, size
    "lists.yml": (_bomb("[", "]", "{v}"), VALUES),
    "maps.yml": (_bomb("{{", "}}", "k{k}: {v}").replace("{{", "{").replace("}}", "}"), VALUES),
    "itself.yml": (START + "a: &a [*a]\n", r":3: the alias \*a has no value before it"),
    "merge.yml": (START + "a: &a {b: 1}\nc:\n  <<: *a\n", r":5: '<<' is not supported"),
    "deep_flow.yml": (START + "a: " + "[" * 50_000 + "]" * 50_000, r":3: nested deeper than 40"),
    "deep_map.yml": (START + "a: " + "{b: " * 50_000, r":3: nested deeper than 40 levels"),
    "deep_open.yml": (START + "a: " + "[" * 900_000, r":3: nested deeper than 40 levels"),
    "deep_block.yml": (
        START + "".join("  " * i + "a:\n" for i in range(400)),
        r":\d+: nested deeper than 40 levels",
    ),
    "deep_keys.yml": (START + "? " * 5_000 + "a\n", r":3: nested deeper than 40 levels"),
    "many.yml": (START + "a: 1\n".join(f"k{i}" for i in range(60_000)), r":\d+: "),
    "many_items.yml": (START + "a: [" + "1," * 400_000 + "]\n", r":3: more than 50000 values"),
    "large.yml": (START + "#" * 1_000_001, r": a config has at most 1000000 bytes"),
    "documents.yml": (START + "---\nnlp: 5\n", r":3: one document is expected"),
    "double.yml": (
        _component("'@factory': eds.sentences", "'@factory': evil_ep"),
        r":6: '@factory' stands twice",
    ),
    "control.yml": (START + "a: \x00\x07\n", r":\d*:? "),
    "utf16.yml": (GOOD.encode("utf-16"), r": not UTF-8 at byte 0"),
    "garbage.yml": (bytes(range(128, 256)) * 99, r": not UTF-8 at byte 0"),
    # expressions
    "import.yml": (
        "nlp:\n  lang: ${ __import__('os').system('touch MARKER') }\n",
        EXPRESSION.format("Call is not allowed"),
    ),
    "eval.yml": (f'nlp:\n  lang: ${{ eval("{TOUCH}") }}\n', EXPRESSION.format("Call is not")),
    "class.yml": (
        "nlp:\n  lang: ${ ''.__class__.__mro__ }\n",
        EXPRESSION.format("names that begin with '__' are not allowed"),
    ),
    "builtins.yml": ("nlp:\n  lang: ${ __builtins__ }\n", EXPRESSION.format("names that begin")),
    "method.yml": ("nlp:\n  lang: ${ 'eds'.upper }\n", EXPRESSION.format("nothing stands at")),
    "lambda.yml": ("nlp:\n  lang: ${ (lambda:0)() }\n", EXPRESSION.format("Call is not")),
    "loop.yml": ("nlp:\n  lang: ${ [x for x in 'eds'] }\n", EXPRESSION.format("ListComp is not")),
    "subscript.yml": ("nlp:\n  lang: ${ 'eds'[0] }\n", EXPRESSION.format("Subscript is not")),
    "walrus.yml": ("nlp:\n  lang: ${ (x:=1) }\n", EXPRESSION.format("NamedExpr is not")),
    "starred.yml": ("nlp:\n  lang: ${ [*'eds'] }\n", EXPRESSION.format("Starred is not")),
    "await.yml": ("nlp:\n  lang: ${ await x }\n", EXPRESSION.format("Await is not allowed")),
    "fstring.yml": ("nlp:\n  lang: ${ f'{nlp}' }\n", r":2: a reference .* the whole value"),
    "joined.yml": ("nlp:\n  lang: ${ f'' }\n", EXPRESSION.format("JoinedStr is not allowed")),
    "format.yml": (
        "nlp:\n  lang: ${ '%s' % nlp }\n",
        r":1: nlp: a value refers to itself",
    ),
    "power.yml": ("nlp:\n  lang: ${ 9**9**9**9 }\n", EXPRESSION.format("Pow is not allowed")),
    "shift.yml": ("nlp:\n  lang: ${ 1 << 9999999999 }\n", EXPRESSION.format("LShift is not")),
    "repeat.yml": ("nlp:\n  lang: ${ 'a' * 9999999999 }\n", EXPRESSION.format("only numbers can")),
    "product.yml": (
        "nlp:\n  lang: ${ " + "*".join(["999999999"] * 19) + " }\n",
        EXPRESSION.format("the result is larger than"),
    ),
    "brackets.yml": (
        "nlp:\n  lang: ${ " + "(" * 99 + "1" + ")" * 99 + " }\n",
        r":2: nlp\.lang: expected a text, got 1",
    ),
    "long.yml": ("nlp:\n  lang: ${ " + "-" * 9_000 + "1 }\n", EXPRESSION.format(".* at most 200")),
    "texts.yml": (
        _chain("x{i}: ${{ x{j} + x{j} }}", "a" * 99, 99),
        r":\d+: (x\d+: the result has more|y: nothing uses)",
    ),
    "numbers.yml": (
        _chain("x{i}: ${{ x{j} * x{j} * x{j} }}", "99999", 99),
        r":\d+: (x\d+: the result is larger than|y: nothing uses)",
    ),
    "tree.yml": (
        _chain("x{i}:\n- ${{ x{j} }}\n- ${{ x{j} }}", "1", 999),
        r":(\d+: y: nothing uses| config: more than 50000 values once references are followed)",
    ),
    "circle.yml": (START + "a: ${ b }\nb: ${ a }\n", r":3: a: a value refers to itself"),
    # names
    "system.yml": (
        _component("'@factory': os.system"),
        r":5: nlp\.components\.s\.@factory: no 'os",
    ),
    "colon.yml": (_component("'@factory': 'evil_pkg:Evil'"), r":5: .*no 'evil_pkg:Evil' among"),
    "foreign.yml": (_component("'@factory': evil_ep"), r":5: .*no 'evil_ep' among the registered"),
    "foreign_reader.yml": (_component("'@readers': evil_ep"), r":5: .*no 'evil_ep' among"),
    "core.yml": ("nlp:\n  '@core': subprocess\n", r":2: nlp\.@core: no 'subprocess' among"),
    "no_registry.yml": (_component("'@evil': x"), r":5: .*no registry is called '@evil'"),
    "dunder.yml": (_component("'@__class__': x"), r":5: .*no registry is called '@__class__'"),
    "architectures.yml": (_component("'@architectures': x"), r":5: .*no registry is called"),
    "draft.yml": (
        _component("'@factory': 'eds.sentences!draft'"),
        r":5: .*no 'eds.sentences!draft'",
    ),
    "two_names.yml": (
        _component("'@factory': eds.sentences", "'@core': pipeline"),
        r":4: nlp\.components\.s: one '@' name at most",
    ),
    "list_name.yml": (_component("'@factory': [os, system]"), r":5: .*expected a registered name"),
    "spacy_name.yml": (
        _component("'@factory': spacy", "factory: evil_pkg.Evil"),
        r":6: .*s\.factory: spaCy has no factory 'evil_pkg\.Evil'",
    ),
    "spacy_code.yml": (
        _component("'@factory': spacy", "factory: sentencizer", "config:", "  '@misc': evil"),
        r":8: .*config\.@misc: no registry is called '@misc'",
    ),
    "language.yml": ("nlp:\n  lang: evil_pkg\n", r":2: nlp\.lang: expected 'eds' or a language"),
    "dotted_language.yml": (
        "nlp:\n  lang: en.punctuation\n",
        r":2: nlp\.lang: expected 'eds' or a",
    ),
    "relative_language.yml": ("nlp:\n  lang: ..evil_pkg\n", r":2: nlp\.lang: expected 'eds' or a"),
    "pipe_path.yml": (
        "nlp:\n  components:\n    ../../x:\n      '@factory': eds.sentences\n",
        r":3: nlp\.components\..* cannot be the name of a pipe: a folder is named after it",
    ),
    # JSON, INI, TOML
    "deep.json": ('{"nlp": ' + "[" * 400_000, r": nested deeper than 40 levels"),
    "double.json": ('{"nlp": {"lang": "eds", "lang": "x"}}', r": 'lang' stands twice"),
    "number.json": ('{"nlp": ' + "9" * 100_000 + "}", r": Exceeds the limit"),
    "broken.json": ('{"nlp":\n {"lang": }}', r":2: Expecting value"),
    "import.json": (
        '{"nlp": {"lang": "${ __import__(0) }"}}',
        r":1: nlp\.lang: Call is not allowed",
    ),
    "name.json": ('{"nlp": {"@core": "os.system"}}', r":1: nlp\.@core: no 'os\.system' among"),
    "import.cfg": ("[nlp]\nlang = ${ __import__(0) }\n", r":2: nlp\.lang: Call is not allowed"),
    "name.cfg": ("[nlp]\n@core = os.system\n", r":2: nlp\.@core: no 'os\.system' among"),
    "deep.cfg": ("[" + ".".join("a" * 5_000) + "]\nx = 1\n", r": \[a\.a.*cannot be the name"),
    "broken.ini": ("[nlp]\nlang\n", r":2: expected \[section\] or name = value"),
    "any.toml": (
        "[nlp]\nlang = 'eds'\n",
        r": (expected \.yml, \.yaml, \.json, \.cfg, \.ini|a model is)",
    ),
    "code.py": (TOUCH, r": (expected \.yml, \.yaml, \.json, \.cfg, \.ini|a model is)"),
    "data.pkl": (b"cbuiltins\nlen\n.", r": (expected \.yml|a model is a folder.*is a pickle)"),
}
"""File names, contents, and what the error says after the name of the file."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process found in all of the configs."""
    folder = tmp_path_factory.mktemp("configs")
    site = tmp_path_factory.mktemp("site")
    marker = site / "marker"
    for name, (content, _) in HOSTILE.items():
        if isinstance(content, str):
            content = content.replace("MARKER", str(marker)).encode()
        (folder / name).write_bytes(content)
    _install_foreign_package(site, marker)
    good = site / "good.yml"
    good.write_text(GOOD)
    section = site / "train.yml"
    section.write_text("train:\n  nlp: ${ nlp }\n")
    root = Path(__file__).parents[2]
    script = Path(__file__).with_name("load_configs.py")
    code = (
        "import runpy, sys; sys.path[:0] = sys.argv[2:4]; sys.argv = [sys.argv[1], *sys.argv[4:]]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    arguments = [str(script), str(root), str(site), str(folder), str(good), str(section)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=site,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout), "marker": marker.exists()}


def _install_foreign_package(site: Path, marker: Path) -> None:
    """Write a package of someone else, with entry points in the groups of edspipe."""
    (site / "evil_pkg.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: ...\n")
    info = site / "evil_pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil-pkg\nVersion: 1.0\n")
    groups = ("edspipe_factories", "edspipe_readers", "edspipe_core")
    lines = [f"[{group}]\nevil_ep = evil_pkg:Evil\n" for group in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.mark.parametrize("door", ["load", "cli"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_config_is_refused_at_once_and_runs_nothing(
    found: dict[str, Any], name: str, door: str
) -> None:
    kind, message, seconds, events = found[f"{name} {door}"]
    assert kind in ("ConfigError", "CheckpointError"), message
    assert re.search(rf"{name}(?:{HOSTILE[name][1]})", message), message[:500]
    assert seconds < 1
    assert events == []


def test_no_code_of_anybody_ran(found: dict[str, Any]) -> None:
    assert not found["marker"]
    assert found["modules"] == []


def test_the_watch_sees_what_it_is_for(found: dict[str, Any]) -> None:
    assert any(event.startswith("exec of <string>") for event in found["the watch works"])
    assert any(event.startswith("compile") for event in found["the watch works"])


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 40
