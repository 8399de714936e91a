"""Which column of a CoNLL file is what: a list of names, or a map from names to numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edspipe.errors import DataError

Columns = Sequence[str] | Mapping[str, int]
"""The names of all columns, in order; or the numbers of some, from 0, or from -1 at the end."""


def check_columns(columns: Columns | None) -> None:
    """Refuse a map of columns that names none.

    Raises:
        ValueError: It is empty.
    """
    if isinstance(columns, Mapping) and not columns:
        raise ValueError(
            "columns maps names to numbers of columns, from 0, as in {'text': 0, 'tag_': 1}; got "
            "an empty map"
        )


def name_columns(columns: Columns, num_columns: int | None = None) -> list[str]:
    """Return the names of all columns, in order; those without a name are `column0`, ...

    Args:
        columns: Names, or a map from names to numbers.
        num_columns: How many there are; None is as many as the map needs.

    Raises:
        DataError: A number lies beyond the last column, or two names have the same one.
    """
    if not isinstance(columns, Mapping):
        return list(columns)
    if num_columns is None:
        num_columns = max([i + 1 for i in columns.values()] + [-i for i in columns.values()])
    names = [f"column{i}" for i in range(num_columns)]
    taken: dict[int, str] = {}
    for name, number in columns.items():
        place = number + num_columns if number < 0 else number
        if not 0 <= place < num_columns:
            raise DataError(
                f"there is no column {number} for '{name}': rows have {num_columns} columns, "
                f"numbered from 0 to {num_columns - 1}"
            )
        if place in taken:
            raise DataError(f"'{taken[place]}' and '{name}' are both column {place} of a row")
        taken[place] = names[place] = name
    return names
