"""Model folders that someone else made, each with something in it that must not be loaded.

Each function changes a good model; the manifest is written anew afterwards, as an attacker would.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ENCODER = "pipes/ner/embedding/embedding/encoder"
NER = "pipes/ner/weights.safetensors"
CODE = "open({marker!r}, 'w').close()"


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return exec, (CODE.format(marker=str(self.marker)),)


def _write(name: str, content: bytes | str) -> Callable[[Path, Path], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda model, marker: _put(model / name, data)


def _put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _code(name: str) -> Callable[[Path, Path], None]:
    return lambda model, marker: _put(model / name, CODE.format(marker=str(marker)).encode())


def _pickle(name: str) -> Callable[[Path, Path], None]:
    return lambda model, marker: _put(model / name, pickle.dumps(Payload(marker)))


def _torch_pickle(name: str) -> Callable[[Path, Path], None]:
    return lambda model, marker: torch.save({"w": Payload(marker)}, model / name)


def _config(old: str, new: str) -> Callable[[Path, Path], None]:
    def edit(model: Path, marker: Path) -> None:
        file = model / "config.yml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new.format(marker=marker), 1))

    return edit


def _json(name: str, **values: Any) -> Callable[[Path, Path], None]:
    def edit(model: Path, marker: Path) -> None:
        file = model / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return edit


def _link(name: str, target: str) -> Callable[[Path, Path], None]:
    def edit(model: Path, marker: Path) -> None:
        file = model / name
        if file.exists():
            file.unlink()
        file.symlink_to(target)

    return edit


def _header(length: int, header: bytes = b"") -> Callable[[Path, Path], None]:
    return _write(NER, length.to_bytes(8, "little") + header)


def _claims(shape: list[int], end: int) -> Callable[[Path, Path], None]:
    header = {"classifier.bias": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    data = json.dumps(header).encode()
    return _header(len(data), data)


def _all_of(*edits: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def edit(model: Path, marker: Path) -> None:
        for one in edits:
            one(model, marker)

    return edit


AUTO_MAP = {"AutoModel": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Evil"}
HUB_MAP = {"AutoModel": "evil/repo--modeling.Evil", "AutoConfig": "evil/repo--modeling.Evil"}
FACTORY = "'@factory': eds.text_cnn"

HOSTILE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "pickle": (_pickle("model.pkl"), r"model\.pkl: a model holds .* files only, and none that"),
    "torch_pickle": (_torch_pickle("pytorch_model.bin"), r"pytorch_model\.bin: a model holds"),
    "encoder_pickle": (
        _torch_pickle(f"{ENCODER}/pytorch_model.bin"),
        r"pytorch_model\.bin: a model",
    ),
    "disguised_pickle": (_pickle(NER), r"weights\.safetensors: damaged \(SafetensorError"),
    "disguised_torch_pickle": (_torch_pickle(NER), r"weights\.safetensors: damaged"),
    "pickled_state": (_pickle("pipes/ner/state.json"), r"state\.json: not valid JSON"),
    "python": (_code("pipes/ner/__init__.py"), r"__init__\.py: a model holds"),
    "shared_library": (_write("x.so", b"\x7fELF"), r"x\.so: a model holds"),
    "path_file": (_code("x.pth"), r"x\.pth: a model holds"),
    "remote_code": (
        _all_of(
            _json(f"{ENCODER}/config.json", auto_map=AUTO_MAP), _code(f"{ENCODER}/modeling_evil.py")
        ),
        r"modeling_evil\.py: a model holds",
    ),
    "remote_code_of_unknown_kind": (
        _json(f"{ENCODER}/config.json", auto_map=HUB_MAP, model_type="evil"),
        r"model: no encoder could be read",
    ),
    "untrusted_tokenizer": (
        _json(
            f"{ENCODER}/tokenizer_config.json",
            tokenizer_class="Evil",
            auto_map={"AutoTokenizer": ["evil/repo--tok.Evil", "evil/repo--tok.Evil"]},
        ),
        r"",
    ),
    "link_to_weights": (_link(NER, "/etc/passwd"), r"a link or a special file"),
    "link_to_folder": (_link("pipes/more", "/etc"), r"more: .* a link or a special file"),
    "link_to_nothing": (_link("more.json", "/nowhere"), r"more\.json: .* a link or a special file"),
    "link_to_config": (_link("config.yml", "/etc/passwd"), r"a link or a special file"),
    "pipe_file": (
        lambda model, marker: os.mkfifo(model / "more.json"),
        r"a link or a special file",
    ),
    "endless_header": (_header(2**63), r"weights\.safetensors: damaged \(SafetensorError"),
    "huge_header": (_header(2**31, b"{}"), r"weights\.safetensors: damaged \(SafetensorError"),
    "long_header": (_header(2_000_000, b"[" * 2_000_000), r"weights\.safetensors: damaged"),
    "huge_tensor": (_claims([2**40], 2**42), r"weights\.safetensors: damaged"),
    "overflow": (_claims([2**62, 4], 40), r"weights\.safetensors: damaged"),
    "unknown_factory": (
        _config("eds.text_cnn", "evil.pipe"),
        r"no 'evil\.pipe' among the registered",
    ),
    "dotted_factory": (
        _config("eds.text_cnn", "os.system"),
        r"no 'os\.system' among the registered",
    ),
    "unregistered_spacy": (
        _write("config.yml", "nlp: {components: {x: {'@factory': spacy, factory: evil_factory}}}"),
        r"nlp\.components\.x\.factory: spaCy has no factory 'evil_factory'",
    ),
    "broken_tokenizer": (_write(f"{ENCODER}/tokenizer.json", "{}"), r"a component cannot be built"),
    "reader": (
        _config(FACTORY, "'@readers': standoff\n                path: /etc"),
        r"embedding\.@readers has no place in a model",
    ),
    "callback": (
        _config(FACTORY, "'@callbacks': x"),
        r"embedding\.@callbacks has no place in a model",
    ),
    "spacy_registry": (_config(FACTORY, "'@architectures': x"), r"@architectures has no place"),
    "more_sections": (
        _config("nlp:", "evil: 1\nnlp:"),
        r"config\.yml: expected the block nlp alone",
    ),
    "tag": (
        _config("lang: eds", "lang: !!python/object/apply:os.system ['touch {marker}']"),
        r"config\.yml:\d+: a config is plain values: the tag 'python/object/apply:os\.system'",
    ),
    "expression": (
        _config("lang: eds", "lang: ${{ __import__('os').system('touch {marker}') }}"),
        r"nlp\.lang: Call is not allowed in a config",
    ),
    "path_in_a_name": (
        _config("        ner:", "        ../../../../etc:"),
        r"cannot be the name of a pipe: a folder is named after it",
    ),
    "deep_state": (_write("pipes/ner/state.json", "[" * 200_000), r"state\.json: not valid JSON"),
    "weights_elsewhere": (
        _write("pipes/two/weights.safetensors", b"x"),
        r"two/weights\.safetensors: unexpected weights",
    ),
    "meta_list": (_write("meta.json", "[]"), r"meta\.json: expected a JSON object"),
}
"""What is done to a good model, and what loading says; an empty text where it may also load."""

LISTED: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "unlisted_file": (_write("more.txt", "x"), r"more\.txt: not listed in manifest\.json"),
    "manifest_above": (
        lambda model, marker: _list_above(model / "manifest.json"),
        r"manifest\.json: (lists|damaged)",
    ),
    "manifest_pickle": (_pickle("manifest.json"), r"manifest\.json: damaged"),
    "manifest_deep": (_write("manifest.json", "[" * 200_000), r"manifest\.json: damaged"),
    "no_manifest": (
        lambda model, marker: (model / "manifest.json").unlink(),
        r"manifest\.json: missing",
    ),
}
"""The same, with the manifest left as it is."""


def _list_above(file: Path) -> None:
    data = json.loads(file.read_text())
    data["files"]["../../etc/passwd"] = {"size": 1, "sha256": "0" * 64}
    file.write_text(json.dumps(data))
