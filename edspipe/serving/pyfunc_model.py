"""The model that MLflow serves: text in, JSON out.

MLflow logs this file itself, and runs it where a registered model is loaded; nothing is pickled.
"""

from __future__ import annotations

from typing import Any

import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from edspipe.errors import DataError
from edspipe.pipeline.loading import load
from edspipe.serving.predictions import COLUMNS, predict_rows, to_json_row

TEXT, NOTE_ID = "text", "note_id"


class EdspipeModel(PythonModel):
    """A saved pipeline, for tables of texts."""

    def load_context(self, context: Any) -> None:
        """Load the pipeline among the files of the model."""
        self.nlp = load(context.artifacts["model"])

    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> Any:
        """Return a table with JSON in the columns `labels`, `probabilities` and `entities`.

        Args:
            context: Not used.
            model_input: A table with the column `text`; `note_id` is given back where it is there.
            params: Not used.

        Raises:
            DataError: A text is no string.
        """
        table = pandas.DataFrame(model_input)
        texts = list(table[TEXT])
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"row {number}: expected a text, got a {type(text).__name__}")
        rows = [to_json_row(row) for row in predict_rows(self.nlp, texts)]
        found = pandas.DataFrame(rows, columns=list(COLUMNS), index=table.index)
        if NOTE_ID in table:
            found.insert(0, NOTE_ID, table[NOTE_ID])
        return found


set_model(EdspipeModel())
