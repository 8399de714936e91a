"""eds.drugs: names of drugs, with their ATC codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.lang.words import choose_lang, load_words
from edspipe.pipes.rules.terminology import Terminology
from edspipe.types import SpanSetter


@registry.factory.register("eds.drugs")
class Drugs(Terminology):
    """Finds names of drugs; spans get the ATC code as `kb_id_`.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.drugs", config={"lang": "fr"})
    doc = nlp("Doliprane 1 g si douleur, amiodarone 200 mg le matin.")
    assert [(span.text, span.kb_id_) for span in doc.spans["drugs"]] == [
        ("Doliprane", "N02BE01"),
        ("amiodarone", "C01BD01"),
    ]
    ```

    Each language has a list of some 650 substances and the brands that are often met, by ATC code,
    in `edspipe/lang/<lang>/drugs.yml`. A file of your own adds to it, or replaces it:

    ```yaml
    drugs:
      "@factory": eds.drugs
      path: formulary.csv
      code_column: atc
      term_column: name
      replace: true
    ```

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["drugs"]`, label `drug`, the ATC code as `kb_id_` |

    Limits: a substance has one code here, that of its most usual use by mouth or vein: aspirin is
    `B01AC06` (in low doses, against clots), also where it is given against pain. Names that are
    words of everyday language as well ("actos" in Spanish) are left out. A blood level ("lithium
    0.8 mmol/L") is found as the drug is. Doses and routes are not read: `eds.quantities` reads
    doses.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        path: A file of names of your own, as `eds.terminology` reads it.
        code_column: The column, or key, of codes in this file.
        term_column: The column, or key, of names in this file.
        delimiter: What stands between columns; None goes by the file's suffix.
        replace: Whether the file replaces the list; else it adds to it.
        changes: Names to add or to take away, in the shape of `drugs.yml`.
        attr: What is compared, see `eds.matcher`.
        span_setter: Where spans are put.
        ignore_excluded: Whether pollution inside a name is passed over.
        overlaps: Whether all names are kept where they overlap one another; else the longest.

    Raises:
        ConfigError: There is no such language, the changes do not fit, or nothing replaces the
            list.
        DataError: The file is missing or not of this form.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "drugs",
        *,
        lang: str | Path | None = None,
        path: str | Path | None = None,
        code_column: str = "code",
        term_column: str = "term",
        delimiter: str | None = None,
        replace: bool = False,
        changes: Mapping[str, Any] | None = None,
        attr: str = "NORM",
        span_setter: SpanSetter = "drugs",
        ignore_excluded: bool = True,
        overlaps: bool = False,
    ) -> None:
        if replace and path is None:
            raise ConfigError("eds.drugs: replace: expected path=, the file that replaces the list")
        terms = {}
        if not replace:
            terms = load_words("drugs", choose_lang(lang, nlp, "eds.drugs"), changes).terms
        super().__init__(
            nlp,
            name,
            label="drug",
            terms=terms,
            path=path,
            term_column=term_column,
            code_column=code_column,
            delimiter=delimiter,
            attr=attr,
            span_setter=span_setter,
            ignore_excluded=ignore_excluded,
            overlaps=overlaps,
        )
