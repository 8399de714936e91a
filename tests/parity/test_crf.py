"""The CRF against enumeration of all paths, and against pytorch-crf."""

from __future__ import annotations

import crf_reference as reference
import numpy as np
import pytest
import torch
from torch import Tensor

from edspipe.pipes.trainable.layers import crf_decoding, crf_functions
from edspipe.pipes.trainable.layers.crf import (
    BEGIN,
    INSIDE,
    LAST,
    NUM_TAGS,
    OUTSIDE,
    UNIT,
    Crf,
)
from edspipe.pipes.trainable.layers.tagging import spans_to_tags, tags_to_spans

WIDTHS = range(1, 7)
LABELS = (1, 2, 3)


@pytest.fixture(params=["host", "accelerator"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way that is taken on a CPU, and the one on a device whose values are not looked at."""
    if request.param == "accelerator":
        take_the_way_of_an_accelerator(monkeypatch)
    return request.param


def take_the_way_of_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (crf_functions, crf_decoding):
        monkeypatch.setattr(module, "on_host", lambda _: False)


both_ways = pytest.mark.usefixtures("way")


def random_crf(num_labels: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Crf:
    crf = Crf(num_labels).to(dtype)
    for parameter in crf.scores.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return crf


def mask_of(lengths: list[int], num_words: int | None = None) -> Tensor:
    num_words = max(lengths) if num_words is None else num_words
    return torch.arange(num_words) < torch.tensor(lengths)[:, None]


def valid_tags(mask: Tensor, num_labels: int) -> Tensor:
    """Random BILOU tags: the best path of noise."""
    noise = torch.randn(*mask.shape, num_labels, NUM_TAGS)
    return Crf(num_labels).decode(noise, mask)


def small_batch(width: int, num_labels: int) -> tuple[Crf, Tensor, Tensor, Tensor]:
    """A ragged batch in fp64, with one empty sequence."""
    torch.manual_seed(10 * width + num_labels)
    mask = mask_of([width, (width + 1) // 2, 0, max(width - 1, 1)])
    emissions = 2 * torch.randn(*mask.shape, num_labels, NUM_TAGS, dtype=torch.float64)
    return random_crf(num_labels), emissions, mask, valid_tags(mask, num_labels)


def gradients(value: Tensor, crf: Crf, emissions: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, [emissions, *crf.scores.parameters()]))


def every_span(mask: Tensor, num_labels: int) -> Tensor:
    spans = [
        (s, label, start, end)
        for s, length in enumerate(mask.sum(1).tolist())
        for label in range(num_labels)
        for start in range(length)
        for end in range(start + 1, length + 1)
    ]
    return torch.tensor(spans)


# --- Against enumeration of all paths ---


@both_ways
@pytest.mark.parametrize("num_labels", LABELS)
@pytest.mark.parametrize("width", WIDTHS)
def test_loss_and_gradients_equal_enumeration(width: int, num_labels: int) -> None:
    crf, emissions, mask, tags = small_batch(width, num_labels)
    emissions.requires_grad_()
    loss, expected = crf.loss(emissions, mask, tags), reference.loss(crf, emissions, mask, tags)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        gradients(loss, crf, emissions),
        gradients(expected, crf, emissions),
        rtol=1e-9,
        atol=1e-10,
    )


@pytest.mark.parametrize("num_labels", LABELS)
@pytest.mark.parametrize("width", WIDTHS)
def test_log_space_loss_and_gradients_equal_enumeration(
    width: int, num_labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crf_functions, "is_fast", lambda *_: _[2] < 0)
    crf, emissions, mask, tags = small_batch(width, num_labels)
    emissions.requires_grad_()
    loss, expected = crf.loss(emissions, mask, tags), reference.loss(crf, emissions, mask, tags)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        gradients(loss, crf, emissions),
        gradients(expected, crf, emissions),
        rtol=1e-9,
        atol=1e-10,
    )


@both_ways
@pytest.mark.parametrize("num_labels", LABELS)
@pytest.mark.parametrize("width", WIDTHS)
def test_decode_equals_enumeration(width: int, num_labels: int) -> None:
    crf, emissions, mask, _ = small_batch(width, num_labels)
    expected = reference.decode(crf, emissions, mask)
    torch.testing.assert_close(crf.decode(emissions, mask), expected)


@both_ways
@pytest.mark.parametrize("width", WIDTHS)
def test_decode_with_open_ends_equals_enumeration(width: int) -> None:
    torch.manual_seed(width)
    crf, mask = random_crf(2), mask_of([width] * 3 + [max(width - 1, 1)])
    emissions = torch.randn(*mask.shape, 2, NUM_TAGS, dtype=torch.float64)
    ends = {
        "open_start_S": torch.tensor([True, False, True, True]),
        "open_end_S": torch.tensor([False, True, True, True]),
    }
    expected = reference.decode(crf, emissions, mask, **ends)
    torch.testing.assert_close(crf.decode(emissions, mask, **ends), expected)


@both_ways
@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("num_labels", LABELS)
@pytest.mark.parametrize("width", WIDTHS)
def test_marginals_equal_enumeration(width: int, num_labels: int, differentiable: bool) -> None:
    crf, emissions, mask, _ = small_batch(width, num_labels)
    expected = reference.marginals(crf, emissions, mask)
    with torch.set_grad_enabled(differentiable):
        found = crf.marginals(emissions, mask)
    assert found.requires_grad == differentiable
    torch.testing.assert_close(found.detach(), expected.detach(), rtol=1e-9, atol=1e-12)


@both_ways
@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("num_labels", LABELS)
@pytest.mark.parametrize("width", WIDTHS)
@torch.no_grad()
def test_span_probabilities_equal_enumeration(
    width: int, num_labels: int, differentiable: bool
) -> None:
    crf, emissions, mask, _ = small_batch(width, num_labels)
    spans = every_span(mask, num_labels)
    expected = reference.span_probabilities(crf, emissions, mask, spans)
    with torch.set_grad_enabled(differentiable):
        found = crf.span_probabilities(emissions, mask, spans)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-9, atol=1e-12)


def test_sure_spans_have_probability_one() -> None:
    mask = mask_of([7])
    tags = torch.tensor([0, 1, 2, 2, 3, 0, 4])
    emissions = 30 * torch.nn.functional.one_hot(tags, NUM_TAGS).float()[None, :, None]
    spans = torch.tensor([[0, 0, 1, 5], [0, 0, 6, 7], [0, 0, 1, 4]])
    found = Crf(1).span_probabilities(emissions, mask, spans)
    torch.testing.assert_close(found.detach(), torch.tensor([1.0, 1.0, 0.0]), rtol=0, atol=1e-6)


# --- Gradients ---


@pytest.mark.parametrize("how", ["scaled", "log_space", "tree"])
def test_loss_passes_gradcheck(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "tree":
        take_the_way_of_an_accelerator(monkeypatch)
    if how == "log_space":
        monkeypatch.setattr(crf_functions, "is_fast", lambda *_: _[2] < 0)
    crf, emissions, mask, tags = small_batch(4, 2)
    parameters = dict(crf.scores.named_parameters(prefix="scores"))

    def loss(emissions: Tensor, *values: Tensor) -> Tensor:
        swapped = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(LossOf(crf), swapped, (emissions, mask, tags))

    assert torch.autograd.gradcheck(loss, [emissions.requires_grad_(), *parameters.values()])


class LossOf(torch.nn.Module):
    """The loss as a forward pass, under the names of the CRF itself."""

    def __init__(self, crf: Crf) -> None:
        super().__init__()
        self.scores, self.loss = crf.scores, crf.loss

    def forward(self, *args: Tensor) -> Tensor:
        return self.loss(*args)


@both_ways
def test_log_marginals_pass_gradcheck() -> None:
    crf, emissions, mask, _ = small_batch(4, 1)
    words = mask[:, :, None, None] & (reference.marginals(crf, emissions, mask) > 0)
    emissions.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: crf.log_marginals(e, mask)[words], [emissions])


def test_loss_gradient_scales_with_what_comes_from_above() -> None:
    crf, emissions, mask, tags = small_batch(5, 2)
    emissions.requires_grad_()
    once = gradients(crf.loss(emissions, mask, tags), crf, emissions)
    thrice = gradients(3 * crf.loss(emissions, mask, tags), crf, emissions)
    torch.testing.assert_close(thrice, [3 * gradient for gradient in once])


def test_backward_twice_through_one_loss_gives_the_same_gradient() -> None:
    crf, emissions, mask, tags = small_batch(5, 2)
    emissions.requires_grad_()
    loss = crf.loss(emissions, mask, tags)
    first = torch.autograd.grad(loss, emissions, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, emissions)[0], first, rtol=0, atol=0)


def test_fixed_transitions_stay_zero_and_get_no_gradient() -> None:
    crf = Crf(2, learn_transitions=False)
    mask = mask_of([5, 3])
    emissions = torch.randn(2, 5, 2, NUM_TAGS, requires_grad=True)
    crf.loss(emissions, mask, valid_tags(mask, 2)).backward()
    assert emissions.grad is not None
    assert [p.grad for p in crf.parameters()] == [None] * 3
    assert all((p == 0).all() for p in crf.parameters())


def test_state_holds_the_parameters_of_pytorch_crf_only() -> None:
    assert sorted(Crf(2).state_dict()) == [
        "scores.end_transitions",
        "scores.start_transitions",
        "scores.transitions",
    ]


# --- Against pytorch-crf ---


@both_ways
@pytest.mark.parametrize("num_labels", [4, 22])
@pytest.mark.parametrize("lengths", [[60] * 8, [60, 3, 17, 42, 1, 59, 30, 8]])
def test_loss_and_gradients_equal_pytorch_crf(num_labels: int, lengths: list[int]) -> None:
    torch.manual_seed(num_labels)
    crf, mask = random_crf(num_labels, torch.float32, scale=0.5), mask_of(lengths)
    emissions = (3 * torch.randn(*mask.shape, num_labels, NUM_TAGS)).requires_grad_()
    tags = valid_tags(mask, num_labels)
    oracle = reference.torchcrf_oracle(crf)
    expected = -oracle(
        reference.torchcrf_layout(emissions),
        reference.torchcrf_layout(tags),
        mask.repeat_interleave(num_labels, dim=0),
    )
    loss = crf.loss(emissions, mask, tags)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    theirs = torch.autograd.grad(expected, [emissions, *oracle.parameters()])
    for ours, their in zip(gradients(loss, crf, emissions), theirs, strict=True):
        assert (ours - their).abs().max() <= 1e-3 * their.abs().max()
        assert (ours - their).norm() <= 1e-3 * their.norm()


@both_ways
@pytest.mark.parametrize("lengths", [[70] * 6, [70, 1, 33, 52, 2, 69]])
def test_decoded_paths_equal_pytorch_crf(lengths: list[int]) -> None:
    torch.manual_seed(1)
    crf, mask = random_crf(3, torch.float32), mask_of(lengths)
    emissions = torch.randn(*mask.shape, 3, NUM_TAGS)
    paths = reference.torchcrf_oracle(crf).decode(
        reference.torchcrf_layout(emissions), mask.repeat_interleave(3, dim=0)
    )
    found = reference.torchcrf_layout(crf.decode(emissions, mask)).tolist()
    assert [tags[: len(path)] for tags, path in zip(found, paths, strict=True)] == paths


# --- Sequences without words ---


def test_an_empty_sequence_changes_nothing() -> None:
    crf, emissions, mask, tags = small_batch(5, 2)
    emissions.requires_grad_()
    full = mask.any(1)
    loss = crf.loss(emissions, mask, tags)
    without = crf.loss(emissions[full], mask[full], tags[full])
    torch.testing.assert_close(loss, without)
    assert (torch.autograd.grad(loss, emissions)[0][~full] == 0).all()


@both_ways
@pytest.mark.parametrize("shape", [(3, 4), (3, 0), (0, 4), (0, 0)])
def test_a_batch_without_words_costs_zero_and_has_zero_gradients(shape: tuple[int, int]) -> None:
    crf = random_crf(2, torch.float32)
    emissions = torch.randn(*shape, 2, NUM_TAGS, requires_grad=True)
    mask, tags = torch.zeros(shape, dtype=torch.bool), torch.zeros(*shape, 2, dtype=torch.int64)
    loss = crf.loss(emissions, mask, tags)
    loss.backward()
    assert loss.item() == 0
    assert loss.shape == ()
    assert emissions.grad is not None
    assert (emissions.grad == 0).all()
    assert all(p.grad is not None and (p.grad == 0).all() for p in crf.parameters())


@both_ways
@pytest.mark.parametrize("shape", [(3, 4), (3, 0), (0, 4)])
def test_a_batch_without_words_decodes_to_outside(shape: tuple[int, int]) -> None:
    crf, mask = random_crf(2, torch.float32), torch.zeros(shape, dtype=torch.bool)
    emissions = torch.randn(*shape, 2, NUM_TAGS)
    expected = torch.zeros(*shape, 2, dtype=torch.int64)
    torch.testing.assert_close(crf.decode(emissions, mask), expected)
    torch.testing.assert_close(crf.decode_windows(emissions, mask, 2), expected)
    marginals = crf.marginals(emissions, mask)
    assert marginals.shape == (*shape, 2, NUM_TAGS)
    assert (marginals[..., OUTSIDE] == 1).all()
    assert (marginals[..., 1:] == 0).all()
    no_spans = torch.zeros(0, 4, dtype=torch.int64)
    assert crf.span_probabilities(emissions, mask, no_spans).shape == (0,)


@both_ways
@pytest.mark.parametrize("junk", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_emissions_and_tags_on_padding_are_ignored(junk: float) -> None:
    crf, emissions, mask, tags = small_batch(5, 2)
    spoilt = emissions.masked_fill(~mask[..., None, None], junk).requires_grad_()
    spoilt_tags = tags.masked_fill(~mask[..., None], -100)
    loss = crf.loss(spoilt, mask, spoilt_tags)
    torch.testing.assert_close(loss, crf.loss(emissions, mask, tags))
    gradient = torch.autograd.grad(loss, spoilt)[0]
    assert (gradient[~mask] == 0).all()
    torch.testing.assert_close(crf.decode(spoilt, mask), crf.decode(emissions, mask))
    windows = crf.decode_windows(spoilt, mask, 2)
    torch.testing.assert_close(windows, crf.decode_windows(emissions, mask, 2))
    marginals = crf.marginals(spoilt, mask)
    torch.testing.assert_close(marginals, crf.marginals(emissions, mask))
    assert torch.autograd.grad(marginals.square().sum(), spoilt)[0].isfinite().all()


# --- Extreme scores ---


def extreme_emissions(size: float, kind: str, num_sequences: int, width: int) -> Tensor:
    torch.manual_seed(int(size))
    shape = (num_sequences, width, 1, NUM_TAGS)
    if kind == "signs":
        return size * (2.0 * torch.randint(0, 2, shape) - 1)
    if kind == "uniform":
        return size * (2 * torch.rand(shape) - 1)
    # Left and right each lose the better path: it is costly at both ends only.
    emissions = torch.zeros(shape)
    emissions[:, :, :, OUTSIDE] = -size / 4
    emissions[:, 0, :, OUTSIDE] = emissions[:, -1, :, OUTSIDE] = 0
    emissions[:, 0, :, BEGIN] = emissions[:, -1, :, LAST] = -size / 3
    emissions[:, :, :, UNIT] = -2 * size
    emissions[:, 1:, :, BEGIN] = emissions[:, :-1, :, LAST] = -2 * size
    return emissions


@both_ways
@pytest.mark.parametrize("kind", ["signs", "uniform", "trap"])
@pytest.mark.parametrize("size", [9.0, 19.0, 50.0, 300.0, 1000.0])
def test_extreme_emissions_in_fp32_equal_enumeration(size: float, kind: str) -> None:
    mask = mask_of([6, 6, 5, 4, 2, 1])
    crf = random_crf(1, torch.float32)
    emissions = extreme_emissions(size, kind, *mask.shape).requires_grad_()
    tags = valid_tags(mask, 1)
    loss, expected = crf.loss(emissions, mask, tags), reference.loss(crf, emissions, mask, tags)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(
        gradients(loss, crf, emissions),
        gradients(expected, crf, emissions),
        rtol=1e-3,
        atol=1e-3,
    )
    expected = reference.marginals(crf, emissions, mask)
    for marginals in (crf.marginals(emissions, mask), crf.marginals(emissions.detach(), mask)):
        torch.testing.assert_close(marginals.double(), expected, rtol=1e-3, atol=1e-3)
    spans = every_span(mask, 1)
    with torch.no_grad():
        found = crf.span_probabilities(emissions, mask, spans)
        wanted = reference.span_probabilities(crf, emissions, mask, spans)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("transitions", [0.0, 2.0])
def test_fast_pass_is_exact_up_to_its_limit(transitions: float) -> None:
    torch.manual_seed(3)
    crf, mask = random_crf(1, torch.float32, scale=transitions), mask_of([300] * 8)
    limit = 0.9 * -np.log(torch.finfo(torch.float32).tiny)
    spread = (limit - 4 * crf.chain().padded().spread()) / 2 - 0.01
    emissions = (spread * torch.randint(0, 2, (8, 300, 1, NUM_TAGS))).requires_grad_()
    rows, spread_N = crf_functions.to_rows(emissions, mask, torch.float32)
    assert crf_functions.is_fast(rows, crf.chain().padded(), spread_N).all()
    tags = valid_tags(mask, 1)
    exact = crf.loss(emissions.double(), mask, tags)
    loss = crf.loss(emissions, mask, tags)
    # The 64-bit run has room to spare, and fp32 must agree with it to its own precision.
    torch.testing.assert_close(loss.double(), exact.double(), rtol=1e-5, atol=0)
    ours, theirs = (torch.autograd.grad(x, emissions)[0] for x in (loss, exact))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5)


def test_rows_of_both_kinds_in_one_batch_give_what_they_give_alone() -> None:
    torch.manual_seed(4)
    crf, mask = random_crf(2, torch.float32), mask_of([9, 9, 7, 4])
    emissions = torch.randn(*mask.shape, 2, NUM_TAGS)
    emissions[1, :, 0] *= 200
    emissions[2, :, 1] *= 200
    tags = valid_tags(mask, 2)
    emissions.requires_grad_()
    together = crf.loss(emissions, mask, tags)
    alone = torch.zeros(())
    for s in range(4):
        for i in range(2):
            row = emissions[s, None, :, i, None], mask[s, None], tags[s, None, :, i, None]
            alone = alone + one_label(crf).loss(*row)
    torch.testing.assert_close(together, alone)
    for ours, theirs in zip(
        torch.autograd.grad(together, [emissions, *crf.scores.parameters()]),
        torch.autograd.grad(alone, [emissions, *crf.scores.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def one_label(crf: Crf) -> Crf:
    single = Crf(1)
    single.scores = crf.scores
    return single


def test_a_long_confident_sequence_keeps_its_precision(way: str) -> None:
    torch.manual_seed(5)
    crf, mask = random_crf(1, torch.float32), mask_of([5000])
    tags = valid_tags(mask, 1)
    emissions = torch.randn(1, 5000, 1, NUM_TAGS)
    emissions += 12 * torch.nn.functional.one_hot(tags, NUM_TAGS) + 500
    loss = crf.loss(emissions, mask, tags)
    exact = crf.loss(emissions.double(), mask, tags)
    # Both log Z and the score of the path are about 8000 here, where fp32 numbers are 5e-4 apart.
    atol = 2e-4 if way == "host" else 5e-4
    torch.testing.assert_close(loss.double(), exact.double(), rtol=0, atol=atol)


@both_ways
def test_not_a_number_shows_in_the_loss() -> None:
    mask = mask_of([4, 4])
    emissions = torch.zeros(2, 4, 1, NUM_TAGS)
    emissions[1, 2, 0, 3] = float("nan")
    assert Crf(1).loss(emissions, mask, torch.zeros(2, 4, 1, dtype=torch.int64)).isnan()


# --- The way of an accelerator is that of a CPU ---


@pytest.mark.parametrize("scale", [1.0, 10.0, 300.0])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [3], [4, 4, 0], [17, 9], [100, 31, 64]])
def test_both_ways_give_the_same(
    lengths: list[int], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(12)
    crf, mask = random_crf(3, torch.float32), mask_of(lengths)
    emissions = (scale * torch.randn(*mask.shape, 3, NUM_TAGS)).requires_grad_()
    tags, spans = valid_tags(mask, 3), every_span(mask_of([min(lengths[0], 5)]), 3)

    def results() -> list[Tensor]:
        loss = crf.loss(emissions, mask, tags)
        marginals = crf.marginals(emissions, mask)
        probabilities = crf.span_probabilities(emissions, mask, spans)
        return [
            loss,
            *gradients(loss, crf, emissions),
            marginals,
            torch.autograd.grad(marginals.square().sum(), emissions)[0],
            probabilities,
        ]

    expected = results()
    decoded = crf.decode_windows(emissions, mask, 7), crf.decode(emissions, mask)
    take_the_way_of_an_accelerator(monkeypatch)
    torch.testing.assert_close(results(), expected, rtol=1e-5, atol=2e-4 * scale**0.5)
    torch.testing.assert_close(crf.decode_windows(emissions, mask, 7), decoded[0])
    torch.testing.assert_close(crf.decode(emissions, mask), decoded[1])


@both_ways
def test_tags_of_tied_paths_fit_together() -> None:
    crf, mask = Crf(1), mask_of([9, 4])
    found = crf.decode(torch.zeros(2, 9, 1, NUM_TAGS), mask)
    for tags, length in zip(found, (9, 4), strict=True):
        kept = tags[:length].numpy()
        again = spans_to_tags(tags_to_spans(kept), length, 1)
        np.testing.assert_array_equal(again, kept)


# --- What is forbidden stays forbidden ---

ILLEGAL = {
    "starts inside": [INSIDE, LAST, OUTSIDE],
    "ends begun": [OUTSIDE, OUTSIDE, BEGIN],
    "begin then outside": [BEGIN, OUTSIDE, OUTSIDE],
    "unit then last": [UNIT, LAST, OUTSIDE],
}


@both_ways
@pytest.mark.parametrize("path", ILLEGAL.values(), ids=ILLEGAL.keys())
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_illegal_gold_costs_a_large_finite_loss(path: list[int], scale: float) -> None:
    torch.manual_seed(6)
    emissions = (scale * torch.randn(1, 3, 1, NUM_TAGS)).requires_grad_()
    crf, mask, tags = random_crf(1, torch.float32), mask_of([3]), torch.tensor(path).view(1, 3, 1)
    loss = crf.loss(emissions, mask, tags)
    assert 9e3 < loss.item() < 2e4
    torch.testing.assert_close(
        loss.double(), reference.loss(crf, emissions, mask, tags), rtol=1e-5, atol=0
    )
    assert all(gradient.isfinite().all() for gradient in gradients(loss, crf, emissions))


def test_training_on_illegal_gold_does_not_make_it_legal() -> None:
    torch.manual_seed(7)
    crf, mask = Crf(1), mask_of([6] * 4)
    tags = torch.randint(0, 5, (4, 6, 1))
    emissions = torch.zeros(4, 6, 1, NUM_TAGS, requires_grad=True)
    optimizer = torch.optim.SGD([emissions, *crf.parameters()], lr=0.5)
    for _ in range(30):
        optimizer.zero_grad()
        crf.loss(emissions, mask, tags).backward()
        optimizer.step()
    chain = crf.chain()
    assert any((p.abs() > 1).any() for p in crf.parameters()), "training moved nothing"
    assert (chain.start_K[[INSIDE, LAST]] < -5e3).all()
    assert (chain.end_K[[BEGIN, INSIDE]] < -5e3).all()
    assert int((chain.moves_KK < -5e3).sum()) == 12
    found = crf.decode(emissions, mask)
    spans = [tags_to_spans(tags.numpy()) for tags in found]
    rewritten = np.stack([spans_to_tags(one, 6, 1) for one in spans])
    assert (rewritten == found.numpy()).all()


# --- Half precision ---


@both_ways
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_emissions_are_summed_in_fp32(dtype: torch.dtype) -> None:
    torch.manual_seed(8)
    crf, mask = random_crf(2, torch.float32), mask_of([40, 11, 0])
    half = torch.randn(*mask.shape, 2, NUM_TAGS).to(dtype).requires_grad_()
    full, tags = half.detach().float().requires_grad_(), valid_tags(mask, 2)
    loss, expected = crf.loss(half, mask, tags), crf.loss(full, mask, tags)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)
    ours, theirs = torch.autograd.grad(loss, half)[0], torch.autograd.grad(expected, full)[0]
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, theirs.to(dtype), rtol=0, atol=0)
    torch.testing.assert_close(crf.decode(half, mask), crf.decode(full, mask))
    assert crf.marginals(half, mask).dtype == torch.float32


def test_autocast_does_not_reach_the_recursions() -> None:
    torch.manual_seed(9)
    crf, mask = random_crf(2, torch.float32), mask_of([40, 11])
    emissions, tags = torch.randn(2, 40, 2, NUM_TAGS, requires_grad=True), valid_tags(mask, 2)
    plain = crf.loss(emissions, mask, tags)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = crf.loss(emissions, mask, tags)
        marginals = crf.marginals(emissions, mask)
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)
    torch.testing.assert_close(
        gradients(cast, crf, emissions), gradients(plain, crf, emissions), rtol=0, atol=0
    )
    torch.testing.assert_close(marginals, crf.marginals(emissions, mask), rtol=0, atol=0)


# --- Windows ---


@both_ways
@pytest.mark.parametrize(
    ("window", "stride"), [(1, 1), (2, 1), (4, 2), (5, 3), (7, 1), (6, 6), (9, 4), (22, 21)]
)
def test_windows_equal_a_loop_over_windows(window: int, stride: int) -> None:
    torch.manual_seed(window)
    crf, mask = random_crf(2, scale=0.5), mask_of([23, 0, 1, 7, 8, 9, 16, 22, 23])
    emissions = torch.randn(*mask.shape, 2, NUM_TAGS, dtype=torch.float64)
    expected = reference.naive_windows(crf, emissions, mask, window, stride)
    torch.testing.assert_close(crf.decode_windows(emissions, mask, window, stride), expected)


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_default_stride_is_half_a_window(window: int) -> None:
    torch.manual_seed(window)
    crf, mask = random_crf(1), mask_of([30, 12])
    emissions = torch.randn(2, 30, 1, NUM_TAGS, dtype=torch.float64)
    expected = crf.decode_windows(emissions, mask, window, max(window // 2, 1))
    torch.testing.assert_close(crf.decode_windows(emissions, mask, window), expected)


@pytest.mark.parametrize("window", [0, -1, 12, 13, 1000])
def test_windows_as_long_as_the_text_are_the_full_sequence(window: int) -> None:
    torch.manual_seed(11)
    crf, mask = random_crf(2), mask_of([12, 5, 0], num_words=15)
    emissions = torch.randn(*mask.shape, 2, NUM_TAGS, dtype=torch.float64)
    expected = crf.decode(emissions, mask)
    torch.testing.assert_close(crf.decode_windows(emissions, mask, window), expected)


@pytest.mark.parametrize("stride", [None, 3])
def test_windows_planned_from_sizes_are_those_of_the_mask(stride: int | None) -> None:
    torch.manual_seed(13)
    crf, lengths = random_crf(2, torch.float32), [12, 5, 0, 30]
    mask = mask_of(lengths)
    emissions = torch.randn(*mask.shape, 2, NUM_TAGS)
    expected = crf.decode_windows(emissions, mask, 5, stride)
    found = crf.decode_windows(emissions, mask, 5, stride, sizes=lengths)
    torch.testing.assert_close(found, expected)


def test_sizes_of_other_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="the sizes of 2 sequences, got 3"):
        Crf(1).decode_windows(torch.zeros(2, 8, 1, 5), mask_of([8, 8]), 3, sizes=[8, 8, 8])


def test_an_entity_longer_than_a_window_is_not_cut() -> None:
    tags = torch.tensor([BEGIN] + [INSIDE] * 20 + [LAST])
    emissions = 5 * torch.nn.functional.one_hot(tags, NUM_TAGS).float()[None, :, None]
    found = Crf(1).decode_windows(emissions, mask_of([22]), 6)
    assert found.flatten().tolist() == tags.tolist()


# --- Arguments ---


def test_emissions_for_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected emissions .* 3 labels, 5 tags.*\(2, 4, 2, 5\)"):
        Crf(3).decode(torch.zeros(2, 4, 2, 5), mask_of([4, 4]))


def test_gold_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected gold tags of shape \(2, 4, 2\).*\(2, 4\)"):
        Crf(2).loss(torch.zeros(2, 4, 2, 5), mask_of([4, 4]), torch.zeros(2, 4))


def test_a_mask_that_is_not_bool_is_refused() -> None:
    with pytest.raises(TypeError, match=r"mask of type bool, got torch\.int64: use mask\.bool"):
        Crf(2).decode(torch.zeros(2, 4, 2, 5), mask_of([4, 4]).long())


def test_a_mask_with_holes_is_refused() -> None:
    mask = torch.tensor([[True, False, True]])
    with pytest.raises(ValueError, match="a word after padding: move the words to the left"):
        Crf(1).decode(torch.zeros(1, 3, 1, 5), mask)


def test_shapes_are_checked_where_values_are_not() -> None:
    crf = Crf(1).to("meta")
    mask = torch.ones(1, 3, dtype=torch.bool, device="meta")
    assert crf.decode(torch.zeros(1, 3, 1, 5, device="meta"), mask).is_meta
    with pytest.raises(ValueError, match=r"Expected emissions .* 1 labels, 5 tags"):
        crf.decode(torch.zeros(1, 3, 2, 5, device="meta"), mask)


@pytest.mark.parametrize("stride", [0, -1, 4])
def test_a_stride_that_leaves_gaps_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match=f"stride from 1 to the window of 3 words, got {stride}"):
        Crf(1).decode_windows(torch.zeros(1, 8, 1, 5), mask_of([8]), 3, stride)


@pytest.mark.parametrize(
    "span", [(0, 0, 2, 2), (0, 0, 3, 5), (1, 0, 0, 3), (2, 0, 0, 1), (0, 1, 0, 1), (0, 0, -1, 1)]
)
def test_spans_outside_their_sequence_are_refused(span: tuple[int, ...]) -> None:
    spans = torch.tensor([(0, 0, 0, 1), span])
    with pytest.raises(ValueError, match=r"within their sequence, got .* in row 1"):
        Crf(1).span_probabilities(torch.zeros(2, 4, 1, 5), mask_of([4, 2]), spans)
