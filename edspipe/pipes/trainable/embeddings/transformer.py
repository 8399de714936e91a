"""eds.transformer: vectors of words from a pretrained encoder, read in overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from loguru import logger
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.alignment import TokenOffsets
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import Batch, Features
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.embeddings.encoder import (
    SavedEncoder,
    load_encoder,
    load_tokenizer,
    max_pieces,
    special_pieces,
)
from edspipe.pipes.trainable.embeddings.windows import align_pieces, make_windows
from edspipe.pipes.trainable.layers.pooling import LayerPooling, mean_of_pieces

ENCODER = "encoder"


@registry.factory.register("eds.transformer")
class Transformer(WordEmbedding):
    """Gives every word the mean of its pieces' vectors in a transformer encoder.

    The raw text is tokenized with character offsets. A word owns each piece whose characters
    overlap it; a word that owns none gets one learned vector. Long texts are read in windows of
    `window` pieces that start every `stride` pieces; each piece is kept from the window where it
    is most central.

    ```python
    eds.transformer(model="path/to/encoder", window=128, stride=96)
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        model: A folder with an encoder and its tokenizer, or a name on the model hub.
        window: Pieces a window, without specials.
        stride: Pieces from one window to the next; at most `window`, or it is taken as that.
        training_stride: Use the stride in training too; False reads without overlap there.
        layers: Which layers are pooled; -1 is the last, 0 the input embeddings.
        layer_pooling: `"mean"`, `"concat"` or `"scalar_mix"` (learned weights).
        tokenizer: Folder or name of a tokenizer of its own.
        tokenizer_kwargs: Arguments of the tokenizer.
        new_tokens: Pieces that are added to the vocabulary, with new vectors.

    Raises:
        ConfigError: There is no such model, the window does not fit the encoder's positions, or
            window or stride is below 1.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        model: str | Path | SavedEncoder,
        window: int = 128,
        stride: int = 96,
        training_stride: bool = True,
        layers: Sequence[int] = (-1,),
        layer_pooling: Literal["mean", "concat", "scalar_mix"] = "mean",
        tokenizer: str | Path | SavedEncoder | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        new_tokens: Sequence[str] = (),
    ) -> None:
        super().__init__(nlp, name)
        self.window, self.stride = window, stride
        self.training_stride = training_stride
        self.encoder = load_encoder(model)
        self.tokenizer = load_tokenizer(tokenizer or model, **(tokenizer_kwargs or {}))
        if new_tokens and not isinstance(model, SavedEncoder):
            self.tokenizer.add_tokens(list(new_tokens))
        if len(self.tokenizer) > self.encoder.config.vocab_size:
            self.encoder.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        self.prefix, self.suffix, self.between = special_pieces(self.tokenizer)
        self._check_window()
        self.pooling = LayerPooling(layers, layer_pooling, self.encoder.config.num_hidden_layers)
        self.output_size = self.pooling.output_size(self.encoder.config.hidden_size)
        self.empty_word = torch.nn.Parameter(torch.zeros(self.output_size))
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()

    @staticmethod
    def saved_parameters(folder: Path) -> dict[str, Any]:
        """Return the arguments that rebuild this component from its folder in a saved model."""
        saved = SavedEncoder(folder / ENCODER)
        return {"model": saved, "tokenizer": saved, "tokenizer_kwargs": None}

    def _check_window(self) -> None:
        if min(self.stride, self.window) < 1:
            raise ConfigError(
                f"{self.name}: window and stride are 1 or more, got {self.window} and {self.stride}"
            )
        if self.stride > self.window:
            logger.warning(
                "{}: stride={} would leave pieces between windows of {} unread: windows follow "
                "each other without overlap",
                self.name,
                self.stride,
                self.window,
            )
            self.stride = self.window
        limit = max_pieces(self.encoder.config)
        specials = len(self.prefix) + len(self.suffix)
        if limit is not None and self.window + specials > limit:
            raise ConfigError(
                f"{self.name}: window={self.window} and {specials} special pieces do not fit the "
                f"{limit} positions of the encoder; window can be {limit - specials} at most"
            )

    # ---- one document ----------------------------------------------------------------------

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Tokenize a Doc into pieces, and align them with its words.

        Raises:
            ValueError: There are prompts, but not one a context.
        """
        spans = [doc[:]] if contexts is None else contexts
        if prompts and len(prompts) != len(spans):
            raise ValueError(f"expected a prompt a context, got {len(prompts)} for {len(spans)}")
        offsets = TokenOffsets(doc)
        parts = [self._pieces_of(span, offsets) for span in spans]
        num_pieces = [len(ids) for ids, _, _ in parts]
        return {
            "pieces": [ids for ids, _, _ in parts],
            "owned": [owned for _, owned, _ in parts],
            "num_owned": [counts for _, _, counts in parts],
            "prompts": [self._encode(prompt)[0] for prompt in prompts],
            "stats": {"tokens": sum(num_pieces), "words": sum(len(span) for span in spans)},
        }

    def _encode(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        encoding = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int64)
        return ids, np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)

    def _pieces_of(
        self, span: Span, offsets: TokenOffsets
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, chars = self._encode(span.text_with_ws)
        start = span.start_char
        owned, counts = align_pieces(
            chars[:, 0],
            chars[:, 1],
            offsets.starts[span.start : span.end] - start,
            offsets.ends[span.start : span.end] - start,
        )
        return ids, owned, counts

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Lay the pieces of all contexts out in windows.

        Returns:
            `input_ids` and `attention_mask`, *Shape* `(windows, width)`; `owned`, the cells of the
            words' pieces, *Shape* `(pairs,)`, grouped by word, with `bags`, where each word's
            group begins, *Shape* `(words,)`; and `lengths`, the words of each context,
            *Shape* `(contexts,)`.
        """
        pieces = [ids for sample in batch for ids in sample["pieces"]]
        counts = [number for sample in batch for number in sample["num_owned"]]
        stride = self.window if self.training and not self.training_stride else self.stride
        num_pieces = np.array([len(ids) for ids in pieces], dtype=np.int64)
        heads = self._heads(batch, len(pieces))
        windows = make_windows(num_pieces, self.window, stride)
        input_ids, mask, columns = self._table(_join(pieces), windows, heads)
        first = np.cumsum(num_pieces) - num_pieces
        owned = _join([ids + at for ids, at in zip(_all(batch, "owned"), first, strict=True)])
        width = windows.pieces.shape[1]
        cells = windows.cells[owned]
        rows = cells // width if width else cells
        num_owned = _join(counts)
        return {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(mask),
            "owned": torch.from_numpy(
                rows * input_ids.shape[1] + columns[rows] + (cells % width if width else cells)
            ),
            "bags": torch.from_numpy(np.cumsum(num_owned) - num_owned),
            "is_empty": torch.from_numpy(num_owned == 0),
            "lengths": torch.from_numpy(np.array([len(c) for c in counts], dtype=np.int64)),
        }

    def _heads(self, batch: Sequence[Features], num_contexts: int) -> list[list[int]]:
        """What stands before the pieces of each context: specials, and a prompt if there is one."""
        prompts = [ids for sample in batch for ids in sample["prompts"]]
        if not prompts:
            return [self.prefix] * num_contexts
        heads = [[*self.prefix, *ids.tolist(), *self.between] for ids in prompts]
        limit = max_pieces(self.encoder.config)
        longest = max(map(len, heads)) + self.window + len(self.suffix)
        if limit is not None and longest > limit:
            raise ConfigError(
                f"{self.name}: a prompt and a window of {self.window} take {longest} positions, "
                f"and the encoder has {limit}; make the window or the prompts shorter"
            )
        return heads

    def _table(
        self, pieces: np.ndarray, windows: Any, heads: list[list[int]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fill the rows: head, pieces, suffix, padding.

        Returns:
            Ids and mask, *Shape* `(windows, width)`, and where the pieces begin in each row.
        """
        num_rows = len(windows.pieces)
        columns = np.array([len(heads[text]) for text in windows.texts], dtype=np.int64)
        width = int((columns + windows.lengths).max(initial=0)) + len(self.suffix)
        ids = np.full((num_rows, width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        rows, places = np.nonzero(windows.pieces >= 0)
        ids[rows, columns[rows] + places] = pieces[windows.pieces[rows, places]]
        ends = columns + windows.lengths
        for i, special in enumerate(self.suffix):
            ids[np.arange(num_rows), ends + i] = special
        if num_rows and all(head is heads[0] for head in heads):
            ids[:, : len(heads[0])] = heads[0]
        else:
            for row, text in enumerate(windows.texts):
                ids[row, : len(heads[text])] = heads[text]
        mask = (np.arange(width) < (ends + len(self.suffix))[:, None]).astype(np.int64)
        return ids, mask, columns

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`, and `lengths`, *Shape* `(contexts,)`.
        """
        lengths = batch["lengths"]
        if batch["input_ids"].shape[0] == 0:
            return {
                "embeddings": self.empty_word.expand(len(batch["bags"]), -1),
                "lengths": lengths,
            }
        output = self.encoder(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            output_hidden_states=self.pooling.needs_all,
        )
        cells = self.pooling(output).flatten(0, 1)
        vectors = mean_of_pieces(cells, batch["owned"], batch["bags"])
        empty = batch["is_empty"].unsqueeze(1)
        return {
            "embeddings": torch.where(empty, self.empty_word.to(vectors.dtype), vectors),
            "lengths": lengths,
        }

    def to_disk(self, path: Path, *, exclude: set[int] | None = None) -> None:
        """Write the weights, and the encoder's config and tokenizer beside them."""
        if exclude is not None and id(self) in exclude:
            return
        super().to_disk(path, exclude=exclude)
        self.encoder.config.save_pretrained(path / ENCODER)
        self.tokenizer.save_pretrained(path / ENCODER)


def _all(batch: Sequence[Features], key: str) -> list[np.ndarray]:
    return [array for sample in batch for array in sample[key]]


def _join(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)
