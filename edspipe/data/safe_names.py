"""Document ids to relative paths and back: no id can leave the output folder, none is lost.

`/` in an id is a subfolder. A segment that is safe on every system stays as it is. Elsewhere:

- `%XX` for each byte of an unsafe character: control characters, `% \\ : * ? " < > |`, a leading
  dot (so `.`, `..` and hidden names are gone), a dot or a blank at the end, and the first letter of
  a name that means a device on Windows (`CON`, `nul.txt`) or a file of ours (`ids.json`);
- `%` alone for an empty segment: `/abs` becomes `%/abs`;
- for a segment over 200 bytes, its beginning, `%~`, and 32 digits of its sha256. Such a name cannot
  be read back from itself: a map file, `ids.json`, holds path and id.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

MAP_FILE = "ids.json"

_MAX_BYTES = 200  # of 255 that file systems allow: room for a suffix and a staging name
_MAX_PATH_BYTES = 1000  # of 4096 (Linux) or 1024 (macOS), of which the output folder takes some
_UNSAFE = frozenset('%\\:*?"<>|')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\..*)?", re.I)
_OURS = frozenset({MAP_FILE, "manifest.json"})
_FILE_LIKE = re.compile(r".*\.(?:txt|ann|a[0-9])", re.I)
_BYTE = re.compile(rb"%([0-9A-F]{2})")


def encode_id(doc_id: str) -> str:
    """Return the path of a document: relative, `/` between segments, without suffix."""
    *folders, name = doc_id.split("/")
    parts = [_encode_segment(folder, is_folder=True) for folder in folders]
    path = "/".join([*parts, _encode_segment(name)])
    # surrogatepass: a name that is not UTF-8 on the disk reaches Python as lone surrogates
    if len(path.encode("utf-8", "surrogatepass")) > _MAX_PATH_BYTES:
        return _hashed(doc_id)
    return path


def decode_path(path: str, ids: Mapping[str, str] | None = None) -> str:
    """Return the id of a document.

    Args:
        path: Its path below the folder, without suffix.
        ids: What the folder's map file says: path to id.

    Returns:
        The id that `encode_id` was given. A path that it would never make, as other tools do, is
        its own id.
    """
    if ids is not None and path in ids:
        return ids[path]
    if "%" not in path:
        return path
    decoded = "/".join([_decode_segment(part) for part in path.split("/")])
    return decoded if encode_id(decoded) == path else path


def needs_map(path: str) -> bool:
    """Whether a path from `encode_id` is hashed, so that the map file has to know it."""
    return "%~" in path


def _encode_segment(segment: str, *, is_folder: bool = False) -> str:
    if not segment:
        return "%"
    last = len(segment) - 1
    encoded = [
        _escape(char) if _is_unsafe(char) or (i == 0 and char == ".") else char
        for i, char in enumerate(segment)
    ]
    if segment[last] in ". " or (is_folder and _FILE_LIKE.fullmatch(segment)):
        encoded[last] = _escape(segment[last])
    if _DEVICE.fullmatch(segment) or segment.lower() in _OURS:
        encoded[0] = _escape(segment[0])
    name = "".join(encoded)
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        return _hashed(segment)
    return name


def _is_unsafe(char: str) -> bool:
    return char in _UNSAFE or (
        not char.isprintable() and unicodedata.category(char) in ("Cc", "Cs")
    )


def _escape(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    start = "".join(
        char for char in text[:40] if char.isascii() and (char.isalnum() or char in "-_")
    )
    return f"{start}%~{digest}"


def _decode_segment(segment: str) -> str:
    if segment == "%":
        return ""
    data = _BYTE.sub(
        lambda match: bytes([int(match.group(1), 16)]), segment.encode("utf-8", "surrogatepass")
    )
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return segment
