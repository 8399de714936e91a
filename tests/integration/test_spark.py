"""Streams on Spark: the same items and books as here, whatever Spark tries again."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import edspipe
import edspipe.pipes as eds
from edspipe.errors import (
    ConfigError,
    DataError,
    EdspipeError,
    MissingExtraError,
    PipeError,
    WorkerError,
)
from edspipe.stream.executors.executor import StreamIterator
from edspipe.stream.executors.spark import daemon
from edspipe.stream.executors.spark import plans as plans_module
from edspipe.stream.executors.spark import session as session_module
from edspipe.stream.executors.spark.executor import SparkExecutor
from edspipe.stream.executors.spark.failures import explained
from edspipe.stream.executors.spark.job import _balance
from edspipe.stream.executors.spark.rows import SparkPartitions
from edspipe.stream.executors.spark.session import check_classic, local_session
from edspipe.stream.executors.spark.types import arrow_type, to_ddl
from edspipe.stream.ops.map import Map
from edspipe.stream.settings import Settings
from edspipe.stream.stream import Stream

pytest.importorskip("pyspark")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("Spark needs Java", allow_module_level=True)

from edspipe.data.frames.spark import from_spark, run_spark, to_spark

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
    pytest.mark.timeout(300),
]

SECRET = "M. Dupont"
NUM_FILES, ROWS = 4, 15
NUM_NOTES = NUM_FILES * ROWS
LIGHT = {
    "spark.sql.files.maxPartitionBytes": "4mb",  # so that each file is a partition
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
"""Spark for small things: most of its time goes into compiling itself."""


BRAT = """T1\tSign 7 13\tfièvre
T2\tSign 15 19;20 25\ttoux sèche
A1\tNegated T1
A2\tGrade T2 2
N1\tReference T1 UMLS:C0015967\tfever
R1\tBefore Arg1:T1 Arg2:T2
#1\tAnnotatorNotes T1\tsure
"""
GUIDE = Path(__file__).parents[2] / "docs/guides/spark.md"


def environment() -> dict[str, str]:
    """The variables of this process, but for that which pytest changes all the time."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def java() -> list[psutil.Process]:
    """The Java processes that this one has started."""
    return [p for p in psutil.Process().children(recursive=True) if "java" in p.name()]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """A session of two cores; at the end, nothing of it is left."""
    before, handler = environment(), signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "MAX_TASK_FAILURES", 2)  # what fails, fails sooner
        with local_session(2, LIGHT) as started:
            assert environment() == before
            yield started
    assert java() == []
    assert environment() == before
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Notes in several files of parquet."""
    folder = tmp_path_factory.mktemp("notes")
    for number in range(NUM_FILES):
        ids = range(number * ROWS, (number + 1) * ROWS)
        texts = [f"Note {i}. Pas de fièvre.\nToux depuis {i} jours. " + "x" * i for i in ids]
        table = pa.table({"note_id": [f"n{i}" for i in ids], "note_text": texts})
        pq.write_table(table, folder / f"{number}.parquet")
    return folder


@pytest.fixture
def notes(session: Any, folder: Path) -> Any:
    """The notes as a frame of several partitions."""
    return session.read.parquet(str(folder))


def on_spark(stream: Stream) -> StreamIterator:
    return StreamIterator(stream, SparkExecutor(stream.settings))


def rows(frame: Any) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in frame.collect()]


# What streams of these tests do


def number_of(record: dict[str, Any]) -> int:
    return int(record["note_id"][1:])


def with_length(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "length": len(record["note_text"])}


def is_even(record: dict[str, Any]) -> bool:
    return number_of(record) % 2 == 0


def some_parts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in range(number_of(record) % 3):
        yield {**record, "part": part}


def with_chance(record: dict[str, Any], rng: Any) -> dict[str, Any]:
    return {**record, "chance": float(rng.random())}


def doubled(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        yield record
        yield record


def fail_on_17(record: dict[str, Any]) -> dict[str, Any]:
    if record["note_id"] == "n17":
        raise ValueError(SECRET)
    return record


def refuse_17(record: dict[str, Any]) -> dict[str, Any]:
    if record["note_id"] == "n17":
        raise DataError("no such note", id="n17")
    return record


def with_spans(doc: Any) -> dict[str, Any]:
    spans = [{"start": s.start_char, "end": s.end_char, "label": s.label_} for s in doc.ents]
    return {"note_id": doc._.note_id, "words": len(doc), "spans": spans}


def with_sentences(doc: Any) -> dict[str, Any]:
    return {"note_id": doc._.note_id, "sentences": [sent.text for sent in doc.sents]}


STREAMS = {
    "map and filter": lambda stream: stream.map(with_length).filter(is_even),
    "generator": lambda stream: stream.map(some_parts),
    "map_batches": lambda stream: stream.map_batches(doubled, batch_size="4 docs"),
    "rng": lambda stream: stream.map(some_parts).map(with_chance),
}


def everything(stream: Stream) -> Stream:
    return stream.map(some_parts).map(with_chance).filter(is_even).map(with_length)


# The same as here


@pytest.mark.parametrize("name", STREAMS)
def test_records_are_those_of_a_run_here(name: str, notes: Any) -> None:
    stream = STREAMS[name](from_spark(notes)).set_processing(seed=5)
    assert rows(to_spark(stream)) == list(stream)


def test_items_that_are_iterated_are_those_of_a_run_here(notes: Any) -> None:
    stream = everything(from_spark(notes)).shuffle("dataset").batchify("7 docs")
    stream = stream.map(len).set_processing(seed=5)
    here = iter(stream)
    items = list(here)
    with on_spark(stream) as there:
        assert list(there) == items
    assert there.report == here.report


@pytest.mark.parametrize("taken", [1, 70, 150])
def test_iteration_goes_on_where_it_stopped(taken: int, session: Any) -> None:
    stream = Stream.from_items([{"note_id": f"n{i}"} for i in range(200)]).map(some_parts)
    stream = stream.map(with_chance).map_batches(doubled, "40 docs").set_processing(seed=1)
    with on_spark(stream) as first:
        items = [next(first) for _ in range(taken)]
        state = first.get_state()
    with on_spark(stream) as second:
        second.set_state(state)
        items += list(second)
    here = iter(stream)
    assert items == list(here)
    assert second.report == here.report


@pytest.mark.slow
def test_rules_find_the_same(notes: Any) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    stream = from_spark(notes, converter="text").map_pipeline(nlp).map(with_sentences)
    assert rows(to_spark(stream)) == list(stream)


def test_a_model_finds_the_same(notes: Any, tiny_nlp: edspipe.Pipeline) -> None:
    stream = from_spark(notes.limit(20), converter="text").map_pipeline(tiny_nlp)
    stream = stream.map(with_spans).set_processing(precision="fp32", batch_size="4 docs")
    found = rows(
        to_spark(
            stream,
            schema="note_id string, words int, spans array<struct<"
            "start: int, end: int, label: string>>",
        )
    )
    assert found == list(stream)
    assert sum(record["words"] for record in found) > 100


def test_docs_come_back_to_who_iterates(notes: Any) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sentences())
    stream = from_spark(notes, converter="text").map_pipeline(nlp)
    with on_spark(stream) as there:
        found = [(doc._.note_id, doc.text, len(list(doc.sents))) for doc in there]
    assert found == [(doc._.note_id, doc.text, len(list(doc.sents))) for doc in stream]


def test_any_source_runs_on_spark(session: Any) -> None:
    stream = Stream.from_items(range(500)).map(lambda x: x + 1)
    with on_spark(stream) as there:
        assert list(there) == list(range(1, 501))
    assert there.report.done == 500


def test_what_is_not_a_frame_becomes_one(session: Any) -> None:
    records = [{"note_id": f"n{i}", "note_text": "x" * i} for i in range(5)]
    assert rows(to_spark([*records], session)) == records


@pytest.mark.slow
def test_a_stream_on_workers_of_ours_ends_in_a_frame_too(notes: Any) -> None:
    stream = from_spark(notes).map(with_length).set_processing(backend="simple")
    assert rows(to_spark(stream)) == list(stream)


# Reading


def test_partitions_are_fragments_and_rows_keep_their_order(notes: Any) -> None:
    partitions = SparkPartitions(notes)
    assert len(partitions) == NUM_FILES
    assert partitions.counts == [ROWS] * NUM_FILES
    assert [record["note_id"] for record in from_spark(notes)] == [
        row["note_id"] for row in notes.collect()
    ]


@pytest.mark.parametrize("taken", [1, ROWS, ROWS + 2])
def test_reading_goes_on_where_it_stopped(taken: int, notes: Any) -> None:
    stream = from_spark(notes)
    first = iter(stream)
    items = [next(first) for _ in range(taken)]
    second = iter(stream)
    second.set_state(first.get_state())
    assert items + list(second) == list(stream)


def test_shuffled_fragments_are_all_there(notes: Any) -> None:
    shuffled = list(from_spark(notes, shuffle="fragment", seed=1))
    assert shuffled != list(from_spark(notes))
    assert len({record["note_id"] for record in shuffled}) == NUM_NOTES


def test_entities_cross_in_both_directions(session: Any) -> None:
    nlp = edspipe.blank("eds")
    doc = nlp("Pas de fièvre. Toux.")
    doc._.note_id = "a"
    doc.ents = [edspipe_span(doc, 2, 3, "fever"), edspipe_span(doc, 4, 5, "cough")]
    frame = to_spark([doc, nlp("Rien.")], session, converter="omop")
    back = list(from_spark(frame, converter="omop"))
    assert [d.text for d in back] == [doc.text, "Rien."]
    assert back[0]._.note_id == "a"
    assert [(e.text, e.label_) for e in back[0].ents] == [("fièvre", "fever"), ("Toux", "cough")]
    again = to_spark(from_spark(frame, converter="omop"), converter="omop")
    assert rows(again) == rows(frame)


@pytest.mark.slow
def test_all_that_brat_knows_crosses_in_both_directions(session: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Pas de fièvre, toux sèche.", encoding="utf-8")
    (tmp_path / "a.ann").write_text(BRAT, encoding="utf-8")
    docs = list(edspipe.data.read_standoff(tmp_path))
    frame = to_spark(docs, session, converter="standoff")
    back = from_spark(frame, converter="standoff")
    assert list(back.to_iterable(converter="standoff")) == list(
        edspipe.data.to_iterable(docs, converter="standoff")
    )
    assert rows(to_spark(back, converter="standoff")) == rows(frame)


def edspipe_span(doc: Any, start: int, end: int, label: str) -> Any:
    span = doc[start:end]
    span.label_ = label
    return span


@pytest.mark.slow
def test_values_of_all_types_cross(session: Any) -> None:
    noon = datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC)
    ddl = (
        "id string, at timestamp, local timestamp_ntz, day date, data binary, price decimal(6, 2), "
        "small smallint, flag boolean, score double, list array<string>, "
        "map map<string, bigint>, inner struct<x: int, y: array<float>>"
    )
    frame = session.sql(
        "select 'a' id, timestamp_seconds(1577880000) at, timestamp_ntz'2020-01-01 12:00:00' local,"
        " date'2020-01-01' day, X'00ff' data, cast(3.10 as decimal(6, 2)) price, 4s small,"
        " true flag, 0.5d score, array('x', null) list, map('k', 3L) map,"
        " named_struct('x', 1, 'y', array(1.5f)) inner"
    )
    record = next(iter(from_spark(frame)))
    assert record["at"] == noon
    assert record["map"] == {"k": 3}
    same = to_spark(from_spark(frame), schema=ddl)
    assert rows(same) == rows(frame)
    assert list(from_spark(same)) == [record]


# Schemas


def test_a_schema_is_found_in_the_first_records(notes: Any) -> None:
    frame = to_spark(from_spark(notes).map(with_length))
    assert frame.schema.simpleString() == "struct<note_id:string,note_text:string,length:bigint>"


def test_a_schema_of_arrow_will_do(notes: Any) -> None:
    schema = pa.schema([("note_id", pa.string()), ("note_text", pa.string())])
    assert to_spark(from_spark(notes), schema=schema).columns == ["note_id", "note_text"]


def test_a_column_without_a_value_needs_a_schema(notes: Any) -> None:
    stream = from_spark(notes).map(lambda record: {**record, "found": []})
    with pytest.raises(DataError, match="the type of found cannot be told from the first records"):
        to_spark(stream)


def test_types_of_arrow_without_a_name_in_spark_are_refused() -> None:
    with pytest.raises(DataError, match=r"the type of x\.y cannot be told"):
        to_ddl(pa.schema([("x", pa.struct([("y", pa.duration("s"))]))]))


def test_types_of_spark_that_records_cannot_hold_are_refused() -> None:
    from pyspark.sql.types import DayTimeIntervalType

    with pytest.raises(DataError, match="interval day to second cannot be written from records"):
        arrow_type(DayTimeIntervalType())


@pytest.mark.parametrize(
    ("schema", "message"),
    [("note_id string", "n0: column 'note_text'"), ("note_id int, note_text string", "'note_id'")],
)
def test_a_record_that_does_not_fit_is_named(schema: str, message: str, notes: Any) -> None:
    first = from_spark(notes).filter(lambda record: record["note_id"] == "n0")
    with pytest.raises(DataError, match=message):
        to_spark(first, schema=schema)


def test_a_record_that_does_not_fit_is_left_out_alone(notes: Any) -> None:
    def odd(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "note_text": 3} if record["note_id"] == "n17" else record

    stream = from_spark(notes).map(odd).set_processing(on_error="skip")
    run = run_spark(stream, schema="note_id string, note_text string")
    assert (run.report.done, run.report.skipped) == (NUM_NOTES - 1, 1)


@pytest.mark.slow
def test_what_is_no_record_is_refused(notes: Any) -> None:
    stream = from_spark(notes).map(number_of)
    with pytest.raises(PipeError, match=r"to_spark writes records \(dicts\), got a int"):
        to_spark(stream, schema="note_id string")


# Errors


def test_an_error_names_stage_and_document_and_quotes_nothing(notes: Any) -> None:
    with pytest.raises(PipeError, match=r"map\(fail_on_17\) failed on document 'n17'") as caught:
        to_spark(from_spark(notes).map(fail_on_17))
    assert caught.value.error_type == "ValueError"
    assert "in fail_on_17" in caught.value.frames
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.slow
def test_an_error_of_ours_stays_what_it_is(notes: Any) -> None:
    with pytest.raises(DataError, match="n17: no such note") as caught:
        to_spark(from_spark(notes).map(refuse_17))
    assert caught.value.id == "n17"


@pytest.mark.parametrize("error", [fail_on_17, refuse_17])
def test_errors_reach_who_iterates(error: Any, notes: Any) -> None:
    with on_spark(from_spark(notes).map(error)) as there, pytest.raises(EdspipeError, match="n17"):
        list(there)


def test_a_worker_that_dies_each_time_is_an_error(notes: Any) -> None:
    def die(record: dict[str, Any]) -> None:
        os._exit(3)

    with pytest.raises(WorkerError, match=r"a Python worker of Spark died in task \d"):
        to_spark(from_spark(notes).map(die), schema="note_id string")


@pytest.mark.slow
def test_what_goes_wrong_in_our_code_is_told_with_its_place(notes: Any) -> None:
    def unready() -> None:
        raise KeyError(SECRET)

    op = Map(with_length)
    op.worker_init = unready  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match="a task of Spark failed with KeyError") as caught:
        to_spark(from_spark(notes).with_op(op), schema="note_id string")
    assert "in unready" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_what_cannot_travel_is_named(notes: Any) -> None:
    lock = threading.Lock()

    def look_up(record: dict[str, Any]) -> dict[str, Any]:
        with lock:
            return record

    with pytest.raises(
        WorkerError, match=r"map\(.*look_up\) cannot run in a worker: .* holds a _thread"
    ):
        to_spark(from_spark(notes).map(look_up))


@pytest.mark.slow
def test_a_frame_that_changes_is_noticed(notes: Any) -> None:
    stream = from_spark(notes)
    stream.source.fragments.counts = [ROWS, ROWS, ROWS + 1, ROWS]
    with pytest.raises(DataError, match=r"partition 2 had 16 rows .* and 15 when they were read"):
        to_spark(stream)


def test_settings_that_cannot_travel_are_told() -> None:
    lock = threading.Lock()

    def measure(item: Any) -> int:
        with lock:
            return 1

    settings = Settings(batch_size=3, batch_by=measure)
    with pytest.raises(WorkerError, match="the settings of the stream cannot be sent to a worker"):
        plans_module.packed_plan(plans_module.Plan((), settings, 0))


def test_what_goes_wrong_in_spark_is_named_and_not_quoted() -> None:
    told = pytest.raises(WorkerError, match="Spark failed in task 3 with RuntimeError")
    with told as caught, explained():
        raise RuntimeError(f"Task 3 in stage 1.0: {SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (lambda s: s.shuffle("dataset"), "shuffle.* needs the order of all items.*rand"),
        (lambda s: s.take(3), "take.* needs the order of all items.*limit"),
        (lambda s: s.batchify("2 docs"), "batchify.* needs the order of all items.*map_batches"),
        (lambda s: s.map_batches(doubled, "dataset"), "wants all items at once"),
        (lambda s: s.loop(), r"loop\(\) never ends"),
    ],
)
def test_what_needs_the_order_of_all_items_is_refused(
    stream: Any, message: str, notes: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        to_spark(stream(from_spark(notes)))


def test_tensors_for_a_device_are_refused(notes: Any, tiny_nlp: edspipe.Pipeline) -> None:
    stream = from_spark(notes).map(tiny_nlp.collate, kwargs={"device": "cpu"})
    with pytest.raises(ValueError, match="makes tensors on a device of this process"):
        to_spark(stream)


@pytest.mark.slow
def test_settings_without_a_meaning_are_told(notes: Any, log: list[str]) -> None:
    to_spark(from_spark(notes).set_processing(num_cpu_workers=2, timeout_s=3, backend="spark"))
    assert "WARNING on Spark these settings mean nothing: num_cpu_workers, timeout_s" in log
    with on_spark(Stream.from_items([1]).map(str).set_processing(timeout_s=3)) as there:
        assert list(there) == ["1"]
    assert "WARNING on Spark these settings mean nothing: timeout_s" in log


def test_a_store_is_for_frames_only(session: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="store= is for a stream over a Spark frame"):
        to_spark([{"a": 1}], session, store=str(tmp_path / "store"))


def test_run_spark_takes_frames_only(session: Any) -> None:
    with pytest.raises(TypeError, match=r"begins with from_spark\(frame\)"):
        run_spark(Stream.from_items([{"a": 1}]))


# Books


def test_books_balance_and_list_each_document_once(notes: Any) -> None:
    run = run_spark(everything(from_spark(notes)))
    entries = rows(run.account)
    statuses = Counter(entry["status"] for entry in entries)
    assert sorted(entry["id"] for entry in entries) == sorted(f"n{i}" for i in range(NUM_NOTES))
    assert run.report.balanced
    assert run.report.read == NUM_NOTES
    assert run.report.done == statuses["done"] > 0
    assert run.report.filtered == statuses["filtered"] > 0
    assert run.report.delivered == run.records.count()
    assert set(run.seconds) >= {"map(some_parts)", "map(with_length)"}
    run.close()


@pytest.mark.parametrize(("read", "done", "expected"), [(3, 3, 4), (3, 2, 3), (2, 3, 3)])
def test_books_that_do_not_balance_are_refused(read: int, done: int, expected: int) -> None:
    part = {"attempt": 0, "read": read, "delivered": 3, "totals": {"done": done}}
    with pytest.raises(EdspipeError, match=f"do not balance: {expected} rows were counted, {read}"):
        _balance([{**part, "counts": {}, "seconds": {}}], expected)


@pytest.mark.slow
def test_quarantined_documents_come_back(notes: Any, tmp_path: Path) -> None:
    path = tmp_path / "left.jsonl"
    stream = from_spark(notes).map(fail_on_17).set_processing(on_error=f"quarantine:{path}")
    run = run_spark(stream)
    assert (run.report.done, run.report.quarantined) == (NUM_NOTES - 1, 1)
    (row,) = rows(run.quarantined)
    assert (row["id"], row["stage"], row["error"]) == ("n17", "map(fail_on_17)", "ValueError")
    assert SECRET not in row["message"]
    assert row["index"] == [record["note_id"] for record in from_spark(notes)].index("n17")
    repaired = from_spark(notes).only(path)
    assert [record["note_id"] for record in repaired] == ["n17"]


@pytest.mark.slow
def test_left_out_documents_are_counted(notes: Any) -> None:
    stream = from_spark(notes).map(fail_on_17).set_processing(on_error="skip")
    with on_spark(stream) as there:
        assert len(list(there)) == NUM_NOTES - 1
    assert there.report.skipped == 1
    assert run_spark(stream).report.skipped == 1


@pytest.mark.parametrize("ending", ["dies", "raises"])
def test_a_task_that_is_tried_again_gives_each_document_once(ending: str, notes: Any) -> None:
    def fail_first(record: dict[str, Any]) -> dict[str, Any]:
        from pyspark import TaskContext

        task = TaskContext.get()
        if record["note_id"] == "n20" and task is not None and task.attemptNumber() == 0:
            if ending == "dies":
                os._exit(9)
            raise OSError("the network was away")
        return record

    run = run_spark(from_spark(notes).map(fail_first), schema=notes.schema)
    assert sorted(map(number_of, rows(run.records))) == list(range(NUM_NOTES))
    assert sorted(entry["id"] for entry in rows(run.account)) == sorted(
        f"n{i}" for i in range(NUM_NOTES)
    )
    assert dict(run.report.others) == {"retried_partitions": 1}
    assert run.report.done == NUM_NOTES


@pytest.mark.slow
def test_a_store_holds_records_and_books_in_files(notes: Any, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    stream = from_spark(notes).map(with_length)
    run = run_spark(stream, store=store)
    assert sorted(map(number_of, rows(run.records))) == list(range(NUM_NOTES))
    assert run.account.count() == NUM_NOTES
    with pytest.raises(Exception, match="PATH_ALREADY_EXISTS"):
        to_spark(stream, store=store)


def test_the_job_of_the_guide_runs(
    session: Any, folder: Path, model_dir: Path, tmp_path: Path
) -> None:
    code = re.findall(
        r"```python title=\"(?:tag_notes|records).py\"\n(.*?)```", GUIDE.read_text(), re.S
    )
    names: dict[str, Any] = {"__name__": "guide"}
    exec("\n".join(code), names)  # noqa: S102
    report = names["tag"](session, str(model_dir), str(folder), str(tmp_path / "tagged"))
    assert (
        report.done == session.read.parquet(str(tmp_path / "tagged.account")).count() == NUM_NOTES
    )
    tagged = session.read.parquet(str(tmp_path / "tagged"))
    assert tagged.columns == ["note_id", "note_datetime", "note_text", "entities"]
    frame = names["records"](session.read.parquet(str(folder)).limit(3), edspipe.load(model_dir))
    assert frame.count() == 3


# Workers


class Heavy:
    """Tells in a file where it is unpacked."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "pid": os.getpid()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with open(self.file, "a") as handle:
            handle.write(f"{os.getpid()}\n")


