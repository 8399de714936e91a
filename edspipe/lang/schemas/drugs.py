"""drugs.yml: names of drugs."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from edspipe.lang.schemas.base import Words

AtcCode = Annotated[
    str, StringConstraints(pattern=r"^[A-DGHJ-NPRSV](\d\d([A-Z]([A-Z](\d\d)?)?)?)?$")
]
"""A code of the ATC classification, of any of its five levels."""


class DrugWords(Words):
    """Names of drugs.

    Attributes:
        terms: By ATC code: international non-proprietary names, other names, and brands.
    """

    terms: dict[AtcCode, list[str]]
