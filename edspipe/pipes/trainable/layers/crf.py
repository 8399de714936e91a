"""A conditional random field over BILOU tags, one chain per label, all labels at once.

Entities of one label don't overlap, entities of different labels may. All chains share their
transition scores, so the batch of the recursions is (sequences x labels).

Letters: S sequences, T words, L labels, K tags (O, B, I, L, U), N = S x L rows or N spans,
M words in spans, W windows, P words of all sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torchcrf
from torch import Tensor

from edspipe.pipes.trainable.layers.crf_chain import (
    FORBIDDEN,
    Chain,
    from_rows,
    on_host,
    to_rows,
)
from edspipe.pipes.trainable.layers.crf_decoding import plan_windows, viterbi
from edspipe.pipes.trainable.layers.crf_functions import NegativeLogLikelihood, messages
from edspipe.pipes.trainable.layers.tagging import BEGIN, INSIDE, LAST, NUM_TAGS, OUTSIDE, UNIT

ALLOWED_MOVES = {
    OUTSIDE: (OUTSIDE, BEGIN, UNIT),
    BEGIN: (INSIDE, LAST),
    INSIDE: (INSIDE, LAST),
    LAST: (OUTSIDE, BEGIN, UNIT),
    UNIT: (OUTSIDE, BEGIN, UNIT),
}
ALLOWED_STARTS = (OUTSIDE, BEGIN, UNIT)
ALLOWED_ENDS = (OUTSIDE, LAST, UNIT)


class Crf(torch.nn.Module):
    """The chains of all labels: loss, decoding, and probabilities.

    The learned scores are the parameters of one pytorch-crf `CRF` with five tags, all 0 at first.
    A constant is added to them that forbids what is not BILOU, so that training cannot undo it.

    Every method takes `emissions_STLK`, of any float type (at least fp32 inside, and outside
    autocast), and `mask_ST`, true on the words, which come first in each row. Emissions on
    padding are ignored, whatever they are. Rows without words are fine and count nothing.

    Shapes are always checked. What takes a look at values is checked on a CPU only, so that
    nothing waits for an accelerator, but for `span_probabilities`.

    Args:
        num_labels: The number of labels, L.
        learn_transitions: Whether the scores of starts, ends and moves are trained. If not, they
            stay 0, and the chain only forbids.
    """

    forbidden_start_K: Tensor
    forbidden_end_K: Tensor
    forbidden_moves_KK: Tensor
    padding_K: Tensor

    def __init__(self, num_labels: int, *, learn_transitions: bool = True) -> None:
        super().__init__()
        self.num_labels = num_labels
        self.scores = torchcrf.CRF(NUM_TAGS, batch_first=True)
        for parameter in self.scores.parameters():
            torch.nn.init.zeros_(parameter)
            parameter.requires_grad_(learn_transitions)
        moves = torch.stack([_forbid_all_but(ALLOWED_MOVES[tag]) for tag in range(NUM_TAGS)])
        for name, forbidden in (
            ("forbidden_start_K", _forbid_all_but(ALLOWED_STARTS)),
            ("forbidden_end_K", _forbid_all_but(ALLOWED_ENDS)),
            ("forbidden_moves_KK", moves),
            ("padding_K", _forbid_all_but((OUTSIDE,))),
        ):
            self.register_buffer(name, forbidden, persistent=False)

    def chain(self, dtype: torch.dtype = torch.float32) -> Chain:
        """Return the effective scores: learned ones plus what is forbidden, each group centred."""
        return Chain(
            self.scores.start_transitions.to(dtype) + self.forbidden_start_K.to(dtype),
            self.scores.end_transitions.to(dtype) + self.forbidden_end_K.to(dtype),
            self.scores.transitions.to(dtype) + self.forbidden_moves_KK.to(dtype),
        ).centred()

    def loss(self, emissions_STLK: Tensor, mask_ST: Tensor, tags_STL: Tensor) -> Tensor:
        """Return the negative log-likelihood of the gold tags, summed over sequences and labels.

        Args:
            emissions_STLK: A score per tag.
            mask_ST: True on words.
            tags_STL: The gold tags, 0 to 4; those on padding are ignored. A path that is not
                BILOU costs about 1e4 per forbidden move.

        Returns:
            A scalar in fp32 (fp64 for fp64 emissions); gradients come in their own types.
        """
        self._check(emissions_STLK, mask_ST)
        if tags_STL.shape != emissions_STLK.shape[:3]:
            raise ValueError(
                f"Expected gold tags of shape {tuple(emissions_STLK.shape[:3])} (sequences, "
                f"words, labels) like the emissions, got {tuple(tags_STL.shape)}."
            )
        with _full_precision(emissions_STLK):
            chain = self.chain(_work_dtype(emissions_STLK)).padded()
            if mask_ST.numel() == 0:
                # Zero, but of the parameters, so that each has a gradient in each process.
                return emissions_STLK.sum() + 0 * sum(scores.sum() for scores in chain)
            return NegativeLogLikelihood.apply(emissions_STLK, mask_ST, tags_STL, *chain)

    @torch.no_grad()
    def decode(
        self,
        emissions_STLK: Tensor,
        mask_ST: Tensor,
        *,
        open_start_S: Tensor | None = None,
        open_end_S: Tensor | None = None,
    ) -> Tensor:
        """Find the best tags of each sequence and label (Viterbi).

        Args:
            emissions_STLK: A score per tag.
            mask_ST: True on words.
            open_start_S: True where a row's first word is not the start of its sequence: any tag
                may stand there, at no cost. None: nowhere.
            open_end_S: The same for the last word.

        Returns:
            The tags, O on padding. Shape (S, T, L), int64.
        """
        self._check(emissions_STLK, mask_ST)
        if mask_ST.numel() == 0:
            return emissions_STLK.new_zeros(emissions_STLK.shape[:3], dtype=torch.int64)
        emissions_KTSL = _centred(emissions_STLK.permute(3, 1, 0, 2))
        last_S = (mask_ST.sum(1) - 1).clamp(min=0)
        tags_TSL = self._best_tags(emissions_KTSL, last_S, open_start_S, open_end_S)
        return tags_TSL.transpose(0, 1).masked_fill(~mask_ST[..., None], OUTSIDE)

    def _best_tags(
        self,
        emissions_KTSL: Tensor,
        last_S: Tensor,
        open_start_S: Tensor | None,
        open_end_S: Tensor | None,
    ) -> Tensor:
        """Run Viterbi. Shape (T, S, L)."""
        with _full_precision(emissions_KTSL):
            chain = self.chain(emissions_KTSL.dtype)
            num_sequences = len(last_S)
            tags_TN = viterbi(
                emissions_KTSL.flatten(2),
                _unless_open(chain.start_K, open_start_S, num_sequences, self.num_labels),
                _unless_open(chain.end_K, open_end_S, num_sequences, self.num_labels),
                chain.moves_KK,
                last_S.repeat_interleave(self.num_labels, dim=0),
            )
            return tags_TN.unflatten(1, (num_sequences, self.num_labels))

    @torch.no_grad()
    def decode_windows(
        self,
        emissions_STLK: Tensor,
        mask_ST: Tensor,
        window: int,
        stride: int | None = None,
        *,
        sizes: Sequence[int] | None = None,
    ) -> Tensor:
        """Decode each sequence in overlapping windows.

        Windows start every `stride` words until one reaches the end of the sequence. The overlap
        of two windows is halved, so that a word takes its tag from the window where it is most
        central (the later one has the odd word). Only true ends of a sequence are constrained.
        Tags may not fit together where two windows meet.

        Args:
            emissions_STLK: A score per tag.
            mask_ST: True on words.
            window: The words of a window. Full sequences if it is 0, negative, or at least the
                longest sequence.
            stride: The words between two windows' starts; half a window if None.
            sizes: The words of each sequence. None counts them in the mask, and waits for it.

        Returns:
            The tags, O on padding. Shape (S, T, L), int64.
        """
        self._check(emissions_STLK, mask_ST)
        if sizes is not None and len(sizes) != len(mask_ST):
            raise ValueError(f"Expected the sizes of {len(mask_ST)} sequences, got {len(sizes)}.")
        sizes = mask_ST.sum(1).tolist() if sizes is None else sizes
        if window <= 0 or mask_ST.numel() == 0 or window >= max(sizes):
            return self.decode(emissions_STLK, mask_ST)
        stride = max(window // 2, 1) if stride is None else stride
        if not 1 <= stride <= window:
            raise ValueError(
                f"Expected a stride from 1 to the window of {window} words, got {stride}: with a "
                "larger one some words would lie in no window."
            )
        plan = plan_windows(sizes, mask_ST.shape[1], window, stride, mask_ST.device)
        emissions_KPL = _centred(emissions_STLK.permute(3, 0, 1, 2)).flatten(1, 2)
        emissions_KTWL = emissions_KPL.index_select(1, plan.words_TW.flatten()).unflatten(
            1, plan.words_TW.shape
        )
        tags_TWL = self._best_tags(
            emissions_KTWL, plan.last_W, plan.open_start_W.bool(), plan.open_end_W.bool()
        )
        tags_PL = tags_TWL.flatten(0, 1).index_select(0, plan.sources_ST.flatten())
        tags_STL = tags_PL.view(*mask_ST.shape, self.num_labels)
        return tags_STL.masked_fill_(~mask_ST[..., None], OUTSIDE)

    def log_marginals(self, emissions_STLK: Tensor, mask_ST: Tensor) -> Tensor:
        """Return the log posterior of each tag; on padding 0 for O and about -1e4 for others.

        Shape (S, T, L, K), fp32 (fp64 for fp64 emissions), differentiable.
        """
        self._check(emissions_STLK, mask_ST)
        if mask_ST.numel() == 0:
            return emissions_STLK.to(_work_dtype(emissions_STLK))
        with _full_precision(emissions_STLK):
            forward_TKN, here_TKN, backward_TKN = self._messages(emissions_STLK, mask_ST)
            marginals_TKN = torch.log_softmax(forward_TKN + here_TKN + backward_TKN, dim=1)
            marginals_STLK = from_rows(marginals_TKN, self.num_labels)
            padding_K = self.padding_K.to(marginals_STLK.dtype)
            return torch.where(mask_ST[..., None, None], marginals_STLK, padding_K)

    def marginals(self, emissions_STLK: Tensor, mask_ST: Tensor) -> Tensor:
        """Return the posterior probability of each tag; padding is surely O.

        Shape (S, T, L, K), fp32 (fp64 for fp64 emissions), differentiable.
        """
        return self.log_marginals(emissions_STLK, mask_ST).exp()

    def span_probabilities(
        self, emissions_STLK: Tensor, mask_ST: Tensor, spans_N4: Tensor
    ) -> Tensor:
        """Return the posterior probability of whole spans: that all their words have their tags.

        It is the probability of the first tag, times that of each next tag given the one before,
        which depends on the words from there on only.

        Args:
            emissions_STLK: A score per tag.
            mask_ST: True on words.
            spans_N4: Rows of (sequence, label, first word, word after the last), integers.

        Returns:
            The probabilities. Shape (N,), fp32 (fp64 for fp64 emissions), differentiable.
        """
        self._check(emissions_STLK, mask_ST)
        sequence_N, label_N, start_N, end_N = spans_N4.long().unbind(1)
        if on_host(mask_ST):
            self._check_spans(mask_ST, sequence_N, label_N, start_N, end_N)
        if len(spans_N4) == 0:
            return emissions_STLK.new_zeros(0, dtype=_work_dtype(emissions_STLK))
        with _full_precision(emissions_STLK):
            parts = self._messages(emissions_STLK, mask_ST)
            forward_TKN, here_TKN, backward_TKN = (part[:, :NUM_TAGS] for part in parts)
            beyond_TKN = here_TKN + backward_TKN
            row_N = sequence_N * self.num_labels + label_N
            first_NK = (forward_TKN + beyond_TKN)[start_N, :, row_N].log_softmax(1)
            first_N = torch.where(end_N - start_N == 1, UNIT, BEGIN)
            first_N = first_NK.gather(1, first_N[:, None])[:, 0]

            span_M, word_M, before_M, tag_M = _next_words(start_N, end_N)
            moves_KK = self.chain(beyond_TKN.dtype).moves_KK
            next_MK = moves_KK[before_M] + beyond_TKN[word_M, :, row_N[span_M]]
            next_M = next_MK.log_softmax(1).gather(1, tag_M[:, None])[:, 0]
            return first_N.index_add(0, span_M, next_M).exp()

    def _messages(self, emissions_STLK: Tensor, mask_ST: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return forward messages, padded emissions and backward messages, (T, K + 1, N) each."""
        chain = self.chain(_work_dtype(emissions_STLK)).padded()
        rows_TKN, spread_N = to_rows(emissions_STLK, mask_ST, chain.start_K.dtype)
        forward_TKN, backward_TKN = messages(rows_TKN, chain, spread_N)
        return forward_TKN, rows_TKN, backward_TKN

    def _check(self, emissions_STLK: Tensor, mask_ST: Tensor) -> None:
        """Refuse shapes that don't belong together, and masks with holes."""
        expected = (*mask_ST.shape, self.num_labels, NUM_TAGS)
        if mask_ST.dim() != 2 or emissions_STLK.shape != expected:
            raise ValueError(
                f"Expected emissions of shape (sequences, words, {self.num_labels} labels, "
                f"{NUM_TAGS} tags) and a mask of shape (sequences, words), got "
                f"{tuple(emissions_STLK.shape)} and {tuple(mask_ST.shape)}."
            )
        if mask_ST.dtype != torch.bool:
            raise TypeError(f"Expected a mask of type bool, got {mask_ST.dtype}: use mask.bool().")
        if on_host(mask_ST) and (mask_ST[:, 1:] & ~mask_ST[:, :-1]).any():
            raise ValueError(
                "Expected each row of the mask to be true on its first words and false after "
                "them, got a word after padding: move the words to the left."
            )

    def _check_spans(
        self, mask_ST: Tensor, sequence_N: Tensor, label_N: Tensor, start_N: Tensor, end_N: Tensor
    ) -> None:
        """Refuse spans that are empty or lie outside their sequence."""
        known_N = (sequence_N >= 0) & (sequence_N < len(mask_ST))
        known_N &= (label_N >= 0) & (label_N < self.num_labels)
        valid_N = known_N & (start_N >= 0) & (start_N < end_N)
        if known_N.any():
            length_N = mask_ST.sum(1)[sequence_N.clamp(0, len(mask_ST) - 1)]
            valid_N &= end_N <= length_N
        if not valid_N.all():
            row = int(valid_N.int().argmin())
            span = tuple(int(x[row]) for x in (sequence_N, label_N, start_N, end_N))
            raise ValueError(
                "Expected spans of at least one word within their sequence, got (sequence, label, "
                f"start, end) = {span} in row {row} for a batch of {len(mask_ST)} sequences and "
                f"{self.num_labels} labels."
            )