def test_a_worker_unpacks_the_pipeline_once(notes: Any, tmp_path: Path) -> None:
    file = tmp_path / "unpacked"
    found = rows(
        to_spark(
            from_spark(notes).map(Heavy(file)), schema="note_id string, note_text string, pid int"
        )
    )
    unpacked = file.read_text().split()
    assert len(unpacked) == len(set(unpacked)) <= 2
    assert {str(record["pid"]) for record in found} == set(unpacked)


class FakeBroadcast:
    def __init__(self, value: bytes) -> None:
        self.value = value


def test_a_worker_keeps_few_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_module, "_LOADED", type(plans_module._LOADED)())
    data, _ = plans_module.pack_plan(plans_module.Plan((), Settings(), 0))
    for number in range(5):
        plans_module.load_plan(str(number), FakeBroadcast(data))
    assert list(plans_module._LOADED) == ["3", "4"]
    again = plans_module.load_plan("3", None)
    assert again is plans_module._LOADED["3"]


def test_the_daemon_loads_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    daemon.preload("edspipe.stream.stream,no_such_module_anywhere,")
    assert "edspipe.stream.stream" in sys.modules
    assert capsys.readouterr().out == ""


# Sessions


@pytest.mark.slow
def test_a_session_that_was_handed_in_stays_as_it_was(session: Any, notes: Any) -> None:
    before = dict(session.sparkContext.getConf().getAll()), environment()
    to_spark(from_spark(notes), session)
    with StreamIterator(Stream.from_items([1]).map(str), SparkExecutor(Settings(), session)) as it:
        assert list(it) == ["1"]
    assert session.range(3).count() == 3
    assert (dict(session.sparkContext.getConf().getAll()), environment()) == before


