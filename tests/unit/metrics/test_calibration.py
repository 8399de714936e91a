"""One temperature for confidences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from edspipe.metrics.calibration import fit_temperature, log_loss, temper

RNG = np.random.default_rng(0)


def overconfident(number: int = 4000, temperature: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw true probabilities, answers, and confidences whose log-odds are too large."""
    true = RNG.uniform(0.05, 0.95, number)
    return temper(true, 1 / temperature), RNG.uniform(size=number) < true


def test_the_temperature_that_was_put_in_is_found() -> None:
    confidences, right = overconfident()
    assert fit_temperature(confidences, right) == pytest.approx(2.5, rel=0.1)


def test_it_is_the_minimum_that_scipy_finds() -> None:
    confidences, right = overconfident(500)
    best = minimize_scalar(
        lambda log: log_loss(temper(confidences, np.exp(log)), right),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(confidences, right) == pytest.approx(float(np.exp(best.x)), rel=1e-4)


def test_tempering_keeps_the_order_and_one_half() -> None:
    values = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    tempered = temper(values, 3.0)
    assert (np.diff(tempered) > 0).all()
    assert tempered[2] == pytest.approx(0.5)
    assert temper(values[1:4], 1.0) == pytest.approx(values[1:4])


@pytest.mark.parametrize(("confidences", "right"), [([], []), ([0.5], [True, False])])
def test_nothing_to_fit_to_is_an_error(confidences: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match="expected as many confidences as answers"):
        fit_temperature(confidences, right)
