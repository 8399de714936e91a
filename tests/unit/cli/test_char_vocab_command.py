"""edspipe char-vocab: a file is replaced only where asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from edspipe.cli.main import main
from edspipe.pipes.trainable.char_vocab import CharVocab


def test_an_alphabet_is_replaced_only_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("ab")
    out = tmp_path / "vocab.json"
    out.write_text("mine")
    words = ["char-vocab", str(tmp_path / "a.txt"), "--out", str(out)]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{out} exists; --overwrite replaces it" in captured.err
    assert out.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert CharVocab.load(out).items[1:] == ["\n", "a", "b"]
