"""IdPattern: the group of a document, where the ids of documents tell it."""

from __future__ import annotations

import re
from typing import Any

from edspipe.stream.hooks import id_of


class IdPattern:
    r"""Finds the group of a document in its id, for `group_by=`.

    With `IdPattern(r"(\d+)-\d+")` the documents 110-01 and 110-02 are of the group 110.

    Args:
        pattern: A regular expression that matches the whole id; the group is what its parentheses
            hold. An id that does not match has no group.

    Raises:
        ValueError: It is no regular expression, or has not exactly one pair of parentheses.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self.pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {pattern!r}: {error}") from None
        if self.pattern.groups != 1:
            raise ValueError(
                f"expected one pair of parentheses, around the group, in {pattern!r}; it has "
                f"{self.pattern.groups}"
            )

    def __call__(self, doc: Any) -> str | None:
        found = self.pattern.fullmatch(id_of(doc) or "")
        return None if found is None else found[1]
