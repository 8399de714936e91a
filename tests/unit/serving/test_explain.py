"""Attributions add up to what the text changes, and are exact where that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loguru import logger
from served_classifiers import NOTES, make_classifier
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.cli.main import main
from edspipe.errors import ConfigError
from edspipe.serving import explain as module
from edspipe.serving.explain import explain, to_tokens
from edspipe.serving.windows_table import ReadDoc
from edspipe.viz.attributions import attributions_page, write_attributions

SHORT, LONG = NOTES[3], NOTES[4]


@pytest.fixture(scope="module")
def nlp(encoder_dir: Path) -> edspipe.Pipeline:
    return make_classifier(encoder_dir, thresholds=0.4, num_layers=1)


def linear_classifier(encoder_dir: Path) -> edspipe.Pipeline:
    """Build a classifier whose logits are a linear function of the input embeddings."""
    nlp = make_classifier(encoder_dir, layers=[0], temperature=2.0)
    nlp.pipes.classifier.embedding.encoder.embeddings.LayerNorm = torch.nn.Identity()
    return nlp


@pytest.mark.parametrize("baseline", ["pad", "mask", "zero"])
def test_of_a_linear_model_they_are_its_terms(encoder_dir: Path, baseline: Any) -> None:
    nlp = linear_classifier(encoder_dir)
    pipe = nlp.pipes.classifier
    found = explain(nlp, "fever cough pain", "pain", num_steps=1, baseline=baseline)
    tokenizer, table = pipe.embedding.tokenizer, pipe.embedding.encoder.embeddings.word_embeddings
    weight = pipe.head.output.weight[2].detach() / 2.0 / 3  # temperature, and the mean of 3 words
    vectors = table.weight.detach()
    start = {
        "pad": vectors[tokenizer.pad_token_id],
        "mask": vectors[tokenizer.mask_token_id],
        "zero": torch.zeros_like(vectors[0]),
    }[baseline]
    ids = tokenizer.convert_tokens_to_ids(["fever", "cough", "pain"])
    expected = [float((vectors[i] - start) @ weight) for i in ids]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ("mean", "multi_label"),
        ("max", "multi_label"),
        ("attention", "multi_label"),
        ("cls", "multi_label"),
        ("attention", "single_label"),
        pytest.param("mean", "single_label", marks=pytest.mark.slow),
        pytest.param("max", "single_label", marks=pytest.mark.slow),
        pytest.param("cls", "single_label", marks=pytest.mark.slow),
    ],
)
def test_they_add_up_to_the_change_of_log_odds(encoder_dir: Path, pooling: str, mode: str) -> None:
    nlp = make_classifier(encoder_dir, pooling=pooling, mode=mode, num_layers=1)
    found = explain(nlp, SHORT, "pain", num_steps=25)
    change = found.log_odds - found.baseline_log_odds
    assert found.is_complete
    assert found.values.sum() + found.rest == pytest.approx(change, abs=found.allowed_error)
    assert np.abs(found.values).max() > 3 * found.allowed_error


def test_log_odds_and_decision_are_those_of_the_pipe(nlp: edspipe.Pipeline) -> None:
    found = explain(nlp, LONG, "fever", num_steps=2)
    doc = nlp.pipes.classifier.batch_process([nlp.make_doc(LONG)])[0]
    assert found.probability == pytest.approx(doc.cats["fever"], abs=1e-6)
    odds = np.log(doc.cats["fever"] / (1 - doc.cats["fever"]))
    assert found.log_odds == pytest.approx(odds, abs=1e-4)
    assert found.has_label == ("fever" in doc._.labels)
    assert found.threshold == 0.4


def test_the_baseline_is_a_text_of_pads(nlp: edspipe.Pipeline) -> None:
    pieces = explain(nlp, "fever cough", "pain", num_steps=1)
    assert pieces.baseline_log_odds == pytest.approx(
        explain(nlp, "[PAD] [PAD]", "pain", num_steps=1).log_odds, abs=1e-5
    )


def test_it_is_the_average_gradient_of_many_small_steps(encoder_dir: Path) -> None:
    """Against a plain sum over 150 midpoints, with gradients by the encoder's own argument."""
    nlp = make_classifier(encoder_dir, num_layers=1, pooling="cls")
    pipe = nlp.pipes.classifier
    embedding = pipe.embedding
    ids = torch.tensor([[*embedding.prefix, *embedding.pieces("fever cough").ids]])
    ids = torch.cat([ids, torch.tensor([embedding.suffix])], 1)
    vectors = embedding.encoder.embeddings.word_embeddings.weight.detach()
    text, start = vectors[ids], vectors[ids].clone()
    start[0, 1:3] = vectors[embedding.tokenizer.pad_token_id]
    total = torch.zeros_like(text)
    for step in range(150):
        point = (start + (step + 0.5) / 150 * (text - start)).requires_grad_()
        state = embedding.encoder(inputs_embeds=point).last_hidden_state
        total += torch.autograd.grad(pipe.head(state[:, 0])[0, 1], point)[0] / 150
    expected = ((text - start) * total).sum(-1)[0, 1:3].numpy()
    np.testing.assert_allclose(explain(nlp, "fever cough", "fever").values, expected, atol=1e-4)


def test_long_documents_are_computed_in_parts(
    nlp: edspipe.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = explain(nlp, LONG, "pain", num_steps=3)
    monkeypatch.setattr(module, "MAX_CELLS", 40)
    parts = explain(nlp, LONG, "pain", num_steps=3)
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-6)


