"""One-dimensional convolutions over words that stand one context after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from edspipe.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


class WordConvolutions(torch.nn.Module):
    """Convolutions of several widths, concatenated, an activation, and a linear layer.

    Each context gets "same" padding of zeros, so that no word sees a word of another context.

    Args:
        input_size: Size of the words' vectors.
        output_size: Size of the result.
        out_channels: Channels of each convolution.
        kernel_sizes: Widths in words, from 1 up; an even width looks one word further right.
        activation: One of `ACTIVATIONS`.

    Raises:
        ConfigError: The activation does not exist, or a width is below 1.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        out_channels: int,
        kernel_sizes: Sequence[int],
        activation: str,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(
                f"activation: expected one of {', '.join(ACTIVATIONS)}, got '{activation}'"
            )
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ConfigError(f"kernel_sizes: expected widths from 1 up, got {list(kernel_sizes)}")
        self.kernel_sizes = list(kernel_sizes)
        self.gap = max(kernel_sizes) - 1
        self.activation = activation
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv1d(input_size, out_channels, size) for size in kernel_sizes
        )
        self.linear = torch.nn.Linear(out_channels * len(kernel_sizes), output_size)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Convolve.

        Args:
            words: Vectors of all words, context by context. *Shape* `(words, input_size)`
            lengths: Words of each context. *Shape* `(contexts,)`

        Returns:
            *Shape* `(words, output_size)`
        """
        if len(words) == 0:
            return words.new_zeros(0, self.linear.out_features)
        contexts = torch.arange(len(lengths), device=lengths.device)
        shift = torch.repeat_interleave(contexts, lengths, output_size=len(words)) * self.gap
        places = torch.arange(len(words), device=words.device) + shift
        spread = words.new_zeros(len(words) + self.gap * len(lengths), words.shape[1])
        spread = spread.index_copy(0, places, words).T.unsqueeze(0)
        channels = torch.cat(
            [
                convolve(F.pad(spread, ((size - 1) // 2, size // 2)))
                for convolve, size in zip(self.convolutions, self.kernel_sizes, strict=True)
            ],
            dim=1,
        )
        found = channels.squeeze(0).T.index_select(0, places)
        return self.linear(ACTIVATIONS[self.activation](found))
