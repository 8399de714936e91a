"""What an ADICAP code says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

PARTS = ("sampling", "technique", "organ", "lesion")


@dataclass(frozen=True, slots=True)
class AdicapCode:
    """A code of eight characters, in its parts.

    Attributes:
        sampling: How the sample was taken: a letter (B: surgical biopsy ...).
        technique: What was done with it: a letter (H: histology ...).
        organ: Two letters (GS: breast ...).
        lesion: Four characters; a tumour's begin with a letter.
        labels: By part, the words of the user's thesaurus, where it has them.
    """

    sampling: str
    technique: str
    organ: str
    lesion: str
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The code, without blanks and points."""
        return self.sampling + self.technique + self.organ + self.lesion

    @property
    def is_tumour(self) -> bool:
        """Whether the lesion is one of the tumours (its code begins with a letter)."""
        return self.lesion[0].isalpha()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AdicapCode:
        """Return the code of `to_dict`."""
        return cls(**values)