def test_words_that_are_not_read_add_nothing(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir, max_length=4, truncation=True, num_layers=1)
    found = explain(nlp, SHORT, "pain", num_steps=2)
    assert found.num_read == 4
    assert np.all(found.values[:4] != 0)
    assert np.all(found.values[4:] == 0)
    assert 'title="not read by the classifier">fever<' in attributions_page(found)


def test_what_stands_on_the_encoder_may_be_anything(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir, on_encoder=eds.text_rnn)
    found = explain(nlp, SHORT, "pain", num_steps=20)
    assert found.is_complete


def test_steps_are_raised_until_they_add_up(
    nlp: edspipe.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOLERANCE", 1e-5)
    monkeypatch.setattr(module, "LEAST_ERROR", 0.0)
    found = explain(nlp, SHORT, "pain", num_steps=1)
    assert found.num_steps > 1
    assert found.is_complete


def test_it_is_said_where_they_do_not(
    nlp: edspipe.Pipeline, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    monkeypatch.setattr(module, "LEAST_ERROR", 1e-30)
    found = explain(nlp, SHORT, "pain", num_steps=1)
    assert not found.is_complete
    assert found.num_steps == 16
    assert "does NOT add up" in str(found)
    assert "They do not add up" in attributions_page(found)
    assert "after 16 steps" in logged[0]


@pytest.fixture
def logged() -> Any:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="WARNING")
    yield lines
    logger.remove(sink)


def test_an_empty_document_changes_nothing(nlp: edspipe.Pipeline) -> None:
    found = explain(nlp, "", "pain")
    assert found.values.tolist() == []
    assert found.log_odds == found.baseline_log_odds
    assert "No word changes the log-odds" in attributions_page(found)


def test_a_doc_is_not_changed(nlp: edspipe.Pipeline) -> None:
    doc: Doc = nlp.make_doc(SHORT)
    explain(nlp, doc, "pain", num_steps=1)
    assert doc.cats == {}


def test_tokens_share_a_piece_and_some_pieces_have_none() -> None:
    nothing = np.zeros(0)
    owned, counts = np.array([0, 0, 1]), np.array([1, 2])
    read = ReadDoc(np.arange(3), owned, counts, nothing, nothing)
    values, rest = to_tokens(np.array([4.0, 1.0, 0.5]), read, 3)
    assert values.tolist() == [2.0, 3.0, 0.0]
    assert rest == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "pian"}, "classifier has no label 'pian'. Did you mean 'pain'"),
        ({"num_steps": 0}, "num_steps: expected 1 or more, got 0"),
        ({"baseline": "noise"}, "expected 'pad', 'mask' or 'zero', got 'noise'"),
    ],
)
def test_wrong_arguments_are_refused(
    nlp: edspipe.Pipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        explain(nlp, SHORT, **{"label": "pain", **options})


def test_a_tokenizer_without_the_piece_is_refused(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir, num_layers=1)
    nlp.pipes.classifier.embedding.tokenizer.mask_token = None
    with pytest.raises(ConfigError, match="the tokenizer has no mask piece; take 'zero'"):
        explain(nlp, SHORT, "pain", baseline="mask")


def test_texts_are_not_shown_where_it_is_logged(nlp: edspipe.Pipeline) -> None:
    found = explain(nlp, SHORT, "pain", num_steps=1)
    assert "patient" not in repr(found) + str(found)


def test_the_page_escapes_the_text(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    found = explain(nlp, "Cough <script>x</script>\n& pain", "pain", num_steps=1)
    page = write_attributions(found, tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;" in page
    assert "&amp;" in page
    assert "<br>" in page
    assert "from 0.400 on a document has the label" in page
    assert f"{found.probability:.3f}: " in page


def test_the_page_of_a_single_label_names_no_threshold(encoder_dir: Path) -> None:
    nlp = make_classifier(encoder_dir, mode="single_label", num_layers=1)
    page = attributions_page(explain(nlp, SHORT, "pain", num_steps=1))
    assert "the most probable label is taken" in page


def test_the_strongest_word_has_the_deepest_colour(nlp: edspipe.Pipeline) -> None:
    found = explain(nlp, SHORT, "pain", num_steps=5)
    page = attributions_page(found)
    place = int(np.abs(found.values).argmax())
    share = 100 * abs(found.values[place]) / np.abs(found.values).sum()
    title = f'title="{found.values[place]:+.4f}, {share:.1f} % of all"'
    assert f'style="--share:60.0%" {title}>{found.tokens[place]}<' in page


def test_the_command_writes_a_page_and_prints_no_text(
    nlp: edspipe.Pipeline, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = make_full_model(nlp, tmp_path)
    (tmp_path / "note.txt").write_text("Zyzzyva\nfever", encoding="utf-8")
    page = tmp_path / "page.html"
    words = ["explain", "--model", full, "--label", "fever", "--output", str(page), "--steps", "2"]
    assert main([*words, "--input", str(tmp_path / "note.txt")]) == 0
    printed = capfd.readouterr()
    assert "fever: probability 0." in printed.out
    assert "Zyzzyva" not in printed.out + printed.err
    assert "Zyzzyva" in page.read_text("utf-8")
    assert main([*words, "--text", "Cough"]) == 0
    assert "Zyzzyva" not in page.read_text("utf-8")


def test_the_command_refuses_a_file_of_other_bytes(
    nlp: edspipe.Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.txt").write_bytes(b"fi\xe8vre")
    words = ["explain", "--model", "none", "--label", "fever", "--output", "page.html"]
    assert main([*words, "--input", str(tmp_path / "note.txt")]) == 1
    assert "expected UTF-8, got another byte at 2" in capsys.readouterr().err


def make_full_model(nlp: edspipe.Pipeline, folder: Path) -> str:
    nlp.to_disk(folder / "model")
    return str(folder / "model")
