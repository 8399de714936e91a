"""Profiles: self times add up, timers leave nothing behind, hints follow from figures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import TEXTS, gold_docs, tiny_pipeline

import edspipe
from edspipe.stream.stream import Stream
from edspipe.training import stage_timer
from edspipe.training.profile_hints import hints
from edspipe.training.profile_report import (
    BACKWARD,
    OPTIMIZER,
    WAIT,
    InferenceProfile,
    ProfileReport,
    Timings,
    TrainingProfile,
)
from edspipe.training.profile_steps import BatchCounts, RunSettings
from edspipe.training.profiling import profile_run
from edspipe.training.stage_timer import (
    FORWARD,
    OTHER,
    PREPROCESS,
    PROFILE,
    StageKey,
    StageTimer,
    components_by_path,
    device_clock,
    timed_methods,
)


class FakeClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timer(clock: FakeClock) -> StageTimer:
    return StageTimer(clock)


# ---- stages ---------------------------------------------------------------------------------


def test_a_stage_is_charged_its_own_time_less_what_is_nested(clock, timer):
    with timer.stage("outer"):
        clock.tick(1)
        with timer.stage("inner", "part"):
            clock.tick(10)
        clock.tick(2)
    assert timer.seconds[StageKey("outer", "outer", "")] == 3
    assert timer.seconds[StageKey("outer", "inner", "part")] == 10


def test_time_outside_of_all_stages_is_other(clock, timer):
    clock.tick(1)
    with timer.stage("a"):
        clock.tick(2)
    clock.tick(4)
    assert timer.read() == {(OTHER, OTHER, ""): 5, ("a", "a", ""): 2}


def test_a_stage_ends_with_an_error_too(clock, timer):
    def fail() -> None:
        clock.tick(1)
        raise KeyError

    with pytest.raises(KeyError), timer.stage("a"):
        fail()
    clock.tick(2)
    assert timer.read()[StageKey("a", "a", "")] == 1


def test_a_restart_forgets_what_was_charged(clock, timer):
    with timer.stage("a"):
        clock.tick(1)
    timer.restart()
    clock.tick(2)
    assert timer.read() == {(OTHER, OTHER, ""): 2}


def test_stages_of_another_thread_are_not_seen(clock, timer):
    def work() -> None:
        with timer.stage("elsewhere"):
            clock.tick(1)

    with timer.stage("here"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert timer.read() == {("here", "here", ""): 1, (OTHER, OTHER, ""): 0}


def test_the_clock_of_a_gpu_waits_for_it(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda")
    assert device_clock(device)() > 0
    assert waited == [device]
    assert device_clock(torch.device("cpu")) is stage_timer.time.perf_counter


# ---- components -----------------------------------------------------------------------------


class Rows(torch.nn.Module):
    """A module whose methods are called, and not itself."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    def score(self) -> None:
        self.clock.tick(7)


class Leaf(edspipe.TorchComponent):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.linear = torch.nn.Linear(1, 1)
        self.rows = Rows(clock)

    def preprocess(self, doc: Any) -> dict[str, Any]:
        self.clock.tick(3)
        return {}

    def collate(self, batch: Any) -> dict[str, Any]:
        self.clock.tick(2)
        return {}

    def forward(self, batch: Any) -> dict[str, Any]:
        self.linear(torch.zeros(1, 1))
        self.rows.score()
        self.clock.tick(4)
        return {}


class Top(edspipe.TorchComponent):
    def __init__(self, clock: FakeClock, leaf: Leaf) -> None:
        super().__init__()
        self.clock = clock
        self.leaf = leaf

    def preprocess_supervised(self, doc: Any) -> dict[str, Any]:
        self.clock.tick(1)
        return {"leaf": self.leaf.preprocess(doc)}

    def forward(self, batch: Any) -> dict[str, Any]:
        self.clock.tick(0.5)
        return self.leaf(batch)

    def postprocess(self, docs: Any, results: Any, inputs: Any) -> Any:
        self.clock.tick(5)
        return docs


def words(text: str) -> list[str]:
    return text.split()


@pytest.fixture
def tree(clock: FakeClock) -> Any:
    """Two pipes on one leaf, as a pipeline has them."""
    leaf = Leaf(clock)
    pipes = [("top", Top(clock, leaf)), ("second", Top(clock, leaf))]
    return SimpleNamespace(tokenizer=words, torch_components=lambda: iter(pipes), pipes=dict(pipes))


