"""What one step leaves for the next besides parameters: collected for checkpoints, and put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from edspipe.errors import CheckpointError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.torch_component import TorchComponent


def carried_tensors(nlp: Pipeline) -> dict[str, torch.Tensor]:
    """Return what the components of a pipeline carry, as `<place of the component>/<key>`."""
    return {
        f"{place}/{key}": tensor
        for place, component in _places(nlp)
        for key, tensor in component.carried_state().items()
    }


def take_carried(nlp: Pipeline, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give each component what it carried; one of which nothing is known begins anew.

    Raises:
        CheckpointError: A tensor is of no component, or does not fit it.
    """
    by_place: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        place, _, key = name.rpartition("/")
        by_place.setdefault(place, {})[key] = tensor
    for place, component in _places(nlp):
        component.set_carried_state(by_place.pop(place, {}))
    if by_place:
        raise CheckpointError(
            f"training/carried.safetensors is of {', '.join(sorted(by_place))}, which the pipeline "
            "does not have: resume with the pipeline of the run"
        )


def _places(nlp: Pipeline) -> Iterator[tuple[str, TorchComponent]]:
    """Yield each component once, the ones within others too."""
    seen: set[int] = set()

    def walk(place: str, component: TorchComponent) -> Iterator[tuple[str, TorchComponent]]:
        if id(component) not in seen:
            seen.add(id(component))
            yield place, component
            for key, child in component.child_components():
                yield from walk(f"{place}.{key}", child)

    for name, component in nlp.all_torch_components():
        yield from walk(name, component)
