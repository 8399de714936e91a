"""The study: trials in a database, shared by all processes of a search, through Optuna."""

from __future__ import annotations

import inspect
import logging
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from loguru import logger

from edspipe.errors import ConfigError, did_you_mean
from edspipe.optional import require
from edspipe.training.callbacks.monitor import Mode
from edspipe.tuning.locks import Lock
from edspipe.tuning.settings import GRID, STUDY_FILE, TuneSettings
from edspipe.tuning.trial_rows import ERROR, PLACE

FACTS = "search"
"""Attribute of a study: what its trials have in common."""
HEARTBEAT_S, GRACE_S = 15, 90
"""A trial that has shown no sign of life for so long is given up, wherever its process ran."""
BUSY_S = 60
"""Seconds that a process waits for others to finish writing."""
_LOCKS, _FOLDER_LOCK = ".locks", "search.lock"
_SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", GRID: "RandomSampler"}
_PRUNERS = {"median": "MedianPruner", "hyperband": "HyperbandPruner", "none": "NopPruner"}
_DEFAULTS = {"tpe": {"multivariate": True, "group": True, "constant_liar": True}}
"""What suits spaces with conditions, and several processes."""


def load_optuna() -> ModuleType:
    """Return Optuna.

    Raises:
        MissingExtraError: It is not installed.
    """
    return require("optuna", "tune", "tuning")


