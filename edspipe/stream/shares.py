"""A number from 0 to 1 for each document or group, always the same: for samples and splits.

What has a share below 0.1 is a sample of a tenth. The share depends on the purpose, the seed and
the key alone (by BLAKE2, not by Python's `hash`, which differs from process to process): neither
the order of documents nor others that are added or left out change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from edspipe.errors import DataError
from edspipe.stream.hooks import attribute_of, id_of, identity_of

SIDES = ("train", "dev", "test")
OWN = "own"
"""What `missing=` says, to make each document without a group a group of its own."""
MISSING = ("error", OWN)

GroupBy = str | Callable[[Any], Any] | None
"""An attribute `doc._.<name>` (of a dict: its key), a function of the document, or None: each
document is a group of its own."""

_BITS = 53
"""Of the hash: as many as a float holds, so that no share is rounded up to 1."""


def share_of(purpose: str, seed: int, key: str) -> float:
    """Return the share of a key, uniform over [0, 1); other purposes and seeds are independent."""
    name = f"{purpose}\0{seed}\0{key}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
    return (number >> (64 - _BITS)) / (1 << _BITS)


def own_key(value: Any) -> str | None:
    """Return what a document is known by: its id, else the hash of its text; None without both."""
    ident = id_of(value)
    if ident is not None:
        return f"id {ident}"
    sha256 = identity_of(value).sha256
    return None if sha256 is None else f"sha256 {sha256}"


def group_of(value: Any, group_by: GroupBy) -> str | None:
    """Return the group of a document, None where it has none.

    Numbers are groups by their digits: 7, 7.0 and "7" are one group. None, NaN and a blank text are
    no group.

    Raises:
        TypeError: The group is neither a text nor a number.
    """
    if group_by is None:
        return None
    found = attribute_of(value, group_by) if isinstance(group_by, str) else group_by(value)
    found = found.item() if hasattr(found, "item") else found  # a number of numpy's
    if found is None or type(found).__name__ in ("NAType", "NaTType"):  # those of pandas
        return None
    if isinstance(found, float):
        if found != found:
            return None
        found = int(found) if found.is_integer() else found
    if not isinstance(found, (str, int, float)):
        raise TypeError(f"a group is a text or a number, got a {type(found).__name__}")
    text = str(found)
    return text if text.strip() else None


def group_key(value: Any, group_by: GroupBy, missing: str = "error") -> str | None:
    """Return what decides the side of a document: its group, or itself.

    Args:
        value: The document.
        group_by: What its group is.
        missing: `"error"`, or `"own"` to make a document without a group one of its own.

    Returns:
        The key; None for what is no document (it has neither id nor text).

    Raises:
        DataError: It has no group, under `missing="error"`.
    """
    group = group_of(value, group_by)
    if group is None and group_by is not None and missing != OWN:
        raise DataError(f"no group: {name_group_by(group_by)} is empty; {CURE}", id=id_of(value))
    return key_in_group(value, group)


def key_in_group(value: Any, group: str | None) -> str | None:
    """Return the key of a group; of a document without one, its own."""
    return own_key(value) if group is None else f"group {group}"


CURE = (
    'give it a value, pass group_by=None if no two documents are of one patient, or missing="own" '
    "to make each document without a group one of its own"
)


def name_group_by(group_by: GroupBy) -> str:
    """Say in a message where groups come from."""
    return f"doc._.{group_by}" if isinstance(group_by, str) else "what group_by= returns"


def check_missing(missing: str) -> None:
    """Refuse a word that `missing=` does not know.

    Raises:
        ValueError: With those that it knows.
    """
    if missing not in MISSING:
        raise ValueError(f"missing is one of {', '.join(map(repr, MISSING))}, got {missing!r}")


def bounds(ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Return the shares of train, dev and test: where each begins and ends.

    The side that ends at 1 is the last one that gets any documents.

    Raises:
        ValueError: They are not three ratios from 0 on that add up to 1.
    """
    check_ratios(ratios)
    ends: list[float] = []
    total = 0.0
    for number, ratio in enumerate(ratios):
        total += ratio
        ends.append(total if any(ratios[number + 1 :]) else 1.0)
    return list(zip([0.0, *ends[:-1]], ends, strict=True))


def check_ratios(ratios: Sequence[float]) -> None:
    """Refuse what are not three ratios.

    Raises:
        ValueError: They are not three numbers from 0 on that add up to 1.
    """
    if len(ratios) != len(SIDES) or min(ratios) < 0 or abs(sum(ratios) - 1) > 1e-6:
        shown = ", ".join(f"{ratio:g}" for ratio in ratios)
        raise ValueError(f"ratios are three numbers from 0 on that add up to 1, got ({shown})")
