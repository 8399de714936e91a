"""The steps of training and inference over all trainable pipes of a pipeline at once.

torch is imported only by a pipeline that has trainable pipes, so that rules work without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from spacy.tokens import Doc

from edspipe.nested import iter_dicts
from edspipe.pipeline.batch_cache import cache_scope
from edspipe.pipeline.pipe_list import PipeList

if TYPE_CHECKING:
    import torch

    from edspipe.pipeline.torch_component import TorchComponent


class ModelSteps:
    """What a Pipeline does with its trainable pipes; mixed into `Pipeline`."""

    pipes: PipeList
    disabled: frozenset[str]
    tokenizer: Any

    def torch_components(self) -> Iterator[tuple[str, TorchComponent]]:
        """Yield (name, component) for the trainable pipes that are switched on, in order."""
        for name, pipe in self.all_torch_components():
            if name not in self.disabled:
                yield name, pipe

    # ---- training --------------------------------------------------------------------------

    def preprocess(
        self, doc: Doc, supervision: bool = False, pipe_names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Turn a Doc into one sample: the features of every trainable pipe, by name.

        Args:
            doc: The Doc.
            supervision: Add targets from its gold annotations.
            pipe_names: Only the features of these pipes; None is of all that are switched on.

        Returns:
            Features by pipe, `stats` (`words`, and what the pipes count, e.g. `tokens`; a shared
            sub-module counts once), and `doc_id`.
        """
        with cache_scope():
            sample: dict[str, Any] = {
                name: pipe.preprocess_supervised(doc) if supervision else pipe.preprocess(doc)
                for name, pipe in self.torch_components()
                if pipe_names is None or name in pipe_names
            }
        sample["stats"] = _sum_stats(sample, len(doc))
        sample["doc_id"] = doc._.note_id
        return sample

    def collate(
        self,
        samples: Sequence[Mapping[str, Any]],
        device: str | torch.device | None = None,
    ) -> dict[str, Any]:
        """Turn samples into one batch of tensors, by pipe, on a device.

        Args:
            samples: What `preprocess` returned.
            device: Where the tensors go; None leaves them on the CPU.
        """
        stats: Counter[str] = Counter()
        for sample in samples:
            stats.update(sample["stats"])
        with cache_scope():
            batch: dict[str, Any] = {
                name: pipe.collate([sample[name] for sample in samples])
                for name, pipe in self.torch_components()
                if name in samples[0]
            }
        batch["stats"] = dict(stats)
        batch["doc_ids"] = [sample["doc_id"] for sample in samples]
        return self.to_device(batch, device)

    def to_device(self, batch: Any, device: str | torch.device | None) -> Any:
        """Return a batch with its tensors on a device."""
        if device is None:
            return batch
        from edspipe.pipeline.torch_component import to_device

        return to_device(batch, device)

    def cache(self) -> AbstractContextManager[None]:
        """Inside this context, a sub-module that several pipes share runs once a batch."""
        return cache_scope()

    def autocast(self, precision: str = "auto") -> AbstractContextManager[Any]:
        """Inside this context, models compute in a precision; losses and weights stay in fp32.

        Args:
            precision: `"auto"` (bf16 where the processor has it; for inference fp16 on older
                GPUs), `"fp32"`, `"bf16"` or `"fp16"`.

        Raises:
            ValueError: The precision does not exist; or it is fp16, and gradients are asked for,
                which would have to be scaled.
        """
        component = next((component for _, component in self.torch_components()), None)
        if component is None:
            return nullcontext()
        from edspipe.pipeline.precision import autocast, check_for_training

        return autocast(check_for_training(precision, component.device), component.device)

    def post_init(self, docs: Iterable[Doc], exclude: set[str] | None = None) -> None:
        """Finish building the trainable pipes with data, e.g. collect their labels.

        Args:
            docs: Documents with gold annotations; read once for each trainable pipe.
            exclude: Names of what is finished already.
        """
        components = list(self.torch_components())
        if len(components) > 1 and isinstance(docs, Iterator):
            docs = list(docs)
        exclude = set() if exclude is None else exclude
        for _, component in components:
            component.post_init(docs, exclude)

    # ---- parameters ------------------------------------------------------------------------

    def all_torch_components(self) -> Iterator[tuple[str, TorchComponent]]:
        """Yield (name, component) for all trainable pipes, also those switched off."""
        for name, pipe in self.pipes:
            if hasattr(pipe, "preprocess") and hasattr(pipe, "collate"):
                yield name, pipe

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield (name, parameter), each parameter once, always in the same order."""
        seen: set[int] = set()
        for name, component in self.all_torch_components():
            for key, parameter in component.named_parameters():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield f"{name}.{key}", parameter

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Yield the parameters of all trainable pipes, each once, always in the same order."""
        for _, parameter in self.named_parameters():
            yield parameter

    def iter_tensors(self) -> Iterator[torch.Tensor]:
        """Yield the parameters and buffers of all trainable pipes."""
        for _, component in self.all_torch_components():
            yield from component.parameters()
            yield from component.buffers()

    def to(self, device: str | torch.device) -> Any:
        """Move all parameters to a device; return the pipeline."""
        for _, component in self.all_torch_components():
            component.to(device)
        return self

    def train(self, mode: bool = True) -> Any:
        """Set training (or evaluation) mode; return the pipeline."""
        for _, component in self.all_torch_components():
            component.train(mode)
        return self

    # ---- inference -------------------------------------------------------------------------

    def process_batch(
        self,
        values: Sequence[str | Doc],
        *,
        names: Sequence[str],
        precision: str = "auto",
        embedding: str | None = None,
    ) -> list[Any]:
        """Run pipes over a few texts or Docs, in evaluation and inference mode.

        Args:
            values: Texts or Docs.
            names: The pipes to run, in order.
            precision: `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`.
            embedding: The place of an embedding, as `find_embedding` gives it. What a pipe computed
                with it already is not computed again.

        Returns:
            Docs; with `embedding` pairs of a Doc and an array, *Shape* `(words, size)`.
        """
        docs = [self.tokenizer(value) if isinstance(value, str) else value for value in values]
        pipes = [(name, self.pipes[name]) for name in names]
        embed = None if embedding is None else self._at(embedding)
        models = [pipe for _, pipe in pipes if hasattr(pipe, "process")]
        models += [] if embed is None else [embed]
        with ExitStack() as stack:
            stack.enter_context(cache_scope())
            for context in _inference_contexts(models, precision):
                stack.enter_context(context)
            for name, pipe in pipes:
                docs = _run_pipe(name, pipe, docs)
            if embed is not None:
                return list(zip(docs, embed.embed_batch(docs), strict=True))
        return docs

    def find_embedding(self, name: str | None = None) -> str:
        """Say where an embedding stands, as a path of names: `"ner.embedding"`.

        Args:
            name: A pipe, or such a path. None takes the last trainable pipe that is, or has, an
                embedding; of several inside a pipe, the outermost counts.

        Raises:
            ValueError: There is none.
        """
        for pipe in [name] if name else [name for name, _ in self.torch_components()][::-1]:
            path = _embedding_in(self._at(pipe), pipe)
            if path is not None:
                return path
        pipes = ", ".join(name for name, _ in self.torch_components()) or "none"
        where = "the pipeline" if name is None else f"'{name}'"
        raise ValueError(
            f"{where} has no embedding of words; its trainable pipes are: {pipes}. "
            "return_embeddings= takes the name of a pipe, or a path such as 'ner.embedding'"
        )

    def _at(self, path: str) -> Any:
        """Return a pipe, or a component inside one.

        Raises:
            ValueError: There is none.
        """
        name, *inner = [path] if path in self.pipes else path.split(".", 1)
        pipe = self.pipes[name]
        try:
            return pipe.get_submodule(inner[0]) if inner else pipe
        except AttributeError:
            raise ValueError(f"the pipe '{name}' has no component '{inner[0]}'") from None

    def runs_on_device(self, name: str) -> bool:
        """Whether a pipe is a model, which runs on a device."""
        return any(name == trainable for trainable, _ in self.all_torch_components())

    def worker_init(self) -> None:
        """Prepare a worker process: one thread for torch, so that workers don't fight for cores."""
        if any(True for _ in self.all_torch_components()):
            import torch

            torch.set_num_threads(1)

    def stream_op(self, method: str, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        """Say how a method of this pipeline runs in a worker of a stream.

        Preparing and collating need no weights, so none travel; a device is used on arrival in the
        main process, and no worker opens one.
        """
        if method not in ("preprocess", "collate", "make_doc"):
            return getattr(self, method), kwargs, None
        copy = self.worker_copy()  # type: ignore[attr-defined]
        device = kwargs.get("device")
        if method == "collate" and device is not None:
            kwargs = {key: value for key, value in kwargs.items() if key != "device"}
            return copy.collate, kwargs, lambda batch: self.to_device(batch, device)
        return getattr(copy, method), kwargs, None


def _embedding_in(component: Any, path: str) -> str | None:
    """Return the path of the outermost embedding of a component, itself included."""
    if hasattr(component, "embed_batch"):
        return path
    for key, child in getattr(component, "child_components", lambda: ())():
        found = _embedding_in(child, f"{path}.{key}")
        if found is not None:
            return found
    return None


def _run_pipe(name: str, pipe: Any, docs: list[Doc]) -> list[Doc]:
    try:
        if hasattr(pipe, "process"):
            result = list(pipe.process(docs))
        else:
            result = [pipe(doc) for doc in docs]
        for doc in result:
            if not isinstance(doc, Doc):
                raise TypeError(
                    f"pipe '{name}' must return a Doc, got {type(doc).__name__}; what yields "
                    "documents, as eds.split, goes into a stream: stream.map(...)"
                )
        return result
    except Exception as error:
        error.edspipe_stage = f"pipe '{name}'"  # type: ignore[attr-defined]
        raise


def _inference_contexts(
    models: Sequence[Any], precision: str
) -> Iterator[AbstractContextManager[Any]]:
    if not models:
        return
    import torch

    from edspipe.pipeline.precision import autocast
    from edspipe.pipeline.torch_component import evaluating

    yield evaluating(*models)
    yield torch.inference_mode()
    yield autocast(precision, models[0].device)


def _sum_stats(sample: Mapping[str, Any], num_words: int) -> dict[str, int]:
    """Add up the `stats` of all features; those of a shared sub-module count once.

    Where no component cuts words into pieces, each word is a token.
    """
    total: Counter[str] = Counter()
    seen: set[Any] = set()
    for features in iter_dicts(dict(sample)):
        stats = features.get("stats")
        key = features.get("_id", id(features))
        if not isinstance(stats, dict) or key in seen:
            continue
        seen.add(key)
        total.update(stats)
    return {"tokens": num_words, **total, "words": num_words}
