"""eds.covid: mentions of COVID-19."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.pipes.rules.matcher import Finder
from edspipe.types import SpanSetter

LABEL = "covid"


@registry.factory.register("eds.covid")
class Covid:
    """Finds mentions of COVID-19 and of its virus.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.covid", config={"lang": "fr"})
    doc = nlp("Pneumopathie à SARS-CoV-2 en 2021. Vacciné contre le covid depuis.")
    assert [span.text for span in doc.spans["covid"]] == ["SARS-CoV-2"]
    ```

    The words are those of `edspipe/lang/<lang>/covid.yml`. Where a name stands for a vaccine, a
    ward or the epidemic, it is passed over; `all_mentions` keeps it.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["covid"]`, label `covid` |

    Limits: it says that the disease is mentioned, and not that the patient has it: add
    `eds.negation`, `eds.hypothesis` and `eds.family`. The result of a test ("PCR covid négative")
    is not read.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        all_mentions: Whether vaccines, wards and the epidemic count.
        changes: Words to add or to take away, in the shape of `covid.yml`.
        attr: What is compared, see `eds.matcher`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: There is no such attr, or a pattern is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "covid",
        *,
        lang: str | Path | None = None,
        all_mentions: bool = False,
        changes: Mapping[str, Any] | None = None,
        attr: str = "NORM",
        span_setter: SpanSetter = "covid",
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        words = load_words("covid", choose_lang(lang, nlp, "eds.covid"), changes)
        self.finder = Finder({LABEL: words.terms}, {LABEL: words.regex}, attr)
        others = [] if all_mentions else words.not_disease
        self.others = Finder({}, {LABEL: others}, attr)

    def __call__(self, doc: Doc) -> Doc:
        """Find the mentions in a Doc."""
        set_spans(doc, self.find(doc), self.span_setter)
        return doc

    def find(self, doc: Doc) -> list[Span]:
        """Return the spans that are found in a Doc, and leave it as it is."""
        found = sorted({place[1:] for place in self.finder.find(doc)})
        if not found:
            return []
        others = [place[1:] for place in self.others.find(doc)]
        return [
            Span(doc, first, end, label=LABEL)
            for first, end in found
            if not any(start < end and first < stop for start, stop in others)
        ]
