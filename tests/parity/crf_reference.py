"""The CRF by brute force: every path is written down, scored, and summed over."""

from __future__ import annotations

import functools
import itertools

import torch
import torchcrf
from torch import Tensor

from edspipe.pipes.trainable.layers.crf import Crf
from edspipe.pipes.trainable.layers.crf_functions import FORBIDDEN

FOLLOWERS = {"O": "OBU", "B": "IL", "I": "IL", "L": "OBU", "U": "OBU"}
TAGS = "OBILU"


def legal_scores(crf: Crf) -> tuple[Tensor, Tensor, Tensor]:
    """Learned scores plus what BILOU forbids, from its definition in letters, in fp64."""
    moves = [[0.0 if b in FOLLOWERS[a] else FORBIDDEN for b in TAGS] for a in TAGS]
    starts = [0.0 if tag in "OBU" else FORBIDDEN for tag in TAGS]
    ends = [0.0 if tag in "OLU" else FORBIDDEN for tag in TAGS]
    return (
        crf.scores.start_transitions.double() + torch.tensor(starts).double(),
        crf.scores.end_transitions.double() + torch.tensor(ends).double(),
        crf.scores.transitions.double() + torch.tensor(moves).double(),
    )


@functools.cache
def all_paths(num_words: int) -> Tensor:
    """Every sequence of tags. Shape (5 ** num_words, num_words)."""
    return torch.tensor(list(itertools.product(range(5), repeat=num_words)))


def path_scores(
    crf: Crf,
    emissions_TK: Tensor,
    paths: Tensor,
    open_start: bool = False,
    open_end: bool = False,
) -> Tensor:
    """The score of each path, in fp64."""
    start, end, moves = legal_scores(crf)
    words = torch.arange(len(emissions_TK))
    scores = emissions_TK.double()[words, paths].sum(1)
    scores = scores + moves[paths[:, :-1], paths[:, 1:]].sum(1)
    if not open_start:
        scores = scores + start[paths[:, 0]]
    if not open_end:
        scores = scores + end[paths[:, -1]]
    return scores


def rows(emissions_STLK: Tensor, mask_ST: Tensor) -> list[tuple[int, int, int, Tensor]]:
    """(sequence, label, length, emissions of its words) of each row that has words."""
    return [
        (s, label, int(mask.sum()), emissions_STLK[s, : int(mask.sum()), label])
        for s, mask in enumerate(mask_ST)
        for label in range(emissions_STLK.shape[2])
        if mask.any()
    ]


def loss(crf: Crf, emissions_STLK: Tensor, mask_ST: Tensor, tags_STL: Tensor) -> Tensor:
    """The summed negative log-likelihood, differentiable, in fp64."""
    total = emissions_STLK.new_zeros((), dtype=torch.float64)
    for s, label, length, emissions in rows(emissions_STLK, mask_ST):
        gold = path_scores(crf, emissions, tags_STL[s, :length, label][None].long())[0]
        every = path_scores(crf, emissions, all_paths(length))
        total = total + torch.logsumexp(every, 0) - gold
    return total


def decode(
    crf: Crf,
    emissions_STLK: Tensor,
    mask_ST: Tensor,
    open_start_S: Tensor | None = None,
    open_end_S: Tensor | None = None,
) -> Tensor:
    """The best paths."""
    tags_STL = torch.zeros(emissions_STLK.shape[:3], dtype=torch.int64)
    for s, label, length, emissions in rows(emissions_STLK, mask_ST):
        open_start = open_start_S is not None and bool(open_start_S[s])
        open_end = open_end_S is not None and bool(open_end_S[s])
        paths = all_paths(length)
        best = path_scores(crf, emissions, paths, open_start, open_end).argmax()
        tags_STL[s, :length, label] = paths[best]
    return tags_STL


