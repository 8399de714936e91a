"""eds.doc_classifier: labels of whole documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.pipeline.torch_component import Batch, Features
from edspipe.pipes.trainable import label_tables as tables
from edspipe.pipes.trainable.doc_features import DocFeatures
from edspipe.pipes.trainable.doc_words import CUT_WORDS, DocWords
from edspipe.pipes.trainable.embeddings.base import WordEmbedding, ask_for_cls
from edspipe.pipes.trainable.labelled import LabelledPipe
from edspipe.pipes.trainable.layers.doc_pooling import (
    DocHead,
    DocPooling,
    DocPoolingMode,
    check_hidden_size,
    flat_words,
)
from edspipe.pipes.trainable.layers.label_loss import label_probabilities, read_loss
from edspipe.pipes.trainable.layers.word_dropout import check_share


@registry.factory.register("eds.doc_classifier")
class DocClassifier(LabelledPipe):
    """Gives documents labels: several each, or exactly one.

    The vectors of all words of a document are pooled into one vector, whatever its length: what is
    longer than the encoder's window is read window by window, and nothing is cut unless
    `truncation=True` asks for it. Blank tokens (line breaks, spaces) are not looked at. A document
    without words has a vector of zeros.

    Gold labels come from `attribute`; a document where nothing is known of them is not learned
    from. The loss is divided by the number of documents that are learned from.

    Probabilities go to `doc.cats`, which keeps other labels, and decisions, a list of labels, to
    `doc._.<label_attribute>`: those whose probability reaches their threshold, or the most
    probable one. Labels, weights, thresholds, temperature, and what features are standardised by
    are saved with the pipe.

    ```python
    nlp.add_pipe(
        eds.doc_classifier(
            embedding=eds.transformer(model="path/to/encoder"),
            pooling="attention",
            pos_weight="sqrt_inverse",
        ),
        name="classifier",
    )
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: Gives each word a vector.
        labels: The labels; None collects them, sorted, in `post_init`.
        mode: `"multi_label"`: any number of labels a document; `"single_label"`: one.
        pooling: `"mean"`, `"max"`, or `"attention"`, a weighted mean whose weights are learned;
            or `"cls"`, the vector of the encoder's first special piece, `[CLS]` or `<s>`: of a
            document of several windows the mean over them. Only an embedding that has such a
            vector, `eds.transformer`, can be pooled so.
        head: `"linear"`, or `"mlp"`, with a hidden layer.
        hidden_size: Size of the hidden layer; None takes that of the embedding.
        features: Numeric attributes of documents, `["_.age"]`, that stand beside the pooled vector:
            standardised once, over the training documents; a missing value becomes 0, and a column
            of its own says so.
        pos_weight: Factor of the loss by gold label: `"none"`, `"inverse"`, which is
            (N + 1) / (n + 1) where n of N training documents have the label, `"sqrt_inverse"`, its
            square root, or a table by label, 1 for those that are not named.
        correct_pos_weight: Take the logarithm of these factors from the logits of predictions,
            which makes probabilities what they are without factors, of a cross-entropy.
        loss: None takes the binary cross-entropy, mean over labels, or the cross-entropy, with
            `mode="single_label"`. Or a registered loss: by its name, `"eds.focal"`, or, with
            settings, by a config, `{"@losses": "eds.focal", "gamma": 2}`.
        freeze_embedding: Never train the embedding, and keep it in evaluation mode, for all pipes
            that share it. What it computes can then be kept from one epoch to the next, by the
            setting `embedding_cache` of a training.
        dropout: Share of values that is dropped before each layer of the head, in training.
        min_count: Labels that fewer training documents have are left out, with a warning; labels
            that are given are not.
        thresholds: From this probability on a document has a label: one for all, or a table, 0.5
            for those that are not named.
        temperature: Logits are divided by it.
        max_length: Words of a document that are read at most, where `truncation=True`.
        truncation: Read the first `max_length` words of a document alone. Cut words are counted:
            those of the training documents are warned of, and `doc._.num_cut_words` says how many
            a predicted document has.
        attribute: Where gold labels are: `"cats"`, or `"_.<name>"` for an attribute of documents
            that holds a string, a list, or a table of scores.
        label_attribute: The name of the attribute of documents that decisions go to.

    Attributes:
        labels: The labels.
        left_out: Those that were left out, and how many documents have them.
        pos_weights: The factor of each label, counted once, in `post_init`; 1 before.
        thresholds: The threshold of each label.

    Raises:
        ConfigError: An argument is out of its range, the embedding has no `cls`, the loss is for
            the other mode, or a table names what is no label.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = "classifier",
        *,
        embedding: WordEmbedding,
        labels: Sequence[str] | None = None,
        mode: Literal["multi_label", "single_label"] = "multi_label",
        pooling: DocPoolingMode = "mean",
        head: Literal["linear", "mlp"] = "linear",
        hidden_size: int | None = None,
        features: Sequence[str] = (),
        freeze_embedding: bool = False,
        pos_weight: tables.WeightKind | Mapping[str, float] = "none",
        correct_pos_weight: bool = False,
        loss: str | Mapping[str, Any] | Callable[..., Any] | None = None,
        dropout: float = 0.1,
        min_count: int = 1,
        thresholds: float | Mapping[str, float] = 0.5,
        temperature: float = 1.0,
        max_length: int | None = None,
        truncation: bool = False,
        attribute: str = "cats",
        label_attribute: str = "labels",
    ) -> None:
        super().__init__(
            nlp,
            name,
            attribute=attribute,
            label_attribute=label_attribute,
            mode=mode,
            pos_weight=pos_weight,
            min_count=min_count,
            thresholds=thresholds,
        )
        self.correct_pos_weight = correct_pos_weight
        self.loss = read_loss(f"{name}.loss", loss, mode)
        self.set_temperature(temperature)
        self.features = DocFeatures(features)
        self.words = DocWords(name, max_length, truncation)
        check_hidden_size(f"{name}.hidden_size", head, hidden_size)
        if pooling == "cls":
            ask_for_cls(f"{name}.pooling", embedding)
        self.embedding = embedding
        self.freeze_embedding = freeze_embedding
        self._freeze()
        self.dropout = torch.nn.Dropout(check_share(f"{name}.dropout", dropout))
        size = embedding.output_size
        self.pooling = DocPooling(pooling, size)
        hidden = hidden_size or size if head == "mlp" else None
        self.head = DocHead(size + self.features.num_columns, hidden, dropout)
        self.given_labels = labels is not None
        if labels:
            self.update_labels(labels)
        self._declare()

    def _declare(self) -> None:
        super()._declare()
        self.words.declare()

    def _freeze(self) -> None:
        if self.freeze_embedding:
            self.embedding.freeze()

    @property
    def num_cut_words(self) -> int:
        """Words of the training documents that are not read, counted in `post_init`."""
        return self.words.num_cut

    def resize(self, num_labels: int, new: torch.Tensor, old: torch.Tensor) -> None:
        self.head.set_rows(num_labels, new, old)
        self.head.to(self.device)

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Collect the gold labels, unless they were given; count what weights and features need,
        and the words that are cut.

        Raises:
            ValueError: No document has a gold label, or too few have each.
            DataError: A document has several labels, under `mode="single_label"`.
        """
        super().post_init(docs, exclude)
        self._freeze()  # the embedding may have got new parameters
        self.features.fit(docs)
        self.words.count(docs)

    # ---- saved -----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        own = {"features": self.features.get_state(), CUT_WORDS: self.num_cut_words}
        return {**super().get_state(), **own}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        self.features.set_state(state.get("features"), file)
        self.words.set_state(state.get(CUT_WORDS), file)
        super().set_state(state, file)

    # ---- one document ----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        """Return the features of the embedding, which vectors are pooled, and the numbers.

        Returns:
            `embedding`; `words`, int32, *Shape* `(words,)`, the places of words among the tokens
            that are read, and `num_tokens`, how many these are; for `"cls"` a document that has
            words is one itself; `numbers`, float32, *Shape* `(2 * features,)`; and `num_cut_words`.
        """
        words, num_tokens, num_cut = self.words.read(doc)
        # Only calls without arguments are remembered, for embeddings that are shared.
        part: dict[str, Any] = {"contexts": [doc[:num_tokens]]} if num_cut else {}
        embedded = self.embedding.preprocess(doc, **part)
        if self.pooling.mode == "cls":
            words, num_tokens = np.zeros(min(1, len(words)), dtype=np.int32), 1
        return {
            "embedding": embedded,
            "words": words,
            "num_tokens": num_tokens,
            "numbers": self.features.read(doc),
            CUT_WORDS: num_cut,
        }

    def preprocess_supervised(self, doc: Doc) -> Features:
        """As `preprocess`, with `target`: 1 or 0 by label, float32, *Shape* `(labels,)`; or the
        number of the label; or None, where there is no gold."""
        return {**self.preprocess(doc), "target": self.target(doc)}

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Collate the embedding, and say where the vectors of each document stand.

        Returns:
            `embedding`; `words`, int64, *Shape* `(words,)`; `docs`, the document of each; `first`,
            where each document begins in them, *Shape* `(documents,)`; `numbers`; with targets,
            `labelled`, the documents that have one, and `targets`, theirs.
        """
        word_P, first_N, doc_P = flat_words(
            [sample["words"] for sample in batch], [sample["num_tokens"] for sample in batch]
        )
        collated: Batch = {
            "embedding": self.embedding.collate([sample["embedding"] for sample in batch]),
            "words": word_P,
            "first": first_N,
            "docs": doc_P,
            "numbers": torch.from_numpy(np.stack([sample["numbers"] for sample in batch])),
        }
        if "target" in batch[0]:
            labelled = [i for i, sample in enumerate(batch) if sample["target"] is not None]
            collated["stats"] = {"labelled": len(labelled)}
            collated["labelled"] = torch.tensor(labelled, dtype=torch.int64)
            collated["targets"] = tables.stack_targets(
                [batch[i]["target"] for i in labelled], len(self.labels), self.mode
            )
        return collated

    def loss_size(self, batch: Batch) -> float:
        """Return the number of documents that are learned from."""
        return batch["stats"]["labelled"]

    def default_metric(self) -> dict[str, Any]:
        """Return the metric on labels, by the pipe's own decisions."""
        config = {"@metrics": "eds.document_labels", "attribute": self.attribute}
        decisions = f"_.{self.label_attribute}"
        return config if decisions == self.attribute else {**config, "decisions": decisions}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss, where there are targets, or the probabilities.

        Returns:
            `loss`, an fp32 scalar, divided by the number of documents that are learned from; or
            `logits`, as the head gives them, and `probabilities`, corrected and with the
            temperature, fp32, *Shape* `(documents, labels)`.

        Raises:
            ValueError: The pipe has no labels yet, or its loss gives more than one number.
        """
        if not self.labels:
            raise ValueError(
                f"{self.name} has no labels yet: call nlp.post_init(docs), or give labels="
            )
        key = "cls" if self.pooling.mode == "cls" else "embeddings"
        vectors = self.embedding(batch["embedding"])[key]
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 would make scores equal
            pooled = self.pooling(vectors, batch["words"], batch["first"], batch["docs"])
            logits = self.head(torch.cat([self.dropout(pooled), batch["numbers"]], dim=1))
        if "targets" in batch:
            known = logits.index_select(0, batch["labelled"])
            loss = self.loss(known, batch["targets"], self.weight_L)
            if loss.shape:
                raise ValueError(
                    f"{self.name}.loss: expected the sum over documents, a scalar, got a tensor of "
                    f"shape {tuple(loss.shape)}"
                )
            return {"loss": loss / max(1, batch["stats"]["labelled"])}
        weights = self.weight_L if self.correct_pos_weight else None
        only_one = self.mode == "single_label"
        found = label_probabilities(logits, weights, self.temperature, only_one=only_one)
        return {"logits": logits, "probabilities": found}

    # ---- predictions -----------------------------------------------------------------------

    def postprocess(
        self, docs: Sequence[Doc], results: dict[str, Any], inputs: Sequence[Features]
    ) -> Sequence[Doc]:
        """Write probabilities and decisions into the Docs."""
        rows = results["probabilities"].cpu().tolist()
        for doc, row, sample in zip(docs, rows, inputs, strict=True):
            doc.cats = {**doc.cats, **dict(zip(self.labels, row, strict=True))}
            doc._.set(self.label_attribute, self.decide(row))
            self.words.note(doc, sample[CUT_WORDS])
        return docs

    def put_where_gold_is(self, doc: Doc) -> None:
        """Copy the probabilities to where gold comes from, for metrics that look there."""
        if self.attribute not in ("cats", f"_.{self.label_attribute}"):
            scores = {label: doc.cats[label] for label in self.labels}
            doc._.set(self.attribute.removeprefix("_."), scores)