def test_components_have_paths_and_shared_ones_that_of_the_first(tree):
    assert [path for path, _ in components_by_path(tree)] == ["top", "second", "top.leaf"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda top: top.preprocess_supervised("d"), {("preprocess", "top"): 1, "leaf": 3}),
        (lambda top: top.collate([{"leaf": {}}]), {("collate", "top"): 0, "leaf": 2}),
        (lambda top: top.postprocess([], {}, []), {("postprocess", "top"): 5}),
    ],
)
def test_each_step_is_charged_to_its_component(tree, timer, call, expected):
    with timed_methods(tree, timer):
        call(tree.pipes["top"])
    ((kind, part), own), *rest = expected.items()
    wanted = {(kind, kind, part): own}
    wanted.update({(kind, kind, f"{part}.{key}"): seconds for key, seconds in rest})
    found = {key: s for key, s in timer.seconds.items() if key.group != OTHER}
    assert found == wanted


def test_forward_is_charged_by_component_module_and_method(tree, timer):
    with timed_methods(tree, timer):
        tree.pipes["top"]({})
    assert {key.part: s for key, s in timer.seconds.items() if key.kind == FORWARD} == {
        "top": 0.5,
        "top.leaf": 4,
        "top.leaf.linear": 0,
        "top.leaf.rows.score": 7,
    }


def test_the_tokenizer_is_timed_and_stays_one(tree, timer, clock):
    tree.tokenizer = edspipe.blank("eds").tokenizer
    with timed_methods(tree, timer):
        assert [token.text for token in tree.tokenizer("a b")] == ["a", "b"]
        assert tree.tokenizer.vocab is not None
        with pytest.raises(AttributeError):
            tree.tokenizer.nothing
    assert StageKey("tokenizer", "tokenizer", "") in timer.seconds


def test_afterwards_all_methods_are_as_they_were(tree, timer):
    top = tree.pipes["top"]
    own = top.collate = lambda batch: {}
    before = {module: dict(vars(module)) for module in top.modules()}

    def fail() -> None:
        assert top.collate is not own
        raise KeyError

    with pytest.raises(KeyError), timed_methods(tree, timer):
        fail()
    assert {module: dict(vars(module)) for module in top.modules()} == before
    assert top.collate is own
    assert tree.tokenizer is words


# ---- figures --------------------------------------------------------------------------------


def test_shares_add_up_without_what_the_profile_does_itself():
    timings = Timings.of(
        {
            StageKey(PROFILE, PROFILE, ""): 50.0,
            StageKey(OTHER, OTHER, ""): 1.0,
            StageKey(FORWARD, FORWARD, ""): 1.0,
            StageKey(FORWARD, FORWARD, "ner"): 3.0,
            StageKey(WAIT, PREPROCESS, "ner"): 5.0,
        }
    )
    assert timings.wall_s == 10
    assert [(s.group, s.part, s.share) for s in timings.stages] == [
        (WAIT, "ner", 0.5),
        (FORWARD, "ner", 0.3),
        (FORWARD, "", 0.1),
        (OTHER, "", 0.1),
    ]
    assert timings.share_of(FORWARD, OTHER) == pytest.approx(0.5)


def test_padding_is_counted_once_for_a_shared_embedding():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    shared = {"input_ids": mask, "attention_mask": mask}
    batch = {"a": {"e": shared}, "b": {"e": shared}, "stats": {"tokens": 4}, "doc_ids": [1, 2]}
    counts = BatchCounts()
    counts.add(batch)
    assert (counts.num_cells, counts.num_empty, counts.num_rows) == (8, 4, 2)
    assert counts.doc_ids == [1, 2]
    assert counts.stats == {"tokens": 4}


def test_padding_of_several_tables_is_counted_together():
    full, ragged = {"input_ids": torch.ones(2, 3)}, {"input_ids": torch.tensor([[5, 0]])}
    ragged["attention_mask"] = torch.tensor([[1, 0]])
    counts = BatchCounts()
    counts.add({"a": {"windows": [full, ragged]}, "stats": {}, "doc_ids": [1]})
    assert (counts.num_cells, counts.num_empty, counts.num_rows) == (8, 1, 3)


@pytest.fixture(scope="module")
def profiled(encoder_dir) -> tuple[edspipe.Pipeline, ProfileReport]:
    """A pipeline, and the profile of three of its steps, a document a batch."""
    nlp = tiny_pipeline(encoder_dir, labels=None)
    docs = Stream.from_items(gold_docs(nlp))
    settings = RunSettings(batch_size=1, device="cpu")
    return nlp, profile_run(nlp, docs, docs, settings, num_steps=3, num_warmup_steps=1)


