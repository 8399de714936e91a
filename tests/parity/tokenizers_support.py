"""Encoders with the three kinds of tokenizers that real models have, built in the test."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

TEXTS = [
    "Le patient présente une fièvre à 39,5 °C depuis 3 jours.",
    "Pas de  toux ;\nECG normal.\n\nAntécédents : diabète de type 2, HTA.",
    "L'hôpital: e\u0301chographie cardiaque\u00a0normale 😷  \n",
    "The patient was given amoxicillin-clavulanate (875 mg) b.i.d.",
    " \n ",
    "",
    "a",
    "Insuffisance rénale chronique stade 3b; créatinine 145 µmol/l; " * 6,
]
KINDS = ("wordpiece", "bpe", "unigram")


def write_encoder(folder: Path, kind: str) -> Path:
    """Write a random two-layer encoder with a tokenizer of a kind, trained on `TEXTS`."""
    tokenizer = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[kind]()
    tokenizer.save_pretrained(folder)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "wordpiece":
            model = BertModel(BertConfig(max_position_embeddings=40, **sizes), False)
        elif kind == "bpe":
            model = RobertaModel(RobertaConfig(max_position_embeddings=42, **sizes), False)
        else:
            model = XLMRobertaModel(XLMRobertaConfig(max_position_embeddings=42, **sizes), False)
    model.save_pretrained(folder)
    return folder


def _wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _wrap(tokenizer, "[CLS]", "[SEP]", "[PAD]", "[UNK]", pair="[CLS] $A [SEP] $B:1 [SEP]:1")


def _bpe() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _wrap(tokenizer, "<s>", "</s>", "<pad>", "<unk>", pair="<s> $A </s> </s> $B </s>")


def _unigram() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _wrap(tokenizer, "<s>", "</s>", "<pad>", "<unk>", pair="<s> $A </s> </s> $B </s>")


def _wrap(
    tokenizer: Tokenizer, cls: str, sep: str, pad: str, unk: str, pair: str
) -> PreTrainedTokenizerFast:
    ids = [(token, tokenizer.token_to_id(token)) for token in (cls, sep)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=pair, special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=cls, sep_token=sep, pad_token=pad, unk_token=unk
    )
