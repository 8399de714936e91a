"""report.html: one file on a run, of whatever is there, that shows no text unasked."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import evaluation, metrics_rows, run_info, slowest_steps, write_rows, write_run
from spacy.tokens import Doc, Span

import edspipe
import edspipe.viz
from edspipe.errors import DataError
from edspipe.metrics import evaluate_spans
from edspipe.viz import plot_file, plot_run, write_report
from edspipe.viz.report_run import run_line
from edspipe.viz.run_files import read_run

VOID = {"meta", "img", "br"}
QUESTIONS = ("Did it converge?", "Is it overfitting?", "Which label is weakest?")


class Page(HTMLParser):
    """The text of a page, its tags and its attributes; the tags must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def page_of(run_dir: Path, **options: Any) -> Page:
    return Page(write_report(run_dir, **options).read_text(encoding="utf-8"))


def write(folder: Path, name: str, data: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture(scope="module")
def whole(drawing: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `plot_run` wrote of a run with all files; only to be read."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "first", ("disorder", "drug", "dose"))
    table = "step\tlr\tloss\tsmoothed_loss\n0\t1e-5\t2\t2\n1\t1e-4\t1\t1\n2\t1e-3\t3\t3\n"
    (folder / "learning_rate.tsv").write_text(table)
    with drawing():
        return plot_run(folder)


@pytest.fixture(scope="module")
def page(whole: list[Path]) -> Page:
    return Page(whole[-1].read_text(encoding="utf-8"))


def test_every_picture_and_the_report_are_written(whole: list[Path]) -> None:
    names = ["training", "weights", "learning_rate", "labels", "confusion", "precision_recall"]
    expected = [*(f"{name}.png" for name in [*names, "reliability"]), "report.html"]
    assert [path.name for path in whole] == expected
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in whole[:-1])


def test_the_report_needs_no_other_file_no_script_and_no_network(page: Page) -> None:
    assert page.tags.count("img") == 7
    assert not {"script", "link", "iframe", "object", "a"} & set(page.tags)
    sources = [value or "" for key, value in page.attributes if key in ("src", "href")]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not any(key.startswith("on") for key, _ in page.attributes)
    assert "default-src 'none'" in dict(page.attributes).get("content", "") or any(
        value and value.startswith("default-src 'none'") for _, value in page.attributes
    )


def test_the_four_answers_come_first(page: Page) -> None:
    places = [page.text.index(question) for question in QUESTIONS]
    assert places == sorted(places)
    assert places[-1] < page.text.index("Which errors are most common?")
    assert page.text.index("Which errors are most common?") < page.text.index("Curves")


@pytest.mark.parametrize(
    "said",
    [
        "finished (all steps done), 300 steps, 6.0 epochs, 2 min 0 s, cpu, fp32, seed 42",
        "Best step: 260, with val/micro_f 0.741. Scores below are those of model-best.",
        "eds.ner_exact, 100 documents, 12,000 words.",
        "800",  # documents to train on
        "412,345",
        "Half of the steps took 0.3 s or less;",
        "note-0, note-1, note-2, note-3",  # the slowest step
        "missed: 5 of",
        "disorder 10–15",
        "disorder 10–19 (0.80 sure)",
        "version of torch",
        "The same on val",
        "0.79 to 0.83",
    ],
)
def test_the_report_says(page: Page, said: str) -> None:
    assert said in page.text


# Little data


@pytest.mark.usefixtures("drawn")
def test_a_run_without_validation_reads_well(tmp_path: Path) -> None:
    rows = [row for row in metrics_rows(40) if row["split"] == "train"]
    page = page_of(write_rows(tmp_path / "run", rows))
    assert "The run had no validation" in page.text
    assert page.tags.count("img") == 1
    for title in ("Confusion", "Data", "Confidence", "Weights", "Errors"):
        assert title not in page.texts


def test_a_run_that_learned_nothing_says_so(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for step in range(1, 41):
        rows.append({"step": step, "split": "train", "loss": 2.0})
        if step % 10 == 0:
            rows.append({"step": step, "split": "val", "loss": 2.0, "micro_f": 0.0, "A_f": 0.0})
    text = page_of(write_rows(tmp_path / "run", rows)).text
    assert "No: it learned nothing" in text
    assert "micro_f was 0 at all 4 validations." in text


def test_the_clock_of_a_resumed_run_is_added_up(tmp_path: Path) -> None:
    times = [10, 20, 30, 5, 15]
    rows = [{"step": i, "split": "train", "loss": 1, "time_s": t} for i, t in enumerate(times, 1)]
    assert run_line(read_run(write_rows(tmp_path / "run", rows))) == "5 steps, 45.0 s"


@pytest.mark.parametrize(("seconds", "said"), [(7261, "2 h 1 min"), (125, "2 min 5 s")])
def test_times_are_said_in_hours_and_minutes(tmp_path: Path, seconds: int, said: str) -> None:
    rows = [{"step": 1, "split": "train", "time_s": seconds}]
    assert run_line(read_run(write_rows(tmp_path / "run", rows))) == f"1 step, {said}"


def test_an_evaluation_alone_gives_a_report(tmp_path: Path) -> None:
    write(tmp_path, "evaluation/val.json", {"scores": {"A": {"f": 0.5, "support": 40}}})
    text = page_of(tmp_path).text
    assert "A is the only label" in text
    assert "Did it converge?" not in text


def test_parts_of_another_shape_are_left_out(tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "run", [{"step": 1, "split": "train", "loss": 1.0}])
    write(folder, "run.json", {"data": {"train": None, "val": 3}, "best": [], "versions": "x"})
    write(folder, "slowest_steps.json", [{}])
    write(folder, "evaluation/test.json", {"scores": {"A": None}, "errors": [], "confidence": 1})
    assert "Run" not in page_of(folder).texts


def test_labels_that_are_never_seen_in_training_are_named(tmp_path: Path) -> None:
    data = {"train": {"labels": {"A": 3}}, "val": {"labels": {"A": 1, "B": 1}}}
    folder = write_rows(tmp_path / "run", [])
    write(folder, "run.json", {"data": data})
    assert "Never seen in train: B." in page_of(folder).text


def test_many_documents_of_a_slow_step_are_counted(tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "run", [])
    step = slowest_steps()[0] | {"doc_ids": [f"d{i}" for i in range(20)]}
    write(folder, "slowest_steps.json", [step])
    assert "d11 and 8 more" in page_of(folder).text


# Texts

TEXT = "Pas de <b>fièvre</b> depuis hier,\nmais une toux sèche."


def errors_run(folder: Path) -> Path:
    gold = {"start": TEXT.index("toux"), "end": TEXT.index("toux") + 4, "label": "sign"}
    found = {"start": gold["start"], "end": len(TEXT) - 1, "label": "sign", "confidence": 0.5}
    data = evaluation(("sign",))
    data["errors"]["examples"] = [
        {"doc_id": "n1", "kind": "wrong_boundary", "gold": gold, "found": found},
        {"doc_id": "n2", "kind": "missed", "gold": gold, "found": None},
        {"doc_id": "n3", "kind": "missed", "gold": {**gold, "end": 999}, "found": None},
    ]
    write(folder, "evaluation/test.json", data)
    return folder


def test_no_text_is_shown_unasked(tmp_path: Path) -> None:
    text = page_of(errors_run(tmp_path)).text
    assert "n1" in text
    assert "Texts are shown by edspipe plot --with-text." in text
    assert "clinical text" not in text


def test_texts_show_errors_in_their_context(tmp_path: Path) -> None:
    page = page_of(errors_run(tmp_path), texts={"n1": TEXT, "n3": TEXT})
    assert "This report holds clinical text" in page.text
    assert "Pas de <b>fièvre</b> depuis hier, mais une " in page.texts
    at = page.texts.index("Pas de <b>fièvre</b> depuis hier, mais une ")
    assert page.texts[at + 1 : at + 3] == ["toux", " sèche"]
    assert ("class", "gold found") in page.attributes
    assert "no text was given for this document" in page.text
    assert "the offsets do not fit the text" in page.text


def test_a_long_text_is_cut_around_the_error(tmp_path: Path) -> None:
    texts = {"n2": "x" * TEXT.index("toux") + "toux" + "y" * 500}
    page = page_of(errors_run(tmp_path), texts=texts)
    assert "y" * 60 + "…" in "".join(page.texts)
    assert "y" * 61 not in page.text


# Hostile names

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x00\ud800"


@pytest.mark.usefixtures("drawn")
def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run <b>&", (EVIL, "drug"))
    info = run_info() | {"status": EVIL, "device": EVIL, "seed": EVIL, "versions": {EVIL: EVIL}}
    info |= {"data": {EVIL: {"labels": {EVIL: 3}, "sha256": EVIL}}, "evaluated": EVIL}
    write(folder, "run.json", info | {"best": {"step": 1, "monitor": EVIL, "value": 1.0}})
    write(folder, "slowest_steps.json", [{"step": 1, "step_s": 1.0, "doc_ids": [EVIL]}])
    data = evaluation((EVIL, "drug")) | {"metric": EVIL}
    gold = {"start": 0, "end": 4, "label": EVIL}
    data["errors"]["examples"] = [{"doc_id": EVIL, "kind": "missed", "gold": gold, "found": None}]
    write(folder, "evaluation/test.json", data)
    page = page_of(folder, texts={EVIL: EVIL})
    assert "script" not in page.tags
    assert not any(key == "onerror" for key, _ in page.attributes)
    sources = [value or "" for key, value in page.attributes if key == "src"]
    assert all(source.startswith("data:") for source in sources)
    assert page.text.count("<script>alert(1)</script>") > 10


# What is wrong


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "[]", r"run\.json: expected a JSON object"),
        ("run.json", "{", r"run\.json:1: expected JSON"),
        ("slowest_steps.json", "{}", r"slowest_steps\.json: expected a JSON list of objects"),
        ("slowest_steps.json", "[1]", r"slowest_steps\.json: expected a JSON list of objects"),
        ("metrics.jsonl", "nothing\n", r"metrics\.jsonl:1: expected a JSON object"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    write_rows(tmp_path, [{"step": 1, "split": "train", "loss": 1.0}])
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        write_report(tmp_path)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a run: metrics\.jsonl"):
        write_report(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none: expected the folder of a run"):
        write_report(tmp_path / "none")


# One file


@pytest.mark.usefixtures("drawn")
def test_metrics_alone_give_pictures_beside_them(tmp_path: Path) -> None:
    file = write_rows(tmp_path, metrics_rows(10)) / "metrics.jsonl"
    assert plot_file(file) == [tmp_path / "training.png", tmp_path / "weights.png"]


def test_metrics_without_numbers_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, [])
    with pytest.raises(DataError, match="expected recorded numbers, found none"):
        plot_file(tmp_path / "metrics.jsonl")


# Names


@pytest.mark.parametrize("name", edspipe.viz.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(edspipe.viz, name).__module__.startswith("edspipe.viz.")
    assert name in dir(edspipe.viz)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(AttributeError, match=re.escape("Did you mean 'write_report'?")):
        edspipe.viz.write_reports  # type: ignore[attr-defined]


# Evaluations of edspipe


@pytest.mark.usefixtures("drawn")
def test_an_evaluation_of_edspipe_is_drawn(tmp_path: Path) -> None:
    blank = edspipe.blank("eds")

    def annotate(*spans: tuple[int, int, str]) -> Doc:
        doc = blank("Toux sèche et fièvre, sous amoxicilline.")
        doc._.note_id = "n1"
        doc.spans["entities"] = [Span(doc, begin, end, label) for begin, end, label in spans]
        return doc

    gold = annotate((0, 2, "sign"), (3, 4, "sign"), (6, 7, "drug"))
    found = annotate((0, 1, "sign"), (3, 4, "drug"))
    write(tmp_path, "evaluation/test.json", evaluate_spans([gold], [found], "entities").to_dict())
    names = [path.name for path in plot_run(tmp_path, texts={"n1": gold.text})]
    assert names[:2] == ["labels.png", "confusion.png"]
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "sign 14–20" in page.text
    at = page.texts.index("amoxicilline")
    assert page.texts[at - 1] == "Toux sèche et fièvre, sous "