def test_all_stages_of_a_step_are_there_and_add_up(profiled):
    training = profiled[1].training
    assert len(training.warmup_s) == 1
    assert training.num_steps == 3
    assert sum(s.share for s in training.timings.stages) == pytest.approx(1)
    assert {s.group for s in training.timings.stages} == {
        WAIT,
        FORWARD,
        BACKWARD,
        "clip the gradients",
        OPTIMIZER,
        OTHER,
    }
    parts = {(s.kind, s.part) for s in training.timings.stages if s.seconds > 0}
    assert parts >= {
        ("preprocess", "ner.embedding.embedding"),
        ("collate", "ner.embedding.embedding"),
        ("forward", "ner.embedding.embedding"),
        ("forward", "ner.embedding.convolutions"),
    }
    assert any(part.startswith("ner.crf.") for kind, part in parts if kind == FORWARD)


def test_all_stages_of_inference_are_there_and_add_up(profiled):
    inference = profiled[1].inference
    assert inference.num_documents == len(TEXTS)
    assert inference.num_words == sum(len(text.split()) for text in TEXTS)
    assert inference.words_per_s == inference.num_words / inference.timings.wall_s
    groups = [s.group for s in inference.timings.stages if s.seconds > 0]
    assert list(dict.fromkeys(groups)) == [
        "tokenizer",
        "preprocess",
        "collate",
        "forward",
        "postprocess",
        "other",
    ]


def test_batches_are_described(profiled):
    nlp, report = profiled
    training = report.training
    pieces = [nlp.preprocess(nlp.make_doc(text))["stats"]["tokens"] for text in TEXTS]
    assert training.documents_per_batch == 1
    num_words = {len(text.split()) for text in TEXTS}
    sums = {sum(three) for three in product(num_words, repeat=3)}
    assert round(training.words_per_batch * 3) in sums
    assert training.words_per_batch * 3 == pytest.approx(round(training.words_per_batch * 3))
    seconds = training.timings.wall_s
    assert training.words_per_s == pytest.approx(training.words_per_batch * 3 / seconds)
    assert training.pieces_per_s is not None
    assert min(pieces) <= training.pieces_per_s * seconds / 3 <= max(pieces)
    assert (training.padding_share is None) == (training.row_width is None)
    assert 0 <= (training.padding_share or 0) < 1


def test_reading_names_its_stages_and_the_components_are_finished(profiled):
    nlp, report = profiled
    assert nlp.pipes.ner.labels == ["A", "B"]
    assert report.num_documents == len(TEXTS)
    assert [s.group for s in report.reading.stages if s.part == ""] == ["read", "post_init"]
    assert "reading" in {s.part for s in report.reading.stages}


def test_a_profile_leaves_no_timer_behind(profiled):
    nlp, _ = profiled
    for _, component in components_by_path(nlp):
        for module in component.modules():
            assert not set(vars(module)) & {"forward", "preprocess", "collate", "loss"}
    assert type(nlp.tokenizer).__name__ == "EdsTokenizer"


def test_memory_is_in_megabytes(profiled):
    assert 50 < profiled[1].peak_memory_mb < 100_000
    assert profiled[1].peak_gpu_memory_mb is None


def test_a_report_is_plain_data_and_a_table_without_the_notes(profiled):
    report = profiled[1]
    data = json.dumps(report.to_dict())
    assert json.loads(data)["training"]["num_steps"] == 3
    lines = str(report).splitlines()
    assert lines[0].startswith("cpu, fp32, torch on 1 of ")
    assert any(line.startswith("  wait for the next batch ") for line in lines)
    assert any(line.startswith("    ner.embedding.embedding") for line in lines)
    for note in TEXTS:
        for word in note.split():
            assert len(word) < 6 or word not in data + str(report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps: expected 1 or more, got 0"),
        ({"num_warmup_steps": 0}, "num_warmup_steps: expected 1 or more, got 0"),
        ({"train_docs": Stream.from_items([])}, "train_docs: expected documents, found none"),
        ({"val_docs": Stream.from_items([])}, "val_docs: expected documents, found none"),
        ({"nlp": edspipe.blank("eds")}, "expected a pipeline with a trainable pipe"),
        ({"settings": RunSettings(precision="fp8")}, "precision is auto, fp32"),
    ],
)
def test_what_cannot_be_profiled_is_refused(
    make_nlp: Callable[..., edspipe.Pipeline], options: dict[str, Any], message: str
) -> None:
    nlp = make_nlp()
    docs = Stream.from_items(gold_docs(nlp))
    arguments = {"nlp": nlp, "train_docs": docs, "val_docs": docs, **options}
    with pytest.raises(ValueError, match=message):
        profile_run(**arguments)


