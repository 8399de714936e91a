"""Finding terms, up to millions of them.

Terms and texts are cut into the same units, runs of letters, runs of digits and signs, so a term is
found whatever the tokenizer did: `T4`, `non-invasif` and `l'AVC` are found as terms are written,
with blanks, line breaks or pollution between their units. What is found is widened to whole tokens.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, pairwise, repeat

import numpy as np
from spacy.tokens import Doc

from edspipe.matching.folding import Attr, fold_text, parts_of
from edspipe.matching.text_view import UNIT, TextView
from edspipe.matching.trie import NO_SYMBOL, Nodes, Trie

BLOCK = 20_000
"""Terms that are folded and cut at once."""

_UNIT_OR_END = re.compile(rf"\n|{UNIT}")

Match = tuple[str, int, int]
"""What was found: its key, the first token, and the one behind the last."""


class PhraseMatcher:
    """Finds terms.

    Args:
        terms: The terms of each key.
        attr: What is compared: `"TEXT"`, `"LOWER"` or `"NORM"`.
        overlaps: Whether all are kept; else of those that overlap the longest is, then the
            leftmost.
        ignore_excluded: Whether pollution inside a term is passed over.

    Attributes:
        num_terms: Different pairs of a key and a term.

    Raises:
        ValueError: There is no such attribute.
    """

    def __init__(
        self,
        terms: Mapping[str, Iterable[str]] | None = None,
        attr: Attr = "NORM",
        *,
        overlaps: bool = False,
        ignore_excluded: bool = True,
    ) -> None:
        parts_of(attr)
        self.attr: Attr = attr
        self.overlaps = overlaps
        self.ignore_excluded = ignore_excluded
        self._load((key, term) for key, of_key in (terms or {}).items() for term in of_key)

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[str, str]],
        attr: Attr = "NORM",
        *,
        overlaps: bool = False,
        ignore_excluded: bool = True,
    ) -> PhraseMatcher:
        """Return the matcher of a stream of keys and terms; the stream is read once.

        Args:
            pairs: Keys (codes) and terms.
            attr: As above.
            overlaps: As above.
            ignore_excluded: As above.
        """
        made = cls(None, attr, overlaps=overlaps, ignore_excluded=ignore_excluded)
        made._load(iter(pairs))
        return made

    def __len__(self) -> int:
        return self.num_terms

    def find(self, doc: Doc) -> list[Match]:
        """Return what stands in a Doc, in text order.

        A term that has several keys is returned once for each.
        """
        found = self._find(TextView.of(doc, self.attr, self.ignore_excluded))
        spans = sorted(found) if self.overlaps else keep_longest(found)
        keys = self._keys
        return [(keys[key], *span) for span in spans for key in self._keys_of(found[span])]

    def _find(self, view: TextView) -> dict[tuple[int, int], list[int]]:
        """Return the nodes of the terms that were found at each stretch of tokens."""
        units = view.units
        symbols = list(map(self._symbols.get, units.words, repeat(NO_SYMBOL)))
        nodes, starts, ends = self._trie.find(symbols)
        first_chars, end_chars = view.raw_many(units.starts[starts], units.ends[ends - 1])
        firsts, behind, _ = view.offsets.snap_many(first_chars, end_chars)
        stretches = zip(firsts.tolist(), behind.tolist(), strict=True)
        spans: dict[tuple[int, int], list[int]] = {}
        for span, node in zip(stretches, nodes.tolist(), strict=True):
            spans.setdefault(span, []).append(node)
        return spans

    def _keys_of(self, nodes: list[int]) -> list[int]:
        """Return the numbers of the keys that terms have, each once."""
        begins, keys = self._begins, self._entries
        if len(nodes) == 1:
            return keys[begins[nodes[0]] : begins[nodes[0] + 1]].tolist()
        found = chain.from_iterable(keys[begins[node] : begins[node + 1]] for node in nodes)
        return list(dict.fromkeys(found))

    def _load(self, pairs: Iterator[tuple[str, str]]) -> None:
        symbols: dict[str, int] = {"\n": NO_SYMBOL}
        numbers: dict[str, int] = {}
        keys, flat = array("I"), array("I")
        while block := list(islice(pairs, BLOCK)):
            keys.extend(numbers.setdefault(key, len(numbers)) for key, _ in block)
            units = _UNIT_OR_END.findall(_joined([term for _, term in block], self.attr))
            for unit in dict.fromkeys(units):
                symbols.setdefault(unit, len(symbols))
            flat.extend(map(symbols.__getitem__, units))
        del symbols["\n"]
        self._symbols, self._keys = symbols, list(numbers)
        self._index(np.array(keys, dtype=np.int64), np.array(flat, dtype=np.uint32))

    def _index(self, keys: Nodes, flat: np.ndarray) -> None:
        """Build the trie, and the table of which keys each of its nodes has."""
        ends = np.flatnonzero(flat == NO_SYMBOL)
        lengths = np.diff(ends, prepend=-1) - 1
        self._trie = Trie(flat[flat != NO_SYMBOL], lengths)
        order = np.lexsort((keys, self._trie.ends))
        nodes, keys = self._trie.ends[order], keys[order]
        same = np.zeros(len(nodes), dtype=bool)
        same[1:] = (nodes[1:] == nodes[:-1]) & (keys[1:] == keys[:-1])
        kept = (nodes > 0) & ~same
        # Arrays of Python: one number of them is read faster than of NumPy's.
        begins = np.searchsorted(nodes[kept], np.arange(self._trie.num_nodes + 1))
        self._begins = array("I", begins.astype(np.uint32).tobytes())
        self._entries = array("I", keys[kept].astype(np.uint32).tobytes())
        self.num_terms = int(kept.sum())


def _joined(terms: list[str], attr: Attr) -> str:
    """Return the folded terms, each with a line break behind it and none inside."""
    text = "\n".join([*terms, ""])
    if text.count("\n") != len(terms):
        text = "\n".join([*(term.replace("\n", " ") for term in terms), ""])
    return fold_text(text, attr)[0]


def keep_longest(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans that do not overlap, in text order: the longest, then the leftmost, win."""
    ordered = sorted(spans)
    if all(before[1] <= behind[0] for before, behind in pairwise(ordered)):
        return ordered
    kept: list[tuple[int, int]] = []
    for span in sorted(ordered, key=lambda span: (span[0] - span[1], span[0])):
        place = bisect_left(kept, span)
        free_before = place == 0 or kept[place - 1][1] <= span[0]
        if free_before and (place == len(kept) or span[1] <= kept[place][0]):
            kept.insert(place, span)
    return kept
