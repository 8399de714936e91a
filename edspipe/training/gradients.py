"""Gradients between backward and the update: their norm, clipping, and spikes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import torch

from edspipe.errors import ConfigError

Policy = Literal["skip", "clip_mean", "clip_threshold"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of the gradients of a step.

    Attributes:
        scale: Factor for them; 1 leaves them alone, 0 skips the update.
        is_spike: Whether they were found to be one.
    """

    scale: float = 1.0
    is_spike: bool = False


class NoSpikePolicy:
    """Takes every gradient as it comes."""

    def judge(self, norm: float) -> Verdict:
        """Let it pass."""
        return Verdict()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take nothing."""


class GradientSpikes(NoSpikePolicy):
    """Deals with gradients whose norm is far above that of the steps before.

    Mean and variance of the norms are exponential averages, with the weight of new ones at
    `2 / (window + 1)`. A spike enters them as the threshold that it broke, so that one spike does
    not hide the next, and norms that stay high become normal. While all norms were equal nothing is
    a spike.

    Args:
        policy: `"skip"` leaves the update out; `"clip_mean"` scales the gradients to the mean
            norm, `"clip_threshold"` to the largest norm that would have passed.
        window: Steps that are averaged over; nothing is a spike before as many have passed.
        max_deviation: A spike is more standard deviations than this above the mean.

    Raises:
        ValueError: The policy does not exist, or a number is not positive.
    """

    def __init__(
        self, policy: Policy = "skip", window: int = 100, max_deviation: float = 7.0
    ) -> None:
        if policy not in ("skip", "clip_mean", "clip_threshold"):
            raise ValueError(f"policy is skip, clip_mean or clip_threshold, got {policy!r}")
        if not (window > 0 and max_deviation > 0):
            raise ValueError(
                f"window and max_deviation are more than 0, got {window} and {max_deviation}"
            )
        self.policy, self.window, self.max_deviation = policy, window, max_deviation
        self.num_seen = self.num_spikes = 0
        self.mean = self.variance = 0.0

    def judge(self, norm: float) -> Verdict:
        """Say what becomes of gradients of this norm, and remember it.

        One that is not finite is left to who found it (a scaler leaves such an update out), and
        forgotten: it would make every average after it one that is not.
        """
        if not math.isfinite(norm):
            return Verdict()
        limit = self.mean + self.max_deviation * math.sqrt(self.variance)
        is_spike = self.num_seen >= self.window and norm > limit and self.variance > 0
        verdict = Verdict(self._scale(norm, limit), True) if is_spike else Verdict()
        self._remember(min(norm, limit) if is_spike else norm)
        self.num_spikes += is_spike
        return verdict

    def _scale(self, norm: float, limit: float) -> float:
        if self.policy == "skip":
            return 0.0
        return (self.mean if self.policy == "clip_mean" else limit) / norm

    def _remember(self, norm: float) -> None:
        weight = max(2 / (self.window + 1), 1 / (self.num_seen + 1))
        deviation = norm - self.mean
        self.mean += weight * deviation
        self.variance = (1 - weight) * (self.variance + weight * deviation**2)
        self.num_seen += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what was averaged."""
        return {
            "num_seen": self.num_seen,
            "num_spikes": self.num_spikes,
            "mean": self.mean,
            "variance": self.variance,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.num_seen, self.num_spikes = state["num_seen"], state["num_spikes"]
        self.mean, self.variance = state["mean"], state["variance"]


def clip(parameters: Iterable[torch.nn.Parameter], max_norm: float | None) -> torch.Tensor:
    """Scale the gradients down to a norm, if there is a limit.

    Returns:
        The Euclidean norm before, *Shape* `()`.
    """
    limit = math.inf if max_norm is None else max_norm
    return torch.nn.utils.clip_grad_norm_(list(parameters), limit)


def scale(parameters: Iterable[torch.nn.Parameter], factor: float) -> None:
    """Multiply the gradients by a number."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def read_spikes(value: Any) -> NoSpikePolicy:
    """Read a policy from an argument: itself, its name, its options, or None for none.

    Raises:
        ConfigError: It does not exist, or an option is wrong.
    """
    if value is None:
        return NoSpikePolicy()
    if isinstance(value, NoSpikePolicy):
        return deepcopy(value)
    try:
        return GradientSpikes(**({"policy": value} if isinstance(value, str) else value))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"grad_spikes: {error}") from None
