"""Small things that tests build again and again: an encoder, a pipeline, documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from spacy.tokens import Doc, Span
from transformers import BertConfig, BertModel, BertTokenizer

import edspipe
import edspipe.pipes as eds

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyzàâäçèéêëîïñôöùûüáíóúœæ"
MARKS = "0123456789.,;:!?'’\"()[]-/%+=<>*&@#_°µ"
PIECES = (
    *("the", "a", "of", "patient", "has", "no", "fever", "cough", "with", "pain", "in", "chest"),
    *("le", "la", "les", "de", "du", "des", "pas", "une", "un", "fièvre", "toux", "douleur"),
    *("##s", "##ing", "##ed", "##tion", "##ment", "##ite", "##ose", "##ale"),
)
TEXTS = (
    "The patient has no fever. Cough for 3 days, chest pain.",
    "Pas de fièvre, toux depuis 3 jours.\nDouleur thoracique (EVA 4/10).",
    "Hypertension artérielle traitée par amlodipine 5 mg.",
)
"""Three invented notes, in English and French."""


def tiny_encoder(folder: str | Path, *, seed: int = 0, hidden_size: int = 32) -> Path:
    """Write a random two-layer BERT and a WordPiece vocabulary, as `transformers` writes them.

    Every Latin letter of English, French and Spanish is a piece, so that any sentence has pieces.
    The same arguments give the same files; the global generators of torch stay as they were.

    Args:
        folder: Where the files go; it is made.
        seed: Chooses the weights.
        hidden_size: Width of a piece's vector.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [*SPECIALS, *LETTERS, *MARKS, *(f"##{letter}" for letter in LETTERS + MARKS[:10])]
    pieces = list(dict.fromkeys([*pieces, *PIECES]))
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=512,
        architectures=["BertModel"],
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
    config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    vocab = {piece: index for index, piece in enumerate(pieces)}
    BertTokenizer(vocab=vocab, strip_accents=False, model_max_length=512).save_pretrained(folder)
    return folder


def tiny_pipeline(
    folder: str | Path,
    *,
    labels: Sequence[str] | None = ("A", "B"),
    seed: int = 0,
    window: int = 10,
    **ner: Any,
) -> edspipe.Pipeline:
    """Build `eds.ner_crf` on `eds.text_cnn` on `eds.transformer`, as the pipe `ner`.

    Args:
        folder: The encoder, as `tiny_encoder` writes it.
        labels: The labels; None leaves them to `post_init`.
        seed: Chooses the weights above the encoder.
        window: Window of the recogniser.
        **ner: More arguments of `eds.ner_crf`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nlp = edspipe.blank("eds")
        nlp.add_pipe(
            eds.ner_crf(
                window=window,
                labels=None if labels is None else list(labels),
                embedding=eds.text_cnn(
                    kernel_sizes=[3],
                    embedding=eds.transformer(model=str(folder), window=32, stride=24),
                ),
                **{"mode": "joint", "target_span_getter": "gold-ner", **ner},
            ),
            name="ner",
        )
    if labels:  # a new classifier expects hardly any entities, and tests want to see some
        torch.nn.init.zeros_(nlp.pipes.ner.classifier.bias)
    return nlp


def gold_docs(nlp: edspipe.Pipeline, texts: tuple[str, ...] = TEXTS) -> list[Doc]:
    """Make Docs with two gold entities each, labels A and B, in the group `gold-ner`."""
    docs = [nlp.make_doc(text) for text in texts]
    for index, doc in enumerate(docs):
        doc._.note_id = f"note-{index}"
        doc.spans["gold-ner"] = [Span(doc, 1, 3, label="A"), Span(doc, 4, 5, label="B")]
    return docs


def found_spans(docs: Any) -> list[list[tuple[int, int, str]]]:
    """Return the predictions in `gold-ner` as (start, end, label), document by document."""
    return [[(s.start, s.end, s.label_) for s in doc.spans["gold-ner"]] for doc in docs]


def assert_resumes(make_stream: Any, limit: int | None = None) -> list[Any]:
    """Save before every element of a stream, restore, and compare what comes after.

    Args:
        make_stream: Returns the stream; called for every position, as another process would.
        limit: Elements to look at, for a stream that loops.

    Returns:
        The elements.
    """
    iterator = iter(make_stream())
    states, elements = [_through_json(iterator.get_state())], []
    for element in iterator if limit is None else islice(iterator, limit):
        elements.append(element)
        states.append(_through_json(iterator.get_state()))
    report = iterator.report
    iterator.close()
    for start, state in enumerate(states):
        with iter(make_stream()) as restored:
            restored.set_state(state)
            rest = list(restored if limit is None else islice(restored, limit - start))
            assert rest == elements[start:], f"another rest after {start} elements"
            assert limit is not None or restored.report == report
    return elements


def _through_json(state: Any) -> Any:
    return json.loads(json.dumps(state))
