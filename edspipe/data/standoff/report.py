"""What became of everything that was read or written: numbers and ids, never text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class _Counts:
    """Counts that add up, over documents and over workers."""

    def add(self, other: Any) -> None:
        """Add the counts of another report of the same kind."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, mine + theirs)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            one.name: dict(value)
            if isinstance(value := getattr(self, one.name), Counter)
            else value
            for one in fields(self)
        }


@dataclass
class ReadReport(_Counts):
    """What was read from standoff files.

    Attributes:
        documents: Documents that came out.
        annotations: Lines that were understood, by kind: `{"Entity": 12, ...}`.
        unknown_lines: Lines of no brat kind, kept as they are (blank lines too).
        skipped_documents: Documents left out because their text cannot be read.
        skipped_lines: Bad lines left out, with what points at them.
        reasons: Why, by the first words of the message.
        txt_without_ann: Texts read as documents without annotations.
        snapped: Entities whose offsets fall inside a word: their span was widened to whole words.
        unplaced: Entities that have no span in the Doc (no word there, no room in `doc.ents`, a
            label that the setter does not take). They are kept, and written back.
    """

    documents: int = 0
    annotations: Counter[str] = field(default_factory=Counter)
    unknown_lines: int = 0
    skipped_documents: int = 0
    skipped_lines: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    txt_without_ann: int = 0
    snapped: int = 0
    unplaced: int = 0


@dataclass
class WriteReport(_Counts):
    """What was written to standoff files.

    Attributes:
        documents: Documents written.
        lines_kept: Lines of the source that are as they were.
        lines_changed: Lines rewritten, as the Doc says something else.
        lines_removed: Lines of removed annotations, and of what pointed at them.
        lines_added: New lines.
        foreign_source: Docs whose text is not the one their source lines belong to: written
            without these.
        unwritten: Span attributes that brat cannot hold (lists of dicts, texts of several lines),
            by name.
        generated_ids: Documents that had no id, and got one.
    """

    documents: int = 0
    lines_kept: int = 0
    lines_changed: int = 0
    lines_removed: int = 0
    lines_added: int = 0
    foreign_source: int = 0
    unwritten: Counter[str] = field(default_factory=Counter)
    generated_ids: int = 0
