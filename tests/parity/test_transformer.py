"""eds.transformer against transformers' own output, window by window, and word by word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers_support import KINDS, TEXTS, write_encoder
from transformers import AutoModel, AutoTokenizer

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.windows import align_pieces, make_windows


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


def build(encoder: Path, **kwargs):
    nlp = edspipe.blank("eds")
    kwargs = {"window": 12, "stride": 7, **kwargs}
    pipe = eds.transformer(model=str(encoder), **kwargs).build(nlp, "transformer")
    with torch.no_grad():
        pipe.empty_word.fill_(0.5)
    return nlp, pipe.eval()


def run(nlp, pipe, texts):
    docs = [nlp.make_doc(text) for text in texts]
    with torch.no_grad():
        output = pipe(pipe.collate([pipe.preprocess(doc) for doc in docs]))
    return docs, output["embeddings"], output["lengths"]


def reference(encoder: Path, doc, window: int, stride: int, empty: float, layer=-1) -> torch.Tensor:
    """Read a Doc window by window with transformers alone; pick the most central window."""
    model = AutoModel.from_pretrained(encoder, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    encoded = tokenizer(doc.text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    cls, sep = full[0], full[-1]
    assert full == [cls, *bare, sep]
    best: list[tuple[float, torch.Tensor]] = [(np.inf, torch.zeros(0))] * len(ids)
    start = 0
    while ids:
        part = ids[start : start + window]
        with torch.no_grad():
            output = model(torch.tensor([[cls, *part, sep]]), output_hidden_states=True)
        hidden = output.hidden_states[layer][0]
        for i in range(len(part)):
            distance = abs(i + 0.5 - window / 2)
            if distance < best[start + i][0] - 1e-9 or (
                abs(distance - best[start + i][0]) < 1e-9 and start > 0
            ):
                best[start + i] = (distance, hidden[i + 1])
        if start + window >= len(ids):
            break
        start += stride
    rows = []
    for token in doc:
        begin, end = token.idx, token.idx + len(token)
        own = [best[i][1] for i, (b, e) in enumerate(offsets) if b < end and begin < e and e > b]
        size = model.config.hidden_size
        rows.append(torch.stack(own).mean(0) if own else torch.full((size,), empty))
    return torch.stack(rows) if rows else torch.zeros(0, model.config.hidden_size)


@pytest.mark.parametrize(("window", "stride"), [(12, 7), (12, 12), (5, 3), (30, 20)])
def test_vectors_are_those_of_transformers(encoder, window, stride):
    nlp, pipe = build(encoder, window=window, stride=stride)
    docs, found, lengths = run(nlp, pipe, TEXTS)
    assert lengths.tolist() == [len(doc) for doc in docs]
    expected = torch.cat([reference(encoder, doc, window, stride, 0.5) for doc in docs])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_documents_do_not_depend_on_their_batch(encoder):
    nlp, pipe = build(encoder)
    _, together, lengths = run(nlp, pipe, TEXTS)
    alone = [run(nlp, pipe, [text])[1] for text in TEXTS]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-5, rtol=1e-4)
    assert together.shape == (int(lengths.sum()), pipe.output_size)


@pytest.mark.parametrize(
    ("layers", "mode"), [((-1, -2), "mean"), ((0, 2), "concat"), ((1,), "mean")]
)
def test_layers_are_pooled_as_the_hidden_states_say(encoder, layers, mode):
    nlp, pipe = build(encoder, layers=list(layers), layer_pooling=mode)
    text = TEXTS[3]
    doc, found, _ = run(nlp, pipe, [text])
    parts = [reference(encoder, doc[0], 12, 7, 0.5, layer) for layer in layers]
    expected = torch.stack(parts).mean(0) if mode == "mean" else torch.cat(parts, dim=1)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_a_scalar_mix_begins_as_the_mean_and_learns(encoder):
    nlp, pipe = build(encoder, layers=[-1, -2], layer_pooling="scalar_mix")
    _, mean, _ = run(*build(encoder, layers=[-1, -2]), [TEXTS[0]])
    _, found, _ = run(nlp, pipe, [TEXTS[0]])
    torch.testing.assert_close(found, mean, atol=2e-5, rtol=1e-4)
    batch = pipe.collate([pipe.preprocess(nlp.make_doc(TEXTS[0]))])
    pipe(batch)["embeddings"].sum().backward()
    assert pipe.pooling.weights.grad is not None
    assert pipe.pooling.factor.grad is not None


def test_a_prompt_is_read_before_its_context_as_a_pair(encoder):
    nlp, pipe = build(encoder, window=20, stride=20)
    doc, prompt = nlp.make_doc("fièvre"), "toux"
    features = pipe.preprocess(doc, contexts=[doc[:]], prompts=[prompt])
    batch = pipe.collate([features])
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    assert batch["windows"][0]["input_ids"][0].tolist() == tokenizer(prompt, doc.text)["input_ids"]


def test_contexts_are_read_apart(encoder):
    nlp, pipe = build(encoder)
    doc = nlp.make_doc("toux fièvre et douleur")
    with torch.no_grad():
        parts = pipe(pipe.collate([pipe.preprocess(doc, contexts=[doc[:2], doc[2:]])]))
        _, first, _ = run(nlp, pipe, [doc[:2].text_with_ws])
        _, second, _ = run(nlp, pipe, [doc[2:].text_with_ws])
    assert parts["lengths"].tolist() == [2, 2]
    torch.testing.assert_close(
        parts["embeddings"], torch.cat([first, second]), atol=2e-5, rtol=1e-4
    )


def rows_of(batch) -> int:
    return sum(len(table["input_ids"]) for table in batch["windows"])


def test_repeated_texts_are_computed_once(encoder):
    nlp, pipe = build(encoder)
    texts = [TEXTS[0], TEXTS[3], TEXTS[0], TEXTS[0], TEXTS[3]]
    samples = [pipe.preprocess(nlp.make_doc(text)) for text in texts]
    once = rows_of(pipe.collate(samples[:2]))
    assert rows_of(pipe.collate(samples)) == once
    _, found, lengths = run(nlp, pipe, texts)
    parts = found.split(lengths.tolist())
    for part, text in zip(parts, texts, strict=True):
        assert torch.equal(part, parts[texts.index(text)])
    _, expected, _ = run(nlp, pipe, texts[:2])
    torch.testing.assert_close(torch.cat(parts[:2]), expected, atol=2e-5, rtol=1e-4)


def test_windows_repeated_within_a_text_are_computed_once(encoder):
    nlp, pipe = build(encoder, window=1, stride=1)
    samples = [pipe.preprocess(nlp.make_doc("fièvre fièvre fièvre fièvre"))]
    num_different = len(set(samples[0]["pieces"][0].tolist()))
    assert rows_of(pipe.collate(samples)) == num_different
    assert rows_of(pipe.train().collate(samples)) == len(samples[0]["pieces"][0])


def test_repeated_texts_are_each_computed_in_training(encoder):
    nlp, pipe = build(encoder)
    samples = [pipe.preprocess(nlp.make_doc(TEXTS[0]))] * 3
    assert rows_of(pipe.train().collate(samples)) == 3 * rows_of(pipe.collate(samples[:1]))
    torch.manual_seed(0)
    _, found, lengths = run(nlp, pipe, [TEXTS[0]] * 2)
    first, second = found.split(lengths.tolist())
    assert not torch.equal(first, second)  # Each copy has values dropped of its own.


def test_a_text_behind_two_prompts_is_computed_twice(encoder):
    nlp, pipe = build(encoder)
    doc = nlp.make_doc("douleur")
    contexts = [doc[:], doc[:], doc[:]]
    features = pipe.preprocess(doc, contexts=contexts, prompts=["toux", "fièvre", "toux"])
    batch = pipe.collate([features])
    with torch.no_grad():
        first, second, third = pipe(batch)["embeddings"].split(1)
    assert rows_of(batch) == 2
    assert torch.equal(first, third)
    assert not torch.allclose(first, second, atol=1e-4)


def gradients(encoder: Path, **kwargs) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A loss, and its gradients, in training mode, with nothing dropped."""
    nlp, pipe = build(encoder, **kwargs)
    for module in pipe.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = pipe.collate([pipe.preprocess(nlp.make_doc(text)) for text in TEXTS])
    loss = pipe(batch)["embeddings"].pow(3).sum()
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in pipe.named_parameters() if p.grad is not None}


