"""eds.umls: terms of the UMLS Metathesaurus, from the user's own copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.pipes.rules.codes.rrf import CONCEPTS, TYPES, read_concepts, read_concepts_of_types
from edspipe.pipes.rules.terminology import Terminology
from edspipe.types import SpanSetter

LANGUAGES = {"en": "ENG", "fr": "FRE", "es": "SPA", "de": "GER", "it": "ITA", "pt": "POR"}
LANGUAGES |= {"nl": "DUT"}


@registry.factory.register("eds.umls")
class Umls(Terminology):
    """Finds terms of the UMLS Metathesaurus; spans get the concept (CUI) as `kb_id_`.

    The UMLS is not free to be passed on, so none of it comes along: get your copy from the US
    National Library of Medicine, and give the folder of its tables, with `MRCONSO.RRF` and, if
    semantic types are chosen, `MRSTY.RRF`. The tables are read line by line each time the pipe is
    made.

    ```python
    from pathlib import Path

    import edspipe

    row = "C0011849|ENG|P|L1|PF|S1|Y|A1||||MSH|PT|D003920|Diabetes Mellitus|0|N||\\n"
    Path("META").mkdir(exist_ok=True)
    Path("META/MRCONSO.RRF").write_text(row)
    Path("META/MRSTY.RRF").write_text("C0011849|T047|B2.2|Disease or Syndrome|AT1||\\n")

    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        "eds.umls", config={"path": "META", "languages": ["en"], "semantic_types": ["T047"]}
    )
    doc = nlp("Known diabetes mellitus.")
    (span,) = doc.spans["umls"]
    assert (span.text, span.kb_id_) == ("diabetes mellitus", "C0011849")
    ```

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["umls"]`, label `umls`, the CUI as `kb_id_` |

    Limits: terms are compared as they stand in the tables; many of them ("Diabetes mellitus, type
    2, NOS") are never written so in notes, and short ones mean much else: choose vocabularies and
    semantic types. A term of several concepts makes a span for each. The folder must be where it
    was when the pipeline is loaded again.

    Args:
        nlp: The pipeline; its language is taken where `languages` is None.
        name: The name of the pipe.
        path: The folder of the tables, or `MRCONSO.RRF` itself.
        languages: Languages of terms: `en`, `fr`, `es`, ... or as the UMLS writes them (`ENG`).
        semantic_types: Types by number (`T047`) or by name; None takes all.
        sources: Vocabularies, e.g. `["SNOMEDCT_US"]`; None takes all.
        suppressed: Whether terms count that were given up.
        min_chars: Shorter terms are left out.
        attr: What is compared, see `eds.matcher`.
        span_setter: Where spans are put.
        ignore_excluded: Whether pollution inside a term is passed over.
        overlaps: Whether all terms are kept where they overlap one another; else the longest.

    Raises:
        ConfigError: No language is known, or nothing in the tables is wanted.
        DataError: A table is missing or is none of the UMLS, or has no such semantic type.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "umls",
        *,
        path: str | Path,
        languages: list[str] | None = None,
        semantic_types: list[str] | None = None,
        sources: list[str] | None = None,
        suppressed: bool = False,
        min_chars: int = 3,
        attr: str = "NORM",
        span_setter: SpanSetter = "umls",
        ignore_excluded: bool = True,
        overlaps: bool = False,
    ) -> None:
        folder = Path(path)
        table = folder if folder.name.endswith(".RRF") else folder / CONCEPTS
        wanted = None
        if semantic_types is not None:
            wanted = read_concepts_of_types(table.with_name(TYPES), semantic_types)
        pairs = read_concepts(
            table,
            _as_written(languages, nlp),
            None if sources is None else set(sources),
            wanted,
            suppressed=suppressed,
            min_chars=min_chars,
        )
        super().__init__(
            nlp,
            name,
            label="umls",
            terms=pairs,
            attr=attr,
            span_setter=span_setter,
            ignore_excluded=ignore_excluded,
            overlaps=overlaps,
        )
        if not len(self):
            raise ConfigError(
                f"eds.umls: nothing in {table} is of these languages, sources and semantic types"
            )


def _as_written(languages: list[str] | None, nlp: Any) -> set[str]:
    """Return languages as the UMLS writes them: `ENG` for `en`."""
    own = getattr(nlp, "lang", None)
    if languages is None and own not in LANGUAGES:
        raise ConfigError(
            f"eds.umls: expected languages=, e.g. ['en']: the pipeline's own language is {own!r}"
        )
    chosen = [own] if languages is None else languages
    return {LANGUAGES.get(str(one).lower(), str(one).upper()) for one in chosen}
