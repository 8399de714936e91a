"""ThresholdRule: what the thresholds of labels are the best for, as a config says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edspipe.errors import ConfigError
from edspipe.metrics.thresholds import OperatingPoint, fit_threshold


@dataclass(frozen=True)
class ThresholdRule:
    """What a threshold is the best for; see `edspipe.metrics.fit_threshold`.

    Attributes:
        objective: `"f1"`, `"f_beta"`, `"youden"`, `"cost"` or `"constraint"`.
        beta: Of `"f_beta"`.
        costs: Of `"cost"`: of a false positive, and of a false negative.
        constraint: `{"recall": 0.95}` or `"recall >= 0.95"`; the objective is then `"constraint"`.
        min_positives: A label that fewer documents have keeps its threshold.
        grid: Look at these thresholds only: `{"vmin": 0.05, "vmax": 0.95, "step": 0.05}`, or the
            three numbers.

    Raises:
        ConfigError: One is out of its range, or does not go with the others.
    """

    objective: str = "f1"
    beta: float = 1.0
    costs: Sequence[float] = (1.0, 1.0)
    constraint: Mapping[str, float] | str | None = None
    min_positives: int = 5
    grid: Mapping[str, float] | Sequence[float] | None = None

    def __post_init__(self) -> None:
        try:
            for options in (self.options(), self.options() | {"min_positives": 1}):
                fit_threshold([0.2, 0.8], [False, True], **options)
            if (grid := self._grid()) is not None and not 0 <= grid[0] <= grid[1] <= 1:
                raise ValueError(f"grid: thresholds are from 0 to 1; got {grid[0]} to {grid[1]}")
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"thresholds: {error}") from None

    def fit(
        self, scores: npt.NDArray[Any], gold: npt.NDArray[np.bool_], default: float
    ) -> OperatingPoint:
        """Return the best threshold of one label.

        Args:
            scores: *Shape:* (documents,)
            gold: Whether each document has the label. *Shape:* (documents,)
            default: The threshold where too few have it.
        """
        return fit_threshold(scores, gold, default=default, **self.options())

    def options(self) -> dict[str, Any]:
        """Return the arguments of `fit_threshold`, but for the default."""
        is_f1 = self.objective == "f1"
        return {
            "objective": "constraint" if self.constraint is not None and is_f1 else self.objective,
            "beta": self.beta,
            "costs": tuple(self.costs),
            "constraint": self._constraint(),
            "min_positives": self.min_positives,
            "grid": self._grid(),
        }

    def _constraint(self) -> str | None:
        if not isinstance(self.constraint, Mapping):
            return self.constraint
        if len(self.constraint) != 1:
            raise ValueError(
                f"constraint is of one figure, as in {{'recall': 0.95}}; got {self.constraint!r}"
            )
        return " ".join(f"{name} >= {bound}" for name, bound in self.constraint.items())

    def _grid(self) -> Any:
        if not isinstance(self.grid, Mapping):
            return self.grid if self.grid is None else tuple(self.grid)
        if set(self.grid) != {"vmin", "vmax", "step"}:
            raise ValueError(f"grid has vmin, vmax and step; got {', '.join(self.grid) or 'none'}")
        return self.grid["vmin"], self.grid["vmax"], self.grid["step"]
