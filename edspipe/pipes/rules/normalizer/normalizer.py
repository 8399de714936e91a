"""eds.normalizer: the text as rules compare it, and what in it is no text of the note."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from spacy.attrs import NORM
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.overlaps import keep_longest
from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.folding import PARTS
from edspipe.matching.regex import RegexMatcher
from edspipe.matching.text_view import POLLUTION, TextView

NAME = "eds.normalizer"


@registry.factory.register("eds.normalizer")
class Normalizer:
    """Marks pollution, and says how tokens are normalised.

    Rule pipes do not match on the text itself but on a view of it, in lower case, without accents,
    with plain quotes, dashes and spaces: a term `œdème` is found in `OEdeme`, and the span that is
    reported is that of the raw text, exactly. The view is made when a pipe asks for it; each of
    them says with `attr` how much is normalised. It needs no `eds.normalizer`, which adds:

    - *pollution*: stretches that are no part of what the note says, such as page numbers that stand
      in the middle of a sentence, bar codes, rulers and de-identification masks. They are found by
      the patterns of `edspipe/lang/<language>/pollution.yml`, by kind: `page`, `barcode`, `ruler`,
      `mask`, `web`. Rule pipes pass over them: `insuffisance [page 2/3] cardiaque` is found as one
      term. A mask that holds a date stays, because a date is worth reading;
    - the *norm* of each token (`token.norm_`), which spaCy's own matchers can use, if `norm=True`.

    | | |
    |---|---|
    | reads | the text |
    | writes | `doc.spans["pollution"]`, with the kind as label; `token.norm_` if `norm=True` |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.normalizer", config={"lang": "fr", "norm": True})
    doc = nlp("Insuffisance\\npage 2/3\\ncardiaque à l’été")
    assert [(span.text, span.label_) for span in doc.spans["pollution"]] == [("page 2/3", "page")]
    assert [token.norm_ for token in doc[-3:]] == ["l", "'", "ete"]
    ```

    Spans of the group `pollution` that have another label, such as your own, stay and are passed
    over too. Limits: a word that a hyphen cuts at a line's end is not joined; a footer that changes
    from one hospital to the next needs a pattern of yours (`changes`).

    Args:
        nlp: The pipeline; its language is the default of `lang`.
        name: The name of the pipe.
        lang: The language of the patterns (`"en"`, `"fr"`, `"es"`), or a folder of word files.
        pollution: Whether pollution is looked for; or by kind whether it is, where the kinds that
            are not named are.
        norm: Whether `token.norm_` is written.
        lowercase: Whether norms are in lower case.
        accents: Whether norms have no accents, and `œ` written as `oe`.
        quotes: Whether quotes and dashes are plain in norms.
        spaces: Whether no-break and other spaces are blanks in norms.
        changes: Patterns to add and to take away, in the shape of `pollution.yml`, see
            `edspipe.lang.words`. Patterns are searched in the normalised text.

    Raises:
        ConfigError: There is no such language, or no such kind of pollution.
        ValueError: A pattern is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "normalizer",
        *,
        lang: str | Path | None = None,
        pollution: bool | dict[str, bool] = True,
        norm: bool = False,
        lowercase: bool = True,
        accents: bool = True,
        quotes: bool = True,
        spaces: bool = True,
        changes: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        patterns: dict[str, list[str]] = {}
        if pollution is not False:
            words = load_words("pollution", choose_lang(lang, nlp, NAME), changes)
            patterns = _chosen(words.patterns, pollution)
        self.matcher = RegexMatcher(patterns, ignore_excluded=False)
        switches = (lowercase, accents, quotes, spaces)
        chosen = [part for part, is_on in zip(PARTS, switches, strict=True) if is_on]
        self.attr = "+".join(chosen) or "TEXT"
        self.norm = norm

    def __call__(self, doc: Doc) -> Doc:
        """Mark the pollution of a Doc."""
        if self.matcher.patterns:
            self._mark(doc)
        if self.norm and len(doc):
            self._write_norms(doc)
        return doc

    def _mark(self, doc: Doc) -> None:
        found = []
        if matches := self.matcher.find(doc):
            offsets = TextView.of(doc, ignore_excluded=False).offsets
            for kind, start_char, end_char in matches:
                tokens = offsets.snap(start_char, end_char)
                if tokens is not None:
                    found.append(Span(doc, tokens[0], tokens[1], label=kind))
        kinds = {kind for kind, _ in self.matcher.patterns}
        others = [span for span in doc.spans.get(POLLUTION, ()) if span.label_ not in kinds]
        doc.spans[POLLUTION] = sorted([*others, *keep_longest(found)])

    def _write_norms(self, doc: Doc) -> None:
        words = TextView.of(doc, self.attr, ignore_excluded=False).words
        add = doc.vocab.strings.add
        hashes = {word: add(word) if word else 0 for word in set(words)}
        norms: Any = np.fromiter(map(hashes.__getitem__, words), dtype=np.uint64, count=len(words))
        doc.from_array([NORM], norms.reshape(-1, 1))


def _chosen(patterns: dict[str, list[str]], pollution: bool | Mapping[str, bool]) -> Any:
    if not isinstance(pollution, Mapping):
        return patterns
    for kind in pollution:
        if kind not in patterns:
            raise ConfigError(
                f"{NAME}: pollution.{kind}: unknown.{did_you_mean(kind, patterns)} "
                f"The kinds are: {', '.join(patterns)}"
            )
    return {kind: found for kind, found in patterns.items() if pollution.get(kind, True)}
