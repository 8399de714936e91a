"""Unfreeze: holds parameters still for a while."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from loguru import logger

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from edspipe.training.run import Run


@registry.callbacks.register("unfreeze")
class Unfreeze(Callback):
    """Keeps parameters as they are until a step, then lets them be trained. Where several of these
    callbacks match a parameter, the last one decides.

    Args:
        pattern: A regular expression, searched in the names of the parameters, e.g.
            `"embedding"`.
        after: Steps (`"500 steps"`) or epochs (`"1 epoch"`) that they are held still.
    """

    def __init__(self, pattern: str, after: int | str) -> None:
        number, _, unit = str(after).strip().partition(" ")
        if not number.isdigit() or unit.strip() not in ("", "step", "steps", "epoch", "epochs"):
            raise ValueError(f"after is '500 steps' or '1 epoch', got {after!r}")
        self.pattern, self.number = re.compile(pattern), int(number)
        self._before: list[tuple[torch.nn.Parameter, bool]] = []
        self.by_epoch = unit.strip().startswith("epoch")

    def on_start(self, run: Run) -> None:
        matching = [p for name, p in run.nlp.named_parameters() if self.pattern.search(name)]
        if not matching:
            logger.warning("unfreeze: no parameter matches '{}'", self.pattern.pattern)
        self._parameters = matching
        others = [one for one in run.callbacks if isinstance(one, Unfreeze) and one is not self]
        known = {id(p) for one in others for p, _ in one._before}
        self._before = [(p, p.requires_grad) for p in matching if id(p) not in known]
        self._apply(run, run.step, run.epoch)
        if not any(p.requires_grad for p in run.nlp.parameters()):
            self.on_end(run)
            raise ConfigError(
                f"unfreeze: '{self.pattern.pattern}' holds all parameters still, and there is "
                "nothing to train until then: choose fewer of them"
            )

    def before_step(self, run: Run) -> None:
        self._apply(run, run.step - 1, run.epoch)

    def _apply(self, run: Run, step: int, epoch: int) -> None:
        trained = (epoch if self.by_epoch else step) >= self.number
        for parameter in self._parameters:
            if parameter.requires_grad != trained:
                parameter.requires_grad_(trained)
                parameter.grad = None

    def on_end(self, run: Run) -> None:
        """Leave the pipeline as it was given, for what comes after the training."""
        for parameter, trained in self._before:
            parameter.requires_grad_(trained)

    def on_error(self, run: Run, error: BaseException) -> None:
        self.on_end(run)
