"""pollution.yml: text in a note that is no part of what it says."""

from __future__ import annotations

from pydantic import Field

from edspipe.lang.schemas.base import Words


class Pollution(Words):
    """Kinds of pollution.

    Attributes:
        patterns: By kind (`page`, `barcode`, ...), regular expressions that are searched in the
            text as it is, letter case ignored; `^` and `$` stand at line ends.
    """

    patterns: dict[str, list[str]] = Field(default_factory=dict)
