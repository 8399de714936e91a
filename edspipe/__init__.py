"""edspipe: streaming, component-based clinical NLP.

Importing this package loads neither torch nor spaCy: each public name is imported when it is
first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edspipe.version import __version__

if TYPE_CHECKING:
    from edspipe import data, metrics, pipes, viz
    from edspipe.cli.app import Cli
    from edspipe.config.registry import registry
    from edspipe.corpus.corpus import Corpus
    from edspipe.corpus.describe import describe
    from edspipe.corpus.label_vocab import LabelVocab
    from edspipe.corpus.splits import train_dev_test_split
    from edspipe.pipeline.loading import blank, load
    from edspipe.pipeline.pipeline import Pipeline
    from edspipe.pipeline.torch_component import TorchComponent
    from edspipe.stream.stream import Stream
    from edspipe.training.data import TrainingData
    from edspipe.training.lr_finder import find_learning_rate
    from edspipe.training.randomness import set_seed
    from edspipe.training.trainer import train
    from edspipe.tuning.tuner import tune

__all__ = [
    "Cli",
    "Corpus",
    "LabelVocab",
    "Pipeline",
    "Stream",
    "TorchComponent",
    "TrainingData",
    "__version__",
    "blank",
    "data",
    "describe",
    "find_learning_rate",
    "load",
    "metrics",
    "pipes",
    "registry",
    "set_seed",
    "train",
    "train_dev_test_split",
    "tune",
    "viz",
]

_HOMES = {
    "Cli": "edspipe.cli.app",
    "Corpus": "edspipe.corpus.corpus",
    "LabelVocab": "edspipe.corpus.label_vocab",
    "Pipeline": "edspipe.pipeline.pipeline",
    "Stream": "edspipe.stream.stream",
    "TorchComponent": "edspipe.pipeline.torch_component",
    "TrainingData": "edspipe.training.data",
    "blank": "edspipe.pipeline.loading",
    "describe": "edspipe.corpus.describe",
    "find_learning_rate": "edspipe.training.lr_finder",
    "load": "edspipe.pipeline.loading",
    "registry": "edspipe.config.registry",
    "set_seed": "edspipe.training.randomness",
    "train": "edspipe.training.trainer",
    "train_dev_test_split": "edspipe.corpus.splits",
    "tune": "edspipe.tuning.tuner",
}
_ROOMS = ("data", "metrics", "pipes", "viz")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"edspipe.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edspipe' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