def test_a_session_of_our_own_ends_with_the_iterator(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    @contextlib.contextmanager
    def own(num_cores: int | None) -> Iterator[Any]:
        events.append(num_cores)
        yield session
        events.append("end")

    module = sys.modules[SparkExecutor.__module__]
    monkeypatch.setattr(module, "active_session", lambda: None)
    monkeypatch.setattr(module, "local_session", own)
    stream = Stream.from_items(range(10)).map(str).set_processing(num_cpu_workers=2)
    iterator = on_spark(stream)
    assert next(iterator) == "0"
    assert events == [2]
    iterator.close()
    assert events == [2, "end"]


def test_two_sessions_at_once_are_refused(session: Any) -> None:
    with pytest.raises(ConfigError, match="a Spark session is running already"):
        local_session().__enter__()


def test_a_session_needs_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module.shutil, "which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigError, match="Spark needs Java 17 or later"):
        local_session().__enter__()


def test_a_frame_needs_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "active_session", lambda: None)
    with pytest.raises(EdspipeError, match="no Spark session is running: pass session="):
        to_spark([{"a": 1}])


def test_frames_of_spark_connect_are_refused() -> None:
    with pytest.raises(ConfigError, match="got one of Spark Connect"):
        check_classic(object())


def test_spark_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edspipe\[spark\]'"):
        session_module.require_spark()


@pytest.mark.slow
def test_a_stream_starts_a_session_where_there_is_none() -> None:
    """Not beside the session of this module: run alone, with `-m slow`."""
    stream = Stream.from_items(range(1000)).map(str).set_processing(num_cpu_workers=2)
    assert list(on_spark(stream)) == [str(i) for i in range(1000)]
    deadline = time.monotonic() + 10
    while java() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert java() == []
