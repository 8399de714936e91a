"""A document classifier that was exported to ONNX, run by onnxruntime: torch is not imported.

spaCy, which cuts texts into words, imports torch where it is installed; where it is not, all works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc
from tokenizers import Tokenizer

from edspipe.atomic import find_folder
from edspipe.doc.alignment import TokenOffsets
from edspipe.errors import CheckpointError
from edspipe.optional import require
from edspipe.pipeline.json_files import read_json
from edspipe.pipeline.loading import blank
from edspipe.pipes.trainable.doc_features import DocFeatures
from edspipe.pipes.trainable.doc_words import DocWords
from edspipe.pipes.trainable.embeddings.pieces import PieceTokenizer
from edspipe.pipes.trainable.embeddings.windows import align_pieces
from edspipe.serving.windows_table import ReadDoc, Reading, graph_inputs

GRAPH, SETTINGS, TOKENIZER = "model.onnx", "classifier.json", "tokenizer"
FORMAT = 1
"""Version of the settings file."""
MAX_PIECES = 16_384
"""Pieces of documents that are computed at once, unless one document has more."""


class Prediction(NamedTuple):
    """What is predicted of a document.

    Attributes:
        labels: Its labels, by the thresholds; or the most probable one.
        probabilities: Those of all labels.
    """

    labels: list[str]
    probabilities: dict[str, float]


class OnnxClassifier:
    """Labels of documents, from a folder that `export_onnx` wrote.

    Texts are cut into words, pieces and windows as the pipe does it. Pipes that stood before the
    classifier are not run.

    ```python
    classifier = OnnxClassifier("path/to/exported")
    classifier.predict(["No fever."])[0].labels
    ```

    Args:
        folder: The folder.

    Attributes:
        labels: The labels.
        thresholds: From which probability on a document has a label, under `"multi_label"`.
        mode: `"multi_label"` or `"single_label"`.
        settings: All that the settings file says.

    Raises:
        CheckpointError: The folder is not whole, or was written by a later version.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = find_folder(Path(folder))
        self.settings = read_settings(folder / SETTINGS)
        self.labels: list[str] = self.settings["labels"]
        self.thresholds: dict[str, float] = self.settings["thresholds"]
        self.mode: str = self.settings["mode"]
        self.nlp = blank(self.settings["lang"])
        self._reader = DocReader(self.settings, folder / TOKENIZER / "tokenizer.json")
        runtime = require("onnxruntime", "export", "running an exported model")
        options = runtime.SessionOptions()
        # Vectors are added up by ScatterND, where threads of onnxruntime lose each other's sums.
        options.intra_op_num_threads = 1
        if not (folder / GRAPH).is_file():
            raise CheckpointError(f"{folder / GRAPH}: missing")
        self._session = runtime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {one.name for one in self._session.get_inputs()}

    def __call__(self, note: str | Doc) -> Prediction:
        """Predict the labels of one document."""
        return self.predict([note])[0]

    def predict(self, notes: Sequence[str | Doc], *, batch_size: int = 32) -> list[Prediction]:
        """Predict the labels of documents.

        Args:
            notes: Texts, or Docs, which are not changed; only these have features.
            batch_size: Documents that are computed at once, those of similar length together.

        Returns:
            In the order of the documents.
        """
        rows = self.probabilities(notes, batch_size=batch_size).tolist()
        return [
            Prediction(self.decide(row), dict(zip(self.labels, row, strict=True))) for row in rows
        ]

    def probabilities(self, notes: Sequence[str | Doc], *, batch_size: int = 32) -> np.ndarray:
        """Compute probabilities, float32, *Shape* `(documents, labels)`; as `predict`."""
        docs = [self.nlp.make_doc(note) if isinstance(note, str) else note for note in notes]
        read = [self._reader(doc) for doc in docs]
        found = np.zeros((len(read), len(self.labels)), dtype=np.float32)
        for places in _batches([len(doc.pieces) for doc in read], batch_size):
            inputs = graph_inputs([read[i] for i in places], self._reader.reading)
            fed = {name: array for name, array in inputs.items() if name in self._inputs}
            found[places] = self._session.run(["probabilities"], fed)[0]
        return found

    def decide(self, probabilities: Sequence[float]) -> list[str]:
        """Return the labels of a document.

        Args:
            probabilities: Those of all labels, in their order.
        """
        if self.mode == "single_label":
            return [self.labels[int(np.argmax(probabilities))]]
        pairs = zip(self.labels, probabilities, strict=True)
        return [label for label, p in pairs if p >= self.thresholds[label]]


class DocReader:
    """Turns Docs into pieces, words and numbers, as `eds.transformer` and the classifier do.

    Args:
        settings: The content of the settings file.
        tokenizer: The file of the pieces.

    Raises:
        CheckpointError: There is no such file, or it cannot be read.
    """

    def __init__(self, settings: Mapping[str, Any], tokenizer: Path) -> None:
        try:
            backend = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # tokenizers raises nothing more telling
            raise CheckpointError(f"{tokenizer}: expected a tokenizer of pieces") from error
        backend.no_truncation()
        backend.no_padding()
        self.pieces = PieceTokenizer(backend)
        self.reading = Reading.of(settings["reading"])
        limit = settings["max_length"]
        self.words = DocWords(None, limit, limit is not None)
        self.features = DocFeatures(settings["features"]["names"])
        self.features.set_state(settings["features"], tokenizer)

    def __call__(self, doc: Doc) -> ReadDoc:
        """Read a document."""
        words, num_tokens, _ = self.words.read(doc)
        pieces = self.pieces(doc[:num_tokens].text_with_ws)
        offsets = TokenOffsets(doc)
        owned, counts = align_pieces(
            pieces.starts, pieces.ends, offsets.starts[:num_tokens], offsets.ends[:num_tokens]
        )
        return ReadDoc(pieces.ids, owned, counts, words, self.features.read(doc))


def read_settings(file: Path) -> dict[str, Any]:
    """Read the settings of an exported classifier.

    Raises:
        CheckpointError: There is no such file, or a later version wrote it.
    """
    settings = read_json(file)
    if settings.get("format") != FORMAT:
        raise CheckpointError(
            f"{file}: expected format {FORMAT}, got {settings.get('format')}; export the model "
            "again with this version"
        )
    return settings


def _batches(num_pieces: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield places of documents, those of similar length together."""
    batch: list[int] = []
    for place in sorted(range(len(num_pieces)), key=num_pieces.__getitem__):
        total = sum(num_pieces[i] for i in batch) + num_pieces[place]
        if batch and (len(batch) == batch_size or total > MAX_PIECES):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
