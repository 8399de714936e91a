"""Pretraining of character language models: texts in, a pipeline with one pipe `char_lm` out.

It is the training of `edspipe.train`: the same loop, checkpoints, schedules, records and report.
Here the texts are found, the alphabet is counted, and the settings that suit such a model are put
together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any, Literal

from loguru import logger
from spacy.tokens import Doc

from edspipe.errors import ConfigError, refuse_unknown
from edspipe.pipeline.loading import blank, load_folder
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipes.trainable.char_lm import DIRECTIONS, CharLm
from edspipe.pipes.trainable.char_vocab import COVERAGE, CharVocab
from edspipe.pretraining.splits import (
    SPLIT_SIZE,
    SplitTexts,
    TextSplit,
    ended,
    pieces,
    plain_texts,
    read_text_folder,
)
from edspipe.pretraining.windows import COLUMNS, WINDOW, CharWindows
from edspipe.stream.stream import Stream
from edspipe.training.callbacks.mean_loss import MeanLoss
from edspipe.training.callbacks.validation import Validation
from edspipe.training.checkpoint import find_checkpoint
from edspipe.training.data import TrainingData
from edspipe.training.finishing import Finished
from edspipe.training.optimizer import OptimizerRecipe, adam, sgd
from edspipe.training.randomness import set_seed
from edspipe.training.run_files import plain
from edspipe.training.schedules import Plateau
from edspipe.training.trainer import train

PIPE = "char_lm"
LEARNING_RATES = {"sgd": 20.0, "adam": 2e-3}
HELD_OUT_SIZE = 5000
"""Characters of a piece of held-out text, which is read from an empty state."""
HELD_OUT_BATCH = "64 docs"
_BUILDERS = {"sgd": sgd, "adam": adam}


@dataclass(frozen=True)
class Pretraining:
    """What a pretraining is asked for, besides the texts; defaults suit notes and a GPU.

    Attributes:
        vocab: The alphabet, or the file of one; None counts that of the training texts.
        coverage: The share of all characters that a counted alphabet must reach.
        normalise: The Unicode form of a counted alphabet, see `CharVocab`.
        hidden_size: As of `eds.char_lm`, like the next five.
        num_layers: Layers of the LSTM.
        embedding_size: Size of a character's vector.
        projection_size: Size that the outputs are brought to; None leaves them.
        dropout: Share of zeros.
        directions: `"forward"`, `"backward"`, or both.
        window: Characters that gradients flow through.
        columns: Pieces of a split that are read side by side, at most.
        split_size: Characters of the pieces that are shuffled anew each epoch; of the files of a
            folder: bytes.
        optimizer: `"sgd"` or `"adam"`.
        lr: Where the learning rate begins; None is 20 for SGD and 0.002 for Adam.
        anneal_factor: What a plateau multiplies it by.
        patience: Evaluations in a row that may be no better before that.
        min_lr: A cut below this ends the training.
        anneal_on: `"validation"`, or `"training"`, the mean loss since the last evaluation.
        evaluate_every: The interval of evaluations; None is about one split.
        max_epochs: Epochs; 10 where no steps are given.
        max_steps: Steps, instead of epochs.
        grad_max_norm: Gradients are clipped to this norm.
        init_from: A saved model to go on from: its alphabet, directions and sizes are kept.
        seed: Seed of everything that draws at random.
    """

    vocab: Any = None
    coverage: float = COVERAGE
    normalise: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None
    hidden_size: int = 512
    num_layers: int = 1
    embedding_size: int = 100
    projection_size: int | None = None
    dropout: float = 0.1
    directions: Sequence[str] = DIRECTIONS
    window: int = WINDOW
    columns: int = COLUMNS
    split_size: int = SPLIT_SIZE
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: float | None = None
    anneal_factor: float = 0.25
    patience: int = 25
    min_lr: float = 1e-6
    anneal_on: Literal["validation", "training"] = "validation"
    evaluate_every: int | str | None = None
    max_epochs: int | None = None
    max_steps: int | None = None
    grad_max_norm: float = 0.25
    init_from: str | Path | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        if self.optimizer not in _BUILDERS:
            raise ConfigError(f"optimizer is 'sgd' or 'adam', got {self.optimizer!r}")
        if self.anneal_on not in ("validation", "training"):
            raise ConfigError(f"anneal_on is 'validation' or 'training', got {self.anneal_on!r}")

    def make_optimizer(self, has_validation: bool) -> OptimizerRecipe:
        """Return the optimizer, with a learning rate that is cut on a plateau."""
        on_validation = self.anneal_on == "validation" and has_validation
        lr = Plateau(
            start_value=LEARNING_RATES[self.optimizer] if self.lr is None else self.lr,
            factor=self.anneal_factor,
            patience=self.patience,
            min_value=self.min_lr,
            monitor="val/loss" if on_validation else "train/mean_loss",
            mode="min",
            tie_breaker=None,
        )
        return _BUILDERS[self.optimizer](lr=lr)


@dataclass(frozen=True)
class Texts:
    """The texts of a pretraining.

    Attributes:
        train: A stream of splits, each a `TextSplit`, which can be read again and again.
        val: Texts that the model is chosen by; empty if there are none.
        test: Texts that it is scored on at the end; empty if there are none.
    """

    train: Stream
    val: list[str] = field(default_factory=list, repr=False)
    test: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, data: Any, val: Any, test: Any, split_size: int) -> Texts:
        """Find the texts of a folder, or take a stream of texts or Docs.

        Raises:
            ConfigError: Held-out texts are given beside a folder that has its own.
            DataError: A part of the folder is missing.
            TypeError: The texts can be read only once.
        """
        if isinstance(data, Iterator):
            raise TypeError(
                f"data: texts are read several times, and a {type(data).__name__} only once: give "
                "a list, a stream, or a function that returns a fresh iterator"
            )
        if not isinstance(data, (str, Path)):
            held_out = [[] if texts is None else list(plain_texts(texts)) for texts in (val, test)]
            return cls(Stream.from_items(SplitTexts(data, split_size)), *held_out)
        if val is not None or test is not None:
            raise ConfigError("val and test: a folder has its own, valid.txt and test.txt")
        folder = read_text_folder(data, split_size)
        return cls(Stream.from_items(folder.train), [folder.val], [folder.test])

    def splits(self) -> Iterator[TextSplit]:
        """Yield the splits, in their own order."""
        yield from self.train


def pretrain_char_lm(
    data: Any,
    output_dir: str | Path,
    *,
    val: Any = None,
    test: Any = None,
    resume: str | Path | None = None,
    **options: Any,
) -> Finished:
    """Train a character language model.

    ```python
    from edspipe.pretraining.char_lm import pretrain_char_lm

    finished = pretrain_char_lm("texts/", "artifacts/char_lm", hidden_size=256, max_steps=2000)
    lm = finished.load().pipes.char_lm
    ```

    The step, and so the loss that is recorded, is the mean of the directions, in nats a character;
    `bits_per_char` and `perplexity` stand beside it. A step is one window of text, whose state goes
    on in the next: several processes of `torchrun` come to the same model, and no sooner.

    Args:
        data: A folder with `train/*`, `valid.txt` and `test.txt`, or a list or a stream of texts or
            Docs (or a function that returns one) that can be read several times.
        output_dir: The folder of the run: `model-best` and `model-last` in it are pipelines.
        val: Texts or Docs that the model is chosen by, where `data` is no folder.
        test: Texts or Docs that are scored once, at the end, likewise.
        resume: A run or a checkpoint to go on from.
        **options: The fields of `Pretraining`, and other settings of `edspipe.train`.

    Raises:
        ConfigError: An option is wrong, or does not fit the model to go on from.
        DataError: A text is missing, or cannot be read.
    """
    own = {one.name for one in fields(Pretraining)}
    given = {key: value for key, value in options.items() if key in own}
    asked = Pretraining(**given)
    texts = Texts.of(data, val, test, asked.split_size)
    set_seed(asked.seed)
    nlp = _make_pipeline(asked, texts, given, resume)
    lm = nlp.pipes[PIPE]
    windows = CharWindows(lm.vocab, lm.directions, asked.window, asked.columns, PIPE)
    every = asked.evaluate_every or f"{_steps_of_a_split(texts, windows)} steps"
    callbacks = [*options.pop("callbacks", ()), MeanLoss(every)]
    if texts.val:
        callbacks.append(Validation(every, HELD_OUT_BATCH))
    return train(
        nlp,
        training_data(texts, windows, asked.seed),
        held_out_docs(nlp, "val", texts.val) or None,
        test_data=held_out_docs(nlp, "test", texts.test) or None,
        output_dir=output_dir,
        optimizer=asked.make_optimizer(bool(texts.val)),
        evaluate_every=every,
        grad_max_norm=asked.grad_max_norm,
        seed=asked.seed,
        max_steps=asked.max_steps,
        max_epochs=asked.max_epochs or (None if asked.max_steps else 10),
        callbacks=callbacks,
        resume=resume,
        config={**nlp.config, "pretrain": _described(data, given)},
        **{key: value for key, value in options.items() if key not in own},
    )


def training_data(texts: Texts, windows: CharWindows, seed: int) -> TrainingData:
    """Return what the trainer goes through: the windows of splits whose order is drawn anew each
    epoch, one a step."""
    stream = texts.train.shuffle("dataset", seed=seed).map(windows)
    return TrainingData(stream, batch_size="1 docs", shuffle=None, in_memory=False)


def held_out_docs(nlp: Pipeline, role: str, texts: Iterable[str]) -> list[Doc]:
    """Return held-out texts as Docs of a bounded length.

    Args:
        nlp: The pipeline that makes Docs.
        role: `"val"` or `"test"`, for their ids.
        texts: The texts.
    """
    docs = []
    for number, text in enumerate(texts):
        for place, piece in enumerate(pieces(ended(text), HELD_OUT_SIZE)):
            doc = nlp.make_doc(piece)
            doc._.note_id = f"{role}-{number}#{place}"
            docs.append(doc)
    return docs


def _make_pipeline(
    asked: Pretraining, texts: Texts, given: Mapping[str, Any], resume: str | Path | None
) -> Pipeline:
    if resume is not None:
        return _load(find_checkpoint(Path(resume)), {}, "resume")
    if asked.init_from is not None:
        return _load(Path(asked.init_from), given, "init_from")
    nlp = blank("eds")
    nlp.add_pipe(
        "eds.char_lm",
        name=PIPE,
        config={
            "vocab": _find_vocab(asked, texts),
            **{key: getattr(asked, key) for key in _OF_THE_MODEL},
        },
    )
    return nlp


_OF_THE_MODEL = (
    *("hidden_size", "num_layers", "embedding_size", "projection_size", "dropout", "directions"),
)


def _load(folder: Path, given: Mapping[str, Any], option: str) -> Pipeline:
    """Load a model to go on with; what it has already cannot be asked for once more."""
    nlp = load_folder(folder)
    if PIPE not in nlp.pipes or not isinstance(nlp.pipes[PIPE], CharLm):
        raise ConfigError(f"{option}: {folder} has no pipe '{PIPE}' of eds.char_lm")
    refused = [key for key in (*_OF_THE_MODEL, "vocab", "normalise", "coverage") if key in given]
    if refused:
        raise ConfigError(
            f"{', '.join(refused)}: the model of {folder} keeps its alphabet, directions and "
            f"sizes; leave these out, or train a new one without {option}"
        )
    return nlp


def _find_vocab(asked: Pretraining, texts: Texts) -> CharVocab:
    if isinstance(asked.vocab, CharVocab):
        return asked.vocab
    if asked.vocab is not None:
        return CharVocab.load(asked.vocab)
    found = CharVocab.from_stream(
        (split.read() for split in texts.splits()), asked.coverage, normalise=asked.normalise
    )
    logger.info("the alphabet of the training texts has {} letters", len(found) - 1)
    return found


def _steps_of_a_split(texts: Texts, windows: CharWindows) -> int:
    """Return the steps that a split of the middle size takes."""
    counts = [windows.num_windows(len(split.read())) for split in texts.splits()]
    return max(1, int(median(counts or [1])))


def _described(data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as plain data, for the folder of the run."""
    source = {"data": str(Path(data).resolve())} if isinstance(data, (str, Path)) else {}
    return {**source, **plain(dict(given))}


def read_options(block: Mapping[str, Any], path: str = "pretrain") -> dict[str, Any]:
    """Check the names in the block of a config that describes a pretraining.

    Raises:
        ConfigError: A name does not exist.
    """
    known = ["data", "output_dir", "resume", *(one.name for one in fields(Pretraining))]
    refuse_unknown(block, [*known, *_OF_TRAIN], path, "Its keys are")
    return dict(block)


_OF_TRAIN = (
    *("precision", "device", "checkpoint_every", "keep_checkpoints", "log_every", "progress"),
    *("num_preprocessing_workers", "report", "overwrite", "loggers"),
)
"""Settings of `edspipe.train` that a config of a pretraining may have too."""
