"""eds.char_lm: which letter comes next, read in both directions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipeline.torch_component import Batch, Features, TorchComponent, evaluating
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pipes.trainable.layers.char_rnn import CharRnn, State, detached

DIRECTIONS = ("forward", "backward")
START = "\n"
"""What is read before the first character, in both directions."""
IGNORED = -100
"""Target of what is no character: padding."""
CHUNK = 250
"""Characters of each row that a long text is read at once in, so that memory is bounded."""


class _ByDirection(torch.nn.ModuleDict):
    """Networks by direction: a ModuleDict whose keys may be the name of a method, `forward`."""

    def __setitem__(self, key: str, module: torch.nn.Module) -> None:
        self._modules[key] = module


@registry.factory.register("eds.char_lm")
class CharLm(TorchComponent):
    """A character language model: it says how likely each next letter is.

    Characters -> embedding -> LSTM -> optional projection -> softmax over the alphabet, with one
    network a direction; both are trained together, and their loss is the mean of the two, in nats
    a character. It reads texts and writes nothing: its states are the contextual string embeddings
    of Akbik et al. (2018), and `perplexity` and `generate` are called by hand.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.char_lm(hidden_size=16), name="char_lm")
    nlp.pipes.char_lm.perplexity("fièvre depuis hier")
    ```

    It is trained by `edspipe pretrain-char-lm`. A letter outside the alphabet is read and predicted
    as the unknown, so perplexities of models with different alphabets are not comparable. A model
    of notes may have learned some by heart: what it generates can be the data of patients.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        vocab: The alphabet, or its letters; None is `CharVocab.default()`.
        hidden_size: Size of the LSTM's states.
        num_layers: Layers of the LSTM.
        embedding_size: Size of a character's vector.
        projection_size: Size that the outputs are brought to; None leaves them.
        dropout: Share of zeros behind the embedding, between layers and before the softmax.
        directions: `"forward"`, `"backward"`, or both.

    Attributes:
        vocab: The alphabet.
        rnns: The network of each direction.

    Raises:
        ConfigError: A direction does not exist, or there is none.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        vocab: list[str] | CharVocab | None = None,
        hidden_size: int = 512,
        num_layers: int = 1,
        embedding_size: int = 100,
        projection_size: int | None = None,
        dropout: float = 0.1,
        directions: Sequence[str] = DIRECTIONS,
    ) -> None:
        super().__init__(nlp, name)
        self.directions = [one for one in DIRECTIONS if one in directions]
        if not self.directions or len(self.directions) != len(directions):
            raise ConfigError(
                f"directions: expected {' and '.join(DIRECTIONS)}, each at most once, got "
                f"{list(directions)}"
            )
        self._sizes = (embedding_size, hidden_size, num_layers, projection_size, dropout)
        self._carried: dict[str, State] = {}
        self.rnns: torch.nn.ModuleDict = _ByDirection()
        self._take_vocab(vocab.copy() if isinstance(vocab, CharVocab) else CharVocab(vocab))

    def _take_vocab(self, vocab: CharVocab) -> None:
        self.vocab = vocab
        for direction in self.directions:
            self.rnns[direction] = CharRnn(len(vocab), *self._sizes)

    # ---- one document -----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        """Turn a Doc into `ids`, int64, *Shape* `(characters,)`."""
        ids = self.vocab.encode(self.vocab.normalised(doc.text))
        return {"ids": ids, "stats": {"chars": len(ids)}}

    # ---- a batch ----------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Put documents below each other, or take one window of many columns as it is.

        Returns:
            `inputs` and `targets`, int64, by direction, *Shape* `(rows, characters)` each, where a
            target of `IGNORED` is padding; `num_chars`, how many there are to predict, and
            `starts`, whether the state begins anew (None for documents, whose state is not kept).

        Raises:
            ValueError: There are several windows.
        """
        if "inputs" not in batch[0]:
            rows = [sample["ids"] for sample in batch]
            inputs, targets = shifted(rows, self.directions, self._start)
            num_chars, starts = sum(map(len, rows)), None
        elif len(batch) == 1:
            inputs, targets = batch[0]["inputs"], batch[0]["targets"]
            num_chars, starts = batch[0]["num_chars"], batch[0]["starts"]
        else:
            raise ValueError(
                f"{self.name}: a step takes one window of a text (batch_size='1 docs'), got "
                f"{len(batch)}: the state of one goes on in the next"
            )
        return {
            "inputs": {one: _tensor(inputs[one]) for one in self.directions},
            "targets": {one: _tensor(targets[one]) for one in self.directions},
            "num_chars": num_chars,
            "starts": starts,
        }

    @property
    def _start(self) -> int:
        return int(self.vocab.encode(START)[0])

    def loss_size(self, batch: Batch) -> float:
        """Return the number of characters that are predicted."""
        return batch["num_chars"]

    def figures_of_loss(self, loss: float) -> dict[str, float]:
        """Return `bits_per_char` and `perplexity`."""
        return {"bits_per_char": loss / math.log(2), "perplexity": math.exp(min(loss, 700.0))}

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Predict every character from those before it.

        Windows go on from the state that the window before left, without its gradient.

        Returns:
            `loss`, the mean of the directions, in nats a character, *Shape* `()`, and `losses`,
            that of each.
        """
        size = max(1, batch["num_chars"])
        if batch["starts"]:
            self._carried = {}
        losses: dict[str, torch.Tensor] = {}
        for direction in self.directions:
            rnn = self._network(direction)
            inputs, targets = batch["inputs"][direction], batch["targets"][direction]
            if batch["starts"] is None:
                losses[direction] = _loss_of_texts(rnn, inputs, targets) / size
                continue
            outputs, state = rnn.states(inputs, self._carried_of(direction, inputs.device))
            self._carried[direction] = detached(state)
            losses[direction] = _nats(rnn, outputs, targets) / size
        return {"loss": torch.stack(list(losses.values())).mean(), "losses": losses}

    # ---- what is carried from one window to the next ----------------------------------------

    def _carried_of(self, direction: str, device: torch.device) -> State | None:
        state = self._carried.get(direction)
        return None if state is None else tuple(tensor.to(device) for tensor in state)

    def carried_state(self) -> dict[str, torch.Tensor]:
        """Return the states behind the last window, *Shape* `(layers, columns, hidden_size)`."""
        return {
            f"{direction}.{part}": tensor
            for direction, state in self._carried.items()
            for part, tensor in zip(_PARTS, state, strict=True)
        }

    def set_carried_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `carried_state` gave.

        Raises:
            CheckpointError: It is the state of another model.
        """
        names = {f"{direction}.{part}" for direction in self.directions for part in _PARTS}
        lstm = self._network(self.directions[0]).lstm
        expected = (lstm.num_layers, lstm.hidden_size)
        found = {(tensor.shape[0], tensor.shape[-1]) for tensor in state.values()}
        if state and (set(state) != names or found != {expected}):
            raise CheckpointError(
                f"{self.name}: the carried state holds {sorted(state)}, and this model expects "
                f"{sorted(names)} of (layers, hidden size) {expected}"
            )
        self._carried = {
            direction: tuple(state[f"{direction}.{part}"] for part in _PARTS)
            for direction in (self.directions if state else ())
        }

    def _network(self, direction: str) -> CharRnn:
        return cast(CharRnn, self.rnns[direction])

    # ---- inference --------------------------------------------------------------------------

    def process(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        """Leave the Docs as they are: there is nothing to annotate."""
        return docs

    def bits_per_char(self, text: str) -> float:
        """Return the mean surprise of a character, in bits; the mean of the directions.

        Raises:
            ValueError: The text is empty.
        """
        ids = self.vocab.encode(self.vocab.normalised(text))
        if not len(ids):
            raise ValueError(f"{self.name}: expected a text of one character or more, got none")
        batch = self.collate([{"ids": ids}])
        batch["inputs"] = {key: ids.to(self.device) for key, ids in batch["inputs"].items()}
        batch["targets"] = {key: ids.to(self.device) for key, ids in batch["targets"].items()}
        with evaluating(self), torch.inference_mode():
            return float(self(batch)["loss"]) / math.log(2)

    def perplexity(self, text: str) -> float:
        """Return `2 ** bits_per_char(text)`: among how many letters the model hesitates."""
        return 2.0 ** self.bits_per_char(text)

    def generate(
        self, prefix: str = "", n: int = 100, temperature: float = 1.0, seed: int = 0
    ) -> str:
        """Return the next characters that the forward direction draws, without the prefix.

        What a model of notes writes may be what it learned by heart. Do not log or share it.

        Args:
            prefix: What stands before.
            n: How many characters.
            temperature: Below 1 likelier letters become likelier still; 0 takes the likeliest.
            seed: Seed of the draws.

        Raises:
            ConfigError: The model has no forward direction.
            ValueError: A number is below 0.
        """
        if "forward" not in self.rnns:
            raise ConfigError(f"{self.name}: generating needs the direction 'forward'")
        if n < 0 or temperature < 0:
            raise ValueError(f"n and temperature are 0 or more, got {n} and {temperature}")
        generator = torch.Generator().manual_seed(seed)
        with evaluating(self), torch.inference_mode():
            return self.vocab.decode(self._draw(prefix, n, temperature, generator))

    def _draw(
        self, prefix: str, n: int, temperature: float, generator: torch.Generator
    ) -> Iterator[int]:
        rnn = self._network("forward")
        ids = torch.from_numpy(self.vocab.encode(START + self.vocab.normalised(prefix)))
        state = None
        for _ in range(n):
            outputs, state = rnn.states(ids[None].to(self.device), state)
            logits_V = rnn.logits(outputs[0, -1]).float().cpu()[1:]  # the unknown is no letter
            if temperature == 0:
                ids = logits_V.argmax(keepdim=True) + 1
            else:
                shares_V = torch.softmax(logits_V / temperature, 0)
                ids = torch.multinomial(shares_V, 1, generator=generator) + 1
            yield int(ids)

    # ---- saved and loaded -------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        return {"vocab": self.vocab.to_dict()}

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        vocab = CharVocab.of_dict(state.get("vocab") or {}, file)
        if vocab != self.vocab:
            self._take_vocab(vocab)


_PARTS = ("hidden", "cell")


def shifted(
    rows: Sequence[np.ndarray], directions: Sequence[str], start: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what is read and what is to be predicted, by direction.

    Args:
        rows: The numbers of the characters of each text.
        directions: `"forward"`, `"backward"`, which reads the text reversed, or both.
        start: What is read before the first character.

    Returns:
        Inputs and targets, int64, *Shape* `(texts, characters of the longest)` each.
    """
    inputs, targets = {}, {}
    width = max(map(len, rows), default=0)
    for direction in directions:
        read = np.full((len(rows), width), start, np.int64)
        wanted = np.full((len(rows), width), IGNORED, np.int64)
        for i, row in enumerate(rows):
            ids = row if direction == "forward" else row[::-1]
            read[i, 1 : len(ids)] = ids[:-1]
            wanted[i, : len(ids)] = ids
        inputs[direction], targets[direction] = read, wanted
    return inputs, targets


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))


def _loss_of_texts(rnn: CharRnn, inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
    """Return the sum of the losses of texts from their beginning on, in nats."""
    total, state = torch.zeros((), device=inputs_BT.device), None
    for first in range(0, inputs_BT.shape[1], CHUNK):
        columns = slice(first, first + CHUNK)
        outputs, state = rnn.states(inputs_BT[:, columns], state)
        total = total + _nats(rnn, outputs, targets_BT[:, columns])
    return total


def _nats(rnn: CharRnn, outputs_BTH: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
    logits_NV = rnn.logits(outputs_BTH).flatten(0, 1).float()
    return F.cross_entropy(logits_NV, targets_BT.flatten(), ignore_index=IGNORED, reduction="sum")
