r"""Whether a classifier says the same wherever it is run: scored, loaded, registered, in ONNX.

    python -m benchmarks.served RUN DEV.jsonl --list-column labels --folder OUT

`RUN` is the folder of a training whose test data were `DEV.jsonl`. The chosen model is registered
in a new MLflow store in `OUT`, loaded back as MLflow serves it and as a pipeline, and exported to
ONNX; then all texts of `DEV.jsonl` are classified by each. Printed is how many texts get the same
labels, the largest difference of a probability, and micro F1 beside that of the training.
MLflow's model and the pipeline are run as they come; ONNX computes in fp32, and is compared with
both the pipeline as it comes and the pipeline in fp32.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import edspipe
from edspipe.doc.document_labels import gold_labels
from edspipe.serving.onnx_export import export_onnx
from edspipe.serving.onnx_runtime import OnnxClassifier
from edspipe.serving.predictions import predict_rows
from edspipe.serving.register import register
from edspipe.training.label_scoring import read_gold_labels

Answers = Sequence[tuple[set[str], dict[str, float]]]


def of_pipeline(folder: Path, texts: Sequence[str], precision: str = "auto") -> Answers:
    """Return labels and probabilities of each text, from a saved pipeline."""
    rows = predict_rows(edspipe.load(folder), texts, precision=precision)
    return [(set(row["labels"]), row["probabilities"]) for row in rows]


def of_mlflow(uri: str, texts: Sequence[str]) -> Answers:
    """Return the same, as MLflow serves it."""
    import mlflow
    import pandas as pd

    found = mlflow.pyfunc.load_model(uri).predict(pd.DataFrame({"text": list(texts)}))
    pairs = zip(found["labels"], found["probabilities"], strict=True)
    return [(set(json.loads(a)), json.loads(b)) for a, b in pairs]


def of_onnx(folder: Path, texts: Sequence[str]) -> Answers:
    """Return the same, from onnxruntime."""
    found = OnnxClassifier(folder).predict(list(texts))
    return [(set(one.labels), one.probabilities) for one in found]


def micro_f1(gold: Sequence[set[str]], answers: Answers) -> float:
    """Return micro F1."""
    right = sum(len(g & a) for g, (a, _) in zip(gold, answers, strict=True))
    total = sum(len(g) + len(a) for g, (a, _) in zip(gold, answers, strict=True))
    return 2 * right / total


def compare(name: str, a: Answers, b: Answers) -> str:
    """Return a line on how far two lists of answers differ."""
    same = sum(x == y for (x, _), (y, _) in zip(a, b, strict=True))
    pairs = list(zip(a, b, strict=True))
    largest = max(abs(p[1][label] - q[1][label]) for p, q in pairs for label in p[1])
    return f"{name}: same labels on {same} of {len(a)}, largest difference {largest:.1e}"


def main() -> None:
    """Register, export, classify, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--list-column", default="labels")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.folder.mkdir(parents=True, exist_ok=True)
    model = options.run / "model-best"
    nlp = edspipe.load(model)
    columns = {"list_column": options.list_column}
    docs = read_gold_labels(nlp, nlp.pipes.classifier, options.data, options=columns)
    texts, gold = [doc.text for doc in docs], [gold_labels(doc) or set() for doc in docs]

    store = f"sqlite:///{(options.folder / 'mlflow.db').absolute()}"
    known = register(options.run, name="served", alias="checked", tracking_uri=store)
    export_onnx(model, options.folder / "onnx", overwrite=True)

    import mlflow

    mlflow.set_tracking_uri(store)
    downloaded = Path(mlflow.artifacts.download_artifacts(known.uri))
    loaded, served = of_pipeline(model, texts), of_mlflow(known.uri, texts)
    again = of_pipeline(downloaded / "artifacts" / "model", texts)
    full, onnx = of_pipeline(model, texts, "fp32"), of_onnx(options.folder / "onnx", texts)
    scored = json.loads((options.run / "test_metrics.json").read_text())["micro_f"]
    print(f"micro F1: scored in the training {scored}, loaded {micro_f1(gold, loaded)}")
    print(f"          served by MLflow {micro_f1(gold, served)}, ONNX {micro_f1(gold, onnx)}")
    print(compare("MLflow and loaded", served, loaded))
    print(compare("the pipeline in the registry and loaded", again, loaded))
    print(compare("ONNX and the pipeline in fp32", onnx, full))
    print(compare("ONNX and the pipeline as it comes", onnx, loaded))


if __name__ == "__main__":
    main()
