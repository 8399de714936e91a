"""Tables on disk: JSON objects, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edspipe.errors import CheckpointError


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing, or is not a JSON object.
    """
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{file}: not valid JSON") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{file}: expected a JSON object, got a {type(data).__name__}")
    return data
