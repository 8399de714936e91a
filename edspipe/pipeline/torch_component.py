"""TorchComponent: a `torch.nn.Module` that is a pipe.

    Doc -> preprocess -> features -> collate -> batch of tensors -> forward -> results
                                                         -> postprocess -> the Doc, annotated

Each step is a method that a subclass may replace; by default a component asks its sub-components.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc

from edspipe import atomic
from edspipe.errors import CheckpointError
from edspipe.nested import map_leaves
from edspipe.pipeline.batch_cache import cache_scope, cached
from edspipe.pipeline.devices import move_tensor
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.kernel_caches import bound_kernel_caches
from edspipe.pipeline.tensors import load_tensors, save_tensors
from edspipe.stream.hooks import register_transport

Features = dict[str, Any]
Batch = dict[str, Any]

WEIGHTS = "weights.safetensors"
STATE = "state.json"
_CACHED_METHODS = ("preprocess", "preprocess_supervised", "collate", "forward")


class TorchComponent(torch.nn.Module):
    """A pipe with parameters. A new component is in training mode.

    Keys of features and batches that begin with `_` belong to the process (cache keys).
    `features["stats"]` counts what the component sees of a document: `tokens` (word pieces),
    `words`; batches by `stat_batchify` and the denominators of losses come from them.

    Args:
        nlp: The pipeline that the component is built for.
        name: The name of the pipe.
    """

    def __init__(self, nlp: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in _CACHED_METHODS:
            if method in cls.__dict__:
                setattr(cls, method, cached(cls.__dict__[method]))

    # ---- one document ----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        """Turn a Doc into features: numbers, strings, NumPy arrays, and `stats`."""
        return {key: child.preprocess(doc) for key, child in self.child_components()}

    def preprocess_supervised(self, doc: Doc) -> Features:
        """As `preprocess`, with targets from the gold annotations of the Doc."""
        return self.preprocess(doc)

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Turn the features of several documents into one batch of tensors, on the CPU."""
        return {
            key: child.collate([sample[key] for sample in batch])
            for key, child in self.child_components()
        }

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute results; with targets in the batch, `"loss"` is among them (an fp32 scalar)."""
        raise TypeError(f"{type(self).__name__} has no forward: it computes nothing")

    def postprocess(
        self, docs: Sequence[Doc], results: dict[str, Any], inputs: Sequence[Features]
    ) -> Sequence[Doc]:
        """Write results into the Docs.

        Args:
            docs: The documents.
            results: What `forward` returned for them.
            inputs: Their features.
        """
        return docs

    def batch_process(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        """Run all steps on a few documents, in evaluation and inference mode."""
        with cache_scope(), evaluating(self), torch.inference_mode():
            return self.process(docs)

    def process(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        """Run all steps in the modes that are set."""
        inputs = [self.preprocess(doc) for doc in docs]
        batch = to_device(self.collate(inputs), self.device)
        return self.postprocess(docs, self(batch), inputs)

    def __call__(self, subject: Any, *args: Any, **kwargs: Any) -> Any:
        """Process a Doc, or compute the results of a batch."""
        if isinstance(subject, Doc):
            return self.batch_process([subject])[0]
        return super().__call__(subject, *args, **kwargs)

    # ---- training --------------------------------------------------------------------------

    def loss_size(self, batch: Batch) -> float | None:
        """Return what `forward` divides the loss of this batch by, e.g. its number of words.

        With it, the mean losses of several sub-batches, in one or several processes, are joined to
        exactly the loss of one big batch.

        Args:
            batch: The batch of this component, with targets.

        Returns:
            The number; None says that it is the number of documents.
        """
        return None

    def default_metric(self) -> dict[str, Any] | None:
        """Return the config of the metric that a training scores this pipe with, unless another
        is asked for; None if there is none."""
        return None

    def figures_of_loss(self, loss: float) -> dict[str, float]:
        """Return what follows from a mean loss and is recorded beside it, e.g. a perplexity.

        Args:
            loss: The mean loss of this component, of a step or of a whole validation.
        """
        return {}

    def carried_state(self) -> dict[str, torch.Tensor]:
        """Return what one training step leaves for the next besides parameters and buffers, e.g.
        the state of a network that reads a long text window by window.

        Checkpoints keep it, so that a training goes on exactly; saved models do not.
        """
        return {}

    def set_carried_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `carried_state` gave; tensors may be on another device.

        Raises:
            CheckpointError: It does not fit this component.
        """
        if state:
            raise CheckpointError(
                f"{self.name}: nothing is carried from one step to the next here, got "
                f"{', '.join(sorted(state))}"
            )

    # ---- once ------------------------------------------------------------------------------

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Finish building with data, e.g. collect labels; runs once before training.

        Args:
            docs: Documents with gold annotations.
            exclude: Names of what is finished already; a shared component adds itself.
        """
        for _, child in self.child_components():
            child.post_init(docs, exclude)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        parameter = next(self.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def child_components(self) -> Iterator[tuple[str, TorchComponent]]:
        """Yield the components that this one is built on, with their attribute names."""
        yield from _children(self, "")

    # ---- saved and loaded ------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what is not a tensor and not an argument, e.g. labels; written as JSON."""
        return {}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        """Take back what `get_state` gave, before the tensors come.

        Args:
            state: The content of the file.
            file: The file, for messages.

        Raises:
            CheckpointError: The state does not fit; the message names the file.
        """

    def to_disk(self, path: Path, *, exclude: set[int] | None = None) -> None:
        """Write weights (safetensors) and state (JSON) to a folder, a sub-folder per child.

        Args:
            path: The folder; it is created.
            exclude: Identities of components that are written already; filled on the way.
        """
        exclude = set() if exclude is None else exclude
        if id(self) in exclude:
            return
        exclude.add(id(self))
        path.mkdir(parents=True, exist_ok=True)
        save_tensors(path / WEIGHTS, self._own_tensors())
        if state := self.get_state():
            atomic.write_json(path / STATE, state)
        for key, child in self.child_components():
            child.to_disk(path.joinpath(*key.split(".")), exclude=exclude)

    def from_disk(self, path: Path, *, exclude: set[int] | None = None) -> None:
        """Read back what `to_disk` wrote; every weight must be there, and no other.

        Raises:
            CheckpointError: A file is missing or damaged, a weight is missing, unexpected, or of
                another shape or type.
        """
        exclude = set() if exclude is None else exclude
        if id(self) in exclude:
            return
        exclude.add(id(self))
        if (path / STATE).exists() or self.get_state():
            self.set_state(read_json(path / STATE), path / STATE)
        load_tensors(path / WEIGHTS, self._own_tensors())
        for key, child in self.child_components():
            child.from_disk(path.joinpath(*key.split(".")), exclude=exclude)

    def _own_tensors(self) -> dict[str, torch.Tensor]:
        prefixes = tuple(f"{key}." for key, _ in self.child_components())
        return {
            key: tensor
            for key, tensor in self.state_dict(keep_vars=True).items()
            if not (prefixes and key.startswith(prefixes))
        }


