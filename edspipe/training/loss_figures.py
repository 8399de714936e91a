"""The losses of the pipes as records: their sum, each one, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edspipe.pipeline.torch_component import TorchComponent


def loss_figures(losses: Mapping[str, float], pipes: Mapping[str, Any]) -> dict[str, float]:
    """Return `loss`, and `loss/<pipe>` where there are several; with what the pipes make of theirs,
    e.g. `perplexity`.

    Args:
        losses: The mean loss by pipe.
        pipes: The pipes by name.
    """
    figures = {"loss": sum(losses.values())}
    several = len(losses) > 1
    for name, loss in losses.items():
        if several:
            figures[f"loss/{name}"] = loss
        if isinstance(pipe := pipes.get(name), TorchComponent):
            for key, value in pipe.figures_of_loss(loss).items():
                figures[f"{key}/{name}" if several else key] = value
    return figures
