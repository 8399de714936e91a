"""eds.token_classifier: a tag for each word, as parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from loguru import logger
from spacy.attrs import IS_SPACE
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.doc.token_tags import (
    check_attribute,
    check_tags,
    declare_tags,
    get_word_tags,
    set_tags,
)
from edspipe.errors import CheckpointError, ConfigError, did_you_mean
from edspipe.pipeline.torch_component import Batch, Features, TorchComponent
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.layers.tag_chain import UNKNOWN, TagChain
from edspipe.pipes.trainable.layers.word_dropout import check_share

NO_TAG = -1


@registry.factory.register("eds.token_classifier")
class TokenClassifier(TorchComponent):
    """Tags each word: its part of speech, or whatever an attribute of tokens holds.

    Gold tags come from the attribute, and predictions go there: to every token but blank ones
    (line breaks, spaces), which are not looked at. A word without a gold tag is not learned from.
    The loss is divided by the number of words that have one.

    ```python
    nlp.add_pipe(
        eds.token_classifier(
            attribute="tag_",
            embedding=eds.text_cnn(embedding=eds.transformer(model="path/to/encoder")),
        ),
        name="tagger",
    )
    ```

    `edspipe.doc.token_tags` has `tagged_text(doc, "tag_")`, which prints `word/TAG`, and `get_tags`
    and `set_tags`, which read and write the tags of a whole Doc.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: Gives each word a vector.
        attribute: `"tag_"`, `"pos_"` (the tags of Universal Dependencies), or `"_.<name>"` for a
            custom attribute, whose values are strings.
        labels: The tags; None collects them, sorted, in `post_init`.
        use_crf: Decide on the tags of a document together, by a linear chain (conditional random
            field), not on each by itself.
        loss_weights: Factor of the loss by gold tag; those that are not named have 1.
        dropout: Share of the vectors' values that is dropped before the classifier, in training.

    Raises:
        ConfigError: The attribute holds no tags, or not these; weights for a chain, of tags that
            do not exist, or below 0; or the share is not from 0 to below 1.
    """

    weights_K: torch.Tensor

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = "tagger",
        *,
        embedding: WordEmbedding,
        attribute: str = "tag_",
        labels: Sequence[str] | None = None,
        use_crf: bool = False,
        loss_weights: Mapping[str, float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(nlp, name)
        try:
            check_attribute(attribute)
        except ValueError as error:
            raise ConfigError(f"{name}.attribute: {error}") from None
        self.embedding = embedding
        self.token_attribute = attribute
        self.loss_weights = dict(loss_weights or {})
        self._check_weights(use_crf)
        self.dropout = torch.nn.Dropout(check_share("dropout", dropout))
        self.classifier: torch.nn.Linear | None = None
        self.chain: TagChain | None = TagChain(0) if use_crf else None
        self.register_buffer("weights_K", torch.ones(0), persistent=False)
        self.labels: list[str] = []
        self.given_labels = labels is not None
        if labels:
            self.update_labels(labels)
        declare_tags(attribute)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        declare_tags(self.token_attribute)  # in a worker nobody else does

    # ---- labels ----------------------------------------------------------------------------

    def update_labels(self, labels: Sequence[str]) -> None:
        """Set the tags and their order; what was learned of tags that were there before is kept.

        Raises:
            ConfigError: The attribute cannot hold a tag, or a weight is that of no tag.
            ValueError: A tag stands twice.
        """
        labels = list(labels)
        if len(set(labels)) != len(labels):
            raise ValueError(f"{self.name}: a tag stands twice among {', '.join(labels)}")
        try:
            check_tags(self.token_attribute, labels)
        except ValueError as error:
            raise ConfigError(f"{self.name}.labels: {error}") from None
        for name in self.loss_weights:
            if name not in labels:
                raise ConfigError(
                    f"{self.name}.loss_weights: there is no tag '{name}'."
                    f"{did_you_mean(name, labels)}"
                )
        rows = {label: i for i, label in enumerate(self.labels)}
        kept = [(i, rows[label]) for i, label in enumerate(labels) if label in rows]
        new, old = torch.tensor(kept, dtype=torch.long).reshape(-1, 2).unbind(1)
        self._resize(len(labels), new, old)
        weights = [float(self.loss_weights.get(label, 1.0)) for label in labels]
        self.weights_K = torch.tensor(weights, device=self.device)
        self.labels = labels

    def _resize(self, num_labels: int, new: torch.Tensor, old: torch.Tensor) -> None:
        """Make room for a number of tags; rows `new` take what rows `old` had."""
        device = self.device
        classifier = torch.nn.Linear(self.embedding.output_size, num_labels)
        if self.classifier is not None:
            _copy_rows(self.classifier, classifier, new, old)
        self.classifier = classifier.to(device)
        if self.chain is not None:
            chain = TagChain(num_labels)
            _copy_rows(self.chain, chain, new, old)
            self.chain = chain.to(device)

    def _check_weights(self, use_crf: bool) -> None:
        if self.loss_weights and use_crf:
            raise ConfigError(
                f"{self.name}.loss_weights: a chain decides on all words together, and has no "
                "weights by tag; leave them out, or set use_crf=False"
            )
        wrong = sorted(name for name, weight in self.loss_weights.items() if not weight >= 0)
        if wrong:
            raise ConfigError(
                f"{self.name}.loss_weights: expected numbers from 0 up, got "
                f"{self.loss_weights[wrong[0]]} for '{wrong[0]}'"
            )

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Collect the gold tags, unless they were given; report those that are not among them."""
        super().post_init(docs, exclude)
        found: Counter[str] = Counter()
        for doc in docs:
            found.update(get_word_tags(doc, self.token_attribute))
        del found[""]
        if self.given_labels:
            self._report_unknown(found)
        elif not found and not self.labels:
            raise ValueError(
                f"{self.name}: no word has a gold tag in {self.token_attribute!r}; give another "
                "attribute=, or documents that were read with it, as by "
                f'read_conll(..., columns={{"text": 0, "{self.token_attribute}": 1}})'
            )
        else:
            new = sorted(set(found) - set(self.labels))
            if new:
                self.update_labels([*self.labels, *new])

    def _report_unknown(self, found: Counter[str]) -> None:
        unknown = {label: n for label, n in sorted(found.items()) if label not in self.labels}
        if unknown:
            shown = ", ".join(f"{label} ({n} times)" for label, n in unknown.items())
            logger.warning(
                "{}: gold tags not in labels=, which are not learned: {}", self.name, shown
            )

    def get_state(self) -> dict[str, Any]:
        return {"labels": self.labels}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        labels = state.get("labels")
        if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
            raise CheckpointError(f"{file}: expected a list of tags under 'labels'")
        if len(set(labels)) != len(labels):
            raise CheckpointError(f"{file}: a tag stands twice under 'labels'")
        if self.given_labels and sorted(labels) != sorted(self.labels):
            raise CheckpointError(f"{file}: the tags are not those of the config")
        if labels:
            self.update_labels(labels)

    # ---- one document ----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        """Return the features of the embedding, and which tokens are words.

        Returns:
            `embedding`; `words`, int32, *Shape* `(words,)`; `num_tokens`.
        """
        words = np.flatnonzero(doc.to_array(IS_SPACE) == 0).astype(np.int32)
        features = self.embedding.preprocess(doc)
        return {"embedding": features, "words": words, "num_tokens": len(doc)}

    def preprocess_supervised(self, doc: Doc) -> Features:
        """As `preprocess`, with `tags`, int64, *Shape* `(words,)`, `UNKNOWN` for no gold tag."""
        features = self.preprocess(doc)
        index = {label: i for i, label in enumerate(self.labels)}
        tags = get_word_tags(doc, self.token_attribute)
        codes = [index.get(tags[i], UNKNOWN) for i in features["words"].tolist()]
        return {**features, "tags": np.array(codes, dtype=np.int64)}

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Collate the embedding, and say where words stand among all tokens of the batch.

        Returns:
            `embedding`; `places`, int64, *Shape* `(words,)`, or padded for a chain, *Shape*
            `(documents, words)`, with `mask`; with targets, `tags`, of the same shape.
        """
        samples = [sample["embedding"] for sample in batch]
        collated: Batch = {"embedding": self.embedding.collate(samples)}
        first = np.cumsum([0, *(sample["num_tokens"] for sample in batch)])
        places = [sample["words"] + start for sample, start in zip(batch, first, strict=False)]
        if "tags" in batch[0]:
            tags = [sample["tags"] for sample in batch]
            tagged = [codes != UNKNOWN for codes in tags]
            num_tagged = sum(int(known.sum()) for known in tagged)
            collated["stats"] = {"tagged": num_tagged, "words": sum(map(len, tags))}
            if self.chain is None:  # nothing is to be known of the other words
                tags = [codes[known] for codes, known in zip(tags, tagged, strict=True)]
                places = [at[known] for at, known in zip(places, tagged, strict=True)]
            collated["tags"] = self._joined(tags)
        collated["places"] = self._joined(places)
        if self.chain is not None:
            collated["mask"] = _mask(places)
        return collated

    def _joined(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        """Return numbers one behind the other; for a chain a row a document, 0 on padding."""
        flat = torch.from_numpy(np.concatenate(rows).astype(np.int64))
        if self.chain is None:
            return flat
        mask = _mask(rows)
        return torch.zeros(mask.shape, dtype=torch.int64).masked_scatter_(mask, flat)

    def loss_size(self, batch: Batch) -> float:
        """Return the number of words that have a gold tag."""
        return batch["stats"]["tagged"]

    def default_metric(self) -> dict[str, Any]:
        """Return the accuracy, and F1 by tag."""
        return {"@metrics": "eds.token_accuracy", "attribute": self.token_attribute}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss, where there are targets, or the best tags.

        Returns:
            `loss`, an fp32 scalar, divided by the number of words with a gold tag; or `tags`,
            int64, *Shape* `(words,)`, for a chain `(documents, words)`.

        Raises:
            ValueError: The pipe has no tags yet.
        """
        if self.classifier is None:
            raise ValueError(
                f"{self.name} has no tags yet: call nlp.post_init(docs), or give labels="
            )
        words = self.embedding(batch["embedding"])["embeddings"]
        places = batch["places"]
        chosen = words.index_select(0, places.flatten())
        scores = self.classifier(self.dropout(chosen)).float()
        if self.chain is not None:
            scores = scores.view(*places.shape, len(self.labels))
        if "tags" in batch:
            return {"loss": self._loss(scores, batch) / max(1, batch["stats"]["tagged"])}
        if self.chain is not None:
            return {"tags": self.chain.decode(scores, batch["mask"])}
        return {"tags": scores.argmax(-1)}

    def _loss(self, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        if self.chain is not None:
            all_known = batch["stats"]["tagged"] == batch["stats"]["words"]
            return self.chain.loss(scores, batch["mask"], batch["tags"], all_known=all_known)
        weights = self.weights_K if self.loss_weights else None
        return F.cross_entropy(scores, batch["tags"], weights, reduction="sum")

    # ---- predictions -----------------------------------------------------------------------

    def postprocess(
        self, docs: Sequence[Doc], results: dict[str, Any], inputs: Sequence[Features]
    ) -> Sequence[Doc]:
        """Write the tags into the Docs."""
        tags = results["tags"].cpu().numpy()
        behind = 0
        for i, (doc, features) in enumerate(zip(docs, inputs, strict=True)):
            words = features["words"]
            start, behind = behind, behind + len(words)
            codes = np.full(len(doc), NO_TAG)
            codes[words] = tags[start:behind] if self.chain is None else tags[i, : len(words)]
            set_tags(doc, self.token_attribute, codes, self.labels)
        return docs


def _mask(rows: Sequence[np.ndarray]) -> torch.Tensor:
    """Return which places of a table hold numbers. *Shape:* (rows, longest)"""
    lengths = np.array([len(row) for row in rows])
    return torch.from_numpy(np.arange(lengths.max(initial=0)) < lengths[:, None])


@torch.no_grad()
def _copy_rows(
    source: torch.nn.Module, target: torch.nn.Module, new: torch.Tensor, old: torch.Tensor
) -> None:
    """Copy what belongs to old tags to where they stand now: rows, and columns of moves."""
    values = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        value = values[name].to(parameter.device)
        if name == "moves_KK":
            parameter[new[:, None], new] = value[old[:, None], old]
        else:
            parameter[new] = value[old]
