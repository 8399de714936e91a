"""CharVocab: the letters that a character model knows, and text as their numbers."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from edspipe import atomic
from edspipe.config.draft import Origin
from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, DataError
from edspipe.pipeline.json_files import read_json

UNKNOWN = "<unk>"
"""What stands at index 0: every letter that is not in the alphabet."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""How the unknown is written in a text."""
COVERAGE = 0.99999
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_MEDICAL = "†‡•…‰′″™←↑→↓↔⇒∅∆∑−√∞∫≈≠≡≤≥⊕⊖□○●♀♂✓✗–—‘’“”„€℃℉Ωμ"
"""Signs of clinical notes outside of the blocks that `default` takes whole."""


class LetterCount(NamedTuple):
    """A letter of a text, and how often it stands there.

    Attributes:
        rank: 1 is the most frequent.
        letter: The letter.
        number: How often it occurs.
        share: Its share of all characters.
        cumulative: The share of this letter and all before it.
    """

    rank: int
    letter: str
    number: int
    share: float
    cumulative: float


@registry.factory.register("eds.char_vocab")
class CharVocab:
    """An alphabet: letters with a number each, and one number (0) for all others.

    ```python
    vocab = CharVocab.from_stream(["Fièvre à 39 °C"], coverage=0.99999)
    vocab.encode("fièvre")  # one number a character
    ```

    Args:
        items: The letters, without the unknown, each once; None takes those of `default`.
        normalise: The Unicode form that texts are brought to before they are counted or read;
            None leaves them.

    Attributes:
        items: The letters by their numbers; the first one is the unknown.

    Raises:
        ValueError: An item is not one character or stands twice, or the form does not exist.
    """

    def __init__(
        self, items: Iterable[str] | str | None = None, normalise: Form | None = None
    ) -> None:
        if normalise is not None and normalise not in _FORMS:
            raise ValueError(f"normalise is one of {', '.join(_FORMS)}, or None, got {normalise!r}")
        self.normalise = normalise
        self.items = [UNKNOWN]
        self._numbers: dict[str, int] = {}
        self._table: np.ndarray | None = None
        for item in _default_letters() if items is None else items:
            if item in self._numbers:
                raise ValueError(f"items: {_name(item)} stands twice")
            self.add_item(item)

    # ---- made from texts ------------------------------------------------------------------

    @classmethod
    def default(cls) -> CharVocab:
        """Return an alphabet for notes in Latin letters: ASCII, Latin-1, Latin Extended-A, Greek
        and medical signs."""
        return cls(_default_letters())

    @classmethod
    def from_stream(
        cls,
        texts: Iterable[Any],
        coverage: float = COVERAGE,
        max_size: int | None = None,
        normalise: Form | None = None,
    ) -> CharVocab:
        """Return the alphabet of texts: their most frequent letters.

        Args:
            texts: Texts, or Docs.
            coverage: The share of all characters that the alphabet must reach, 0 to 1.
            max_size: The most letters, without the unknown; None for no limit.
            normalise: As of the class.

        Raises:
            DataError: The texts hold no character.
        """
        counts = count_letters(texts, normalise)
        if not counts:
            raise DataError("expected texts to take an alphabet from, found no character in them")
        return cls(kept_letters(counts, coverage, max_size), normalise)

    def add_item(self, item: str) -> int:
        """Add a letter, unless it is there; return its number.

        Raises:
            ValueError: It is not one character, or one that no text in UTF-8 can hold.
        """
        if len(item) != 1:
            raise ValueError(f"items: an alphabet has single characters, got one of {len(item)}")
        if _is_surrogate(item):
            raise ValueError(f"items: {_name(item)} is half a character of UTF-16, and no letter")
        if item not in self._numbers:
            self._numbers[item] = len(self.items)
            self.items.append(item)
            self._table = None
        return self._numbers[item]

    # ---- used -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, letter: object) -> bool:
        return letter in self._numbers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharVocab) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"CharVocab({len(self) - 1} letters)"

    def normalised(self, text: str) -> str:
        """Return a text in the form of this alphabet; offsets may change."""
        return text if self.normalise is None else unicodedata.normalize(self.normalise, text)

    def encode(self, text: str) -> np.ndarray:
        """Return the number of each character, int64, *Shape* `(len(text),)`.

        Offsets stay: the text is read as it is. Only a character outside the alphabet whose
        normal form is one character is read as that one.
        """
        points = code_points(text)
        table = self._lookup()
        ids = table[np.minimum(points, len(table) - 1)]
        if self.normalise is not None:
            for point in np.unique(points[ids == 0]):
                form = unicodedata.normalize(self.normalise, chr(point))
                ids[points == point] = self._numbers.get(form, 0)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of numbers; the unknown becomes U+FFFD."""
        return "".join(self.items[i] if i else REPLACEMENT for i in ids)

    def _lookup(self) -> np.ndarray:
        """Return numbers by code point; the last entry, and each that is no letter, is 0."""
        if self._table is None:
            size = max(map(ord, self.items[1:]), default=-1) + 2
            self._table = np.zeros(size, np.int64)
            for letter, number in self._numbers.items():
                self._table[ord(letter)] = number
        return self._table

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}

    # ---- saved ----------------------------------------------------------------------------

    @property
    def _origin(self) -> Origin:
        """What a config says of this alphabet, as it is now."""
        params: dict[str, Any] = {"items": self.items[1:]}
        if self.normalise is not None:
            params["normalise"] = self.normalise
        return Origin("eds.char_vocab", params)

    @_origin.setter
    def _origin(self, value: Origin) -> None:
        """Ignore what it was built with: letters may come later."""

    def copy(self) -> CharVocab:
        """Return the same alphabet, to which letters can be added apart."""
        return CharVocab(self.items[1:], self.normalise)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"items": list(self.items), "normalise": self.normalise}

    @classmethod
    def of_dict(cls, data: Mapping[str, Any], file: object = "the alphabet") -> CharVocab:
        """Make it of what `to_dict` gave.

        Args:
            data: The plain data.
            file: Where it comes from, for messages.

        Raises:
            CheckpointError: It is no alphabet.
        """
        items = data.get("items")
        if not isinstance(items, list) or items[:1] != [UNKNOWN]:
            raise CheckpointError(
                f"{file}: expected an alphabet, a list 'items' that begins with '{UNKNOWN}'"
            )
        try:
            return cls(items[1:], data.get("normalise"))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{file}: {error}") from None

    def save(self, file: str | Path) -> None:
        """Write it as JSON."""
        atomic.write_json(Path(file), self.to_dict())

    @classmethod
    def load(cls, file: str | Path) -> CharVocab:
        """Read what `save` wrote.

        Raises:
            CheckpointError: The file is missing, or holds no alphabet.
        """
        return cls.of_dict(read_json(Path(file)), file)


def code_points(text: str) -> np.ndarray:
    """Return the code point of each character, uint32, *Shape* `(len(text),)`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def count_letters(texts: Iterable[Any], normalise: Form | None = None) -> Counter[str]:
    """Count the letters of texts, or of Docs."""
    counts: Counter[str] = Counter()
    for text in texts:
        plain: str = text if isinstance(text, str) else text.text
        counts.update(plain if normalise is None else unicodedata.normalize(normalise, plain))
    for letter in list(filter(_is_surrogate, counts)):  # no letter, and not to be saved
        del counts[letter]
    return counts


