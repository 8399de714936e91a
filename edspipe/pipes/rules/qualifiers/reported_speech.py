"""eds.reported_speech."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.qualifiers.base import Qualifier, declare_qualifier

declare_qualifier("reported_speech")


@registry.factory.register("eds.reported_speech")
class ReportedSpeech(Qualifier):
    """Tells whether a finding is what somebody says, rather than what was found.

    It reads the spans of `span_getter` and writes `span._.reported_speech`, True or False, and
    `span._.reported_speech_cue`, the span of the cue that decided, or None. With `on_tokens`, it
    also sets `token._.reported_speech`. Sentences are those of the Doc (run `eds.sentences`
    first); where none are set, marks before a capital and line breaks end one.

    The algorithm is that of `eds.negation`; the words are in `lang/<lang>/reported_speech.yml`:
    verbs of saying, "according to", and quotation marks, between which everything is reported.

    ```python
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    nlp.add_pipe(eds.reported_speech(lang="en"))
    doc = nlp.make_doc("The patient reports headaches.")
    start = doc.text.index("headaches")
    doc.ents = [doc.char_span(start, start + 9, label="finding")]
    doc = nlp(doc)
    assert doc.ents[0]._.reported_speech
    print(doc.ents[0]._.reported_speech_cue)
    ```

    Limits:

    - "Denies" is reported speech as well as a negation: run both pipes.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        span_getter: Which spans are qualified; by default, entities and all span groups but
            those of the layout (`pollution`, `sections`, `section_titles`, `tables`).
        within: Whether a cue counts that stands within the span itself; None is False here.
        on_tokens: Whether `token._.reported_speech` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute = "reported_speech"
