"""eds.char_cnn: vectors of words from their letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import Batch, Features
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.layers.char_cnn import (
    NUM_SPECIALS,
    CharConvolutions,
    lay_out_words,
)
from edspipe.pipes.trainable.layers.dropout import Dropout
from edspipe.pipes.trainable.layers.word_dropout import check_share


@registry.factory.register("eds.char_cnn")
class CharCnn(WordEmbedding):
    """Reads each word letter by letter, with convolutions and a maximum over the word.

    So words that were never seen have vectors too, and endings, capitals and digits tell what they
    are (Ma and Hovy 2016, "End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF"; Kim et
    al. 2016). A vector does not depend on the words around: put `eds.text_rnn` on top, or
    `eds.text_cnn`. Each word that a batch holds several times is computed once.

    ```python
    eds.text_cnn(kernel_sizes=[3], embedding=eds.char_cnn())
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        vocab: The alphabet; None takes that of the training documents, in `post_init`.
        embedding_size: Size of a letter's vector.
        kernel_sizes: Widths of the convolutions in letters.
        out_channels: Channels of each; the size of the result is this times their number.
        max_length: Letters of a word that are read; of a longer one, as many from its beginning as
            from its end.
        char_dropout: Share of the values of the letters' vectors that is dropped, in training.
        dropout: Share of the result's values that is dropped, in training.

    Raises:
        ConfigError: A width or `max_length` is out of its range.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        vocab: CharVocab | None = None,
        embedding_size: int = 32,
        kernel_sizes: Sequence[int] = (2, 3, 4, 5),
        out_channels: int = 64,
        max_length: int = 40,
        char_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(nlp, name)
        if max_length < 2:
            raise ConfigError(f"{name}: max_length is 2 letters or more, got {max_length}")
        self.max_length = max_length
        self.given_vocab = vocab is not None
        self.vocab = CharVocab("") if vocab is None else vocab.copy()
        self._make = (embedding_size, out_channels, list(kernel_sizes), char_dropout)
        self.convolutions = self._convolutions()
        self.output_size = self.convolutions.output_size
        self.dropout = Dropout(check_share("dropout", dropout))

    def _convolutions(self) -> CharConvolutions:
        return CharConvolutions(len(self.vocab) + NUM_SPECIALS, *self._make)

    def _take_vocab(self, vocab: CharVocab) -> None:
        device = self.device
        self.vocab = vocab
        self.convolutions = self._convolutions().to(device)

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Take the alphabet of the documents, unless there is one."""
        super().post_init(docs, exclude)
        if not self.given_vocab and len(self.vocab) == 1:
            self._take_vocab(CharVocab.from_stream(docs))

    def get_state(self) -> dict[str, Any]:
        return self.vocab.to_dict()

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        self._take_vocab(CharVocab.of_dict(state, file))

    # ---- one document ----------------------------------------------------------------------

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Return the words of each context; prompts say nothing about the words after them."""
        spans = [doc[:]] if contexts is None else contexts
        forms = [[token.text for token in span] for span in spans]
        return {"forms": forms, "stats": {"words": sum(map(len, forms))}}

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Lay out the letters of the different words, and say which word stands where.

        Returns:
            `ids`, `places` and `groups` of `lay_out_words`; `words`, *Shape* `(words,)`, the number
            of each; `lengths`, *Shape* `(contexts,)`, and `sizes`, the same as a tuple of ints.
        """
        contexts = [forms for sample in batch for forms in sample["forms"]]
        sizes = tuple(map(len, contexts))
        different = sorted({form for forms in contexts for form in forms}, key=self._num_read)
        number = {form: i for i, form in enumerate(different)}
        ids, places, groups = lay_out_words(self._encode(different), self.convolutions.gap)
        words = [number[form] for forms in contexts for form in forms]
        return {
            "ids": torch.from_numpy(ids),
            "places": torch.from_numpy(places),
            "groups": groups,
            "words": torch.tensor(words, dtype=torch.int64),
            "lengths": torch.tensor(sizes, dtype=torch.int64),
            "sizes": sizes,
        }

    def _num_read(self, form: str) -> tuple[int, str]:
        """Return the letters of a word that are read, and the word, for an order that is fixed."""
        return min(len(form), self.max_length), form

    def _encode(self, forms: Sequence[str]) -> list[np.ndarray]:
        head, tail = self.max_length // 2, self.max_length - self.max_length // 2
        cut = [x if len(x) <= self.max_length else x[:head] + x[-tail:] for x in forms]
        letters = self.vocab.encode("".join(cut)) + NUM_SPECIALS
        return np.split(letters, np.cumsum([len(form) for form in cut])[:-1]) if cut else []

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`; `lengths`, *Shape* `(contexts,)`; and
            `sizes`.
        """
        different = self.convolutions(batch["ids"], batch["places"], batch["groups"])
        words = self.dropout(different.index_select(0, batch["words"]))
        return {"embeddings": words, "lengths": batch["lengths"], "sizes": batch["sizes"]}