def _is_surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def rank_letters(counts: Mapping[str, int]) -> Iterator[LetterCount]:
    """Yield the letters from the most frequent on; equal ones by code point."""
    total, reached = sum(counts.values()), 0
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    for rank, (letter, count) in enumerate(ordered, 1):
        reached += count
        yield LetterCount(rank, letter, count, count / total, reached / total)


def kept_letters(
    counts: Mapping[str, int], coverage: float = COVERAGE, max_size: int | None = None
) -> list[str]:
    """Return the fewest letters, the most frequent ones, that reach a coverage.

    Args:
        counts: How often each letter occurs.
        coverage: The share of all characters, 0 to 1.
        max_size: The most letters; None for no limit.

    Raises:
        ValueError: A limit is out of its range.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is a share, more than 0 and at most 1, got {coverage}")
    if max_size is not None and max_size < 1:
        raise ValueError(f"max_size is 1 or more, or None for no limit, got {max_size}")
    kept: list[str] = []
    before = 0.0
    for row in rank_letters(counts):
        if before >= coverage or len(kept) == max_size:
            break
        kept.append(row.letter)
        before = row.cumulative
    return kept


def _default_letters() -> Iterator[str]:
    seen: set[str] = set()
    blocks = [range(0x20, 0x7F), range(0xA0, 0x180), range(0x370, 0x400)]
    letters = (chr(i) for block in blocks for i in block if unicodedata.name(chr(i), ""))
    for letter in ("\n", "\t", *letters, *_MEDICAL):
        if letter not in seen:
            seen.add(letter)
            yield letter


def _name(letter: str) -> str:
    return f"U+{ord(letter):04X}"
