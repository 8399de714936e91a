"""eds.family."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.qualifiers.base import Qualifier, declare_qualifier

declare_qualifier("family")


@registry.factory.register("eds.family")
class Family(Qualifier):
    """Tells whether a finding concerns a relative: "her mother had", "family history of".

    It reads the spans of `span_getter` and writes `span._.family`, True or False, and
    `span._.family_cue`, the span of the cue that decided, or None. With `on_tokens`, it also sets
    `token._.family`. Sentences are those of the Doc (run `eds.sentences` first); where none are
    set, marks before a capital and line breaks end one.

    The algorithm is that of `eds.negation`; the words are in `lang/<lang>/family.yml`. A relative
    reaches both ways; a heading ("Family history:") up to the next one. Who brings or quotes the
    patient is no cue.

    ```python
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    nlp.add_pipe(eds.family(lang="en"))
    doc = nlp.make_doc("Her mother had breast cancer.")
    start = doc.text.index("cancer")
    doc.ents = [doc.char_span(start, start + 6, label="finding")]
    doc = nlp(doc)
    assert doc.ents[0]._.family
    print(doc.ents[0]._.family_cue)
    ```

    Limits:

    - Newborns' notes speak of the mother as of a patient; there, every finding near "mother" is the
      family's.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        span_getter: Which spans are qualified; by default, entities and all span groups but
            those of the layout (`pollution`, `sections`, `section_titles`, `tables`).
        within: Whether a cue counts that stands within the span itself; None is False here.
        on_tokens: Whether `token._.family` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute = "family"
