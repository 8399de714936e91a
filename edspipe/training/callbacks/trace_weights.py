"""TraceWeights: a few weights of each parameter, over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from edspipe.config.registry import registry
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.every import Every
from edspipe.training.records import WEIGHTS

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("trace_weights")
class TraceWeights(Callback):
    """Records some weights of each parameter, chosen once at random, as `weights/<name>[i,j]`.

    Args:
        every: The interval, `"10 steps"` or `"1 epoch"`.
        num_weights: Weights of each parameter.
        pattern: A regular expression, searched in the names of the parameters.
        seed: Chooses the weights.
    """

    def __init__(
        self, every: int | str = "10 steps", num_weights: int = 3, pattern: str = ".", seed: int = 0
    ) -> None:
        self.every, self.num_weights = Every(every), num_weights
        self.pattern, self.seed = re.compile(pattern), seed

    def on_start(self, run: Run) -> None:
        rng = np.random.default_rng(self.seed)
        self._traced: list[tuple[str, torch.nn.Parameter, int]] = []
        for name, parameter in run.nlp.named_parameters():
            if self.pattern.search(name) and parameter.numel():
                number = min(self.num_weights, parameter.numel())
                for flat in sorted(rng.choice(parameter.numel(), number, replace=False).tolist()):
                    index = ",".join(map(str, np.unravel_index(flat, parameter.shape)))
                    self._traced.append((f"{name}[{index}]", parameter, flat))

    def on_step(self, run: Run) -> None:
        if self.every.is_due(run) or run.is_last:
            for name, parameter, flat in self._traced:
                value = parameter.detach().reshape(-1)[flat].item()
                run.records.log(name, value, step=run.step, split=WEIGHTS)
