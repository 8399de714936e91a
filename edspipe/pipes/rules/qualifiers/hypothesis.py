"""eds.hypothesis."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.qualifiers.base import Qualifier, declare_qualifier

declare_qualifier("hypothesis")


@registry.factory.register("eds.hypothesis")
class Hypothesis(Qualifier):
    """Tells whether a finding is supposed, feared or conditional: "suspected", "to rule out", "if".

    It reads the spans of `span_getter` and writes `span._.hypothesis`, True or False, and
    `span._.hypothesis_cue`, the span of the cue that decided, or None. With `on_tokens`, it also
    sets `token._.hypothesis`. Sentences are those of the Doc (run `eds.sentences` first); where
    none are set, marks before a capital and line breaks end one.

    The algorithm is that of `eds.negation`; the words are in `lang/<lang>/hypothesis.yml`. Most
    cues reach few words, and a verb ends their reach.

    ```python
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    nlp.add_pipe(eds.hypothesis(lang="en"))
    doc = nlp.make_doc("Suspected pneumonia, no fever.")
    start = doc.text.index("pneumonia")
    doc.ents = [doc.char_span(start, start + 9, label="finding")]
    doc = nlp(doc)
    assert doc.ents[0]._.hypothesis
    print(doc.ents[0]._.hypothesis_cue)
    ```

    Limits:

    - What is prevented, advised, or a risk is a hypothesis: it is not there yet.
    - "Consistent with" and "compatible avec" are hypotheses, also where a pathologist is sure.
    - In French, "en faveur de" is none by default, since case reports use it for conclusions; add
      it with `changes={"groups": {"hedge": {"terms": ["en faveur"]}}}`.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        span_getter: Which spans are qualified; by default, entities and all span groups but
            those of the layout (`pollution`, `sections`, `section_titles`, `tables`).
        within: Whether a cue counts that stands within the span itself; None is False here.
        on_tokens: Whether `token._.hypothesis` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute = "hypothesis"
