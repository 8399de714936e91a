from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from edspipe.demo.encoder import SPECIAL_TOKENS, learn_word_pieces, write_encoder

TEXTS = [
    "Patient de 67 ans hospitalisé pour fièvre et douleur thoracique, sans toux.",
    "No fever, chest pain for 3 days. Started on amoxicillin 1 g and metformin.",
]
SIZES = {"vocab_size": 120, "hidden_size": 16, "num_layers": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoder")
    write_encoder(out, TEXTS, **SIZES)
    return out


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_model_loads_offline_with_the_sizes_asked_for(encoder):
    model = AutoModel.from_pretrained(encoder, add_pooling_layer=False)

    assert type(model).__name__ == "BertModel"
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (16, 2)
    assert (model.config.num_attention_heads, model.config.intermediate_size) == (2, 32)
    assert model.config.max_position_embeddings == 512
    assert model.dtype == torch.float32


def test_the_model_and_the_tokenizer_agree_on_the_vocabulary(encoder):
    model = AutoModel.from_pretrained(encoder, add_pooling_layer=False)

    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(encoder)) == 120


def test_the_tokenizer_brackets_a_text_and_gives_offsets(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)

    encoded = tokenizer("fièvre, pain", return_offsets_mapping=True)

    tokens = tokenizer.convert_ids_to_tokens(encoded.input_ids)
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert encoded.offset_mapping[-2][1] == len("fièvre, pain")


def test_special_tokens_have_the_first_ids(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)

    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3, 4]
    assert tokenizer.pad_token_id == 0


def test_case_and_accents_do_not_change_the_pieces(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)

    assert tokenizer.tokenize("FIEVRE") == tokenizer.tokenize("fièvre")


def test_no_character_of_the_texts_is_unknown(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)

    assert "[UNK]" not in tokenizer.tokenize(" ".join(TEXTS))


def test_the_same_seed_writes_the_same_bytes(encoder, tmp_path):
    write_encoder(tmp_path, TEXTS, **SIZES)

    names = sorted(path.name for path in encoder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert (encoder / name).read_bytes() == (tmp_path / name).read_bytes()


def test_another_seed_changes_the_weights_and_keeps_the_pieces(encoder, tmp_path):
    write_encoder(tmp_path, TEXTS, seed=8, **SIZES)

    def same(name: str) -> bool:
        return (encoder / name).read_bytes() == (tmp_path / name).read_bytes()

    assert not same("model.safetensors")
    assert same("tokenizer.json")


def test_the_random_state_of_torch_is_untouched(tmp_path):
    before = torch.get_rng_state()

    write_encoder(tmp_path, TEXTS, **SIZES)

    assert torch.equal(torch.get_rng_state(), before)


def test_word_pieces_hold_both_forms_of_each_character():
    pieces = learn_word_pieces(["abba abba"], 20)

    assert pieces[:5] == list(SPECIAL_TOKENS)
    assert {"a", "b", "##a", "##b", "abba"} <= set(pieces)
    assert len(pieces) == len(set(pieces))


@pytest.mark.parametrize("texts", [[], [" \n"]])
def test_word_pieces_need_texts(texts):
    with pytest.raises(ValueError, match="Expected texts to learn word pieces from"):
        learn_word_pieces(texts, 100)


def test_a_vocabulary_too_small_for_its_alphabet_is_refused():
    with pytest.raises(ValueError, match=r"at least 9, .* the 2 characters of the texts.*got 8"):
        learn_word_pieces(["abba"], 8)
