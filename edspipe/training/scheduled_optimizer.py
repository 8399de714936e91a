"""An optimizer at work: its schedules are applied before each update, its state has names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edspipe.errors import CheckpointError, ConfigError
from edspipe.training.optimizer_state import describe_state, load_state, named_state
from edspipe.training.schedules import Plateau, Progress, Schedule


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share their hyper-parameters.

    Attributes:
        label: The pattern that they match, or `"rest"`.
        parameters: The parameters, by name.
        values: The hyper-parameters that were set: numbers, schedules, or what else torch takes.
    """

    label: str
    parameters: dict[str, torch.nn.Parameter]
    values: dict[str, Any]


class ScheduledOptimizer:
    """An optimizer of torch, its schedules, and the names of its parameters.

    ```text
    optimizer.apply(progress)      before an update: the schedules set the hyper-parameters
    optimizer.step()
    optimizer.observe(latest)      after a validation, for plateaus
    ```

    Args:
        optimizer: Has the groups in the same order.
        groups: The groups.

    Attributes:
        optimizer: The optimizer of torch, e.g. for a gradient scaler.
        groups: The groups.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, groups: list[ParameterGroup]) -> None:
        self.optimizer = optimizer
        self.groups = groups
        self._scheduled = [
            (group, key, value)
            for group in groups
            for key, value in group.values.items()
            if isinstance(value, Schedule)
        ]
        self._is_applied = not self._scheduled

    # ---- updates

    def apply(self, progress: Progress) -> None:
        """Set the hyper-parameters for the update that comes next.

        Raises:
            ConfigError: A schedule needs the number of steps, and it is not known.
        """
        targets = {id(g): t for g, t in zip(self.groups, self.optimizer.param_groups, strict=True)}
        for group, key, schedule in self._scheduled:
            targets[id(group)][key] = schedule.value(progress)
        self._is_applied = True

    def step(self) -> None:
        """Update the parameters.

        Raises:
            RuntimeError: There are schedules, and none was applied yet.
        """
        if not self._is_applied:
            raise RuntimeError("call apply(progress) before step(): there are schedules")
        self.optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.optimizer.zero_grad()

    # ---- schedules

    def schedules(self) -> list[Schedule]:
        """Return the schedules, each once, in the order of the groups."""
        return list({id(schedule): schedule for _, _, schedule in self._scheduled}.values())

    def values(self) -> dict[str, float]:
        """Return the learning rates, and what else is scheduled, as they are now.

        The names are `"lr"` with one group, `"lr/<pattern>"` and `"lr/rest"` with several.
        """
        found: dict[str, float] = {}
        for group, target in zip(self.groups, self.optimizer.param_groups, strict=True):
            scheduled = [k for k, value in group.values.items() if isinstance(value, Schedule)]
            for key in dict.fromkeys(["lr", *scheduled]):
                found[self._place(group, key)] = float(target[key])
        return found

    def _place(self, group: ParameterGroup, key: str) -> str:
        return key if len(self.groups) == 1 else f"{key}/{group.label}"

    def _plateaus(self) -> list[Plateau]:
        return [schedule for schedule in self.schedules() if isinstance(schedule, Plateau)]

    @property
    def monitored(self) -> list[str]:
        """The names of records that plateaus look at, which a validation must give."""
        return list(dict.fromkeys(schedule.monitor for schedule in self._plateaus()))

    def observe(self, latest: Callable[[str], float | None]) -> None:
        """Show the plateaus the scores of a validation.

        Args:
            latest: Returns the value that was recorded last under a name, e.g. `"val/micro_f"`;
                None if there is none. Without a tie-breaker's value, equal scores are not better.

        Raises:
            ConfigError: A monitored score was not recorded.
        """
        for schedule in self._plateaus():
            score = latest(schedule.monitor)
            if score is None:
                raise ConfigError(
                    f"plateau: no '{schedule.monitor}' was recorded in this validation. Set "
                    "monitor to a score that is, and mode to what is better"
                )
            tie_breaker = schedule.tie_breaker
            schedule.observe(score, None if tie_breaker is None else latest(tie_breaker))

    @property
    def exhausted(self) -> bool:
        """Whether there are plateaus, and all have made their last cut."""
        plateaus = self._plateaus()
        return bool(plateaus) and all(schedule.exhausted for schedule in plateaus)

    # ---- state

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors that the optimizer keeps, as `"<parameter>/<key>"`; not copied."""
        return dict(self._iter_tensors())

    def _iter_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, key, value in named_state(self.optimizer, self._parameters()):
            if isinstance(value, torch.Tensor):
                yield f"{name}/{key}", value.detach()

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        return {name: p for group in self.groups for name, p in group.parameters.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return all else that is needed to go on, as plain data for JSON.

        Raises:
            CheckpointError: The optimizer keeps something that is neither tensor nor number.
        """
        return {
            "class": type(self.optimizer).__name__,
            "groups": {group.label: list(group.parameters) for group in self.groups},
            "parameters": describe_state(self.optimizer, self._parameters()),
            "schedules": {place: s.state_dict() for place, s in self._places().items()},
        }

    def _places(self) -> dict[str, Schedule]:
        """Return each schedule under the place where it stands first."""
        first: dict[int, tuple[str, Schedule]] = {}
        for group, key, schedule in self._scheduled:
            first.setdefault(id(schedule), (self._place(group, key), schedule))
        return dict(first.values())

    def load(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """Go on from where another one was; nothing is changed if that cannot be.

        Args:
            tensors: What `tensors` returned, on any device; they are copied.
            state: What `state_dict` returned.

        Raises:
            CheckpointError: The class, the groups, the schedules, a parameter or a tensor is
                another one, missing or unexpected; the message names it.
        """
        own = type(self.optimizer).__name__
        if state["class"] != own:
            raise CheckpointError(f"saved by {state['class']}, and this optimizer is {own}")
        self._check_groups(state["groups"])
        places, saved = self._places(), state["schedules"]
        if set(places) != set(saved):
            raise CheckpointError(
                f"saved with schedules of {sorted(saved)}, and this optimizer has schedules of "
                f"{sorted(places)}"
            )
        load_state(self.optimizer, self._parameters(), state["parameters"], tensors)
        for place, schedule in places.items():
            schedule.load_state_dict(saved[place])

    def _check_groups(self, saved: Mapping[str, list[str]]) -> None:
        there = {name: label for label, names in saved.items() for name in names}
        here = {name: group.label for group in self.groups for name in group.parameters}
        for name in [*here, *there]:
            if name not in there:
                raise CheckpointError(f"{name}: this parameter is not in the checkpoint")
            if name not in here:
                raise CheckpointError(f"{name}: saved, and the pipeline has no such parameter")
            if here[name] != there[name]:
                raise CheckpointError(
                    f"{name}: saved in the parameter group '{there[name]}', and here it is in "
                    f"'{here[name]}': resume with the groups of the run"
                )
