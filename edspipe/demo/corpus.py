"""A corpus of synthetic notes in English and French, with entities in brat's standoff format.

Nothing in it comes from a patient: words and sentences are invented here, and the names too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edspipe.demo.notes import Grammar, Note, TermPicker, write_note
from edspipe.demo.terms import LABELS, LANGUAGES, Term, Vocabulary, build_vocabulary, surface_key
from edspipe.errors import DataError

UNSEEN_SHARE = 0.225
"""How often a `dev` note draws a held-out term."""


@dataclass(frozen=True)
class Document:
    """A note with its id, e.g. `en_0001`."""

    id: str
    language: str
    note: Note


@dataclass(frozen=True)
class Corpus:
    """The notes to train on and the notes to score on."""

    train: list[Document]
    dev: list[Document]


@dataclass(frozen=True)
class CorpusSummary:
    """What a corpus holds.

    Args:
        num_train: The number of training notes.
        num_dev: The number of held-out notes.
        train_entities: Mentions in training notes, by label.
        dev_entities: Mentions in held-out notes, by label.
        unseen_share: The share of held-out mentions whose surface form training never shows.
    """

    num_train: int
    num_dev: int
    train_entities: dict[str, int]
    dev_entities: dict[str, int]
    unseen_share: float

    def __str__(self) -> str:
        width = max(map(len, LABELS))
        lines = [
            f"{'notes':{width}}  {self.num_train:>6} train  {self.num_dev:>6} dev",
            *(
                f"{label:{width}}  {self.train_entities[label]:>6} train  "
                f"{self.dev_entities[label]:>6} dev"
                for label in LABELS
            ),
            f"{self.unseen_share:.1%} of the dev entities have a form that training never shows",
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which `CorpusSummary(**data)` reads back."""
        return asdict(self)


def generate_corpus(*, seed: int = 7, num_train: int = 400, num_dev: int = 100) -> Corpus:
    """Write the notes of a corpus in memory, half of them in each language.

    Args:
        seed: The same seed gives the same corpus, on any machine.
        num_train: The number of training notes, at least one a language.
        num_dev: The number of held-out notes, at least one a language.

    Raises:
        ValueError: There would be a language without a note.
    """
    if min(num_train, num_dev) < len(LANGUAGES):
        raise ValueError(
            f"Expected at least {len(LANGUAGES)} training and dev notes, one for each language, "
            f"got num_train={num_train} and num_dev={num_dev}."
        )
    grammars = {language: Grammar.read(language) for language in LANGUAGES}
    texts = [text for grammar in grammars.values() for text in grammar.running_texts()]
    vocabulary = build_vocabulary(seed, texts)
    train = _generate_split(grammars, _train_pickers(vocabulary), seed, range(num_train))
    pickers = _dev_pickers(vocabulary, _surface_keys(train))
    dev = _generate_split(grammars, pickers, seed, range(num_train, num_train + num_dev))
    return Corpus(train, dev)


def _generate_split(
    grammars: Mapping[str, Grammar],
    pickers: Mapping[str, TermPicker],
    seed: int,
    indices: range,
) -> list[Document]:
    """Write the notes of some indices; each has its own source of chance, languages alternate."""
    documents = []
    for index in indices:
        language = LANGUAGES[index % len(LANGUAGES)]
        doc_id = f"{language}_{index // len(LANGUAGES) + 1:04}"
        rng = random.Random(f"{seed}-{doc_id}")
        note = write_note(grammars[language], pickers[language], rng)
        documents.append(Document(doc_id, language, note))
    return documents


def _train_pickers(vocabulary: Vocabulary) -> dict[str, TermPicker]:
    pickers = {}
    for language in LANGUAGES:
        known = {label: vocabulary.split(language, label)[0] for label in LABELS}
        pickers[language] = TermPicker(known, dict.fromkeys(LABELS, ()))
    return pickers


def _dev_pickers(vocabulary: Vocabulary, trained: frozenset[str]) -> dict[str, TermPicker]:
    """Draw either a held-out term or one that training did show, so that the share is as said."""
    pickers = {}
    for language in LANGUAGES:
        known: dict[str, Sequence[Term]] = {}
        held_out: dict[str, Sequence[Term]] = {}
        for label in LABELS:
            terms, held_out[label] = vocabulary.split(language, label)
            known[label] = [t for t in terms if surface_key(t.text) in trained] or terms
        pickers[language] = TermPicker(known, held_out, UNSEEN_SHARE)
    return pickers


def _surface_keys(documents: Sequence[Document]) -> frozenset[str]:
    return frozenset(
        surface_key(document.note.text[mention.begin : mention.end])
        for document in documents
        for mention in document.note.mentions
    )


def unseen_share(train: Sequence[Document], dev: Sequence[Document]) -> float:
    """Return the share of dev mentions whose surface form, case and accents aside, is new.

    Args:
        train: The training notes.
        dev: The held-out notes; 0.0 where they hold no mention.
    """
    trained = _surface_keys(train)
    keys = [surface_key(doc.note.text[m.begin : m.end]) for doc in dev for m in doc.note.mentions]
    return sum(key not in trained for key in keys) / max(len(keys), 1)


def summarize(corpus: Corpus) -> CorpusSummary:
    """Count what a corpus holds."""
    return CorpusSummary(
        num_train=len(corpus.train),
        num_dev=len(corpus.dev),
        train_entities=_count_labels(corpus.train),
        dev_entities=_count_labels(corpus.dev),
        unseen_share=unseen_share(corpus.train, corpus.dev),
    )


def _count_labels(documents: Sequence[Document]) -> dict[str, int]:
    counts = dict.fromkeys(LABELS, 0)
    for document in documents:
        for mention in document.note.mentions:
            counts[mention.label] += 1
    return counts


def to_standoff(note: Note) -> str:
    """Return the annotation file of a note: T lines, each followed by its A line if negated."""
    lines = []
    num_attributes = 0
    for number, mention in enumerate(note.mentions, start=1):
        begin, end, label, negated = mention
        lines.append(f"T{number}\t{label} {begin} {end}\t{note.text[begin:end]}\n")
        if negated:
            num_attributes += 1
            lines.append(f"A{num_attributes}\tNegation T{number}\n")
    return "".join(lines)


def write_corpus(
    out: Path, *, seed: int = 7, num_train: int = 400, num_dev: int = 100
) -> CorpusSummary:
    """Write a corpus as `out/train` and `out/dev`, a `.txt` and an `.ann` file a note.

    Args:
        out: The folder, made where absent.
        seed: The same seed gives the same files, byte for byte.
        num_train: The number of training notes, at least one a language.
        num_dev: The number of held-out notes, at least one a language.

    Raises:
        ValueError: There would be a language without a note.
        DataError: One of the two folders holds something already.
    """
    corpus = generate_corpus(seed=seed, num_train=num_train, num_dev=num_dev)
    splits = {"train": corpus.train, "dev": corpus.dev}
    for name in splits:
        _refuse_to_mix(Path(out) / name)
    for name, documents in splits.items():
        _write_split(Path(out) / name, documents)
    return summarize(corpus)


def _refuse_to_mix(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise DataError(
            "The folder for the demo notes is not empty, and other notes would mix with them. "
            "Empty it or choose another one.",
            file=folder,
        )


def _write_split(folder: Path, documents: Sequence[Document]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for document in documents:
        text, standoff = document.note.text, to_standoff(document.note)
        (folder / f"{document.id}.txt").write_bytes(text.encode("utf-8"))
        (folder / f"{document.id}.ann").write_bytes(standoff.encode("utf-8"))
