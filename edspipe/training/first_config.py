"""A first config for a folder of annotations: what is there, and values that suit it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from spacy.tokens import Span

from edspipe import atomic
from edspipe.data.standoff.streams import read_standoff
from edspipe.doc.overlaps import keep_longest
from edspipe.errors import DataError, did_you_mean

TRAIN, DEV, TEST = ("train", "training"), ("dev", "val", "valid", "validation"), ("test",)
ENCODERS = {
    "fr": ("almanach/camembert-bio-base", "biomedical French, 110 million parameters"),
    "en": ("emilyalsentzer/Bio_ClinicalBERT", "clinical English, 110 million parameters"),
    "es": ("PlanTL-GOB-ES/roberta-base-biomedical-clinical-es", "biomedical and clinical Spanish"),
    "multi": ("FacebookAI/xlm-roberta-base", "a hundred languages, 280 million parameters"),
}
"""Encoders of the model hub by language: a place to begin, not a ranking."""

PIECES_A_WORD = 1.5
"""Clinical words fall into more pieces than those of the news; only to choose a batch size."""
BATCH_PIECES = (1024, 2048, 4096)
MIN_BATCHES = 20
"""Batches an epoch should have, so that a small corpus still gives many steps."""
EPOCHS = 20
MIN_STEPS, MAX_STEPS = 200, 5000
NUM_EVALUATIONS = 10
WINDOW = 40
LONG_NOTE = 1000
MAX_WORDS = 300
DEV_SHARE = 0.1


@dataclass
class FolderProfile:
    """What a folder of annotations holds.

    Attributes:
        lengths: Words of each document.
        labels: Spans of each label.
        overlaps: Of each label, spans that overlap a longer one of the same label.
        longest_span: Words of the longest span.
        num_empty: Documents without any span.
    """

    lengths: list[int] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    overlaps: Counter[str] = field(default_factory=Counter)
    longest_span: int = 0
    num_empty: int = 0

    def describe(self) -> list[str]:
        """Return lines to read."""
        lines = [
            f"{len(self.lengths):,} documents, {sum(self.lengths):,} words; a document has "
            f"{median(self.lengths):g} words (median), {max(self.lengths):,} at most",
            f"{self.labels.total():,} spans of {len(self.labels)} labels, "
            f"{self.longest_span} words at most; {self.num_empty:,} documents have none",
        ]
        width = max(map(len, self.labels))
        lines += [f"  {name:<{width}} {count:>7,}" for name, count in self.labels.most_common()]
        for name, count in sorted(self.overlaps.items()):
            lines.append(f"{count:,} spans of {name} overlap a longer one of {name}: not learned")
        return lines


@dataclass(frozen=True)
class Folders:
    """Where the documents of each part are; None where there are none yet."""

    train: Path
    dev: Path | None = None
    test: Path | None = None

    @property
    def name(self) -> str:
        """What to call the corpus."""
        folder = self.train.absolute()
        return folder.parent.name if folder.name in TRAIN else folder.name

    @property
    def dev_to_make(self) -> Path:
        """Where documents to validate on would go: beside, as sub-folders are read too."""
        if self.train.name in TRAIN:
            return self.train.with_name(DEV[0])
        return self.train.with_name(f"{self.train.name}-{DEV[0]}")


def find_folders(data: Path, dev: Path | None = None) -> Folders:
    """Look for the sub-folders train, dev and test, by their usual names.

    Args:
        data: The folder of the corpus, or its sub-folder to train on.
        dev: The folder to validate on, if it is elsewhere.

    Raises:
        FileNotFoundError: A folder does not exist.
        DataError: There are parts to validate or test on, but none to train on.
    """
    for folder in (data, dev):
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"{folder}: expected a folder of .txt and .ann, found none")
    above = data.parent if data.name in TRAIN else data
    train, found_dev, test = (
        next((above / name for name in names if (above / name).is_dir()), None)
        for names in ((data.name,) if above != data else TRAIN, DEV, TEST)
    )
    other = found_dev or test
    if train is None and other is not None:
        raise DataError(
            f"expected the sub-folder {TRAIN[0]} beside {other.name}, found none; as sub-folders "
            "are read too, training on all would use what it is scored on",
            file=data,
        )
    return Folders(train or data, dev or found_dev, test)


def profile_folder(folder: Path) -> FolderProfile:
    """Read a brat folder and count.

    Raises:
        DataError: It has no document, no annotation, or a bad line.
    """
    profile = FolderProfile()
    for doc in read_standoff(folder, span_setter="all"):
        spans = list(doc.spans["all"])
        profile.lengths.append(len(doc))
        profile.num_empty += not spans
        by_label: dict[str, list[Span]] = {}
        for span in spans:
            by_label.setdefault(span.label_, []).append(span)
            profile.longest_span = max(profile.longest_span, len(span))
        for label, same in by_label.items():
            profile.labels[label] += len(same)
            if lost := len(same) - len(keep_longest(same)):
                profile.overlaps[label] += lost
    if not profile.labels:
        raise DataError(
            f"expected annotated spans, found none in {len(profile.lengths)} documents; a config "
            "to train on needs .ann files with lines T1, T2, ...",
            file=folder,
        )
    return profile


@dataclass(frozen=True)
class Sizes:
    """Values that depend on the size of a corpus."""

    batch_pieces: int
    num_batches: int
    max_steps: int
    evaluate_every: int
    window: int
    max_words: int


def choose_sizes(profile: FolderProfile) -> Sizes:
    """Choose batches, steps and windows for a corpus."""
    pieces = sum(profile.lengths) * PIECES_A_WORD
    fitting = [size for size in BATCH_PIECES if pieces / size >= MIN_BATCHES]
    batch = max(fitting, default=BATCH_PIECES[0])
    num_batches = math.ceil(pieces / batch)
    steps = min(max(EPOCHS * num_batches, MIN_STEPS), MAX_STEPS)
    steps = math.ceil(steps / 50) * 50
    return Sizes(
        batch_pieces=batch,
        num_batches=num_batches,
        max_steps=steps,
        evaluate_every=steps // NUM_EVALUATIONS,
        window=max(WINDOW, 2 * profile.longest_span),
        max_words=MAX_WORDS if max(profile.lengths) > LONG_NOTE else 0,
    )


def first_config(
    folders: Folders, profile: FolderProfile, *, lang: str, model: str | None = None
) -> str:
    """Return a config for `train.py`, in YAML, that says why each value was chosen.

    Args:
        folders: Where the documents are.
        profile: What those to train on hold.
        lang: Language of the notes: `fr`, `en`, `es`, or `multi` for others or several.
        model: The encoder; None takes one of the model hub for this language.

    Raises:
        ValueError: The language is not one of these.
    """
    if lang not in ENCODERS:
        raise ValueError(
            f"no encoder is known for the language {lang!r}.{did_you_mean(lang, ENCODERS)} "
            f"Expected {', '.join(ENCODERS)}; take multi, and say which encoder with --model"
        )
    hub_name, what = ENCODERS[lang]
    sizes = choose_sizes(profile)
    found = [f"# {line}".rstrip() for line in profile.describe()]
    return _TEMPLATE.format(
        found="\n".join(found),
        parts="\n".join(f"# {line}" for line in describe_parts(folders, len(profile.lengths))),
        train=_quoted(folders.train),
        val=_quoted(folders.dev or folders.dev_to_make),
        output=_quoted(Path("artifacts", folders.name)),
        model=_quoted(model or hub_name),
        encoder=f"for {lang}, {hub_name} of the model hub is a place to begin:",
        what=what,
        longest=profile.longest_span,
        max_length=max(profile.lengths),
        epochs=max(1, round(sizes.max_steps / sizes.num_batches)),
        **vars(sizes),
    )


def describe_parts(folders: Folders, num_docs: int) -> list[str]:
    """Say which parts there are, and how to make one to validate on."""
    lines = [f"train: {folders.train}"]
    if folders.dev is not None:
        lines.append(f"dev:   {folders.dev}")
    else:
        number = max(1, round(DEV_SHARE * num_docs))
        lines += [
            f"dev:   none was found. Move about {number:,} of the {num_docs:,} documents (.txt and "
            ".ann together)",
            f"       to {folders.dev_to_make}; all notes of a patient should be on one side.",
        ]
    if folders.test is not None:
        lines.append(f"test:  {folders.test}, which training does not touch: edspipe evaluate")
    return lines


def write_first_config(
    data: Path, output: Path, *, lang: str, dev: Path | None = None, model: str | None = None
) -> list[str]:
    """Look at a folder and write a first config.

    Args:
        data: A brat folder, or one with the sub-folders train and dev.
        output: The file to write.
        lang: As of `first_config`.
        dev: The folder to validate on, if it is elsewhere.
        model: The encoder: a folder, or a name of the model hub.

    Returns:
        What was found, line by line.

    Raises:
        FileExistsError: The file exists.
        DataError: The folder is not one to train on.
        ValueError: The language is not known.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists and is not replaced: name another file")
    folders = find_folders(data, dev)
    profile = profile_folder(folders.train)
    atomic.write_text(output, first_config(folders, profile, lang=lang, model=model))
    return [*profile.describe(), *describe_parts(folders, len(profile.lengths))]


