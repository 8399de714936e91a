"""eds.transformer: vectors of words from a pretrained encoder, read in overlapping windows."""

from __future__ import annotations

import hashlib
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
from edspipe.pipes.trainable.embeddings.cache import DEFAULT_BYTES, CacheKind
from edspipe.pipes.trainable.embeddings.encoder import (
    SavedEncoder,
    enable_checkpointing,
    load_encoder,
    load_tokenizer,
    max_pieces,
    special_pieces,
)
from edspipe.pipes.trainable.embeddings.freezable import FreezableEmbedding
from edspipe.pipes.trainable.embeddings.layout import Table, lay_out, table_limits
from edspipe.pipes.trainable.embeddings.pieces import PieceTokenizer
from edspipe.pipes.trainable.embeddings.windows import align_pieces, make_windows
from edspipe.pipes.trainable.layers.attention import use_attention
from edspipe.pipes.trainable.layers.dropout import replace_dropout
from edspipe.pipes.trainable.layers.packed_linear import make_packable, packed_linears
from edspipe.pipes.trainable.layers.pooling import LayerPooling, mean_of_pieces

ENCODER = "encoder"


@registry.factory.register("eds.transformer")
class Transformer(FreezableEmbedding):
    """Gives every word the mean of its pieces' vectors in a transformer encoder.

    The raw text is tokenized with character offsets. A word owns each piece whose characters
    overlap it; a word that owns none gets one learned vector. Long texts are read in windows of
    `window` pieces that start every `stride` pieces; each piece is kept from the window where it
    is most central.

    A context has also a vector of the encoder's first special piece, `[CLS]` or `<s>`, for what is
    learned on whole documents: the mean over the windows of the context.

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
        gradient_checkpointing: In training, keep the inputs of the encoder's layers only, and
            compute the rest again for the gradients: less memory, about a third more time.
        torch_compile: Compile the encoder with `torch.compile` when it is first used. It needs a
            C++ compiler (on a CPU) and most of a minute, and was slower there than what is done
            without it (docs/benchmarks.md).
        frozen: Never train the encoder, and keep it in evaluation mode.
        cache: Where the vectors of a frozen encoder are kept from one epoch to the next: `"none"`,
            `"cpu"`, `"gpu"` (where the encoder is) or `"disk"` (also for other runs). A saved
            model is loaded without a cache.
        cache_bytes: Room for them; what does not fit is computed each time.
        cache_dir: The folder, for `cache="disk"`.

    Raises:
        ConfigError: There is no such model, the window does not fit the encoder's positions,
            window or stride is below 1, or vectors are to be kept and the encoder is not frozen.
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
        gradient_checkpointing: bool = False,
        torch_compile: bool = False,
        frozen: bool = False,
        cache: CacheKind = "none",
        cache_bytes: int = DEFAULT_BYTES,
        cache_dir: str | Path | None = None,
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
        self.gives_cls = bool(self.prefix)
        self._check_window()
        self.pooling = LayerPooling(layers, layer_pooling, self.encoder.config.num_hidden_layers)
        self.output_size = self.pooling.output_size(self.encoder.config.hidden_size)
        self.empty_word = torch.nn.Parameter(torch.zeros(self.output_size))
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        self.pieces = PieceTokenizer(self.tokenizer.backend_tokenizer)
        use_attention(self.encoder)
        replace_dropout(self.encoder)
        self.max_padding, self.max_cells = table_limits()
        self._encoder_digest = ""
        self.torch_compile = torch_compile
        if gradient_checkpointing:
            enable_checkpointing(self.encoder)
        if torch_compile:
            self.encoder.compile(dynamic=True)
        else:
            make_packable(self.encoder)
        self.set_frozen(frozen, cache, cache_bytes, cache_dir)

    @staticmethod
    def saved_parameters(folder: Path) -> dict[str, Any]:
        """Return the arguments that rebuild this component from its folder in a saved model."""
        saved = SavedEncoder(folder / ENCODER)
        without = {"cache": "none", "cache_dir": None}
        return {"model": saved, "tokenizer": saved, "tokenizer_kwargs": None, **without}

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

    def read(self, doc: Doc, spans: Sequence[Span], prompts: Sequence[str]) -> Features:
        """Tokenize contexts into pieces, and align them with their words."""
        offsets = TokenOffsets(doc)
        parts = [self._pieces_of(span, offsets) for span in spans]
        num_pieces = [len(ids) for ids, _, _ in parts]
        return {
            "pieces": [ids for ids, _, _ in parts],
            "owned": [owned for _, owned, _ in parts],
            "num_owned": [counts for _, _, counts in parts],
            "prompts": [self.pieces(prompt).ids for prompt in prompts],
            "stats": {"tokens": sum(num_pieces), "words": sum(len(span) for span in spans)},
        }

    def _pieces_of(
        self, span: Span, offsets: TokenOffsets
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pieces = self.pieces(span.text_with_ws)
        start = span.start_char
        owned, counts = align_pieces(
            pieces.starts,
            pieces.ends,
            offsets.starts[span.start : span.end] - start,
            offsets.ends[span.start : span.end] - start,
        )
        return pieces.ids, owned, counts

    # ---- a batch ---------------------------------------------------------------------------

    def reading_settings(self) -> tuple[Any, ...]:
        """Return what vectors depend on besides text and weights."""
        if not self._encoder_digest:
            tokenizer = self.tokenizer.backend_tokenizer.to_str()
            both = tokenizer + self.encoder.config.to_json_string()
            self._encoder_digest = hashlib.blake2b(both.encode("utf-8")).hexdigest()
        specials = (self.prefix, self.suffix, self.between)
        pooling = (self.pooling.layers, self.pooling.mode)
        return (self.window, self.stride, *specials, *pooling, self._encoder_digest)

    def collate_features(self, batch: Sequence[Features]) -> Batch:
        """Lay the pieces of all contexts out in windows, those of similar length together.

        At inference, windows with the same content are laid out once. To be read exactly, only
        windows of the same length stand in one table.

        Returns:
            `windows`, a list of tables, each with `input_ids`, *Shape* `(rows, width)`, and, where
            there is padding, `attention_mask`, the same shape; `owned`, the cells (of all tables,
            one after the other) of the words' pieces, *Shape* `(pairs,)`, grouped by word, with
            `bags`, where each word's group begins, *Shape* `(words,)`; `is_empty`, the words
            without pieces, *Shape* `(words,)`; and `lengths`, the words of each context,
            *Shape* `(contexts,)`, with `sizes`, the same as a tuple of ints. With `with_cls`, each
            context stands among the words once more, after them all, as one word that owns the
            first special piece of each of its windows.
        """
        pieces = _all(batch, "pieces")
        counts = _all(batch, "num_owned")
        num_pieces = np.array([len(ids) for ids in pieces], dtype=np.int64)
        stride = self.window if self.training and not self.training_stride else self.stride
        windows = make_windows(num_pieces, self.window, stride)
        heads = self._heads(batch, len(pieces))
        layout = lay_out(
            _join(pieces),
            windows,
            heads=heads,
            suffix=self.suffix,
            padding=self.tokenizer.pad_token_id or 0,
            max_padding=0 if self.reads_exactly else self.max_padding,
            max_cells=self.max_cells,
            merge=not self.training,
        )
        cells = layout.offsets[windows.rows] + windows.columns
        first = np.cumsum(num_pieces) - num_pieces
        owned = cells[
            _join([ids + at for ids, at in zip(_all(batch, "owned"), first, strict=True)])
        ]
        num_owned = _join(counts)
        if self.with_cls:
            before = np.array([len(heads[text]) for text in windows.texts.tolist()], dtype=np.int64)
            owned = np.concatenate([owned, layout.offsets - before])
            num_windows = np.bincount(windows.texts, minlength=len(pieces))
            num_owned = np.concatenate([num_owned, num_windows])
        sizes = tuple(len(number) for number in counts)
        return {
            "windows": [_tensors(table) for table in layout.tables],
            "owned": torch.from_numpy(owned),
            "bags": torch.from_numpy(np.cumsum(num_owned) - num_owned),
            "is_empty": torch.from_numpy(num_owned == 0),
            "lengths": torch.tensor(sizes, dtype=torch.int64),
            "sizes": sizes,
        }

    def _heads(self, batch: Sequence[Features], num_contexts: int) -> list[list[int]]:
        """Return what stands before the pieces of each context: specials, and its prompt."""
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

    def encode(self, batch: Batch) -> torch.Tensor:
        """Compute the vectors of the words, and with `with_cls` those of the contexts after them.
        *Shape* `(words, output_size)`, or `(words + contexts, output_size)`"""
        if not batch["windows"]:
            return self.empty_word.expand(len(batch["bags"]), -1)
        vectors = mean_of_pieces(self._encode(batch["windows"]), batch["owned"], batch["bags"])
        empty = batch["is_empty"].unsqueeze(1)
        return torch.where(empty, self.empty_word.to(vectors.dtype), vectors)

    def _encode(self, tables: Sequence[dict[str, torch.Tensor]]) -> torch.Tensor:
        """Run the encoder. *Shape* `(cells of all tables, output_size)`"""
        num_cells = sum(table["input_ids"].numel() for table in tables)
        # Packed layers, which need many cells, round in another way.
        with packed_linears(self.encoder, 0 if self.reads_exactly else num_cells):
            cells = [
                self.pooling(
                    self.encoder(
                        input_ids=table["input_ids"],
                        attention_mask=table.get("attention_mask"),
                        output_hidden_states=self.pooling.needs_all,
                    )
                ).flatten(0, 1)
                for table in tables
            ]
        return cells[0] if len(cells) == 1 else torch.cat(cells)

    def to_disk(self, path: Path, *, exclude: set[int] | None = None) -> None:
        """Write the weights, and the encoder's config and tokenizer beside them."""
        if exclude is not None and id(self) in exclude:
            return
        super().to_disk(path, exclude=exclude)
        self.encoder.config.save_pretrained(path / ENCODER)
        self.tokenizer.save_pretrained(path / ENCODER)


def _all(batch: Sequence[Features], key: str) -> list[np.ndarray]:
    return [array for sample in batch for array in sample[key]]


def _tensors(table: Table) -> dict[str, torch.Tensor]:
    tensors = {"input_ids": torch.from_numpy(table.ids)}
    if not table.used.all():
        tensors["attention_mask"] = torch.from_numpy(table.used)
    return tensors


def _join(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)
