"""The losses of the pipes as records."""

from __future__ import annotations

from edspipe.pipeline.torch_component import TorchComponent
from edspipe.training.loss_figures import loss_figures


class Doubling(TorchComponent):
    """Says twice its loss."""

    def figures_of_loss(self, loss: float) -> dict[str, float]:
        return {"twice": 2 * loss}


def test_one_loss_stands_alone() -> None:
    assert loss_figures({"ner": 0.5}, {"ner": TorchComponent()}) == {"loss": 0.5}


def test_several_losses_stand_beside_their_sum() -> None:
    found = loss_figures({"one": 0.5, "two": 2.0}, {})
    assert found == {"loss": 2.5, "loss/one": 0.5, "loss/two": 2.0}


def test_what_follows_from_a_loss_stands_beside_it() -> None:
    assert loss_figures({"lm": 0.5}, {"lm": Doubling()}) == {"loss": 0.5, "twice": 1.0}


def test_what_follows_from_one_of_several_has_its_name() -> None:
    found = loss_figures({"lm": 0.5, "ner": 1.0}, {"lm": Doubling(), "ner": TorchComponent()})
    assert found == {"loss": 1.5, "loss/lm": 0.5, "twice/lm": 1.0, "loss/ner": 1.0}