class Study:
    """A study of Optuna that several processes work on.

    Args:
        settings: What is asked for.
        mode: Whether less or more is better.
        facts: What the trials of the search have in common, as plain data.

    Raises:
        ConfigError: The database has another search under this name; an option is unknown.
    """

    def __init__(self, settings: TuneSettings, mode: Mode, facts: Mapping[str, Any]) -> None:
        self.optuna = load_optuna()
        self.settings, self.mode = settings, mode
        folder = settings.output_dir
        self._locks = None if folder is None else folder / _LOCKS
        self._folder_lock = None if self._locks is None else Lock(self._locks / _FOLDER_LOCK)
        pruner = self._make(self.optuna.pruners, _PRUNERS, *settings.pruner_kind)
        self.sampler(0)
        self.lock()
        try:
            self._storage = self._open_storage(folder)
            with _no_experiments():
                self.study = self.optuna.create_study(
                    storage=self._storage,
                    study_name=settings.study_name,
                    direction=f"{mode}imize",
                    pruner=pruner,
                    load_if_exists=True,
                )
            self._compare(dict(facts))
        finally:
            self.unlock()

    def _open_storage(self, folder: Path | None) -> Any:
        url = self.settings.storage
        if url is None and folder is None:
            return None
        url = url or f"sqlite:///{(folder or Path()).resolve() / STUDY_FILE}"
        options = {"connect_args": {"timeout": BUSY_S}} if url.startswith("sqlite") else {}
        with _no_experiments():
            return self.optuna.storages.RDBStorage(
                url,
                engine_kwargs=options,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
            )

    def _compare(self, facts: dict[str, Any]) -> None:
        before = self.study.user_attrs.get(FACTS)
        if before is None:
            self.study.set_user_attr(FACTS, facts)
        elif before != facts:
            raise ConfigError(
                f"tune: the study '{self.settings.study_name}' in "
                f"{self.settings.storage or self.settings.output_dir} is another search "
                f"({_difference(before, facts)} is not what it was), whose scores cannot be "
                "compared with these. Give another output_dir or study_name"
            )

    def close(self) -> None:
        """Close the database."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()

    # ---- one at a time ---------------------------------------------------------------------

    def lock(self) -> None:
        """Keep other processes of this search from choosing, until `unlock`."""
        if self._folder_lock is not None:
            self._folder_lock.take()

    def unlock(self) -> None:
        """Let the others choose."""
        if self._folder_lock is not None:
            self._folder_lock.give_back()

    def trial_lock(self, number: int) -> Lock | None:
        """Return the lock that a trial's process holds while it works."""
        return None if self._locks is None else Lock(self._locks / f"trial-{number:04d}.lock")

    @staticmethod
    def place(lock: Lock) -> str:
        """Return where a lock is: only there it says whether a process lives."""
        return f"{socket.gethostname()}:{lock.path.resolve()}"

    # ---- trials ----------------------------------------------------------------------------

    def trials(self, *states: str) -> list[Any]:
        """Return the trials, of some states or of all."""
        wanted = tuple(getattr(self.optuna.trial.TrialState, state.upper()) for state in states)
        return self.study.get_trials(deepcopy=False, states=wanted or None)

    def give_up_dead(self) -> list[int]:
        """Mark trials as failed whose process is gone: at once on this machine, else later.

        Returns:
            The numbers of those whose process was on this machine.
        """
        dead = []
        with _no_experiments():
            self.optuna.storages.fail_stale_trials(self.study)
        for trial in self.trials("running"):
            lock = self.trial_lock(trial.number)
            if lock is None or trial.user_attrs.get(PLACE) != self.place(lock):
                continue
            if not lock.try_to_take():
                continue
            if any(other.number == trial.number for other in self.trials("running")):
                fail = self.optuna.trial.TrialState.FAIL
                self.study.tell(trial.number, state=fail, skip_if_finished=True)
                logger.info("trial {}: its process is gone; it counts as failed", trial.number)
                dead.append(trial.number)
            lock.give_back(remove=True)
        return dead

    def best(self) -> Any:
        """Return the best trial that was completed, the first of equal ones; None without one."""
        done = self.trials("complete")
        sign = -1.0 if self.mode == "max" else 1.0
        return min(done, key=lambda trial: (sign * trial.value, trial.number), default=None)

    def untried(self, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the points of a grid that no trial has tried, or failed with by itself."""
        tried = [
            trial.params
            for trial in self.trials()
            if trial.state.name != "FAIL" or ERROR in trial.user_attrs
        ]
        return [point for point in points if point not in tried]

    # ---- samplers and pruners --------------------------------------------------------------

    def sampler(self, number: int) -> Any:
        """Return the sampler of a trial.

        It has a seed of its own, so that no two processes draw the same, and a search that is
        resumed goes on as it would have.
        """
        kind, options = self.settings.sampler_kind
        seed = (self.settings.seed + 7919 * number) % 2**31
        return self._make(self.optuna.samplers, _SAMPLERS, kind, {"seed": seed, **options})

    def _make(
        self, module: ModuleType, classes: Mapping[str, str], kind: str, options: dict[str, Any]
    ) -> Any:
        where = f"tune.{module.__name__.rpartition('.')[2].removesuffix('s')}"
        make = getattr(module, classes[kind])
        known = list(inspect.signature(make).parameters)
        for key in options:
            if key not in known:
                raise ConfigError(
                    f"{where}.{key}: {kind} has no option '{key}'.{did_you_mean(key, known)} "
                    f"Its options are: {', '.join(known) or 'none'}"
                )
        try:
            with _no_experiments():
                return make(**{**_DEFAULTS.get(kind, {}), **options})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where}: {kind}: {error}") from None


def _difference(before: Any, now: Any, path: str = "") -> str:
    """Return the path of the first difference."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *now]:
            if before.get(key) != now.get(key):
                below = f"{path}.{key}" if path else str(key)
                return _difference(before.get(key), now.get(key), below)
    return path


@contextmanager
def _no_experiments() -> Iterator[None]:
    """Leave out Optuna's warnings that something may change some day."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(is|an) experimental")
        yield


# ---- what Optuna logs ----------------------------------------------------------------------


class _ToLoguru(logging.Handler):
    """Passes on what Optuna logs; what we say ourselves, of each trial, is for traces only."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        ours = record.levelno < logging.WARNING or message.startswith("Trial ")
        logger.log("TRACE" if ours else record.levelname, "optuna: {}", message)


@contextmanager
def optuna_logs_to_loguru() -> Iterator[None]:
    """Inside, Optuna logs through loguru; afterwards as before."""
    theirs = logging.getLogger("optuna")
    before = theirs.handlers[:], theirs.level, theirs.propagate
    load_optuna()
    theirs.handlers[:], theirs.propagate = [_ToLoguru()], False
    theirs.setLevel(logging.INFO)
    try:
        yield
    finally:
        theirs.handlers[:], theirs.level, theirs.propagate = before
