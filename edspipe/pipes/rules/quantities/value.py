"""What a quantity says, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from edspipe.errors import ConfigError
from edspipe.pipes.rules.quantities.units import Unit, find_unit, unit_table, units_file

Kind = Literal["single", "range", "product", "ratio", "pair"]
Comparator = Literal["<", "<=", ">", ">=", "~", "="]

GRAMS = 0.001
"""Kilograms in a gram: molar masses are in g/mol."""


@dataclass(frozen=True)
class Quantity:
    """A value with its unit.

    Attributes:
        value: The number; of a range its lower end, of a product (`3 x 4 cm`) the first length, of
            a pair (blood pressure) the first one, of a ratio (`1/320`) the quotient.
        unit: The unit, e.g. `mg/L`; None where there is none. A count has none or `/min`, `/mm3`.
        kind: `single`, `range` (10-15), `product` (3 x 4 cm), `ratio` (4/5) or `pair` (120/80).
        values: All the numbers as written.
        comparator: `<`, `<=`, `>`, `>=`, or `~` for "about"; None where it is just this value.
        dimension: What kind of unit it is, e.g. `mass`; `count` without one.
        what: What it measures, a name of `edspipe/lang/units.yml` or of the user; None if unknown.
        bare: Whether the text gives no unit, and `unit` is the one that is meant.
    """

    value: float
    unit: str | None = None
    kind: Kind = "single"
    values: tuple[float, ...] = ()
    comparator: Comparator | None = None
    dimension: str = "count"
    what: str | None = None
    bare: bool = False

    @property
    def low(self) -> float | None:
        """The least value that it allows; None where there is none."""
        if self.kind == "range":
            return min(self.values)
        return None if self.comparator in ("<", "<=") else self.value

    @property
    def high(self) -> float | None:
        """The largest value that it allows; None where there is none."""
        if self.kind == "range":
            return max(self.values)
        return None if self.comparator in (">", ">=") else self.value

    def to(self, unit: str) -> Quantity:
        """Return the same quantity in another unit.

        Between grams and moles it converts where the molar mass of what is measured is known.

        Raises:
            ConfigError: There is no such unit, or it is of another dimension.
        """
        target, source = find_unit(unit), find_unit(self.unit or "")
        bridge = self._bridge(source, target)
        if self.kind == "ratio":
            bridge = None
        if bridge is None:
            raise ConfigError(
                f"unit: {self.unit or 'no unit'} ({self.dimension}) cannot be converted to {unit} "
                f"({unit_table().name_of(target.dims)}): expected a unit of the same dimension"
            )

        def convert(number: float) -> float:
            converted = (number * source.factor + source.offset) * bridge - target.offset
            return float(f"{converted / target.factor:.12g}")

        return replace(
            self,
            value=convert(self.value),
            values=tuple(map(convert, self.values)),
            unit=target.symbol,
            dimension=unit_table().name_of(target.dims),
        )

    def _bridge(self, source: Unit, target: Unit) -> float | None:
        """Return what base units are multiplied by; None where they do not convert."""
        if source.dims == target.dims:
            return 1.0
        entry = units_file().measures.get((self.what or "").removeprefix("eds."))
        if entry is None or entry.molar_mass is None:
            return None
        mass, moles = dict(source.dims), dict(target.dims)
        factor = 1.0 / (entry.molar_mass * GRAMS)
        if "substance" in mass:
            mass, moles, factor = moles, mass, 1.0 / factor
        mass["substance"] = mass.pop("mass", 0)
        return factor if mass == moles and mass["substance"] == 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**self.__dict__, "values": list(self.values)}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Quantity:
        """Return the quantity of such data."""
        return cls(**{**stored, "values": tuple(stored["values"])})
