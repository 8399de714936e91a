"""eds.negation."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.qualifiers.base import Qualifier, declare_qualifier

declare_qualifier("negation")


@registry.factory.register("eds.negation")
class Negation(Qualifier):
    """Tells whether a finding is absent: "no fever", "the mass was not seen", "culture: none".

    It reads the spans of `span_getter` and writes `span._.negation`, True or False, and
    `span._.negation_cue`, the span of the cue that decided, or None. With `on_tokens`, it also
    sets `token._.negation`. Sentences are those of the Doc (run `eds.sentences` first); where
    none are set, marks before a capital and line breaks end one.

    A cue reaches from where it stands to a termination or the end of its sentence (NegEx, ConText).
    A comma or an "and" ends its reach only where a clause begins behind it, so "no fever, chills or
    cough" is one list. "Not" before a passive reaches its subject too; "ne ... pas" what stands
    between; a pseudo-cue ("no change in", "cannot be excluded") nothing. The words are in
    `lang/<lang>/negation.yml`.

    ```python
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    nlp.add_pipe(eds.negation(lang="en"))
    doc = nlp.make_doc("No fever but a persistent cough.")
    start = doc.text.index("fever")
    doc.ents = [doc.char_span(start, start + 5, label="finding")]
    doc = nlp(doc)
    assert doc.ents[0]._.negation
    print(doc.ents[0]._.negation_cue)
    ```

    Limits:

    - What has resolved is absent ("the fever has resolved"); what is refused or was not done, too.
    - A negative result negates a finding ("HIV negative") but not an examination or a marker ("the
      culture was negative"): it took place.
    - Scope is by words, not by grammar: an adjunct behind a negated finding is reached ("no pain in
      the abdomen" also reaches the abdomen).

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        span_getter: Which spans are qualified; by default, entities and all span groups but
            those of the layout (`pollution`, `sections`, `section_titles`, `tables`).
        within: Whether a cue counts that stands within the span itself; None is False here.
        on_tokens: Whether `token._.negation` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute = "negation"
