"""A small encoder with random weights, and a vocabulary of word pieces learnt from given texts.

It stands in for a pretrained model where none can be fetched: the files are those that
`transformers` writes for a BERT, so that whatever loads this one loads a real one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_POSITIONS = 512
LOWERCASE = True


def write_encoder(
    out: Path,
    texts: Iterable[str],
    *,
    seed: int = 7,
    vocab_size: int = 3000,
    hidden_size: int = 128,
    num_layers: int = 2,
    num_heads: int = 2,
    intermediate_size: int = 512,
) -> None:
    """Write a random BERT and its tokenizer, which `AutoModel` and `AutoTokenizer` load offline.

    The same arguments give the same files, byte for byte, and the global generators of torch stay
    as they were. The model has no pooling layer: load it with `add_pooling_layer=False`, or
    transformers adds an untrained one.

    Args:
        out: The folder, made where absent.
        texts: What the word pieces are learnt from.
        seed: Chooses the weights.
        vocab_size: The most pieces that the vocabulary may hold, special tokens included.
        hidden_size: The width of a word piece's vector.
        num_layers: The number of attention layers.
        num_heads: The number of attention heads, a divisor of `hidden_size`.
        intermediate_size: The width inside the feed-forward blocks.

    Raises:
        ValueError: There is no text, or the vocabulary is too small for its alphabet.
    """
    pieces = learn_word_pieces(texts, vocab_size)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=SPECIAL_TOKENS.index("[PAD]"),
        architectures=["BertModel"],
        dtype="float32",
    )
    # Weights are drawn on the CPU, so that machines with and without a GPU write the same file.
    # torch.manual_seed would seed the GPUs too, whose generators are not forked here.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False).float()
    tokenizer = BertTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)},
        do_lower_case=LOWERCASE,
        model_max_length=MAX_POSITIONS,
    )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    # Not model.save_pretrained, which shows a progress bar for its one file.
    save_file(model.state_dict(), out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(out)


def learn_word_pieces(texts: Iterable[str], vocab_size: int) -> list[str]:
    """Learn a WordPiece vocabulary, special tokens first.

    The trainer numbers the characters inside words (`##a`) in the order of a hash table, which
    changes with every process, and breaks ties between merges by these numbers. They are therefore
    given to it beforehand, sorted, as if they were special tokens.

    Args:
        texts: What to learn from.
        vocab_size: The most pieces to return.

    Raises:
        ValueError: There is no text, or the vocabulary is too small for its alphabet.
    """
    texts = list(texts)
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=LOWERCASE)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    alphabet = _alphabet(trained, texts)
    fixed = [*SPECIAL_TOKENS, *(f"##{char}" for char in alphabet)]
    if not alphabet:
        raise ValueError("Expected texts to learn word pieces from, got none with a character.")
    if vocab_size < len(fixed) + len(alphabet):
        raise ValueError(
            f"Expected vocab_size to be at least {len(fixed) + len(alphabet)}, which the special "
            f"tokens and the {len(alphabet)} characters of the texts take, got {vocab_size}."
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=fixed,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    vocabulary = trained.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _alphabet(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Return the characters of the words as the tokenizer sees them, sorted."""
    characters: set[str] = set()
    for text in texts:
        normalized = tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized):
            characters.update(word)
    return sorted(characters)
