"""A saved model as a wheel, that pip installs and `edspipe.load("name")` finds.

    NAME/__init__.py          nothing but a sentence: loading a model imports no code of its package
    NAME/MODEL_CARD.md        what it is and how well it does
    NAME/model/...            the saved model, file by file, with its manifest
    NAME-VERSION.dist-info/   METADATA, WHEEL, RECORD

The format is that of PEP 427 (wheels) and the core metadata 2.1. Files are stored as they are, in a
fixed order and with a fixed date, so the same model gives the same bytes on any machine.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import keyword
import re
import sys
import zipfile
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, BinaryIO

from edspipe import atomic
from edspipe.pipeline.model_card import model_card
from edspipe.pipeline.serialization import check_folder, read_meta
from edspipe.version import __version__

CARD = "MODEL_CARD.md"
FOLDER = "model"
DEFAULT_VERSION = "0.1.0"
DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say."""
MODE = 0o100644 << 16
UNIX = 3
"""What made the file, as zip numbers systems: one answer on all."""
CHUNK_BYTES = 1 << 20
PLAIN_FOLDERS = ("model", "model-best", "model-last")
"""Names of folders that say nothing of the model: the folder above does."""
RESERVED = ("edspipe", "spacy", "torch", "transformers", "numpy", "test", "tests", "model")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
_WHEEL = """\
Wheel-Version: 1.0
Generator: edspipe {version}
Root-Is-Purelib: true
Tag: py3-none-any
"""
_METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: {summary}
Requires-Python: >=3.11
Requires-Dist: edspipe>={needs}
Description-Content-Type: text/markdown; charset=UTF-8

{card}"""


def package_model(
    model: str | Path,
    output: str | Path = ".",
    *,
    name: str | None = None,
    version: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a wheel of a saved model; nothing is loaded, built or looked up.

    Scores, training data and memorisation are read from `run.json`, `evaluation/test.json` (or
    `val.json`) and `memorisation.json` in the folder that the model is in, as a training leaves
    them; the card says of what is not there that it is not known.

    Args:
        model: Folder of the saved model.
        output: Folder of the wheel; it is made.
        name: Name to install and load it by; None takes that of the model, or of its folder.
        version: As of PEP 440; None takes that of the model, or `DEFAULT_VERSION`.
        overwrite: Replace a wheel that is there.

    Returns:
        The path of the wheel.

    Raises:
        CheckpointError: The folder is not a whole model.
        FileExistsError: The wheel exists, and `overwrite` is False.
        ValueError: The name or the version is not one that can be installed.
    """
    folder = check_folder(Path(model))
    meta = read_meta(folder)
    name = check_name(name or str(meta.get("name") or _name_of(Path(model))))
    version = check_version(version or str(meta.get("version") or DEFAULT_VERSION))
    target = Path(output) / f"{name}-{version}-py3-none-any.whl"
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists: give another version, or overwrite")
    card = model_card(folder, name, version)
    metadata = _metadata(name, version, meta, card)
    with atomic.write_file(target) as handle, zipfile.ZipFile(handle, "w") as wheel:
        _write_wheel(wheel, folder, name, version, metadata, card)
    return target


def _write_wheel(
    wheel: zipfile.ZipFile, folder: Path, name: str, version: str, metadata: str, card: str
) -> None:
    info = f"{name}-{version}.dist-info"
    texts = {
        f"{name}/{CARD}": card,
        f"{name}/__init__.py": f'"""A model of edspipe: edspipe.load("{name}")."""\n',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": _WHEEL.format(version=__version__),
    }
    record = StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        path = f"{name}/{FOLDER}/{file.relative_to(folder).as_posix()}"
        with file.open("rb") as source:
            rows.writerow(_add(wheel, path, source, file.stat().st_size))
    for path, text in texts.items():
        data = text.encode("utf-8")
        rows.writerow(_add(wheel, path, BytesIO(data), len(data)))
    rows.writerow((f"{info}/RECORD", "", ""))
    data = record.getvalue().encode("utf-8")
    _add(wheel, f"{info}/RECORD", BytesIO(data), len(data))


def _add(wheel: zipfile.ZipFile, path: str, source: BinaryIO, size: int) -> tuple[str, str, int]:
    """Copy a file of so many bytes into the wheel; return its row of RECORD."""
    entry = zipfile.ZipInfo(path, DATE)
    entry.external_attr = MODE
    entry.create_system = UNIX
    entry.file_size = size  # above 2 GB another header is needed, which comes first
    digest = hashlib.sha256()
    with wheel.open(entry, "w") as handle:
        while chunk := source.read(CHUNK_BYTES):
            handle.write(chunk)
            digest.update(chunk)
    encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii")
    return path, f"sha256={encoded}", size


def _metadata(name: str, version: str, meta: dict[str, Any], card: str) -> str:
    summary = " ".join(str(meta.get("description") or "A model of edspipe").split())
    needs = str(meta.get("edspipe_version"))
    needs = needs if _VERSION.fullmatch(needs) else __version__
    return _METADATA.format(name=name, version=version, summary=summary, needs=needs, card=card)


def _name_of(model: Path) -> str:
    """Turn the name of a folder into one that can be installed; of a run's model, the run's."""
    folder = model.absolute()
    name = folder.parent.name if folder.name in PLAIN_FOLDERS else folder.name
    return re.sub(r"[\W_]+", "_", name.lower(), flags=re.ASCII).strip("_")


def check_name(name: str) -> str:
    """Return the name of a package.

    Raises:
        ValueError: It is not one, or that of another package.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ValueError(
            f"name: expected small letters, digits and single underscores, as in fr_disorders; got "
            f"{name!r}"
        )
    if name in RESERVED or name in sys.stdlib_module_names:
        raise ValueError(f"name: '{name}' is the name of another package; choose another")
    return name


def check_version(version: str) -> str:
    """Return a version.

    Raises:
        ValueError: It is not one as pip compares them.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"version: expected one as 1.0 or 2.1.0rc1 (PEP 440), got {version!r}")
    return version
