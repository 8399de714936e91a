"""edspipe apply --text with a pipeline that tags words."""

from __future__ import annotations

from pathlib import Path

import pytest
from spacy.tokens import Doc, Span

import edspipe
import edspipe.pipes as eds
from edspipe.cli.apply import found_in
from edspipe.cli.main import main


def find_first(doc: Doc) -> Doc:
    doc.spans["found"] = [Span(doc, 0, 1, "SIGN")]
    return doc


def tagger(attribute: str = "tag_") -> edspipe.Pipeline:
    nlp = edspipe.blank("eds")
    cnn = eds.char_cnn(embedding_size=4, out_channels=4)
    nlp.add_pipe(eds.token_classifier(embedding=cnn, labels=["X"], attribute=attribute))
    return nlp


def test_words_are_printed_with_their_tags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger().to_disk(tmp_path / "model")
    assert main(["apply", "--model", str(tmp_path / "model"), "--text", "Toux.\\nPas mal"]) == 0
    assert capsys.readouterr().out == "Toux/X ./X\nPas/X mal/X\n"


def test_custom_attributes_are_printed_too() -> None:
    assert found_in(tagger("_.apply_test"), "Toux grasse") == "Toux/X grasse/X"


def test_entities_stand_below_tags() -> None:
    nlp = tagger()
    nlp.add_pipe(find_first, name="first")
    assert found_in(nlp, "Toux grasse") == "Toux/X grasse/X\n\nSIGN  0-4  Toux"


def test_without_tags_entities_are_looked_for() -> None:
    assert found_in(edspipe.blank("eds"), "Toux") == "no entities found"
