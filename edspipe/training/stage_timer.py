"""Where time goes, by stage: at any moment the innermost open stage is the one that is charged.

So a stage has its *self* time, its own less what is nested in it, and all stages add up to the wall
time.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, NamedTuple

import torch

from edspipe.pipeline.torch_component import TorchComponent

Clock = Callable[[], float]

TOKENIZER, PREPROCESS, COLLATE = "tokenizer", "preprocess", "collate"
FORWARD, POSTPROCESS = "forward", "postprocess"
OTHER = "other"
PROFILE = "profile"
"""What the profile does for itself; it is part of no wall time."""

METHODS = {
    "preprocess": PREPROCESS,
    "preprocess_supervised": PREPROCESS,
    "collate": COLLATE,
    "forward": FORWARD,
    "postprocess": POSTPROCESS,
}
"""The steps of a component, and the stages that they are."""


class StageKey(NamedTuple):
    """What time is charged to.

    Attributes:
        group: The outermost stage that is open, e.g. waiting for a batch.
        kind: The stage, e.g. `"preprocess"`.
        part: The component or module, e.g. `"ner.embedding"`, or an empty string.
    """

    group: str
    kind: str
    part: str


class StageTimer:
    """Charges time to stages. Stages of other threads than its own are not seen.

    Args:
        clock: Returns seconds.

    Attributes:
        seconds: Self time of each stage.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.seconds: dict[StageKey, float] = defaultdict(float)
        self._open: list[StageKey] = []
        self._thread = threading.get_ident()
        self._since = clock()

    def restart(self) -> None:
        """Forget what was charged so far."""
        self.seconds.clear()
        self._since = self.clock()

    @contextmanager
    def stage(self, kind: str, part: str = "") -> Iterator[None]:
        """Charge the time inside, less that of stages inside, to a stage."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._charge()
        group = self._open[0].group if self._open else kind
        self._open.append(StageKey(group, kind, part))
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def read(self) -> dict[StageKey, float]:
        """Return the self time of each stage up to now; `OTHER` is time outside of all."""
        self._charge()
        return dict(self.seconds)

    def _charge(self) -> None:
        now = self.clock()
        key = self._open[-1] if self._open else StageKey(OTHER, OTHER, "")
        self.seconds[key] += now - self._since
        self._since = now


def device_clock(device: torch.device) -> Clock:
    """Return a clock that waits for a GPU before it tells the time.

    A GPU works behind the program's back; without waiting, its time would be charged to whichever
    stage happens to need a result.
    """
    if device.type != "cuda":
        return time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


@contextmanager
def timed_methods(nlp: Any, timer: StageTimer) -> Iterator[None]:
    """Time the steps of all trainable pipes, and the tokenizer, inside; then all is as it was.

    Each component is timed by its path (`ner.embedding`), and so are the modules that it is made of
    (`ner.classifier`). A module without a `forward`, whose methods are called instead, is timed by
    these. A component that two pipes share has the path of the first.

    A copy of the pipeline that is made inside, e.g. for a worker process, would carry the timers
    along: start workers before.

    Args:
        nlp: The pipeline.
        timer: Is charged.
    """
    with ExitStack() as stack:
        stack.enter_context(_replaced(nlp, "tokenizer", _TimedTokenizer(nlp.tokenizer, timer)))
        for owner, method, kind, part in _targets(nlp):
            timed = _timed(getattr(owner, method), timer, kind, part)
            stack.enter_context(_replaced(owner, method, timed))
        yield


def components_by_path(nlp: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, component) for the trainable pipes and all that they are built on, once each."""
    seen: set[int] = set()
    queue = list(nlp.torch_components())
    while queue:
        path, component = queue.pop(0)
        if id(component) in seen:
            continue
        seen.add(id(component))
        yield path, component
        children = getattr(component, "child_components", tuple)
        queue += [(f"{path}.{key}", child) for key, child in children()]


def _targets(nlp: Any) -> Iterator[tuple[Any, str, str, str]]:
    """Yield (owner, method, stage, part) for all that is timed."""
    for path, component in components_by_path(nlp):
        for method, kind in METHODS.items():
            if hasattr(component, method):
                yield component, method, kind, path
        if isinstance(component, torch.nn.Module):
            for key, module in component.named_children():
                if not isinstance(module, TorchComponent):
                    yield from _module_targets(module, f"{path}.{key}")


def _module_targets(module: torch.nn.Module, path: str) -> Iterator[tuple[Any, str, str, str]]:
    if type(module).forward is not torch.nn.Module.forward:
        yield module, "forward", FORWARD, path
        return
    for cls in type(module).__mro__:
        if cls.__module__.partition(".")[0] == "torch":
            return
        for name, value in vars(cls).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield module, name, FORWARD, f"{path}.{name}"


def _timed(
    method: Callable[..., Any], timer: StageTimer, kind: str, part: str
) -> Callable[..., Any]:
    @wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with timer.stage(kind, part):
            return method(*args, **kwargs)

    return timed


class _TimedTokenizer:
    """Calls a tokenizer, and is one to all else that asks."""

    def __init__(self, tokenizer: Any, timer: StageTimer) -> None:
        self.tokenizer, self.timer = tokenizer, timer

    def __call__(self, text: str) -> Any:
        with self.timer.stage(TOKENIZER):
            return self.tokenizer(text)

    def __getattr__(self, name: str) -> Any:
        if name in ("tokenizer", "timer"):  # a copy that is not filled yet must not ask itself
            raise AttributeError(name)
        return getattr(self.tokenizer, name)


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    own = vars(owner)
    was = [own[name]] if name in own else []
    setattr(owner, name, value)
    try:
        yield
    finally:
        if was:
            setattr(owner, name, was[0])
        else:
            delattr(owner, name)
