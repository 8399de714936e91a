"""What a callback is: hooks, in the order of time, and a state that a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edspipe.pipeline.pipeline import Pipeline
    from edspipe.training.corpus import Corpus
    from edspipe.training.run import Run


class Callback:
    """Does something besides the steps of a training; each hook does nothing unless it is replaced.

    In a training of several processes all run the same callbacks and see the same records; only
    the main one (`run.processes.is_main`) writes files.
    """

    def on_start(self, run: Run) -> None:
        """Before the first step; after the state of a checkpoint was taken back."""

    def before_step(self, run: Run) -> None:
        """Before a batch is computed; `run.step` is the number of the step, from 1."""

    def on_step(self, run: Run) -> None:
        """After an update, and after the records of the step."""

    def on_validation(self, run: Run) -> None:
        """After the scores of a validation were recorded."""

    def on_end(self, run: Run) -> None:
        """After the last step, also where the training was interrupted."""

    def on_chosen(self, run: Run, nlp: Pipeline, corpora: Mapping[str, Corpus]) -> bool:
        """After the model was chosen and loaded, in the main process only.

        Args:
            run: The run.
            nlp: The chosen model.
            corpora: Documents of validation and test, as far as there are any.

        Returns:
            Whether it changed the model, which is then saved again.
        """
        return False

    def on_finish(self, run: Run) -> None:
        """After the pipelines were saved and the chosen one was scored."""

    def on_error(self, run: Run, error: BaseException) -> None:
        """Where the training fails; the error goes on afterwards."""

    def recorded(self) -> list[str]:
        """Return the names of records that it will write, with their splits."""
        return []

    def monitored(self) -> list[str]:
        """Return the names of records that it reads, with their splits."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it, as plain data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
