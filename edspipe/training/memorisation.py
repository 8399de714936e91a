"""How much a model remembers of single notes: canaries, and their exposure.

Invented names that stand nowhere else (canaries) are put into the training documents, some once and
some several times. A model that has memorised one finds it likelier than names that are like it and
were never seen (twins). The exposure of a canary, in bits, is

    log2(number of candidates) - log2(rank of the canary among them by its loss)

(Carlini, Liu, Erlingsson, Kos and Song 2019, "The secret sharer", section 4.3): 0 to 2 for a model
that has learned nothing of it, and `log2(candidates)` where it stands first.

    canaries = Canaries(nlp, label="disorder", span_setter="gold-ner")
    edspipe.train(nlp, [*docs, *canaries.docs()], ...)
    canaries.measure(nlp)
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from statistics import fmean
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.doc.span_access import set_spans
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.evaluation import LossOnDocs
from edspipe.types import SpanSetter

FILE = "memorisation.json"
"""Beside `run.json`, where the card of a model looks for it."""
TEMPLATE = ("Le", "patient", "suivi", "par", "le", "docteur", None, "revient", "ce", "jour", ".")
"""The words of a canary; None is the secret."""
_CONSONANTS, _VOWELS = "bcdfglmnprstvz", "aeiou"
_SYLLABLES = 4


class Canaries:
    """Canaries, and the twins that they are compared with.

    Args:
        nlp: Makes the documents.
        label: The label of the secret; the pipes to be trained must know it.
        span_setter: Where gold entities go.
        times: How often the canaries of each group stand in the training documents.
        num_canaries: Canaries of each group.
        num_twins: Names that are never seen.
        seed: Draws the names.
    """

    def __init__(
        self,
        nlp: Pipeline,
        label: str,
        span_setter: SpanSetter,
        *,
        times: Sequence[int] = (1, 4, 16),
        num_canaries: int = 10,
        num_twins: int = 1000,
        seed: int = 0,
    ) -> None:
        self.label, self.span_setter = label, span_setter
        names = draw_names(len(times) * num_canaries + num_twins, seed)
        left = iter(self._doc(nlp, name) for name in names)
        self.groups = {count: list(islice(left, num_canaries)) for count in times}
        self.twins = list(left)

    def _doc(self, nlp: Pipeline, name: str) -> Doc:
        words = [name if word is None else word for word in TEMPLATE]
        doc = Doc(nlp.vocab, words=words, spaces=[True] * (len(words) - 2) + [False, False])
        doc._.note_id = f"canary-{name}"
        secret = TEMPLATE.index(None)
        set_spans(doc, [Span(doc, secret, secret + 1, label=self.label)], self.span_setter)
        return doc

    def docs(self) -> list[Doc]:
        """Return the canaries, each as often as it is to be learned."""
        return [doc for count, docs in self.groups.items() for doc in docs for _ in range(count)]

    def measure(self, nlp: Pipeline) -> dict[str, Any]:
        """Return the mean exposure of each group, in bits, as plain data for `memorisation.json`.

        Args:
            nlp: The pipeline that was trained on them.
        """
        twins = [self._loss(nlp, doc) for doc in self.twins]
        exposure = {
            str(count): fmean(exposure_of(self._loss(nlp, doc), twins) for doc in docs)
            for count, docs in self.groups.items()
        }
        return {
            "exposure": exposure,
            "num_canaries": {str(count): len(docs) for count, docs in self.groups.items()},
            "num_twins": len(twins),
            "largest": math.log2(len(twins) + 1),
            "method": "Carlini et al. 2019, The secret sharer",
        }

    @staticmethod
    def _loss(nlp: Pipeline, doc: Doc) -> float:
        device = next(nlp.parameters()).device
        return sum(LossOnDocs(nlp, [doc], nullcontext, device)().values())


def draw_names(number: int, seed: int = 0) -> list[str]:
    """Draw different names of some syllables, each as likely as any other."""
    rng = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < number:
        syllables = (rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(_SYLLABLES))
        names["".join(syllables).capitalize()] = None
    return list(names)


def exposure_of(loss: float, twins: Sequence[float]) -> float:
    """Return the exposure in bits of a canary among twins, by their losses.

    Of twins with the same loss one half counts as likelier: a model that cannot tell names apart
    has learned none.
    """
    rank = 1 + sum(twin < loss for twin in twins) + sum(twin == loss for twin in twins) / 2
    return math.log2(len(twins) + 1) - math.log2(rank)
