"""eds.char_embeddings: vectors of words from the states of a character language model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.alignment import TokenOffsets
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.loading import load_folder
from edspipe.pipeline.torch_component import STATE, Batch, Features
from edspipe.pipes.trainable.char_lm import CharLm
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pipes.trainable.embeddings.cache import DEFAULT_BYTES, CacheKind
from edspipe.pipes.trainable.embeddings.char_windows import plan_reading
from edspipe.pipes.trainable.embeddings.freezable import FreezableEmbedding

START, END = "\n", " "
"""What is read before a text, and after it."""
PIPE = "char_lm"
LM = "lm"
MAX_ROWS = 32
"""Texts that are read at once. More hardly bring speed on a CPU, and their states need memory."""
CHUNK = 128
"""Characters that are read at once: the states of 32 texts, each of 2048 numbers, take 34 MB."""


@dataclass(frozen=True)
class SavedCharLm:
    """A language model inside a saved pipe; the weights come with the pipe's.

    Attributes:
        folder: The folder of the pipe.
    """

    folder: Path


@registry.factory.register("eds.char_embeddings")
class CharEmbeddings(FreezableEmbedding):
    r"""Gives every word the states of a character language model around it.

    These are contextual string embeddings (Akbik et al. 2018). The text is read as a newline, the
    text, a blank: forwards, where a word gets the state after the character that follows it, and
    backwards, where it gets the state after the character before it. So a vector tells of the
    letters of the word and of all that was read until then. On `"a bc"` (4 characters) the words
    get the states 2 and 5 of the string that is read forwards, and 5 and 3 of the one that is read
    backwards, counted from 0.

    Texts longer than `window` are read in windows, each of which begins as a text does, and has
    read `overlap` characters when its first word comes; up to `window` characters, vectors are
    exact. The language model is a part of this pipe: a saved pipe needs it no more.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    lm = eds.char_lm(hidden_size=16)  # in earnest: lm="path/to/a/trained/char-lm"
    nlp.add_pipe(eds.char_embeddings(lm=lm), name="chars")
    nlp.pipes.chars.embed(nlp.make_doc("Pas de fièvre.")).shape  # (4, 32)
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        lm: The folder of a saved pipeline with the pipe `char_lm`, as `edspipe pretrain-char-lm`
            writes it; or such a pipe, of which a copy is taken.
        window: Characters that are read without a break.
        overlap: Characters that a window reads before its words count.
        chunk: Characters that are computed at once, to bound memory; vectors are the same for any.
        frozen: Never train the language model, and keep it in evaluation mode. Where it is
            trained, gradients go back to the beginning of a window, and memory grows with it.
        cache: Where the vectors of a frozen model are kept from one epoch to the next: `"none"`,
            `"cpu"`, `"gpu"` (where the model is) or `"disk"` (also for other runs). A saved model
            is loaded without a cache.
        cache_bytes: Room for them; what does not fit is computed each time.
        cache_dir: The folder, for `cache="disk"`.

    Raises:
        ConfigError: The folder holds no character language model, a number is out of its range, or
            vectors are to be kept and the model is not frozen.
        CheckpointError: The folder is no saved pipeline, or is damaged.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        lm: str | Path | SavedCharLm | CharLm,
        window: int = 10_000,
        overlap: int = 500,
        chunk: int = CHUNK,
        frozen: bool = True,
        cache: CacheKind = "none",
        cache_bytes: int = DEFAULT_BYTES,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(nlp, name)
        if not 0 <= overlap < window:
            raise ConfigError(
                f"overlap: expected 0 or more, and less than window, got {overlap} and {window}"
            )
        if chunk < 1:
            raise ConfigError(f"chunk: expected 1 or more, got {chunk}")
        self.window, self.overlap, self.chunk = window, overlap, chunk
        self.lm = _language_model(lm)
        self.output_size = sum(rnn.output_size for rnn in self._rnns().values())
        self.set_frozen(frozen, cache, cache_bytes, cache_dir)

    @staticmethod
    def saved_parameters(folder: Path) -> dict[str, Any]:
        """Return the arguments that rebuild this component from its folder in a saved model."""
        return {LM: SavedCharLm(folder), "cache": "none", "cache_dir": None}

    def _rnns(self) -> dict[str, Any]:
        return dict(self.lm.rnns.items())

    def reading_settings(self) -> tuple[Any, ...]:
        """Return what vectors depend on besides text and weights."""
        return self.window, self.overlap, self.lm.vocab.to_dict(), list(self._rnns())

    # ---- one document ----------------------------------------------------------------------

    def read(self, doc: Doc, spans: Sequence[Span], prompts: Sequence[str]) -> Features:
        """Turn contexts into `chars`, the numbers of the characters that are read, int64, and
        `starts` and `ends`, the characters of each word in the text, *Shape* `(words,)` each.

        A prompt is read before the text, and ends with a newline.
        """
        offsets = TokenOffsets(doc)
        features: Features = {"chars": [], "starts": [], "ends": []}
        for at, span in enumerate(spans):
            prompt = f"{prompts[at]}{START}" if prompts else ""
            text = prompt + span.text_with_ws
            shift = len(prompt) - span.start_char if len(span) else 0
            features["chars"].append(self.lm.vocab.encode(START + text + END))
            features["starts"].append(offsets.starts[span.start : span.end] + shift)
            features["ends"].append(offsets.ends[span.start : span.end] + shift)
        features["stats"] = {
            "chars": sum(map(len, features["chars"])),
            "words": sum(map(len, features["starts"])),
        }
        return features

    # ---- a batch ---------------------------------------------------------------------------

    def collate_features(self, batch: Sequence[Features]) -> Batch:
        """Lay texts out in chunks, those of similar length together.

        Returns:
            For each direction, `groups`: chunks, each with `ids`, *Shape* `(rows, width)`, and the
            cells of wanted states, `picks`, *Shape* `(picks,)`; and `order`, which pick is that of
            each word, *Shape* `(words,)`. And `lengths`, the words of each context,
            *Shape* `(contexts,)`, with `sizes`, the same as a tuple of ints.
        """
        texts = [ids for sample in batch for ids in sample["chars"]]
        starts = [one for sample in batch for one in sample["starts"]]
        ends = [one for sample in batch for one in sample["ends"]]
        sizes = tuple(map(len, starts))
        collated: Batch = {"lengths": torch.tensor(sizes, dtype=torch.int64), "sizes": sizes}
        for direction in self._rnns():
            if direction == "forward":
                collated[direction] = self._lay_out(texts, [end + 1 for end in ends])
            else:
                reversed_texts = [ids[::-1] for ids in texts]
                # Of L characters, and the two that are read around them.
                wanted = [len(ids) - 1 - s for ids, s in zip(texts, starts, strict=True)]
                collated[direction] = self._lay_out(reversed_texts, wanted)
        return collated

    def _lay_out(self, texts: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> Batch:
        plan = plan_reading(
            texts,
            places,
            window=self.window,
            overlap=self.overlap,
            chunk=self.chunk,
            max_rows=MAX_ROWS,
        )
        groups = [
            [{"ids": torch.from_numpy(c.ids), "picks": torch.from_numpy(c.picks)} for c in chunks]
            for chunks in plan.groups
        ]
        return {"groups": groups, "order": torch.from_numpy(plan.order)}

    def encode(self, batch: Batch) -> torch.Tensor:
        """Compute the vectors of the words, in fp32. *Shape* `(words, output_size)`"""
        with torch.autocast(self.device.type, enabled=False):  # rounding adds up over a text
            parts = [self._read_all(rnn, batch[name]) for name, rnn in self._rnns().items()]
        return torch.cat(parts, dim=1)

    def _read_all(self, rnn: Any, batch: Batch) -> torch.Tensor:
        """Read in one direction. *Shape* `(words, output_size of the direction)`"""
        found = [torch.zeros(0, rnn.output_size, device=self.device)]
        for chunks in batch["groups"]:
            state = None
            for chunk in chunks:
                ids = chunk["ids"]
                if state is not None and state[0].shape[1] > len(ids):
                    state = tuple(part[:, : len(ids)].contiguous() for part in state)
                outputs, state = rnn.states(ids, state)
                found.append(outputs.flatten(0, 1).index_select(0, chunk["picks"]))
        return torch.cat(found).index_select(0, batch["order"])

    # ---- saved and loaded ------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        return {LM: _arguments_of(self.lm)}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        if state != self.get_state():
            raise CheckpointError(f"{file}: it was saved with a language model of other sizes")


def _language_model(lm: CharLm | str | Path | SavedCharLm) -> CharLm:
    if isinstance(lm, CharLm):
        return deepcopy(lm)  # it is frozen, or trained, and saved with this pipe
    if isinstance(lm, SavedCharLm):
        return _rebuild(lm.folder)
    pipes = load_folder(Path(lm)).pipes
    found = next((pipe for name, pipe in pipes if name == PIPE), None)
    if not isinstance(found, CharLm):
        raise ConfigError(
            f"lm: expected a saved pipeline with the pipe '{PIPE}', as edspipe pretrain-char-lm "
            f"writes it, and {lm} has none"
        )
    return found


def _rebuild(folder: Path) -> CharLm:
    file = folder / STATE
    arguments = read_json(file).get(LM)
    alphabet = read_json(folder / LM / STATE).get("vocab") or {}
    vocab = CharVocab.of_dict(alphabet, folder / LM / STATE)
    try:
        return CharLm(name=LM, vocab=vocab, **arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{file}: expected the arguments of a language model under '{LM}' ({error})"
        ) from None


def _arguments_of(lm: CharLm) -> dict[str, Any]:
    """Return what rebuilds a language model but for its alphabet and weights, as plain data."""
    rnn: Any = next(iter(lm.rnns.values()))
    return {
        "hidden_size": rnn.lstm.hidden_size,
        "num_layers": rnn.lstm.num_layers,
        "embedding_size": rnn.embedding.embedding_dim,
        "projection_size": None if rnn.projection is None else rnn.projection.out_features,
        "dropout": rnn.dropout,
        "directions": list(lm.rnns),
    }
