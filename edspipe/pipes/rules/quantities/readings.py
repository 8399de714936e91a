"""What a number is meant to be: its sign, and of two readings the likely one."""

from __future__ import annotations

from dataclasses import replace

from edspipe.pipes.rules.quantities.chains import Chain
from edspipe.pipes.rules.quantities.lexicon import Measure


def plausible(chain: Chain, measure: Measure | None) -> Chain:
    """Read "3.250 kg" as 3.25 kg where 3250 kg cannot be what is measured."""
    unit = chain.unit
    if unit is None or measure is None or all(atom.other is None for atom in chain.atoms):
        return chain
    ranges = [entry for entry in measure.bare or () if entry.unit == unit.symbol]

    def fits(value: float) -> bool:
        return any(entry.min <= value <= entry.max for entry in ranges)

    atoms = tuple(
        replace(atom, value=atom.other)
        if atom.other is not None and fits(atom.other) and not fits(atom.value)
        else atom
        for atom in chain.atoms
    )
    return replace(chain, atoms=atoms)


def signed(text: str, chain: Chain, start: int, behind: int) -> tuple[int, float]:
    """Return where a number with its sign begins, and the sign."""
    place = chain.start - 1
    if place < behind or text[place] not in "+-":
        return start, 1.0
    if place > 0 and not (text[place - 1].isspace() or text[place - 1] in "(=:[<>|/"):
        return start, 1.0
    return min(start, place), -1.0 if text[place] == "-" else 1.0
