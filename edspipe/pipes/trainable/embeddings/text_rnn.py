"""eds.text_rnn: words that have seen all that stands before and after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from edspipe.config.registry import registry
from edspipe.pipeline.torch_component import Batch
from edspipe.pipes.trainable.embeddings.base import (
    ContextualEmbedding,
    WordEmbedding,
    context_sizes,
)
from edspipe.pipes.trainable.layers.dropout import Dropout
from edspipe.pipes.trainable.layers.locked_dropout import LockedDropout
from edspipe.pipes.trainable.layers.rnn import WordRnn
from edspipe.pipes.trainable.layers.word_dropout import WordDropout


@registry.factory.register("eds.text_rnn")
class TextRnn(ContextualEmbedding):
    """Reads each context word by word with an LSTM or a GRU, in one direction or in both.

    It is the BiLSTM of taggers (Huang et al. 2015, "Bidirectional LSTM-CRF models for sequence
    tagging"). A word sees the words of its own context only, whatever else is in the batch. A long
    note is one long context: it is read step by step, and `eds.text_cnn` is several times faster
    there.

    ```python
    nlp.add_pipe(
        eds.ner_crf(
            labels=["disorder"],
            embedding=eds.text_rnn(
                hidden_size=128,
                dropout=0.2,
                embedding=eds.word_vectors(path="vectors.vec", oov="char_ngrams"),
            ),
        ),
        name="ner",
    )
    ```

    In training, vectors are dropped in up to three ways, which add up: `dropout` and
    `locked_dropout` before and after the network, `word_dropout` before it.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: The embedding below.
        hidden_size: Size of the state of one direction; the result has twice that where
            `bidirectional`.
        num_layers: Layers, one above the other.
        kind: `"lstm"` or `"gru"`.
        bidirectional: Read backward too.
        dropout: Share of single values that is dropped, between layers too.
        word_dropout: Share of words whose whole vector is set to zero.
        locked_dropout: Share of components that is dropped for all words of a context alike.

    Raises:
        ConfigError: A size or the number of layers is below 1, or a share is not from 0 to below 1.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        embedding: WordEmbedding,
        hidden_size: int = 256,
        num_layers: int = 1,
        kind: Literal["lstm", "gru"] = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        locked_dropout: float = 0.0,
    ) -> None:
        super().__init__(nlp, name, embedding)
        self.rnn = WordRnn(
            embedding.output_size,
            hidden_size,
            num_layers=num_layers,
            kind=kind,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.output_size = self.rnn.output_size
        self.dropout = Dropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)

    def collate(self, batch: Sequence[dict[str, Any]]) -> Batch:
        return {"embedding": self.embedding.collate([sample["embedding"] for sample in batch])}

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`, `lengths`, *Shape* `(contexts,)`, and
            `sizes`.
        """
        below = self.embedding(batch["embedding"])
        lengths, sizes = below["lengths"], context_sizes(below)
        words = self.dropout(self.word_dropout(below["embeddings"]))
        words = self.rnn(self.locked_dropout(words, lengths), sizes)
        words = self.locked_dropout(self.dropout(words), lengths)
        return {"embeddings": words, "lengths": lengths, "sizes": sizes}