def test_gradient_checkpointing_is_switched_on_without_a_warning(encoder):
    build(encoder, gradient_checkpointing=True)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradient_checkpointing_gives_the_same_gradients(encoder):
    loss, expected = gradients(encoder)
    other, found = gradients(encoder, gradient_checkpointing=True)
    torch.testing.assert_close(other, loss)
    assert found.keys() == expected.keys()
    assert len(found) > 20
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradient_checkpointing_computes_layers_again(encoder):
    calls = {}
    for checkpointing in (False, True):
        nlp, pipe = build(encoder, gradient_checkpointing=checkpointing)
        layer = pipe.train().encoder.encoder.layer[0].attention
        seen: list[object] = []
        layer.register_forward_hook(lambda *args, seen=seen: seen.append(args[0]))
        batch = pipe.collate([pipe.preprocess(nlp.make_doc("toux"))])
        pipe(batch)["embeddings"].sum().backward()
        calls[checkpointing] = len(seen)
    assert calls == {False: 1, True: 2}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_little_of_a_batch_is_padding(encoder_dir, seed, training):
    nlp, pipe = build(encoder_dir, window=128, stride=96)
    rng = np.random.default_rng(seed)
    words = np.array(["fever", "patient", "chest", "cough", "pain", "the"])
    texts = [" ".join(rng.choice(words, rng.integers(200, 800))) for _ in range(32)]
    samples = [pipe.preprocess(nlp.make_doc(text)) for text in texts]
    assert min(sample["stats"]["tokens"] for sample in samples) >= 200
    tables = pipe.train(training).collate(samples)["windows"]
    used = sum(int(t.get("attention_mask", torch.ones_like(t["input_ids"])).sum()) for t in tables)
    assert used > 0.95 * sum(table["input_ids"].numel() for table in tables)


