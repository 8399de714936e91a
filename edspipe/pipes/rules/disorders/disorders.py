"""eds.disorders: several disorders at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.schemas.disorders import DISORDERS
from edspipe.lang.words import choose_lang, load_words
from edspipe.pipes.rules.disorders.base import DisorderBase
from edspipe.types import SpanSetter


@registry.factory.register("eds.disorders")
class Disorders(DisorderBase):
    """Finds the sixteen disorders of the Charlson index, alcohol and tobacco, in one pass.

    It does what the pipes `eds.aids`, `eds.diabetes`, ... do, each of which finds one disorder, in
    one pass: all together take about twice as long as one of them.

    | | |
    |---|---|
    | reads | the text, sentences where there are any, `doc.spans["pollution"]` |
    | writes | `doc.spans["<disorder>"]` for each |
    | on each span | `span._.status`, `span._.detailed_status`, `span._.source`, `span._.assigned` |

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.disorders", config={"lang": "en", "disorders": ["diabetes", "tobacco"]})
    doc = nlp("Type 2 diabetes with retinopathy. Ex-smoker, 20 pack-years.")
    (diabetes,) = doc.spans["diabetes"]
    assert (diabetes._.status, diabetes._.detailed_status) == (2, "complicated")
    (tobacco,) = doc.spans["tobacco"]
    assert tobacco._.detailed_status == "former"
    assert tobacco._.assigned == {"pack_years": 20.0}
    ```

    `span._.source` names the rule that found a span. Values that were read are attributes too, e.g.
    `span._.pack_years`, and `span._.assigned` holds them by name.

    A mention is found whether it is negated or not, and whosever it is: put `eds.negation`,
    `eds.hypothesis` and `eds.family` behind this pipe, and drop what they mark. A group exists
    even where nothing was found.

    Limits: a status is that of a mention, not of the patient, and is read in the mention's own
    sentence. Without sentences it is read in the words next to it.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        disorders: Which are looked for; None takes all.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts each into the group of its disorder.
        changes: By disorder, words to add or to take away, in the shape of its word file.

    Raises:
        ConfigError: A disorder or the language is unknown, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "disorders",
        *,
        disorders: Sequence[str] | None = None,
        lang: str | Path | None = None,
        span_setter: SpanSetter | None = None,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        lang = choose_lang(lang, nlp, "eds.disorders")
        chosen = list(DISORDERS if disorders is None else dict.fromkeys(disorders))
        changes = changes or {}
        _check_names("disorders", chosen, DISORDERS)
        _check_names("changes", changes, chosen)
        words = {one: load_words(one, lang, changes.get(one)) for one in chosen}
        super().__init__(name, words, span_setter)


def _check_names(argument: str, given: Sequence[str] | Mapping[str, Any], known: Any) -> None:
    if argument == "disorders" and not given:
        raise ConfigError("eds.disorders: disorders: expected at least one, or none to take all")
    for name in given:
        if name not in known:
            raise ConfigError(
                f"eds.disorders: {argument}: expected some of {', '.join(known)}; got {name!r}."
                f"{did_you_mean(name, known)}"
            )
