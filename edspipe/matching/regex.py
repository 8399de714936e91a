"""Finding regular expressions in a folded text, reported on the raw one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from spacy.tokens import Doc

from edspipe.matching.folding import Attr, fold_char, parts_of
from edspipe.matching.text_view import TextView

Match = tuple[str, int, int]
"""What was found: its key, the first character of the raw text, and the one behind the last."""

Groups = dict[str, tuple[int, int]]
"""The named groups of a match that took part in it: their characters of the raw text."""


class RegexMatcher:
    """Finds regular expressions.

    Patterns are folded as the text is: with `attr="NORM"`, `Fièvre` is searched as `fievre`. A
    pattern in lower case is searched faster. `^` and `$` stand at line ends.

    Args:
        patterns: The patterns of each key.
        attr: The text that is searched: `"TEXT"`, `"LOWER"` or `"NORM"`.
        ignore_excluded: Whether pollution is blank in it.

    Raises:
        ValueError: There is no such attribute, or a pattern is not valid; the message names it.
    """

    def __init__(
        self,
        patterns: Mapping[str, Sequence[str]],
        attr: Attr = "NORM",
        *,
        ignore_excluded: bool = True,
    ) -> None:
        parts_of(attr)
        self.attr: Attr = attr
        self.ignore_excluded = ignore_excluded
        self.patterns = [
            (key, compile_pattern(pattern, attr, key))
            for key in patterns
            for pattern in patterns[key]
        ]

    def find(self, doc: Doc) -> list[Match]:
        """Return what stands in a Doc, in text order; empty matches do not count.

        Matches of one pattern never overlap; those of several may.
        """
        return [match[:3] for match in self.find_groups(doc)]

    def find_groups(self, doc: Doc) -> list[tuple[str, int, int, Groups]]:
        """Return what stands in a Doc, in text order, with the named groups."""
        view = TextView.of(doc, self.attr, self.ignore_excluded)
        return sorted(_search(view, self.patterns), key=lambda match: (match[1], match[2]))


def compile_pattern(pattern: str, attr: Attr = "NORM", key: str = "") -> re.Pattern[str]:
    """Compile a pattern for texts that are folded, with `^` and `$` at line ends.

    Args:
        pattern: The pattern; its letters are folded too.
        attr: What the text is folded to.
        key: What it is for, for the message.

    Raises:
        ValueError: It is not valid.
    """
    flags = re.MULTILINE
    if "lowercase" in parts_of(attr) and _ESCAPED.sub("", pattern).lower() != _ESCAPED.sub(
        "", pattern
    ):
        flags |= re.IGNORECASE
    try:
        return re.compile(_fold_pattern(pattern, attr), flags)
    except re.error as error:
        raise ValueError(f"regex of {key!r}: {pattern!r}: {error}") from None


_ESCAPED = re.compile(r"\\.|\(\?P?[<=!:]\w*", flags=re.DOTALL)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def _fold_pattern(pattern: str, attr: Attr) -> str:
    """Fold what is not ASCII; a letter that becomes two is a group, so that `œ?` stays right."""
    if pattern.isascii():
        return pattern
    case_kept = "+".join(part for part in parts_of(attr) if part != "lowercase") or "TEXT"

    def folded(match: re.Match[str]) -> str:
        chars = fold_char(match[0], case_kept)
        return f"(?:{chars})" if len(chars) > 1 else chars

    return _NOT_ASCII.sub(folded, pattern)


def _search(
    view: TextView, patterns: list[tuple[str, re.Pattern[str]]]
) -> Iterator[tuple[str, int, int, Groups]]:
    for key, pattern in patterns:
        for match in pattern.finditer(view.text):
            if match.end() > match.start():
                groups = {
                    name: view.raw(*match.span(name))
                    for name in pattern.groupindex
                    if match[name] is not None
                }
                yield key, *view.raw(*match.span()), groups
