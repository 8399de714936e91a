"""The CRF layer against pytorch-crf, side by side: `python benchmarks/crf.py`.

Ours and theirs run in turns on the same random input and the same scores, and the medians are
compared, so that whatever else the machine does slows both. pytorch-crf gets its input in its own
layout, outside the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchcrf

from edspipe.pipes.trainable.layers.crf import Crf
from edspipe.pipes.trainable.layers.tagging import NUM_TAGS

LOSS_SIZES = ((16, 400, 4), (16, 400, 22))
DECODE_SIZES = ((64, 128, 1), (16, 400, 4))
WINDOW = 40


def time_in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], turns: int
) -> tuple[float, float]:
    """Return the median times of both, in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for run, kept in zip((ours, theirs), times, strict=True):
            begin = time.perf_counter()
            run()
            if turn > 0:  # The first turn warms up.
                kept.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[0]), statistics.median(times[1])


def same_scores(crf: Crf) -> torchcrf.CRF:
    """Return pytorch-crf's module with the effective scores of ours."""
    peer = torchcrf.CRF(NUM_TAGS, batch_first=True)
    with torch.no_grad():
        for parameter, scores in zip(peer.parameters(), crf.chain(), strict=True):
            parameter.copy_(scores)
    return peer


def random_case(sizes: tuple[int, int, int]) -> tuple[Crf, torch.Tensor, torch.Tensor]:
    """Return a CRF with random scores, random emissions, and a mask without padding."""
    torch.manual_seed(0)
    crf = Crf(sizes[2])
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return crf, 3 * torch.randn(*sizes, NUM_TAGS), torch.ones(sizes[:2], dtype=torch.bool)


def peer_layout(values: torch.Tensor) -> torch.Tensor:
    """From (S, T, L, ...) to (S x L, T, ...)."""
    return values.transpose(1, 2).flatten(0, 1).contiguous()


def compare_losses(sizes: tuple[int, int, int], turns: int) -> tuple[float, float]:
    """Time the loss, forward and backward."""
    crf, emissions, mask = random_case(sizes)
    tags = crf.decode(torch.randn_like(emissions), mask)
    peer, peer_tags = same_scores(crf), peer_layout(tags)
    peer_emissions = peer_layout(emissions).requires_grad_()
    peer_mask = mask.repeat_interleave(sizes[2], dim=0)
    emissions.requires_grad_()

    def ours() -> None:
        emissions.grad = None
        crf.loss(emissions, mask, tags).backward()

    def theirs() -> None:
        peer_emissions.grad = None
        (-peer(peer_emissions, peer_tags, peer_mask)).backward()

    return time_in_turns(ours, theirs, turns)


def compare_decoding(
    sizes: tuple[int, int, int], turns: int, window: int = 0
) -> tuple[float, float]:
    """Time decoding; theirs always in full, as pytorch-crf has no windows."""
    crf, emissions, mask = random_case(sizes)
    peer, peer_emissions = same_scores(crf), peer_layout(emissions)
    peer_mask = mask.repeat_interleave(sizes[2], dim=0)
    return time_in_turns(
        lambda: crf.decode_windows(emissions, mask, window),
        lambda: peer.decode(peer_emissions, peer_mask),
        turns,
    )


def compare_posteriors(sizes: tuple[int, int, int], turns: int) -> tuple[float, float]:
    """Time the probabilities of all tags; theirs are the gradient of the likelihood."""
    crf, emissions, mask = random_case(sizes)
    peer = same_scores(crf)
    tags = peer_layout(crf.decode(emissions, mask))
    peer_emissions = peer_layout(emissions).requires_grad_()
    peer_mask = mask.repeat_interleave(sizes[2], dim=0)

    def theirs() -> torch.Tensor:
        (gradient,) = torch.autograd.grad(-peer(peer_emissions, tags, peer_mask), peer_emissions)
        return gradient + torch.nn.functional.one_hot(tags, NUM_TAGS)

    with torch.no_grad():
        expected = crf.marginals(emissions, mask)
    torch.testing.assert_close(
        peer_layout(expected), theirs().view_as(peer_emissions), atol=1e-4, rtol=1e-3
    )

    def ours() -> None:
        with torch.no_grad():
            crf.marginals(emissions, mask)

    return time_in_turns(ours, theirs, turns)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, medians of {options.turns} turns")
    print(f"{'docs x words x labels':<38}{'ours ms':>10}{'pytorch-crf ms':>17}{'ratio':>8}")
    rows = [
        ("loss + backward", sizes, compare_losses(sizes, options.turns)) for sizes in LOSS_SIZES
    ]
    for sizes in DECODE_SIZES:
        rows.append(("decode", sizes, compare_decoding(sizes, options.turns)))
    for sizes in LOSS_SIZES:
        rows.append(("posteriors", sizes, compare_posteriors(sizes, options.turns)))
    sizes = DECODE_SIZES[-1]
    times = compare_decoding(sizes, options.turns, WINDOW)
    rows.append((f"decode, windows of {WINDOW}", sizes, times))
    for what, sizes, (ours, theirs) in rows:
        name = f"{what} {' x '.join(map(str, sizes))}"
        print(f"{name:<38}{ours:>10.1f}{theirs:>17.1f}{theirs / ours:>8.1f}")


if __name__ == "__main__":
    main()
