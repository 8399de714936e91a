"""Recurrent layers over words that stand one context after the other.

Contexts of similar length are read side by side, in a table with a context a column. A direction is
a network of its own that reads from the first cell on, the leftward one from a table with the
words reversed. So padding only ever stands after what is read, and cannot reach it.

torch's own packed sequences need no padding, but on a CPU each step back through time writes
gradients of the whole batch: the time of a training step grows with the square of the length
(docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from edspipe.errors import ConfigError
from edspipe.pipeline.devices import move_tensor
from edspipe.pipes.trainable.layers.dropout import Dropout
from edspipe.pipes.trainable.layers.word_dropout import check_share

KINDS: dict[str, type[torch.nn.LSTM] | type[torch.nn.GRU]] = {
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}

MAX_PADDING = 2
"""Columns that the padding of a table may fill, on a CPU: of 0.5 to 16, this was the fastest on
sentences, on notes and on both together."""
MAX_PADDING_ON_GPU = 64
"""There, another table costs more than what is computed in vain; a guess until it is measured."""


@dataclass(frozen=True)
class RnnTable:
    """Where the words of a table stand; padding repeats the first word of all.

    Attributes:
        rightward: The word of each cell, first words first. *Shape* `(longest, contexts)`
        leftward: The word of each cell, last words first. *Shape* `(longest, contexts)`
    """

    rightward: torch.Tensor
    leftward: torch.Tensor


@dataclass(frozen=True)
class RnnPlan:
    """How the words of a batch are laid out.

    Attributes:
        tables: The tables.
        rightward: For each word, its cell in the rightward tables, whose cells are numbered one
            table after the other. *Shape* `(words,)`
        leftward: The same, for the leftward tables. *Shape* `(words,)`
    """

    tables: list[RnnTable]
    rightward: torch.Tensor
    leftward: torch.Tensor

    def to(self, device: torch.device) -> RnnPlan:
        """Return the plan on a device; nobody waits for it."""
        tables = [
            RnnTable(move_tensor(table.rightward, device), move_tensor(table.leftward, device))
            for table in self.tables
        ]
        return RnnPlan(
            tables, move_tensor(self.rightward, device), move_tensor(self.leftward, device)
        )


def plan_tables(sizes: Sequence[int], max_padding: float) -> RnnPlan:
    """Lay out the words of contexts, of which some may be empty.

    Args:
        sizes: Words of each context.
        max_padding: Columns that the padding of a table may fill.
    """
    lengths = np.asarray(sizes, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    cell_of = np.zeros((2, int(lengths.sum())), dtype=np.int64)
    tables, num_cells = [], 0
    for group in _similar(lengths, max_padding):
        steps = np.arange(int(lengths[group].max()))[:, None]
        is_word = steps < lengths[group]
        words = (
            np.where(is_word, starts[group] + steps, 0),
            np.where(is_word, starts[group] + lengths[group] - 1 - steps, 0),
        )
        cells = num_cells + np.arange(is_word.size).reshape(is_word.shape)
        for direction, grid in enumerate(words):
            cell_of[direction, grid[is_word]] = cells[is_word]
        num_cells += is_word.size
        tables.append(RnnTable(torch.from_numpy(words[0]), torch.from_numpy(words[1])))
    return RnnPlan(tables, torch.from_numpy(cell_of[0]), torch.from_numpy(cell_of[1]))


def _similar(lengths: np.ndarray, max_padding: float) -> list[np.ndarray]:
    """Group the contexts with words so that little padding is needed, longest first."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    groups: list[np.ndarray] = []
    begin = width = padding = 0
    for place, length in enumerate(lengths[order].tolist()):
        padding += width - length
        if place == begin or padding > max_padding * width:
            if place > begin:
                groups.append(order[begin:place])
            begin, width, padding = place, length, 0
    return [*groups, order[begin:]] if len(order) else []


class WordRnn(torch.nn.Module):
    """Recurrent layers, in one direction or in both.

    Args:
        input_size: Size of the words' vectors.
        hidden_size: Size of the state of one direction.
        num_layers: Layers; each reads both directions of the one below.
        kind: `"lstm"` or `"gru"`.
        bidirectional: Read backward too; the results of both directions are concatenated.
        dropout: Share of values that is dropped between layers, in training.

    Raises:
        ConfigError: A size or the number of layers is below 1, or the share out of its range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        kind: Literal["lstm", "gru"] = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(hidden_size, num_layers) < 1:
            raise ConfigError(
                f"hidden_size and num_layers are 1 or more, got {hidden_size} and {num_layers}"
            )
        directions = ("rightward", "leftward") if bidirectional else ("rightward",)
        self.output_size = hidden_size * len(directions)
        self.dropout = Dropout(check_share("dropout", dropout))
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleDict(
                {
                    direction: KINDS[kind](self.output_size if layer else input_size, hidden_size)
                    for direction in directions
                }
            )
            for layer in range(num_layers)
        )

    def forward(self, words: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """Read the contexts.

        Args:
            words: Vectors of all words, context by context. *Shape* `(words, input_size)`
            sizes: Words of each context, on the host.

        Returns:
            *Shape* `(words, output_size)`
        """
        if len(words) == 0:
            return words.new_zeros(0, self.output_size)
        max_padding = MAX_PADDING_ON_GPU if words.device.type == "cuda" else MAX_PADDING
        plan = plan_tables(sizes, max_padding).to(words.device)
        layers: Any = self.layers
        for number, layer in enumerate(layers):
            words = self.dropout(words) if number else words
            read = [_read(rnn, words, plan, name) for name, rnn in layer.items()]
            words = read[0] if len(read) == 1 else torch.cat(read, dim=1)
        return words


def _read(rnn: Any, words: torch.Tensor, plan: RnnPlan, name: str) -> torch.Tensor:
    """Read all contexts in one direction. *Shape* `(words, hidden_size)`"""
    cells = []
    for table in plan.tables:
        places = getattr(table, name)
        inputs = words.index_select(0, places.flatten()).view(*places.shape, words.shape[1])
        cells.append(rnn(inputs)[0].flatten(0, 1))
    found = cells[0] if len(cells) == 1 else torch.cat(cells)
    return found.index_select(0, getattr(plan, name))
