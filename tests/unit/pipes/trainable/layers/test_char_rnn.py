"""A recurrent network over characters: sizes and shares that it takes."""

from __future__ import annotations

from typing import Any

import pytest

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers.char_rnn import CharRnn

WRONG = [
    ({"embedding_size": 0}, "embedding_size: expected 1 or more, got 0"),
    ({"hidden_size": 0}, "hidden_size: expected 1 or more, got 0"),
    ({"num_layers": 0}, "num_layers: expected 1 or more, got 0"),
    ({"projection_size": 0}, "projection_size: expected 1 or more, got 0"),
    ({"dropout": 1.5}, r"dropout: expected a share from 0 to below 1, got 1\.5"),
    ({"dropout": -0.1}, r"dropout: expected a share from 0 to below 1, got -0\.1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_size_or_share_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CharRnn(5, **options)


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_the_pipe_names_its_argument(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"lm\.{message}"):
        edspipe.blank("eds").add_pipe(eds.char_lm(**options), name="lm")


def test_the_smallest_sizes_are_taken() -> None:
    rnn = CharRnn(5, embedding_size=1, hidden_size=1, projection_size=1)
    assert (rnn.output_size, rnn.dropout) == (1, 0.0)
