"""Scores of saved pipelines, and of annotations, on files: predict, compare, match documents.

```python
predictions = predict_file(nlp, "data/dev")
evaluation = predictions.evaluate(ci={})
```

A pipeline predicts on copies of the words, so nothing that it finds can come from gold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from edspipe.data.formats import read_docs
from edspipe.doc.bare import bare_copy
from edspipe.doc.span_access import get_spans, parse_groups
from edspipe.errors import DataError
from edspipe.metrics.annotators import Agreement, agreement
from edspipe.metrics.bootstrap import paired_test
from edspipe.metrics.evaluation import Evaluation, evaluate_spans
from edspipe.metrics.ner import NerExactMetric
from edspipe.pipeline.pipeline import Pipeline
from edspipe.stream.stream import Stream
from edspipe.training.evaluation import confidences
from edspipe.types import SpanGetter

SCORED = "edspipe.scored"
"""The group of spans that are compared, in gold and in predictions."""
NUM_IDS = 5
"""Ids that a message names."""


@dataclass(frozen=True)
class Predictions:
    """The same documents twice; the spans to compare are in the group `SCORED`.

    Attributes:
        gold: With gold annotations.
        found: With what a pipeline found.
    """

    gold: list[Doc] = field(repr=False)
    found: list[Doc] = field(repr=False)

    def evaluate(self, *, ci: Any = None, max_examples: int = 1000) -> Evaluation:
        """Return scores, errors and confusions; arguments as of `evaluate_spans`."""
        return evaluate_spans(self.gold, self.found, SCORED, ci=ci, max_examples=max_examples)

    def compare(self, other: Predictions, *, ci: Any = None, key: str | None = None) -> Any:
        """Test the difference of F1 to another pipeline, both against the gold of this one.

        Returns:
            As of `paired_test`: this one less the other.
        """
        metric = NerExactMetric(SCORED)
        return paired_test(metric, self.gold, self.found, other.found, ci=ci, key=key)


def predict_file(
    nlp: Pipeline,
    path: str | Path,
    *,
    span_getter: SpanGetter | None = None,
    batch_size: int | str | None = None,
    num_cpu_workers: int = 0,
    confidence: bool = True,
) -> Predictions:
    """Read gold documents of any known format, and predict on copies of their words.

    Args:
        nlp: The pipeline.
        path: A brat folder, or a file of another format.
        span_getter: Where predictions are, and gold where the file says where; None is where the
            recogniser of the pipeline writes and learns.
        batch_size: Batch of the models.
        num_cpu_workers: Processes that predict.
        confidence: Let pipes that can do so say how sure they are.

    Raises:
        DataError: The documents have no gold spans.
        ValueError: Predictions stand elsewhere than in `span_getter`; or the pipeline has several
            recognisers, and none is named.
    """
    learns, writes = places_of(nlp) if span_getter is None else (span_getter, span_getter)
    gold = read_gold(path, tokenizer=nlp.tokenizer, span_getter=learns)
    if not any(doc.spans[SCORED] for doc in gold):
        raise DataError(
            f"expected gold spans, found none in {len(gold)} documents; give a folder with "
            "annotations, or another span getter",
            file=path,
        )
    with confidences(nlp, on=confidence):
        stream = Stream.from_items(gold).map(bare_copy)
        stream = stream.set_processing(num_cpu_workers=num_cpu_workers, seed=0)
        found = list(stream.map_pipeline(nlp, batch_size=batch_size))
    for doc in found:
        doc.spans[SCORED] = get_spans(doc, writes)
    _check_places(found, writes)
    return Predictions(gold, found)


def read_gold(
    path: str | Path, *, tokenizer: Any = None, span_getter: SpanGetter | None = None
) -> list[Doc]:
    """Read documents of any known format; their annotated spans are in the group `SCORED`.

    Args:
        path: A brat folder, or a file of another format.
        tokenizer: Text to Doc, where the format does not say the words.
        span_getter: Which spans; None is all. Formats that know no groups fill all that it names,
            and overlaps stay in groups other than `ents`.
    """
    getter = SCORED if span_getter is None else span_getter
    groups = ["*"] if callable(getter) else list(parse_groups(getter))
    setter = list(dict.fromkeys(["ents", *groups]))
    docs = []
    for doc in read_docs(path, tokenizer=tokenizer, span_setter=setter):
        for group in groups:
            if group not in ("ents", "*") and group not in doc.spans:
                doc.spans[group] = list(doc.ents)
        doc.spans[SCORED] = get_spans(doc, getter)
        docs.append(doc)
    return docs


def places_of(nlp: Pipeline) -> tuple[SpanGetter, SpanGetter]:
    """Return where the recogniser of a pipeline learns from, and where it writes.

    Without one (rules), both are `doc.ents`.

    Raises:
        ValueError: There are several recognisers, with different places.
    """
    found: dict[str, tuple[SpanGetter, SpanGetter]] = {}
    for name, pipe in nlp.pipes:
        learns = getattr(pipe, "target_span_getter", None)
        if learns is not None and name not in nlp.disabled:
            writes = getattr(pipe, "span_setter", None)
            found[name] = (learns, learns if writes is None or callable(writes) else writes)
    places = list(found.values()) or [("ents", "ents")]
    if any(one != places[0] for one in places):
        raise ValueError(
            f"the pipes {', '.join(found)} learn from different spans; say which to score with "
            "span_getter (--span-getter)"
        )
    learns, writes = places[0]
    return learns, "ents" if writes == "*" else writes


def _check_places(docs: Sequence[Doc], writes: SpanGetter) -> None:
    """Refuse to score a place where nothing is while predictions stand in another."""
    if any(doc.spans[SCORED] for doc in docs):
        return
    elsewhere = {group for doc in docs for group, spans in doc.spans.items() if spans}
    elsewhere |= {"ents" for doc in docs if doc.ents}
    if elsewhere:
        raise ValueError(
            f"no prediction is in {writes!r}, but there are some in "
            f"{', '.join(sorted(elsewhere))}: name that as span_getter (--span-getter)"
        )


# ---- two annotations of the same documents ----------------------------------------------------


def agree_files(
    path_a: str | Path,
    path_b: str | Path,
    *,
    span_getter: SpanGetter | None = None,
    ci: Any = None,
) -> Agreement:
    """Compare two annotations of the same documents, in any known format, matched by their ids.

    Args:
        path_a: Gold, or the first annotator.
        path_b: A saved prediction, or the second annotator.
        span_getter: Which spans; None is all.
        ci: Options of the bootstrap, as of `NerExactMetric`.

    Raises:
        DataError: A document is missing, comes twice or has another text, or nothing is annotated.
    """
    docs_a, docs_b = (read_gold(path, span_getter=span_getter) for path in (path_a, path_b))
    matched = match_docs(docs_a, docs_b, (str(path_a), str(path_b)))
    if not any(doc.spans[SCORED] for doc in [*docs_a, *docs_b]):
        raise DataError("expected annotations, found none here nor in the other", file=path_a)
    return agreement(docs_a, matched, SCORED, ci=ci)


def match_docs(docs_a: Sequence[Doc], docs_b: Sequence[Doc], names: tuple[str, str]) -> list[Doc]:
    """Return the second documents in the order of the first, matched by note id.

    Raises:
        DataError: An id comes twice or in one of them only, or texts differ.
    """
    by_id = [_by_id(docs, name) for docs, name in zip((docs_a, docs_b), names, strict=True)]
    problems = [
        f"{len(missing)} of {names[one]} missing in {names[1 - one]} ({_some(missing)})"
        for one in (0, 1)
        if (missing := [id for id in by_id[one] if id not in by_id[1 - one]])
    ]
    if problems:
        raise DataError(
            f"expected the same documents, got {' and '.join(problems)}; documents are matched by "
            "note id, which in a brat folder is the path of the file without its suffix"
        )
    differ = [id for id, doc in by_id[0].items() if doc.text != by_id[1][id].text]
    if differ:
        raise DataError(
            f"expected the same texts in {names[0]} and {names[1]}, but {len(differ)} differ "
            f"({_some(differ)}), so offsets can't be compared"
        )
    return [by_id[1][id] for id in by_id[0]]


def _by_id(docs: Sequence[Doc], name: str) -> dict[str, Doc]:
    ids = [str(i if doc._.note_id is None else doc._.note_id) for i, doc in enumerate(docs)]
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(f"expected each note id once, got some twice ({_some(twice)})", file=name)
    return dict(zip(ids, docs, strict=True))


def _some(ids: Sequence[str]) -> str:
    more = ", ..." if len(ids) > NUM_IDS else ""
    return ", ".join(ids[:NUM_IDS]) + more
