"""`stat_batchify`, under the import path that training scripts use."""

from edspipe.stream.batching import stat_batchify

__all__ = ["stat_batchify"]