def marginals(crf: Crf, emissions_STLK: Tensor, mask_ST: Tensor) -> Tensor:
    """The posterior of each tag on each word; O is sure on padding."""
    result = torch.zeros(emissions_STLK.shape, dtype=torch.float64)
    result[..., 0] = 1.0
    for s, label, length, emissions in rows(emissions_STLK, mask_ST):
        paths = all_paths(length)
        probabilities = path_scores(crf, emissions, paths).softmax(0)
        for tag in range(5):
            result[s, :length, label, tag] = probabilities @ (paths == tag).double()
    return result


def span_probabilities(
    crf: Crf, emissions_STLK: Tensor, mask_ST: Tensor, spans_N4: Tensor
) -> Tensor:
    """For each span the summed probability of all paths that have just its tags on its words."""
    known = {
        (s, label): path_scores(crf, emissions, all_paths(length)).softmax(0)
        for s, label, length, emissions in rows(emissions_STLK, mask_ST)
    }
    result = []
    for s, label, start, end in spans_N4.tolist():
        inner = [4] if end - start == 1 else [1] + [2] * (end - start - 2) + [3]
        paths = all_paths(int(mask_ST[s].sum()))
        agree = (paths[:, start:end] == torch.tensor(inner)).all(1)
        result.append(known[s, label][agree].sum())
    return torch.stack(result)


def naive_viterbi(
    crf: Crf, emissions_TK: Tensor, open_start: bool = False, open_end: bool = False
) -> list[int]:
    """Viterbi for one row with plain loops, for rows too long to enumerate."""
    start, end, moves = (scores.tolist() for scores in legal_scores(crf))
    emissions = emissions_TK.double().tolist()
    scores = [e + (0.0 if open_start else s) for e, s in zip(emissions[0], start, strict=True)]
    origins = []
    for here in emissions[1:]:
        arrivals = [[scores[i] + moves[i][j] for i in range(5)] for j in range(5)]
        best = [max(range(5), key=arrival.__getitem__) for arrival in arrivals]
        scores = [scores[best[j]] + moves[best[j]][j] + here[j] for j in range(5)]
        origins.append(best)
    if not open_end:
        scores = [score + e for score, e in zip(scores, end, strict=True)]
    path = [max(range(5), key=scores.__getitem__)]
    for best in reversed(origins):
        path.append(best[path[-1]])
    return path[::-1]


def naive_windows(
    crf: Crf, emissions_STLK: Tensor, mask_ST: Tensor, window: int, stride: int
) -> Tensor:
    """Windows one by one: cut, decode, and keep the middle of each."""
    tags_STL = torch.zeros(emissions_STLK.shape[:3], dtype=torch.int64)
    for s, label, length, emissions in rows(emissions_STLK, mask_ST):
        begin, keep_from = 0, 0
        while True:
            stop = min(begin + window, length)
            path = naive_viterbi(crf, emissions[begin:stop], begin > 0, stop < length)
            next_begin = begin + stride
            # The overlap with the next window is next_begin..stop: this one keeps the first half.
            keep_to = length if stop == length else next_begin + (stop - next_begin) // 2
            for word in range(keep_from, keep_to):
                tags_STL[s, word, label] = path[word - begin]
            if stop == length:
                break
            begin, keep_from = next_begin, keep_to
    return tags_STL


def torchcrf_oracle(crf: Crf, dtype: torch.dtype = torch.float32) -> torchcrf.CRF:
    """A pytorch-crf `CRF` with the same effective scores."""
    oracle = torchcrf.CRF(5, batch_first=True).to(dtype)
    with torch.no_grad():
        start, end, moves = legal_scores(crf)
        oracle.start_transitions.copy_(start)
        oracle.end_transitions.copy_(end)
        oracle.transitions.copy_(moves)
    return oracle


def torchcrf_layout(values_STLx: Tensor) -> Tensor:
    """From (S, T, L, ...) to pytorch-crf's (S x L, T, ...)."""
    return values_STLx.transpose(1, 2).flatten(0, 1)
