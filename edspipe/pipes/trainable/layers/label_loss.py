"""Losses and probabilities of labels, with a weight a label. Tensors only.

A loss is called with logits, targets and weights, and returns the sum over documents, so that the
parts of a batch join to the whole; who calls it divides by the number of documents. One of your own
is registered as these are:

```python
@edspipe.registry.losses.register("my.loss")
class MyLoss:
    def __init__(self, power: float = 1.0) -> None: ...

    def __call__(self, logits_NL, targets, weight_L): ...
```

It may have an attribute `mode`, which says the only mode of the classifier that it is for. A plain
function of these three arguments may be registered too, and is then given by its name alone.

Letters: N documents, L labels.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from edspipe.config.registry import registry
from edspipe.config.schema import resolve
from edspipe.errors import ConfigError

LabelLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


@registry.losses.register("eds.binary_cross_entropy")
class BinaryCrossEntropy:
    """The mean over labels of binary cross-entropies, whose first terms are weighted.

    It is the default of `mode="multi_label"`, and for nothing else.
    """

    mode = "multi_label"

    def __call__(self, logits_NL: Tensor, targets: Tensor, weight_L: Tensor) -> Tensor:
        """Return the sum of the losses of documents.

        Args:
            logits_NL: *Shape* `(N, L)`
            targets: 1.0 or 0.0 by label. *Shape* `(N, L)`
            weight_L: *Shape* `(L,)`

        Returns:
            A scalar.
        """
        total = F.binary_cross_entropy_with_logits(
            logits_NL, targets, pos_weight=weight_L, reduction="sum"
        )
        return total / len(weight_L)


@registry.losses.register("eds.cross_entropy")
class CrossEntropy:
    """The cross-entropy of the gold label, times its weight.

    It is the default of `mode="single_label"`, and for nothing else.
    """

    mode = "single_label"

    def __call__(self, logits_NL: Tensor, targets: Tensor, weight_L: Tensor) -> Tensor:
        """Return the sum of the losses of documents.

        Args:
            logits_NL: *Shape* `(N, L)`
            targets: The numbers of labels, int64. *Shape* `(N,)`
            weight_L: *Shape* `(L,)`

        Returns:
            A scalar.
        """
        return F.cross_entropy(logits_NL, targets, weight_L, reduction="sum")


@registry.losses.register("eds.focal")
class Focal:
    """The focal loss (Lin et al. 2017): what is decided well already counts less.

    Each cross-entropy is multiplied by (1 - p) ** gamma, where p is the probability of what is
    right. The weights of labels stand where the paper has alpha. It does not end in calibrated
    probabilities, as cross-entropies do: calibrate afterwards.

    Args:
        gamma: How much less; 0 is the cross-entropy.

    Raises:
        ConfigError: It is not a finite number from 0 up.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        if not 0 <= gamma < math.inf:
            raise ConfigError(f"gamma: expected a number from 0 up, got {gamma}")
        self.gamma = gamma

    def __call__(self, logits_NL: Tensor, targets: Tensor, weight_L: Tensor) -> Tensor:
        """Return the sum of the losses of documents.

        Args:
            logits_NL: *Shape* `(N, L)`
            targets: 1.0 or 0.0 by label, *Shape* `(N, L)`: the mean over labels is taken. Or the
                numbers of labels, int64, *Shape* `(N,)`.
            weight_L: *Shape* `(L,)`

        Returns:
            A scalar.
        """
        if not targets.is_floating_point():
            entropy_N = F.cross_entropy(logits_NL, targets, reduction="none")
            weight_N = weight_L.index_select(0, targets)
            return (self._factor(entropy_N) * weight_N * entropy_N).sum()
        entropy_NL = F.binary_cross_entropy_with_logits(logits_NL, targets, reduction="none")
        weight_NL = 1 + (weight_L - 1) * targets
        return (self._factor(entropy_NL) * weight_NL * entropy_NL).sum() / len(weight_L)

    def _factor(self, entropy: Tensor) -> Tensor | float:
        """Return (1 - p) ** gamma, where the entropy is -log p."""
        if not self.gamma:
            return 1.0
        smallest = 1e-12  # a power below 1 has no gradient at 0
        return (-(-entropy).expm1()).clamp_min(smallest) ** self.gamma


def read_loss(name: str, loss: Any, mode: str) -> LabelLoss:
    """Return the loss that an argument asks for.

    Args:
        name: The argument, for messages.
        loss: The name of a registered loss, its config, what can be called as one, or None for the
            cross-entropy of the mode.
        mode: `"multi_label"` or `"single_label"`.

    Raises:
        ConfigError: There is no such loss, or it is for the other mode.
    """
    if loss is None:
        return BinaryCrossEntropy() if mode == "multi_label" else CrossEntropy()
    if isinstance(loss, str):
        found = registry.losses.get(loss)
        loss = found() if inspect.isclass(found) else found
    elif isinstance(loss, Mapping):
        loss = resolve({"loss": dict(loss)})["loss"]
    if not callable(loss):
        raise ConfigError(
            f"{name}: expected a loss, called with logits, targets and weights, got a "
            f"{type(loss).__name__}; register a class whose objects can be called"
        )
    only = getattr(loss, "mode", mode)
    if only != mode:
        raise ConfigError(f"{name}: {type(loss).__name__} is for mode='{only}', got mode='{mode}'")
    return loss


def label_probabilities(
    logits_NL: Tensor, weight_L: Tensor | None, temperature: float, *, only_one: bool
) -> Tensor:
    """Return probabilities.

    Args:
        logits_NL: *Shape* `(N, L)`
        weight_L: What the loss was weighted by, to undo it; None leaves it. *Shape* `(L,)`
        temperature: What logits are divided by.
        only_one: Whether a document has one label, or any number.

    Returns:
        *Shape* `(N, L)`
    """
    if weight_L is not None:
        logits_NL = logits_NL - weight_L.log()
    logits_NL = logits_NL / temperature
    return logits_NL.softmax(-1) if only_one else logits_NL.sigmoid()
