"""Which schema each word file has, by its name: the same in all languages."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words
from edspipe.lang.schemas.cim10 import Cim10Words
from edspipe.lang.schemas.consultation_dates import ConsultationWords
from edspipe.lang.schemas.covid import CovidWords
from edspipe.lang.schemas.dates import DateWords
from edspipe.lang.schemas.disorders import DISORDERS, DisorderWords
from edspipe.lang.schemas.drugs import DrugWords
from edspipe.lang.schemas.pollution import Pollution
from edspipe.lang.schemas.qualifiers import Clauses, QualifierWords
from edspipe.lang.schemas.quantities import QuantityWords
from edspipe.lang.schemas.scores import ScoreWords
from edspipe.lang.schemas.sections import ReasonWords, SectionWords
from edspipe.lang.schemas.sentences import SentenceWords

SCHEMAS: dict[str, type[Words]] = {
    "dates": DateWords,
    "consultation_dates": ConsultationWords,
    "sentences": SentenceWords,
    **dict.fromkeys(DISORDERS, DisorderWords),
    "pollution": Pollution,
    "quantities": QuantityWords,
    "reason": ReasonWords,
    "sections": SectionWords,
    "clauses": Clauses,
    "negation": QualifierWords,
    "hypothesis": QualifierWords,
    "family": QualifierWords,
    "history": QualifierWords,
    "reported_speech": QualifierWords,
    "drugs": DrugWords,
    "covid": CovidWords,
    "cim10": Cim10Words,
    "scores": ScoreWords,
}
"""Name of the file (without `.yml`) -> what it may hold. One line a file."""