def _forbid_all_but(allowed: tuple[int, ...]) -> Tensor:
    """Return 0 for the allowed tags and a large penalty for the others. Shape (K,)."""
    scores = torch.full((NUM_TAGS,), FORBIDDEN)
    scores[list(allowed)] = 0.0
    return scores


def _work_dtype(emissions: Tensor) -> torch.dtype:
    """The type that all sums are done in: fp64 stays fp64, anything else becomes fp32."""
    return torch.float64 if emissions.dtype == torch.float64 else torch.float32


def _full_precision(emissions: Tensor) -> AbstractContextManager:
    """Keep autocast from turning products of probabilities into half precision."""
    device = emissions.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def _centred(emissions: Tensor) -> Tensor:
    """Copy emissions, tags first, so that the best of each word and label is 0: sums stay small."""
    copy = emissions.to(_work_dtype(emissions), copy=True, memory_format=torch.contiguous_format)
    return copy.sub_(copy.amax(0))


def _next_words(start_N: Tensor, end_N: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """List the words of spans but for their first ones.

    Returns:
        For each of these words: its span, its place, the tag before it and its own tag.
    """
    count_N = end_N - start_N - 1
    span_M = torch.repeat_interleave(count_N)
    earlier_N = count_N.cumsum(0) - count_N
    rank_M = torch.arange(len(span_M), device=span_M.device) - earlier_N[span_M]
    word_M = start_N[span_M] + 1 + rank_M
    before_M = torch.where(rank_M == 0, BEGIN, INSIDE)
    tag_M = torch.where(word_M == end_N[span_M] - 1, LAST, INSIDE)
    return span_M, word_M, before_M, tag_M


def _unless_open(
    scores_K: Tensor, open_S: Tensor | None, num_sequences: int, num_labels: int
) -> Tensor:
    """Give each row the scores of a true end of its sequence, or zeros. Shape (K, N)."""
    scores_KN = scores_K[:, None].expand(-1, num_sequences * num_labels)
    if open_S is None:
        return scores_KN
    return scores_KN.masked_fill(open_S.repeat_interleave(num_labels, dim=0), 0.0)
