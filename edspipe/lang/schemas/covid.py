"""covid.yml: how notes name COVID-19."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words


class CovidWords(Words):
    """Names of the disease and of its virus.

    Attributes:
        terms: Names, as terms.
        regex: Names, as patterns.
        not_disease: Patterns of what holds a name and is no disease of a patient: a vaccine, a
            ward, the epidemic. Names inside a match of them do not count.
    """

    terms: list[str] = []
    regex: list[str] = []
    not_disease: list[str] = []