def test_training_without_overlap_reads_each_piece_once(encoder):
    nlp, pipe = build(encoder, training_stride=False)
    features = pipe.preprocess(nlp.make_doc(TEXTS[-1]))
    num_pieces = features["stats"]["tokens"]
    rows = {mode: rows_of(pipe.train(mode).collate([features])) for mode in (True, False)}
    assert rows[True] == -(-num_pieces // 12)
    assert rows[False] == -(-(num_pieces - 12) // 7) + 1


def test_new_tokens_are_pieces(encoder):
    nlp, pipe = build(encoder, new_tokens=["amlodipine"])
    features = pipe.preprocess(nlp.make_doc("amlodipine"))
    assert len(features["pieces"][0]) == 1
    assert run(nlp, pipe, ["amlodipine"])[1].shape == (1, pipe.output_size)


def test_a_window_that_does_not_fit_is_refused_with_the_limit(encoder):
    build(encoder, window=38, stride=38)
    with pytest.raises(ConfigError, match=r"window=39 .* 40 positions .* window can be 38 at most"):
        build(encoder, window=39, stride=39)


def test_a_prompt_that_does_not_fit_is_refused(encoder):
    nlp, pipe = build(encoder, window=36, stride=36)
    doc = nlp.make_doc("toux")
    features = pipe.preprocess(doc, contexts=[doc[:]], prompts=["fièvre douleur toux " * 3])
    with pytest.raises(ConfigError, match="make the window or the prompts shorter"):
        pipe.collate([features])


def test_a_stride_below_one_is_refused(encoder):
    with pytest.raises(ConfigError, match="window and stride are 1 or more, got 12 and 0"):
        build(encoder, stride=0)


def test_a_stride_beyond_the_window_leaves_nothing_unread(encoder, log):
    nlp, pipe = build(encoder, stride=13)
    assert any("stride=13 would leave pieces between windows of 12 unread" in line for line in log)
    _, found, _ = run(nlp, pipe, TEXTS)
    _, expected, _ = run(*build(encoder, stride=12), TEXTS)
    torch.testing.assert_close(found, expected)


def test_a_layer_that_does_not_exist_is_refused(encoder):
    with pytest.raises(ConfigError, match="the encoder has layers -3 to 2, got 5"):
        build(encoder, layers=[5])


def test_prompts_that_do_not_match_the_contexts_are_refused(encoder):
    nlp, pipe = build(encoder)
    with pytest.raises(ValueError, match="expected a prompt a context, got 2 for 1"):
        pipe.preprocess(nlp.make_doc("toux"), prompts=["a", "b"])


@pytest.mark.parametrize("model", ["/nowhere/encoder", "./nowhere"])
def test_a_folder_that_is_no_encoder_is_named(model):
    with pytest.raises(ConfigError, match="expected the folder of an encoder"):
        eds.transformer(model=model).build(edspipe.blank("eds"), "transformer")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no encoder could be read"):
        eds.transformer(model=str(tmp_path)).build(edspipe.blank("eds"), "transformer")


def test_pieces_are_aligned_as_a_double_loop_says():
    rng = np.random.default_rng(0)
    for _ in range(200):
        cuts = np.sort(rng.choice(60, size=2 * rng.integers(0, 12), replace=False)).reshape(-1, 2)
        pieces = np.sort(rng.integers(0, 60, size=(rng.integers(0, 20), 2)), axis=1)
        pieces = pieces[np.lexsort((pieces[:, 1], pieces[:, 0]))]
        owned, counts = align_pieces(pieces[:, 0], pieces[:, 1], cuts[:, 0], cuts[:, 1])
        expected = [
            [i for i, (b, e) in enumerate(pieces) if b < end and begin < e and e > b]
            for begin, end in cuts
        ]
        assert counts.tolist() == [len(group) for group in expected]
        assert owned.tolist() == [i for group in expected for i in group]


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_windows_cover_each_piece_from_the_most_central_place(window):
    for stride in range(1, window + 1):
        sizes = np.arange(0, 23)
        windows = make_windows(sizes, window, stride)
        pieces = np.arange(sizes.sum())
        assert (windows.firsts[windows.rows] + windows.columns == pieces).all()
        assert (windows.columns < windows.lengths[windows.rows]).all()
        for piece, column in enumerate(windows.columns):
            inside = (windows.firsts <= piece) & (piece < windows.firsts + windows.lengths)
            places = piece - windows.firsts[inside]
            distances = np.abs(places + 0.5 - window / 2)
            assert abs(column + 0.5 - window / 2) <= distances.min() + 0.5
