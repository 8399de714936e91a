"""eds.history."""

from __future__ import annotations

from edspipe.config.registry import registry
from edspipe.pipes.rules.qualifiers.base import Qualifier, declare_qualifier

declare_qualifier("history")


@registry.factory.register("eds.history")
class History(Qualifier):
    """Tells whether a finding belongs to the past: "history of", "status post", headings.

    It reads the spans of `span_getter` and writes `span._.history`, True or False, and
    `span._.history_cue`, the span of the cue that decided, or None. With `on_tokens`, it also
    sets `token._.history`. Sentences are those of the Doc (run `eds.sentences` first); where none
    are set, marks before a capital and line breaks end one.

    The algorithm is that of `eds.negation`; the words are in `lang/<lang>/history.yml`. A heading
    ("Past medical history:", "Antécédents :") reaches up to the next heading, 150 words at most;
    if its text begins in its own line, up to an empty line or a line that reads like a new clause.

    ```python
    import edspipe
    import edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    nlp.add_pipe(eds.history(lang="en"))
    doc = nlp.make_doc("History of gout, now fever.")
    start = doc.text.index("gout")
    doc.ents = [doc.char_span(start, start + 4, label="finding")]
    doc = nlp(doc)
    assert doc.ents[0]._.history
    print(doc.ents[0]._.history_cue)
    ```

    Limits:

    - A family history is past as well: `eds.family` tells whose it is.
    - Words within the span count: "old infarction", and habits ("tobacco", "alcohol use"), which
      ConText counts as history. `within=False` looks around the span alone.
    - A chronic disease that is named without a cue or a heading ("Diabetes.") is not found.
    - Dates and durations are not looked at yet.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        span_getter: Which spans are qualified; by default, entities and all span groups but
            those of the layout (`pollution`, `sections`, `section_titles`, `tables`).
        within: Whether a cue counts that stands within the span itself ("old infarction"); None
            is True here.
        on_tokens: Whether `token._.history` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute = "history"
    looks_within = True
