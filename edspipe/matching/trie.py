"""A trie of sequences of numbers in a few arrays: a million terms in some 40 MB.

Nodes are numbered, the root is 0. An edge is a number of 64 bits, `node << 32 | symbol`; the edges
are sorted, and beside each stands the node it leads to. All places of a text are walked at once, a
step for all of them by one binary search. Small tries are walked place by place in a dict, which
is faster for short texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Symbols = npt.NDArray[np.uint32]
Nodes = npt.NDArray[np.int64]

NO_SYMBOL = 0
"""Stands in texts for what is in no sequence."""

MAX_WALKED_EDGES = 1 << 16
"""Larger tries are not kept as a dict (100 bytes an edge)."""

MAX_WALKED_SYMBOLS = 2000
"""Longer texts are walked in arrays."""


class Found(NamedTuple):
    """The sequences that stand in a text. *Shape:* (found,) each

    Attributes:
        nodes: The node where the sequence ends.
        starts: Its first symbol in the text.
        ends: The symbol behind its last.
    """

    nodes: Nodes
    starts: Nodes
    ends: Nodes


class Trie:
    """Sequences of symbols, and where they stand in a text.

    Args:
        symbols: The sequences, one after the other; symbols are 1 and above.
        lengths: Their lengths.

    Attributes:
        ends: The node where each sequence ends. *Shape:* (sequences,)
        num_nodes: Nodes, the root included.
    """

    def __init__(self, symbols: Symbols, lengths: Nodes) -> None:
        edges, targets = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        starts = np.cumsum(lengths) - lengths
        nodes = np.zeros(len(lengths), dtype=np.int64)
        going = np.flatnonzero(lengths)
        depth, num_nodes = 0, 1
        while len(going):
            steps = _edges(nodes[going], symbols[starts[going] + depth])
            unique, which = np.unique(steps, return_inverse=True)
            edges.append(unique)
            targets.append(np.arange(num_nodes, num_nodes + len(unique)))
            nodes[going] = which + num_nodes
            num_nodes += len(unique)
            depth += 1
            going = going[lengths[going] > depth]
        joined = np.concatenate(edges)
        order = np.argsort(joined)
        self.ends = nodes
        self.num_nodes = num_nodes
        self._edges = joined[order]
        self._targets = np.concatenate(targets)[order].astype(np.uint32)
        self._is_end = np.zeros(num_nodes, dtype=bool)
        self._is_end[nodes] = True
        self._is_end[0] = False
        self._roots = self._root_table(int(symbols.max(initial=0)))
        self._walked = self._as_dict() if len(joined) <= MAX_WALKED_EDGES else None
        self._end_set = frozenset(np.flatnonzero(self._is_end).tolist() if self._walked else ())

    def find(self, text: Sequence[int]) -> Found:
        """Return all sequences that stand in a text, in no order.

        Args:
            text: Symbols, or `NO_SYMBOL`.
        """
        if self._walked is not None and len(text) <= MAX_WALKED_SYMBOLS:
            return self._walk(text)
        symbols = np.asarray(text, dtype=np.uint32)
        nodes = self._roots[symbols]
        starts = np.flatnonzero(nodes)
        nodes, length = nodes[starts], 1
        found: list[tuple[Nodes, Nodes, Nodes]] = []
        while len(starts):
            ending = self._is_end[nodes]
            found.append((nodes[ending], starts[ending], starts[ending] + length))
            going = starts + length < len(symbols)
            starts, nodes = starts[going], nodes[going]
            nodes = self._step(nodes, symbols[starts + length])
            starts, nodes = starts[nodes > 0], nodes[nodes > 0]
            length += 1
        if not found:
            return Found(*np.zeros((3, 0), dtype=np.int64))
        return Found(*map(np.concatenate, zip(*found, strict=True)))

    def _step(self, nodes: Nodes, symbols: Symbols) -> Nodes:
        """Return the nodes that the symbols lead to, 0 where there is no such edge."""
        steps = _edges(nodes, symbols)
        places = np.minimum(np.searchsorted(self._edges, steps), len(self._edges) - 1)
        return np.where(self._edges[places] == steps, self._targets[places], 0).astype(np.int64)

    def _walk(self, text: Sequence[int]) -> Found:
        assert self._walked is not None
        edges, ends = self._walked, self._end_set
        found: list[tuple[int, int, int]] = []
        for start, symbol in enumerate(text):
            node, place = edges.get(symbol) if symbol else None, start + 1
            while node is not None:
                if node in ends:
                    found.append((node, start, place))
                node = edges.get(node << 32 | text[place]) if place < len(text) else None
                place += 1
        return Found(*np.array(found, dtype=np.int64).reshape(-1, 3).T)

    def _root_table(self, max_symbol: int) -> Nodes:
        """Return the node that each symbol leads to from the root. *Shape:* (symbols,)"""
        table = np.zeros(max_symbol + 1, dtype=np.int64)
        first = self._edges[: np.searchsorted(self._edges, np.uint64(1 << 32))]
        table[first.astype(np.int64)] = self._targets[: len(first)]
        return table

    def _as_dict(self) -> dict[int, int]:
        return dict(zip(self._edges.tolist(), self._targets.tolist(), strict=True))


def _edges(nodes: Nodes, symbols: Symbols) -> npt.NDArray[np.uint64]:
    return nodes.astype(np.uint64) << np.uint64(32) | symbols.astype(np.uint64)
