"""A peer, seen from inside its own environment: requests on standard input, answers on output.

Run by `speed.py` as `PYTHON peers.py edsnlp`; it imports nothing but the peer.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
import time
from typing import Any

NAMES = (
    "normalizer",
    "sentences",
    "matcher",
    "negation",
    "hypothesis",
    "family",
    "history",
    "dates",
    "quantities",
    "sections",
)


def make_edsnlp(job: dict[str, Any]) -> Any:
    """Return the pipeline of EDS-NLP, with its defaults."""
    import edsnlp

    nlp = edsnlp.blank("eds")
    for name in NAMES:
        config = {"terms": {"term": job["terms"]}} if name == "matcher" else {}
        nlp.add_pipe(f"eds.{name}", name=name, config=config)
    return nlp


def make_medspacy(job: dict[str, Any]) -> Any:
    """Return the pipeline of medspaCy: sentences, target matcher, context, sections."""
    from loguru import logger

    logger.remove()  # it prints whole texts otherwise
    import medspacy
    from medspacy.ner import TargetRule

    enabled = ["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"]
    nlp = medspacy.load(medspacy_enable=enabled)
    nlp.get_pipe("medspacy_target_matcher").add([TargetRule(t, "term") for t in job["terms"]])
    return nlp


def run_round(nlp: Any, texts: list[str]) -> dict[str, float]:
    """Read the texts twice: from the text, and pipe by pipe."""
    start = time.perf_counter()
    for text in texts:
        nlp(text)
    times = {"all": time.perf_counter() - start}
    docs = [nlp.make_doc(text) for text in texts]
    for name, pipe in nlp.pipeline:
        start = time.perf_counter()
        for doc in docs:
            pipe(doc)
        times[name] = time.perf_counter() - start
    return times


def judge(nlp: Any, text: str, spans: list[list[int]]) -> list[bool]:
    """Return whether medspaCy takes each span for negated; one span at a time where they meet."""
    sentences, context = nlp.get_pipe("medspacy_pyrush"), nlp.get_pipe("medspacy_context")
    values: dict[int, bool] = {}
    left = list(range(len(spans)))
    while left:
        doc = sentences(nlp.make_doc(text))
        taken: set[int] = set()
        chosen = {}
        for i in left:
            span = doc.char_span(*spans[i], label="term", alignment_mode="expand")
            words = set() if span is None else set(range(span.start, span.end))
            if words and not words & taken:
                taken |= words
                chosen[i] = span
        if not chosen:
            break
        doc.ents = list(chosen.values())
        ents = {(ent.start, ent.end): ent for ent in context(doc).ents}
        for i, span in chosen.items():
            values[i] = bool(ents[span.start, span.end]._.is_negated)
        left = [i for i in left if i not in chosen]
    return [values.get(i, False) for i in range(len(spans))]


def main(tool: str) -> None:
    """Answer each line; the first one says what to build."""
    logging.disable()
    out, sys.stdout = sys.stdout, sys.stderr
    nlp: Any = None
    texts: list[str] = []
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any
        if request == "round":
            answer = run_round(nlp, texts)
        elif "judge" in request:
            answer = [judge(nlp, one["text"], one["spans"]) for one in request["judge"]]
        else:
            nlp = (make_edsnlp if tool == "edsnlp" else make_medspacy)(request)
            texts = request["texts"]
            answer = f"beside {tool} {importlib.metadata.version(tool)}"
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