def _quoted(value: str | Path) -> str:
    return json.dumps(str(value), ensure_ascii=False)


_TEMPLATE = """\
# An entity recogniser. Made by edspipe init from what is in the data; change what you know better.
# Train it:    python train.py --config THIS_FILE
# Try a value: python train.py --config THIS_FILE --train.lr=5e-5
#
{parts}
#
# What the documents to train on hold:
{found}
nlp:
  "@core": "pipeline"
  lang: "eds"  # a tokenizer for clinical text in English, French and Spanish
  components:
    ner:
      "@factory": "eds.ner_crf"  # labels are those of the data; spans of two labels may overlap
      mode: "joint"
      target_span_getter: "gold-ner"
      window: {window}  # words decoded at once: more than twice the longest span ({longest} words)
      embedding:
        "@factory": "eds.text_cnn"
        kernel_sizes: [3]
        embedding:
          "@factory": "eds.transformer"
          # {encoder}
          # {what}; a folder does too, and needs no network
          model: {model}
          window: 128  # word pieces the encoder reads at once; longer notes are read in windows
          stride: 96

train:
  nlp: ${{ nlp }}
  train_data_path: {train}
  val_data_path: {val}
  output_dir: {output}
  # word pieces a step; the data are about {num_batches} such batches. Halve it if memory runs out
  batch_size: {batch_pieces}
  # about {epochs} times through the data
  max_steps: {max_steps}
  evaluate_every: {evaluate_every}
  # words learned from at once at most, 0 is a paragraph; documents have up to {max_length}
  max_words: {max_words}
  # one rate for all parts: low enough not to spoil an encoder that knows the language; for a random
  # encoder 1e-3
  lr: 1e-4
  seed: 42
"""
