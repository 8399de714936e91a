"""How far cues reach: the algorithm of all qualifiers.

After NegEx (Chapman et al., *A Simple Algorithm for Identifying Negated Findings and Diseases in
Discharge Summaries*, 2001) and ConText (Harkema et al., *ConText: An Algorithm for Determining
Negation, Experiencer, and Temporal Status from Clinical Reports*, 2009): a cue reaches from where
it stands up to a termination or the end of its sentence. In addition, a comma or an "and" ends a
reach only where what follows reads like a clause of its own; brackets are closed; a cue may be in
two parts; and before some verbs a cue reaches back to their subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edspipe.lang.schemas.qualifiers import CueGroup
from edspipe.pipes.rules.qualifiers.cues import Cues, Role, Sign
from edspipe.pipes.rules.qualifiers.frame import Frame

MAX_ITEM = 9
"""Words behind a joint in which a verb is looked for."""

MAX_AUXILIARIES = 4
"""Auxiliaries and adverbs that may stand between a cue and the verb that turns it."""

ANY_GROUP = CueGroup(direction="before", terms=[])
"""How cues in two parts reach."""

Match = tuple[int, int, Role]


@dataclass(frozen=True, slots=True)
class Reach:
    """The words that a cue qualifies; all numbers are words of a `Frame`.

    Attributes:
        start: The first of them.
        end: Behind the last.
        cue_start: The first word of the cue.
        cue_end: Behind its last.
        backwards: Whether the cue stands behind them.
        spares: Words that are not qualified.
    """

    start: int
    end: int
    cue_start: int
    cue_end: int
    backwards: bool = False
    spares: frozenset[str] = frozenset()

    def is_spared(self, words: list[str]) -> bool:
        """Tell whether words hold one that is not qualified."""
        return not self.spares.isdisjoint(words)


class Reaches:
    """Finds what the cues of one qualifier reach in a Doc.

    Args:
        cues: The cues.
        frame: The words of the Doc.
    """

    def __init__(self, cues: Cues, frame: Frame) -> None:
        self.cues = cues
        self.frame = frame
        self.words = frame.words

    def find(self, sentences: set[int] | None) -> dict[int | None, list[Reach]]:
        """Return the reaches, by sentence; under None, those that cross sentences.

        Args:
            sentences: The sentences to look at (headings count wherever they stand); None looks
                at all.
        """
        found: dict[int | None, list[Reach]] = {}
        by_sentence: dict[int, list[Match]] = {}
        for match in self.cues.cues.find(self.words):
            start, end, role = match
            sentence = self.frame.sentence_of(start)
            group = role.group
            heading = group if group is not None and group.scope == "section" else None
            if heading is not None and self.frame.heads_section(start, end):
                found.setdefault(None, []).append(self._section(start, end, heading))
            elif sentences is None or sentence in sentences:
                by_sentence.setdefault(sentence, []).append(match)
        for sentence, matches in by_sentence.items():
            first = self.frame.sentences[sentence]
            behind = self.frame.sentence_end(sentence)
            found[sentence] = self._in_sentence(self._closed(matches, behind), first, behind)
        return found

    def find_inside(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the words of the first cue that stands within some words."""
        for first, behind, role in self.cues.cues.find(self.words[start:end]):
            if role.group is not None:
                return start + first, start + behind
        return None

    def _section(self, start: int, end: int, group: CueGroup) -> Reach:
        behind = self.frame.section_end(end)
        if group.max_words is not None:
            behind = min(behind, end + group.max_words)
        lines = self.frame.lines_between(end - 1, behind)
        text = end + 1 if self.words[end : end + 1] == [":"] else end
        if lines and lines[0] > text:  # the text begins beside the heading
            behind = next((line for line in lines if self._ends_section(line, behind)), behind)
        return Reach(end, behind, start, end)

    def _ends_section(self, line: int, behind: int) -> bool:
        """Tell whether a line is no longer what a heading named whose text began beside it."""
        if self.frame.ends_paragraph(line):
            return True
        return self.words[line - 1] == "." and self._begins_clause(line, behind)

    def _closed(self, matches: list[Match], behind: int) -> Iterator[Match]:
        """Yield the cues, but for those that should close their clause and do not.

        Where ": no" does not, the "no" in it may be a cue, or begin one: ": absence of pain".
        """
        for start, end, role in matches:
            group = role.group
            if group is None or not group.closes or self._closes(end, behind):
                yield start, end, role
                continue
            for place in range(start + 1, end):
                match = self.cues.cues.match_at(self.words, place)
                if match is not None:
                    yield place, *match
                    break

    def _closes(self, end: int, behind: int) -> bool:
        """Tell whether a clause ends before a word."""
        return end >= behind or not self.words[end].isalnum() or self._sign(end) is not None

    def _in_sentence(self, matches: Iterable[Match], first: int, behind: int) -> list[Reach]:
        matches = list(matches)
        reaches: list[Reach] = []
        opened: dict[int, int] = {}
        for place, (start, end, role) in enumerate(matches):
            if role == Role():
                reaches += self._within_pseudo(start, end)
            if role.first is not None:
                reaches += self._pair(matches, place, first, behind)
            group = role.group
            if group is None or group.direction == "inside":
                continue
            if group.direction == "between":
                begun = opened.pop(id(group), None)
                if begun is None:
                    opened[id(group)] = end
                elif group.max_words is None or start - begun <= group.max_words:
                    reaches.append(Reach(begun, start, start, end, True))
                continue
            if group.direction != "after":
                reaches.append(self._forwards(start, end, behind, role))
                if group.turns and self._turns(start, end, behind):
                    reaches.append(self._to_subject(start, start, end, first))
            if group.direction != "before":
                reaches.append(self._backwards(start, end, first, role))
        return reaches

    def _within_pseudo(self, start: int, end: int) -> Iterator[Reach]:
        """Yield the reaches of cues in a pseudo-cue, up to its end: "no increase" negates that."""
        for place in range(start, end - 1):
            match = self.cues.cues.shortest_at(self.words, place)
            if match is not None and match[0] < end:
                group = match[1].group
                if group is not None and group.direction == "before":
                    yield Reach(match[0], end, place, match[0])
                    return

    def _pair(self, matches: list[Match], place: int, first: int, behind: int) -> list[Reach]:
        start, end, role = matches[place]
        assert role.first is not None
        pair = self.cues.pairs[role.first]
        for cue_start, cue_end, other in matches[place + 1 :]:
            if cue_start - end > pair.max_words or other == Role():
                break
            if role.first in other.second:
                ahead = self._forwards(cue_start, cue_end, behind, other)
                reaches = [Reach(end, ahead.end, cue_start, cue_end)]
                between = self.words[end:cue_start]
                if pair.turns and self._turns(cue_start, cue_end, behind, between):
                    reaches.append(self._to_subject(start, cue_start, cue_end, first))
                return reaches
        return []

    def _turns(
        self, start: int, end: int, behind: int, between: Sequence[str] | None = None
    ) -> bool:
        """Tell whether a cue stands in a passive: "was not clearly seen".

        Args:
            start: The first word of the cue.
            end: Behind its last.
            behind: Behind the last word of the sentence.
            between: The words between the parts of a cue in two.
        """
        cues, words = self.cues, self.words
        before = words[max(0, start - 2) : start] if between is None else between
        passive = not cues.copulas.isdisjoint(before)
        for word in words[end : min(behind, end + MAX_AUXILIARIES + 1)]:
            if word in cues.turning:
                return passive or (between is None and not self._is_verbal(start - 1, word, end))
            passive = passive or word in cues.copulas
            if word not in cues.auxiliaries:
                return False
        return False

    def _is_verbal(self, before: int, word: str, end: int) -> bool:
        """Tell whether a cue without a copula is more than "spleen not palpable"."""
        verbal = before < 0 or self.words[before] in self.cues.auxiliaries | self.cues.verbs
        return verbal or self.words[end] != word

    def _forwards(self, start: int, end: int, behind: int, role: Role) -> Reach:
        """Return the reach of a cue to the words behind it."""
        group = role.group or ANY_GROUP
        if group.max_words is not None:
            behind = min(behind, end + group.max_words)
        words, cues, root = self.words, self.cues, self.cues.signs.root
        place = end + 1 if end < behind and words[end] == ":" else end
        depth, nominal, ends_list = 0, False, False
        while place < behind:
            word = words[place]
            if group.verbs != "pass":
                if nominal and (word in cues.verbs or word in cues.adjuncts):
                    place = self._behind_passive(place, behind, group)
                    break
                if word.isalnum() and word not in cues.verbs and word not in cues.auxiliaries:
                    nominal = True
            ends_list = ends_list or word in cues.alternatives
            match = cues.signs.match_at(words, place) if word in root else None
            if match is None:
                place += 1
                continue
            after, sign = match
            depth += (sign is Sign.OPEN) - (sign is Sign.CLOSE)
            if depth < 0 or (depth == 0 and self._ends_at(sign, place, behind, group, ends_list)):
                break
            place = after
        return Reach(end, min(place, behind), start, end, False, role.spares)

    def _behind_passive(self, place: int, behind: int, group: CueGroup) -> int:
        """Return where a reach ends that meets a verb: there, or behind a passive."""
        if group.verbs == "passive":
            for i in range(place, min(behind, place + MAX_AUXILIARIES)):
                if self.words[i] in self.cues.turning:
                    return i + 1
                if self.words[i] not in self.cues.auxiliaries:
                    break
        return place

    def _ends_at(
        self, sign: Sign, place: int, behind: int, group: CueGroup, ends_list: bool
    ) -> bool:
        """Tell whether a sign ends a reach; the last item of "a, b or c" may be past."""
        if sign is not Sign.JOINT or group.comma == "stop":
            return sign in (Sign.STOP, Sign.JOINT)
        if group.comma == "pass":
            return False
        after = place
        while after < behind and self._sign(after) is Sign.JOINT:
            if ends_list and self.words[after].isalpha():
                return True
            after += 1
        return self._begins_clause(after, behind)

    def _begins_clause(self, place: int, behind: int) -> bool:
        """Tell whether the words from a joint to the next one hold what makes a clause."""
        words, cues = self.words, self.cues
        if place < behind and words[place] in cues.openers:
            return True
        for i in range(place, min(behind, place + MAX_ITEM)):
            word = words[i]
            if word in cues.verbs or word.isdigit():
                return True
            if word in cues.alternatives or self._sign(i) is not None:
                return False
        return False

    def _sign(self, place: int) -> Sign | None:
        match = self.cues.signs.match_at(self.words, place)
        return None if match is None else match[1]

    def _to_subject(self, place: int, cue_start: int, cue_end: int, first: int) -> Reach:
        """Return the reach of a cue to the subject before a place: not to "on examination"."""
        back = self._backwards(place, cue_end, first, Role())
        start, fronting = back.start, self.cues.fronting
        if place > first and self._sign(place - 1) is Sign.JOINT:
            start = place  # "pain, and was not treated": the subject stands elsewhere
        fronted = start < place and self.words[start] in fronting
        if fronted or (start > first and self.words[start - 1] in fronting):
            start = place
        return Reach(start, place, cue_start, cue_end, True)

    def _backwards(self, start: int, end: int, first: int, role: Role) -> Reach:
        """Return the reach of a cue to the words before it."""
        comma = "list" if role.group is None else role.group.comma
        if role.group is not None and role.group.max_words is not None:
            first = max(first, start - role.group.max_words)
        words, cues = self.words, self.cues
        place, depth = start, 0
        while place > first and words[place - 1] in cues.auxiliaries:
            place -= 1
        while place > first:
            word = words[place - 1]
            if word in cues.verbs and comma != "pass":
                break
            sign = self._sign(place - 1) if word in cues.signs.root else None
            depth += (sign is Sign.CLOSE) - (sign is Sign.OPEN)
            if depth < 0 or (depth == 0 and sign is Sign.STOP):
                break
            if depth == 0 and sign is Sign.JOINT and self._ends_back(place - 1, first, comma):
                break
            place -= 1
        return Reach(place, start, start, end, True, role.spares)

    def _ends_back(self, joint: int, first: int, comma: str) -> bool:
        """Tell whether a reach ends at a joint that stands before the cue."""
        if comma != "list":
            return comma == "stop"
        place = joint
        while place > first and self._sign(place - 1) is None and joint - place < MAX_ITEM:
            place -= 1
        return self.words[place] in self.cues.fronting
