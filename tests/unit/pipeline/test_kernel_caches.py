"""PyTorch's caches of kernels are bounded, unless somebody set them."""

from __future__ import annotations

import os

import pytest

import edspipe.pipeline.torch_component  # noqa: F401  (bounds the caches)
from edspipe.pipeline.kernel_caches import MAX_KERNELS, bound_kernel_caches

VARIABLES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")


def test_trainable_pipes_bound_the_caches():
    assert all(os.environ.get(variable) for variable in VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES)
def test_caches_are_bounded(monkeypatch, variable):
    monkeypatch.delenv(variable, raising=False)
    bound_kernel_caches()
    assert os.environ[variable] == str(MAX_KERNELS)


@pytest.mark.parametrize("value", ["0", "1024"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_what_is_set_stays(monkeypatch, variable, value):
    (other,) = set(VARIABLES) - {variable}
    monkeypatch.setenv(variable, value)
    monkeypatch.delenv(other, raising=False)
    bound_kernel_caches()
    assert os.environ[variable] == value
    assert os.environ[other] == str(MAX_KERNELS)
