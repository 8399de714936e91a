"""edspipe's rule pipes inside spaCy: `spacy.blank("fr").add_pipe("edspipe_sentences")`.

spaCy loads this module with every `spacy.blank()`, so it is light: a pipe is imported when it is
added. spaCy does not allow dots in names, hence the underscore.
"""

from __future__ import annotations

from typing import Any

from spacy.language import Language

from edspipe.config.registry import registry


def _build(factory: str, nlp: Language, name: str, **params: Any) -> Any:
    return registry.factory.get(factory)(nlp=nlp, name=name, **params)


@Language.factory(
    "edspipe_sentences",
    default_config={"punct_chars": None, "check_capitalized": True},
    assigns=["token.is_sent_start", "doc.sents"],
)
def edspipe_sentences(
    nlp: Language, name: str, punct_chars: list[str] | None, check_capitalized: bool
) -> Any:
    """Make `eds.sentences` for a spaCy pipeline."""
    return _build(
        "eds.sentences",
        nlp,
        name,
        punct_chars=punct_chars,
        check_capitalized=check_capitalized,
    )
