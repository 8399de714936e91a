"""eds.char_lm: it predicts letters, in both directions, window by window."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import TEXTS

import edspipe
import edspipe.pipes as eds
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipes.trainable.char_lm import IGNORED, CharLm
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pretraining.splits import TextSplit
from edspipe.pretraining.windows import CharWindows

TEXT = " ".join(TEXTS) * 3
GREEK = "ο ασθενής έχει πυρετό 發燒 лихорадка"


def make(vocab: Any = None, text: str = TEXT, **options: Any) -> edspipe.Pipeline:
    """Build a small model whose letters are those of a text."""
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    vocab = vocab or CharVocab.from_stream([text])
    options = {"hidden_size": 6, "embedding_size": 4, "dropout": 0.0, **options}
    nlp.add_pipe(eds.char_lm(vocab=vocab, **options), name="char_lm")
    return nlp


def naive_nats(lm: CharLm, text: str, direction: str) -> list[float]:
    """The surprise of each character, one after the other."""
    read = text if direction == "forward" else text[::-1]
    rnn: Any = lm.rnns[direction]
    ids = lm.vocab.encode("\n" + read)
    state, found = None, []
    with torch.no_grad():
        for now, after in pairwise(ids):
            outputs, state = rnn.states(torch.tensor([[now]]), state)
            found.append(-float(rnn.logits(outputs)[0, 0].double().log_softmax(0)[after]))
    return found


def windows_of(lm: CharLm, text: str, **sizes: int) -> list[dict[str, Any]]:
    """The batches of a text."""
    make_windows = CharWindows(lm.vocab, lm.directions, **sizes)
    return [lm.collate([s["char_lm"]]) for s in make_windows(TextSplit("one", text=text))]


# ---- how likely a text is --------------------------------------------------------------------


@pytest.mark.parametrize("text", [TEXT, "a", "unseen: ß€", GREEK])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "projection_size": 3}])
def test_perplexity_is_that_of_a_naive_loop(text: str, options: Any) -> None:
    lm = make(text=TEXT + GREEK, **options).pipes.char_lm
    means = [np.mean(naive_nats(lm, text, direction)) for direction in lm.directions]
    assert lm.perplexity(text) == pytest.approx(math.exp(np.mean(means)), rel=1e-5)
    assert lm.bits_per_char(text) == pytest.approx(math.log2(lm.perplexity(text)))


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_one_direction_alone(direction: str) -> None:
    lm = make(directions=[direction]).pipes.char_lm
    expected = math.exp(np.mean(naive_nats(lm, "toux", direction)))
    assert lm.perplexity("toux") == pytest.approx(expected, rel=1e-5)


def test_a_model_in_training_mode_is_asked_without_dropout() -> None:
    lm = make(dropout=0.5).pipes.char_lm
    lm.train(True)
    assert lm.perplexity(TEXT) == lm.perplexity(TEXT)
    assert lm.training


def test_an_empty_text_has_no_perplexity() -> None:
    with pytest.raises(ValueError, match="expected a text of one character or more, got none"):
        make().pipes.char_lm.perplexity("")


def test_the_loss_of_documents_is_the_mean_over_their_characters() -> None:
    nlp = make()
    lm = nlp.pipes.char_lm
    texts = [*TEXTS, "", "a", TEXT]
    batch = lm.collate([lm.preprocess(nlp.make_doc(text)) for text in texts])
    nats = [n for text in texts for one in lm.directions for n in naive_nats(lm, text, one)]
    assert lm.loss_size(batch) == sum(map(len, texts))
    assert lm(batch)["loss"].item() == pytest.approx(np.mean(nats), rel=1e-5)


def test_the_loss_is_the_mean_of_both_directions() -> None:
    lm = make().pipes.char_lm
    results = lm(windows_of(lm, TEXT)[0])
    forward, backward = results["losses"]["forward"], results["losses"]["backward"]
    assert results["loss"].item() == pytest.approx((forward + backward).item() / 2)


def test_figures_follow_from_the_loss() -> None:
    figures = make().pipes.char_lm.figures_of_loss(math.log(8))
    assert figures == pytest.approx({"bits_per_char": 3.0, "perplexity": 8.0})


def test_it_leaves_documents_alone() -> None:
    nlp = make()
    doc = nlp("Pas de fièvre.")
    assert doc.text == "Pas de fièvre."
    assert not doc.ents


# ---- window by window ------------------------------------------------------------------------


def unwindowed_loss(lm: CharLm, batches: list[dict[str, Any]]) -> torch.Tensor:
    """The loss of whole columns that are read at once."""
    losses = []
    for direction in lm.directions:
        inputs = torch.cat([batch["inputs"][direction] for batch in batches], dim=1)
        targets = torch.cat([batch["targets"][direction] for batch in batches], dim=1)
        rnn: Any = lm.rnns[direction]
        logits = rnn.logits(rnn.states(inputs)[0])
        losses.append(
            torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED
            )
        )
    return torch.stack(losses).mean()


def test_the_carried_state_reads_as_if_there_were_no_windows() -> None:
    lm = make(num_layers=2).pipes.char_lm
    batches = windows_of(lm, TEXT, window=7, columns=3)
    sizes = [lm.loss_size(batch) for batch in batches]
    losses = [lm(batch)["loss"].item() * size for batch, size in zip(batches, sizes, strict=True)]
    assert len(batches) > 5
    expected = unwindowed_loss(lm, batches).item()
    assert sum(losses) / sum(sizes) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_flows_into_the_window_before() -> None:
    gradients = []
    for reads_before in (True, False):
        lm = make().pipes.char_lm
        first, second = windows_of(lm, TEXT[:80], window=20, columns=2)[:2]
        lm(first)
        if not reads_before:  # the same state, with nothing behind it
            lm.set_carried_state({k: v.clone() for k, v in lm.carried_state().items()})
        lm(second)["loss"].backward()
        gradients.append([parameter.grad for parameter in lm.parameters()])
    assert all(map(torch.equal, *gradients))
    assert not any(tensor.requires_grad for tensor in lm.carried_state().values())


def test_a_new_split_begins_with_an_empty_state() -> None:
    lm = make().pipes.char_lm
    batches = windows_of(lm, TEXT, window=7, columns=3)
    alone = lm(batches[0])["loss"]
    lm(batches[1])
    assert torch.equal(lm(batches[0])["loss"], alone)


def test_documents_do_not_touch_the_carried_state() -> None:
    nlp = make()
    lm = nlp.pipes.char_lm
    lm(windows_of(lm, TEXT)[0])
    before = {key: tensor.clone() for key, tensor in lm.carried_state().items()}
    lm(lm.collate([lm.preprocess(nlp.make_doc("toux"))]))
    assert lm.carried_state().keys() == before.keys()
    assert all(torch.equal(lm.carried_state()[key], before[key]) for key in before)


def test_what_is_carried_can_be_put_back() -> None:
    lm = make().pipes.char_lm
    first, second = windows_of(lm, TEXT, window=7, columns=3)[:2]
    lm(first)
    carried = deepcopy(lm.carried_state())
    expected = lm(second)["loss"]
    other = make().pipes.char_lm
    other.set_carried_state(carried)
    assert sorted(carried) == [
        "backward.cell",
        "backward.hidden",
        "forward.cell",
        "forward.hidden",
    ]
    assert carried["forward.cell"].shape == (1, 3, 6)
    assert torch.equal(other(second)["loss"], expected)


@pytest.mark.parametrize(
    "options", [{"hidden_size": 7}, {"num_layers": 2}, {"directions": ["forward"]}]
)
def test_what_another_model_carried_is_refused(options: Any) -> None:
    lm = make().pipes.char_lm
    lm(windows_of(lm, TEXT)[0])
    with pytest.raises(CheckpointError, match="char_lm: the carried state holds"):
        make(**options).pipes.char_lm.set_carried_state(lm.carried_state())


def test_several_windows_at_once_are_refused() -> None:
    lm = make().pipes.char_lm
    samples = list(CharWindows(lm.vocab)(TextSplit("one", text=TEXT)))
    with pytest.raises(ValueError, match=r"one window of a text \(batch_size='1 docs'\), got 2"):
        lm.collate([samples[0]["char_lm"]] * 2)


def test_in_half_precision_the_state_is_carried_too() -> None:
    nlp = make()
    lm = nlp.pipes.char_lm
    with nlp.autocast("bf16"):
        losses = [lm(batch)["loss"] for batch in windows_of(lm, TEXT, window=20)]
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses)


# ---- generating ------------------------------------------------------------------------------


def test_temperature_0_takes_the_likeliest_letter() -> None:
    lm = make().pipes.char_lm
    text = "Pas"
    rnn: Any = lm.rnns["forward"]
    for _ in range(12):
        with torch.no_grad():
            outputs, _state = rnn.states(torch.from_numpy(lm.vocab.encode("\n" + text))[None])
            text += lm.vocab.items[int(rnn.logits(outputs[0, -1])[1:].argmax()) + 1]
    assert lm.generate("Pas", 12, temperature=0) == text[3:]
    assert lm.generate("Pas", 12, temperature=1e-4, seed=5) == text[3:]


def test_draws_depend_on_the_seed_only() -> None:
    lm = make().pipes.char_lm
    state = torch.get_rng_state()
    assert lm.generate("a", 30, seed=1) == lm.generate("a", 30, seed=1)
    assert lm.generate("a", 30, seed=1) != lm.generate("a", 30, seed=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_writes_in_any_script_and_never_the_unknown() -> None:
    lm = make(text=GREEK).pipes.char_lm
    with torch.no_grad():
        lm.rnns["forward"].decoder.bias[0] = 100.0
    written = lm.generate("ο ασθενής", 50)
    assert len(written) == 50
    assert set(written) <= set(GREEK)


def test_generating_needs_the_forward_direction() -> None:
    with pytest.raises(ConfigError, match="needs the direction 'forward'"):
        make(directions=["backward"]).pipes.char_lm.generate("a")


@pytest.mark.parametrize("wrong", [{"n": -1}, {"temperature": -0.1}])
def test_numbers_below_0_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="n and temperature are 0 or more"):
        make().pipes.char_lm.generate("a", **wrong)


# ---- built, saved and loaded -----------------------------------------------------------------


def test_saved_is_loaded_with_its_alphabet(tmp_path: Path) -> None:
    odd = CharVocab(list("\n abc$&*?:'\"1~-é中[]{}#%@!|>\x00\x85"), normalise="NFC")
    nlp = make(odd, directions=["backward"], projection_size=3)
    lm = nlp.pipes.char_lm
    lm(windows_of(lm, TEXT)[0])
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model").pipes.char_lm
    assert loaded.vocab == odd
    assert loaded.directions == ["backward"]
    assert loaded.perplexity(TEXT) == lm.perplexity(TEXT)
    assert loaded.carried_state() == {}


def test_the_alphabet_of_the_weights_stands_above_that_of_the_config(tmp_path: Path) -> None:
    make(CharVocab("abc")).to_disk(tmp_path / "model")
    nlp = make(CharVocab("abcd"))
    nlp.from_disk(tmp_path / "model")
    assert nlp.pipes.char_lm.vocab == CharVocab("abc")


def test_without_an_alphabet_it_takes_the_default() -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.char_lm(hidden_size=2), name="char_lm")
    assert nlp.pipes.char_lm.vocab == CharVocab.default()


def test_an_alphabet_may_stand_in_a_config() -> None:
    vocab = {"@factory": "eds.char_vocab", "items": ["a", "b"]}
    config = {
        "nlp": {
            "@core": "pipeline",
            "components": {"char_lm": {"@factory": "eds.char_lm", "vocab": vocab}},
        }
    }
    assert edspipe.Pipeline.from_config(config).pipes.char_lm.vocab == CharVocab("ab")


@pytest.mark.parametrize("directions", [[], ["up"], ["forward", "forward"]])
def test_directions_are_named_once(directions: list[str]) -> None:
    with pytest.raises(ConfigError, match="directions: expected forward and backward"):
        make(directions=directions)


def test_both_networks_are_found_by_name() -> None:
    lm = make().pipes.char_lm
    assert list(lm.rnns) == ["forward", "backward"]
    assert {name.split(".")[1] for name, _ in lm.named_parameters()} == {"forward", "backward"}


def test_letters_of_a_config_are_an_alphabet() -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.char_lm(vocab=["a", "b"], hidden_size=4), name="char_lm")
    assert nlp.pipes.char_lm.vocab.items[1:] == ["a", "b"]


@pytest.mark.parametrize("factory", ["char_lm", "char_cnn"])
def test_an_alphabet_that_grows_later_is_another_one(factory: str, tmp_path: Path) -> None:
    vocab = CharVocab("ab\n ")
    nlp = edspipe.blank("eds")
    sizes = {"hidden_size": 4} if factory == "char_lm" else {"out_channels": 2}
    nlp.add_pipe(getattr(eds, factory)(vocab=vocab, **sizes), name="chars")
    vocab.add_item("c")
    nlp.to_disk(tmp_path / "model")
    assert len(edspipe.load(tmp_path / "model").pipes.chars.vocab) == 5
