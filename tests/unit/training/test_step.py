"""One step: its gradients are those of one big batch, however it is cut, and whatever runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from short_runs import docs_for_two, two_pipes, unequal_docs, without_dropout
from spacy.tokens import Doc

import edspipe
from edspipe.errors import TrainingError
from edspipe.training.batches import BatchMaker, Part, TaskBatch
from edspipe.training.data import TrainingData
from edspipe.training.randomness import torch_rng_state
from edspipe.training.step import StepComputer, is_out_of_memory

Gradients = dict[str, torch.Tensor | None]
CUTS: tuple[tuple[int | str | None, int], ...] = (
    ("4 splits", 1),
    ("12 words", 1),
    ("40 padded_words", 1),
    ("25 tokens", 1),
    ("1 docs", 1),
    ("2 splits", 2),
    (None, 3),
    (None, 12),
)
"""Sub-batches and processes; of 12 processes some have no document at all."""


def tasks_of(
    nlp: edspipe.Pipeline, docs: Sequence[Doc], cut: Any, rank: int, world_size: int, **more: Any
) -> TaskBatch:
    maker = BatchMaker(nlp, TrainingData(docs, sub_batch_size=cut, **more), rank, world_size)  # type: ignore[arg-type]
    return maker(docs)


def gradients(
    nlp: edspipe.Pipeline, docs: Sequence[Doc], cut: Any = None, world_size: int = 1, **more: Any
) -> tuple[Gradients, float]:
    """Return the gradients and the loss of a batch, added up over processes as they would be."""
    shares = [tasks_of(nlp, docs, cut, rank, world_size, **more) for rank in range(world_size)]
    computer = StepComputer(nlp, nullcontext)
    totals: dict[tuple[int, str], float] = {}
    for share in shares:
        for key, size in computer.sizes([share]).items():
            totals[key] = totals.get(key, 0.0) + size
    for parameter in nlp.parameters():
        parameter.grad = None
    loss = sum(float(computer([share], totals).total()) for share in shares if share.parts)
    return {
        name: None if p.grad is None else p.grad.clone() for name, p in nlp.named_parameters()
    }, loss


def difference(found: Gradients, expected: Gradients) -> float:
    """Return the norm of the difference, as a share of the norm that is expected."""
    assert {k for k, g in found.items() if g is not None} == {
        k for k, g in expected.items() if g is not None
    }
    apart = sum(
        float((g - expected[k]).double().pow(2).sum()) for k, g in found.items() if g is not None
    )
    norm = sum(float(g.double().pow(2).sum()) for g in expected.values() if g is not None)
    assert norm > 0
    return (apart / norm) ** 0.5


@pytest.fixture(scope="module")
def in_double(encoder_dir: Any) -> Any:
    """Builds pipelines that compute in fp64, where sums in another order hardly differ."""
    from support import tiny_pipeline

    def build(mode: str) -> edspipe.Pipeline:
        nlp = tiny_pipeline(encoder_dir, labels=["A", "B", "C"], mode=mode)
        for _, component in nlp.torch_components():
            component.double()
        return without_dropout(nlp)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        yield {mode: build(mode) for mode in ("joint", "marginal", "independent")}


@pytest.mark.parametrize("mode", ["joint", "marginal", "independent"])
def test_the_gradient_is_the_same_however_a_batch_is_cut(in_double: Any, mode: str) -> None:
    nlp = in_double[mode]
    docs = unequal_docs(nlp, 9, "ABC", with_empty=True)
    whole, loss = gradients(nlp, docs)
    for cut, world_size in CUTS:
        found, its_loss = gradients(nlp, docs, cut, world_size)
        assert difference(found, whole) < 1e-12, (cut, world_size)
        assert its_loss == pytest.approx(loss, rel=1e-12), (cut, world_size)


def test_processes_without_a_document_have_no_part(make_nlp: Callable[..., Any]) -> None:
    nlp = make_nlp()
    docs = unequal_docs(nlp, 2)
    assert [len(tasks_of(nlp, docs, None, rank, 3).parts) for rank in range(3)] == [1, 1, 0]


# ---- several tasks ---------------------------------------------------------------------------


def of_pipe(found: Gradients, name: str) -> list[torch.Tensor]:
    """Return the gradients of a pipe's own parameters, without the shared encoder's."""
    return [
        g
        for key, g in found.items()
        if key.startswith(f"{name}.") and ".embedding." not in key and g is not None
    ]


def test_a_pipe_that_is_not_named_gets_no_gradient(encoder_dir: Any) -> None:
    nlp = two_pipes(encoder_dir)
    found, _ = gradients(nlp, docs_for_two(nlp), pipe_names=["first"])
    assert of_pipe(found, "first")
    assert not of_pipe(found, "second")


def test_gradients_of_two_tasks_add_up(encoder_dir: Any) -> None:
    nlp = without_dropout(two_pipes(encoder_dir))
    docs = docs_for_two(nlp)
    parts = [gradients(nlp, docs, pipe_names=[name])[0] for name in ("first", "second")]
    tasks = [
        tasks_of(nlp, docs, "2 splits", 0, 1, pipe_names=[name]) for name in ("first", "second")
    ]
    computer = StepComputer(nlp, nullcontext)
    nlp_gradients = dict(nlp.named_parameters())
    for parameter in nlp_gradients.values():
        parameter.grad = None
    computer(tasks, computer.sizes(tasks))
    expected: Gradients = {}
    for name in nlp_gradients:
        given = [part[name] for part in parts if part[name] is not None]
        expected[name] = sum(given[1:], given[0]) if given else None  # type: ignore[assignment]
    # in fp32, parts are added in another order: about 1e-7 for each of some sums
    assert difference({n: p.grad for n, p in nlp_gradients.items()}, expected) < 1e-5


def test_a_weight_scales_the_gradient_and_the_loss(encoder_dir: Any) -> None:
    nlp = without_dropout(two_pipes(encoder_dir))
    docs = docs_for_two(nlp)
    plain, loss = gradients(nlp, docs, pipe_names=["first"])
    doubled, its_loss = gradients(nlp, docs, pipe_names=["first"], weight=2.0)
    for name, gradient in plain.items():
        if gradient is not None:
            torch.testing.assert_close(doubled[name], 2 * gradient, rtol=1e-6, atol=0)
    assert its_loss == pytest.approx(2 * loss, rel=1e-6)


def test_pipes_share_the_pass_through_their_encoder(encoder_dir: Any) -> None:
    nlp = two_pipes(encoder_dir)
    encoder = nlp.pipes.first.embedding.encoder
    passes: list[int] = []
    encoder.register_forward_hook(lambda *_: passes.append(1))
    gradients(nlp, docs_for_two(nlp))
    assert len(passes) == 1


# ---- out of memory ---------------------------------------------------------------------------


class Tight:
    """A forward pass with room for some documents; counts its passes.

    Args:
        forward: The real one.
        room: Documents that fit.
        fails_at: Passes that fail besides, whatever their size.
    """

    def __init__(self, forward: Any, room: int = 10**9, fails_at: Sequence[int] = ()) -> None:
        self.forward, self.room, self.fails_at, self.num_passes = forward, room, fails_at, 0

    def __call__(self, batch: dict[str, Any]) -> Any:
        self.num_passes += 1
        if len(batch["tags"]) > self.room or self.num_passes in self.fails_at:
            torch.rand(7)  # what was drawn before memory ran out
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.forward(batch)


def computed_with(
    nlp: edspipe.Pipeline, docs: Sequence[Doc], cut: Any, tight: dict[str, Any]
) -> tuple[Gradients, dict[str, torch.Tensor]]:
    """Return gradients and the random state after a step whose memory may run out."""
    maker = BatchMaker(nlp, TrainingData(docs, sub_batch_size=cut))  # type: ignore[arg-type]

    def split(number: int, task: TaskBatch, part: Part) -> list[Part]:
        middle = len(part.positions) // 2
        halves = (part.positions[:middle], part.positions[middle:])
        return [maker.part([maker.sample(docs[i]) for i in half], half) for half in halves]

    pipe = nlp.pipes.ner
    computer = StepComputer(nlp, nullcontext, split=split)
    for parameter in nlp.parameters():
        parameter.grad = None
    task = maker(docs)
    sizes = computer.sizes([task])
    torch.manual_seed(7)
    pipe.forward = Tight(pipe.forward, **tight) if tight else pipe.forward
    try:
        computer([task], sizes)
    finally:
        pipe.__dict__.pop("forward", None)
    return {
        name: None if p.grad is None else p.grad.clone() for name, p in nlp.named_parameters()
    }, torch_rng_state()


@pytest.mark.parametrize(
    ("cut", "tight"),
    [
        (None, {"room": 4}),
        ("3 splits", {"fails_at": [1]}),
        ("3 splits", {"fails_at": [2]}),  # after gradients of the first part were added
        ("3 splits", {"fails_at": [3, 5]}),
        ("4 splits", {"room": 1}),
    ],
)
def test_where_memory_runs_out_the_gradient_stays_the_same(
    in_double: Any, cut: Any, tight: dict[str, Any], log: list[str]
) -> None:
    nlp = in_double["joint"]
    docs = unequal_docs(nlp, 8, "ABC", with_empty=True)
    whole, _ = computed_with(nlp, docs, None, {})
    found, _ = computed_with(nlp, docs, cut, tight)
    assert difference(found, whole) < 1e-12
    assert any("computing them in two halves" in line for line in log)


def test_a_split_draws_the_random_numbers_of_one_that_was_planned(
    make_nlp: Callable[..., Any], log: list[str]
) -> None:
    nlp = make_nlp(dropout=0.3)
    docs = unequal_docs(nlp, 8)
    planned, its_state = computed_with(nlp, docs, "2 splits", {})
    found, state = computed_with(nlp, docs, None, {"room": 4})
    assert difference(found, planned) == 0.0
    assert torch.equal(state["torch"], its_state["torch"])


def test_one_document_that_is_too_large_is_named(make_nlp: Callable[..., Any]) -> None:
    nlp = make_nlp()
    docs = unequal_docs(nlp, 3)
    with pytest.raises(TrainingError, match=r"out of memory on one document \('note-0'\): cut"):
        computed_with(nlp, docs, None, {"room": 0})


def test_an_error_of_another_kind_goes_on(make_nlp: Callable[..., Any]) -> None:
    nlp = make_nlp()

    def forward(batch: Any) -> None:
        raise RuntimeError("something else")

    nlp.pipes.ner.forward = forward
    maker = BatchMaker(nlp, TrainingData(unequal_docs(nlp, 3)))  # type: ignore[arg-type]
    task = maker(unequal_docs(nlp, 3))
    computer = StepComputer(nlp, nullcontext, split=lambda *_: [])
    with pytest.raises(RuntimeError, match="something else"):
        computer([task], computer.sizes([task]))


def test_without_a_split_memory_that_runs_out_is_an_error(make_nlp: Callable[..., Any]) -> None:
    nlp = make_nlp()
    docs = unequal_docs(nlp, 3)
    nlp.pipes.ner.forward = Tight(nlp.pipes.ner.forward, room=1)
    task = tasks_of(nlp, docs, None, 0, 1)
    computer = StepComputer(nlp, nullcontext)
    with pytest.raises(torch.OutOfMemoryError):
        computer([task], computer.sizes([task]))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12 bytes"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