@pytest.mark.slow
def test_what_workers_do_is_measured_beside(tiny_nlp):
    docs = Stream.from_items(gold_docs(tiny_nlp))
    settings = RunSettings(batch_size=1, num_preprocessing_workers=1, device="cpu")
    report = profile_run(tiny_nlp, docs, docs, settings, num_steps=2)
    assert {s.kind for s in report.training.timings.stages if s.group == WAIT} == {WAIT}
    assert report.in_workers is not None
    assert report.in_workers.share_of("preprocess") > 0
    assert "prepared in the workers" in str(report)


# ---- hints ----------------------------------------------------------------------------------


def timings_of(**seconds: float) -> Timings:
    names = {"wait": WAIT, "optimizer": OPTIMIZER}
    return Timings.of(
        {StageKey(names.get(k, k), names.get(k, k), ""): value for k, value in seconds.items()}
    )


QUIET = ProfileReport(
    device="cpu",
    precision="fp32",
    native_precision="fp32",
    num_threads=4,
    num_cores=4,
    num_preprocessing_workers=0,
    num_documents=3,
    reading=timings_of(read=1),
    training=TrainingProfile(
        num_steps=10,
        warmup_s=(1.0,),
        timings=timings_of(wait=1, forward=5, backward=4),
        words_per_s=100,
        pieces_per_s=200,
        documents_per_batch=4,
        words_per_batch=40,
        padding_share=0.05,
        row_width=50,
    ),
    in_workers=None,
    inference=InferenceProfile(3, 30, 100, timings_of(preprocess=2, forward=8)),
    peak_memory_mb=300,
    peak_gpu_memory_mb=None,
)


def report_with(timings: Timings | None = None, **changes: Any) -> ProfileReport:
    """Change the quiet report; figures of training by their names."""
    own = {key: changes.pop(key) for key in list(changes) if hasattr(QUIET.training, key)}
    if timings is not None:
        own["timings"] = timings
    return replace(QUIET, training=replace(QUIET.training, **own), **changes)


def test_figures_that_say_nothing_give_no_hint():
    assert hints(QUIET) == ()
    assert str(QUIET).endswith("what to try\n- nothing stands out")


WAITING = timings_of(wait=3, forward=7)


@pytest.mark.parametrize(
    ("report", "hint"),
    [
        (
            report_with(WAITING),
            "30% of a step is waiting for its batch (most of it: reading, shuffling and batching): "
            "num_preprocessing_workers=1",
        ),
        (
            report_with(WAITING, num_preprocessing_workers=1),
            "30% of a step is waiting for its batch: num_preprocessing_workers=2 lets one more",
        ),
        (
            report_with(native_precision="bf16"),
            "90% of a step is forward and backward in fp32, and this cpu has instructions for bf16",
        ),
        (report_with(num_threads=1), "on 1 of 4 cores: OMP_NUM_THREADS=4"),
        (
            report_with(timings_of(forward=7, optimizer=3)),
            "30% of a step is clipping and the optimizer, whatever the batch holds",
        ),
        (
            replace(
                QUIET, inference=InferenceProfile(3, 30, 100, timings_of(tokenizer=3, other=1))
            ),
            "75% of inference is work on documents, not the model: "
            "nlp.pipe(..., num_cpu_workers=4)",
        ),
    ],
)
def test_a_hint_names_its_figure(report, hint):
    (found,) = hints(report)
    assert hint in found


@pytest.mark.parametrize(
    "report",
    [
        report_with(WAITING, num_cores=1, num_threads=1),
        report_with(WAITING, num_preprocessing_workers=3, num_threads=1),
        report_with(precision="bf16", native_precision="bf16"),
        report_with(timings_of(forward=4, other=6), native_precision="bf16", num_threads=1),
        report_with(device="cuda", num_threads=1),
    ],
    ids=["no free core", "workers on all", "in use", "not the model", "on a GPU"],
)
def test_what_cannot_help_is_not_hinted_at(report):
    assert hints(report) == ()


def test_the_largest_part_of_a_wait_is_named():
    timings = Timings.of(
        {StageKey(WAIT, PREPROCESS, "ner.x"): 3.0, StageKey(FORWARD, FORWARD, ""): 7.0}
    )
    assert "(most of it: preprocess ner.x)" in hints(report_with(timings))[0]
