"""The progress bar: documents and words a second, and the time that is left."""

from __future__ import annotations

import time
from typing import Any

from tqdm import tqdm

from edspipe.stream.hooks import WrongValue, count_words
from edspipe.stream.ops.op import Run

UPDATE_EVERY_S = 0.5
"""How often the figures behind the bar are renewed."""


class Progress:
    """Counts documents that were closed, and the words of what came out.

    Args:
        total: Documents in all, None where nobody knows.
        run: The run, whose books are shown.
    """

    def __init__(self, total: int | None, run: Run) -> None:
        self._run = run
        self._bar = tqdm(total=total, unit="doc", dynamic_ncols=True, smoothing=0.1)
        self._began = self._shown_at = time.monotonic()
        self._num_words = 0

    def update(self, value: Any) -> None:
        """An item came out."""
        self._num_words += _words(value)
        now = time.monotonic()
        if now - self._shown_at >= UPDATE_EVERY_S:
            self._shown_at = now
            self._show(now)

    def _show(self, now: float) -> None:
        totals = self._run.account.totals
        self._bar.update(sum(totals.values()) - self._bar.n)
        figures = {k: f"{totals[k]:,}" for k in ("skipped", "quarantined") if totals[k]}
        if self._num_words:
            figures["words/s"] = f"{self._num_words / (now - self._began):,.0f}"
        self._bar.set_postfix(figures, refresh=False)

    def close(self) -> None:
        """Show the last figures."""
        self._show(time.monotonic())
        self._bar.close()


def _words(value: Any) -> int:
    try:
        return sum(map(count_words, value)) if isinstance(value, list) else count_words(value)
    except WrongValue:
        return 0
