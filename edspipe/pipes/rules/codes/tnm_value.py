"""What a TNM stage says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TnmStage:
    """A stage of the TNM classification, in its parts; those that are not said are None.

    Attributes:
        prefix: How it was found: `c` clinical, `p` pathological, `y` after treatment, `r`
            recurrence, `a` autopsy, `u` ultrasound, `mr` magnetic resonance, or several, e.g. `yp`.
        tumour: `0`, `is`, `a`, `x`, `1` ... `4d`, `1mi`; `1-2` where it is one of these.
        tumour_suffix: What stands behind it in brackets, e.g. `m` or a number of tumours; or the
            depth in the submucosa, `sm1` to `sm3`.
        node: `0`, `x`, `1` ... `3c`, `1mi`, `+`, `-`; `0-1` where it is one of these.
        node_suffix: What stands behind it in brackets: `sn`, `i+`, `1/12`.
        metastasis: `0`, `x`, `1` ... `1c`, `+`, `-`.
        resection: Residual tumour R: `0`, `1`, `2`, `x`.
        lymphatic: Invasion of lymphatic vessels L: `0`, `1`, `x`.
        venous: Invasion of veins V: `0`, `1`, `2`, `x`.
        perineural: Invasion along nerves Pn: `0`, `1`, `x`.
        serum: Serum markers S: `0` to `3`, `x`.
        grade: Grade G: `1` to `4`, `x`.
        version: Edition of the classification, e.g. 8.
        version_year: Its year, e.g. 2017.
    """

    prefix: str | None = None
    tumour: str | None = None
    tumour_suffix: str | None = None
    node: str | None = None
    node_suffix: str | None = None
    metastasis: str | None = None
    resection: str | None = None
    lymphatic: str | None = None
    venous: str | None = None
    perineural: str | None = None
    serum: str | None = None
    grade: str | None = None
    version: int | None = None
    version_year: int | None = None

    def norm(self) -> str:
        """Return the stage as it is written officially, e.g. `ypT2N1(sn)M0 R0`."""
        core = [
            ("T", self.tumour, self.tumour_suffix),
            ("N", self.node, self.node_suffix),
            ("M", self.metastasis, None),
        ]
        parts = [
            f"{letter}{value}{f'({suffix})' if suffix else ''}"
            for letter, value, suffix in core
            if value is not None
        ]
        others = [
            ("R", self.resection),
            ("L", self.lymphatic),
            ("V", self.venous),
            ("Pn", self.perineural),
            ("S", self.serum),
            ("G", self.grade),
        ]
        said = [f"{letter}{value}" for letter, value in others if value is not None]
        version = [f"(TNM {year})"] if (year := self.version_year or self.version) else []
        return " ".join([(self.prefix or "") + "".join(parts), *said, *version])

    def __str__(self) -> str:
        return self.norm()

    def to_dict(self) -> dict[str, Any]:
        """Return what is said, as plain data."""
        values = ((key, getattr(self, key)) for key in self.__slots__)
        return {key: value for key, value in values if value is not None}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TnmStage:
        """Return the stage of `to_dict`."""
        return cls(**values)