def _children(module: torch.nn.Module, prefix: str) -> Iterator[tuple[str, TorchComponent]]:
    for key, child in module.named_children():
        if isinstance(child, TorchComponent):
            yield prefix + key, child
        else:
            yield from _children(child, f"{prefix}{key}.")


class evaluating:
    """Context: modules are in evaluation mode inside, and afterwards each as it was before.

    Args:
        *modules: The modules, with all that they hold.
    """

    def __init__(self, *modules: torch.nn.Module) -> None:
        self.was = {module: module.training for root in modules for module in root.modules()}

    def __enter__(self) -> None:
        for module in self.was:
            module.training = False

    def __exit__(self, *exc: object) -> None:
        for module, training in self.was.items():
            module.training = training


def to_device(tree: Any, device: torch.device | str | None) -> Any:
    """Return a batch with its tensors on a device; copies to a GPU do not wait."""
    if device is None or torch.device(device).type == "cpu":
        return tree

    def move(leaf: Any) -> Any:
        return move_tensor(leaf, device) if isinstance(leaf, torch.Tensor) else leaf

    return map_leaves(move, tree)


def _encode_tensor(tensor: torch.Tensor) -> tuple[Any, tuple[Any, ...]]:
    if tensor.device.type != "cpu" or tensor.requires_grad or tensor.dtype == torch.bfloat16:
        return torch.Tensor.__reduce_ex__(tensor, 2)[:2]
    return _decode_tensor, (tensor.numpy(),)


def _decode_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array if array.flags.writeable else array.copy())


register_transport(torch.Tensor, _encode_tensor)
bound_kernel_caches()
