"""Max-product: the best paths of many chains at once, also in overlapping windows.

Letters as in `crf_chain`, and W windows, P words of all sequences. No padding tag here: what comes
after a row's last step is computed, and ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edspipe.pipeline.devices import move_tensor
from edspipe.pipes.trainable.layers.crf_chain import on_host


def viterbi(
    emissions_KTN: Tensor, start_KN: Tensor, end_KN: Tensor, moves_KK: Tensor, last_N: Tensor
) -> Tensor:
    """Find the best path of each row.

    Args:
        emissions_KTN: Values after a row's last step are ignored, whatever they are.
        start_KN: The scores of the first tag, row by row.
        end_KN: The scores of the last tag, row by row.
        moves_KK: The scores of the moves.
        last_N: The last step of each row.

    Returns:
        The tags; after a row's last step they repeat its last tag. Shape (T, N), int64.
    """
    num_tags, num_steps, num_rows = emissions_KTN.shape
    scores_TKN = emissions_KTN.new_empty(num_steps, num_tags, num_rows)
    candidates_KKN = scores_TKN.new_empty(num_tags, num_tags, num_rows)
    best_KN, moves_KK1 = candidates_KKN.new_empty(num_tags, num_rows), moves_KK[..., None]
    emissions, scores = emissions_KTN.unbind(1), scores_TKN.unbind()
    torch.add(emissions[0], start_KN, out=scores[0])
    for step in range(1, num_steps):
        torch.add(scores[step - 1][:, None], moves_KK1, out=candidates_KKN)
        torch.amax(candidates_KKN, dim=0, out=best_KN)
        torch.add(best_KN, emissions[step], out=scores[step])
    last_1KN = last_N.expand(1, num_tags, num_rows)
    final_N = (scores_TKN.gather(0, last_1KN)[0] + end_KN).max(0).indices
    after_TN = torch.arange(num_steps, device=last_N.device)[:, None] > last_N
    trace = _trace_by_step if on_host(emissions_KTN) else _trace_by_table
    return trace(scores_TKN, moves_KK, after_TN, final_N)


def _trace_by_step(
    scores_TKN: Tensor, moves_KK: Tensor, after_TN: Tensor, final_N: Tensor
) -> Tensor:
    """Go back from the last tags, and look at each step for where the best path came from.

    It looks at one tag's origins a step, where a table holds those of all tags.
    """
    tags_TN = final_N.new_empty(len(scores_TKN), len(final_N))
    tags_TN[-1] = final_N
    candidates_KN, best_N = torch.empty_like(scores_TKN[0]), torch.empty_like(scores_TKN[0, 0])
    origin_N = torch.empty_like(final_N)
    tags, scores, after = tags_TN.unbind(), scores_TKN.unbind(), after_TN.unbind()
    for step in range(len(tags) - 1, 0, -1):
        torch.index_select(moves_KK, 1, tags[step], out=candidates_KN)
        candidates_KN.add_(scores[step - 1])
        torch.max(candidates_KN, dim=0, out=(best_N, origin_N))
        torch.where(after[step], tags[step], origin_N, out=tags[step - 1])
    return tags_TN


def _trace_by_table(
    scores_TKN: Tensor, moves_KK: Tensor, after_TN: Tensor, final_N: Tensor
) -> Tensor:
    """Do the same with the origins of all tags at all steps at once: one operation a step."""
    origins_TKN = (scores_TKN[:-1, :, None] + moves_KK[..., None]).max(1).indices
    # After the last step each tag points to itself: one trace serves all lengths.
    itself_K1 = torch.arange(len(moves_KK), device=final_N.device)[:, None]
    origins_TKN = torch.where(after_TN[1:, None], itself_K1, origins_TKN)
    tags_T1N = final_N.new_empty(len(scores_TKN), 1, len(final_N))
    tags_T1N[-1, 0] = final_N
    tags, origins = tags_T1N.unbind(), origins_TKN.unbind()
    for step in range(len(tags) - 1, 0, -1):
        torch.gather(origins[step - 1], 0, tags[step], out=tags[step - 1])
    return tags_T1N[:, 0]


class WindowPlan(NamedTuple):
    """Which words each window reads, and from which window each word takes its tags.

    Attributes:
        words_TW: The words that windows read, as places in a flat (S, T) table.
        last_W: The last step of each window.
        open_start_W: 1 where a window begins inside its sequence, else 0.
        open_end_W: 1 where a window ends inside its sequence, else 0.
        sources_ST: For each word its place in a flat (T, W) table, any on padding.
    """

    words_TW: Tensor
    last_W: Tensor
    open_start_W: Tensor
    open_end_W: Tensor
    sources_ST: Tensor


def plan_windows(
    sizes: Sequence[int], num_words: int, window: int, stride: int, device: torch.device
) -> WindowPlan:
    """Cut sequences into windows, on the host, and move the plan to a device in one go.

    Args:
        sizes: The words of each sequence.
        num_words: The words of a row of the padded table; at least 1.
        window: The words of a window.
        stride: The words between two windows' starts.
        device: Where the plan goes.
    """
    length_S = np.asarray(sizes, dtype=np.int64)
    count_S = 1 + np.maximum(length_S - window + stride - 1, 0) // stride
    first_S = np.cumsum(count_S) - count_S
    sequence_W = np.repeat(np.arange(len(length_S)), count_S)
    start_W = (np.arange(len(sequence_W)) - first_S[sequence_W]) * stride
    left_W = length_S[sequence_W] - start_W
    words_TW = np.minimum(start_W + np.arange(window)[:, None], num_words - 1)
    # Window k ends its part of the text, and window k + 1 begins, (window + stride) // 2 words
    # after the start of window k.
    words_T = np.arange(num_words)
    owner_T = np.maximum(words_T - (window + stride) // 2 + stride, 0) // stride
    owner_ST = np.minimum(owner_T, count_S[:, None] - 1)
    offset_ST = np.minimum(words_T - owner_ST * stride, window - 1)
    parts = (
        words_TW + sequence_W * num_words,
        np.clip(left_W, 1, window) - 1,
        start_W > 0,
        left_W > window,
        offset_ST * len(sequence_W) + first_S[:, None] + owner_ST,
    )
    flat = move_tensor(torch.from_numpy(np.concatenate([part.ravel() for part in parts])), device)
    moved = flat.split([part.size for part in parts])
    return WindowPlan(*(x.view(part.shape) for x, part in zip(moved, parts, strict=True)))
