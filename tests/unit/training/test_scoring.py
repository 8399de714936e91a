"""Scores on files: where gold and predictions are, and which documents belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc, Span
from support import TEXTS

import edspipe
from edspipe.errors import DataError
from edspipe.metrics import evaluate_spans
from edspipe.training.evaluation import confidences
from edspipe.training.scoring import (
    SCORED,
    agree_files,
    match_docs,
    places_of,
    predict_file,
    read_gold,
)

NLP = edspipe.blank("eds")


def annotated() -> list[Doc]:
    """Three notes; in each an A that a longer A overlaps, and a B."""
    docs = [NLP.make_doc(text) for text in TEXTS]
    for index, doc in enumerate(docs):
        doc._.note_id = f"note-{index}"
        spans = [Span(doc, 0, 1, "A"), Span(doc, 0, 3, "A"), Span(doc, 4, 5, "B")]
        doc.spans["all"] = spans
        doc.ents = spans[1:]
    return docs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same notes in several formats."""
    folder = tmp_path_factory.mktemp("files")
    found = {"standoff": folder / "brat", "json": folder / "n.jsonl", "docbin": folder / "n.spacy"}
    stream = edspipe.data.from_iterable(annotated())
    stream.write_standoff(found["standoff"], span_getter="all")
    stream.write_json(found["json"], converter="omop", span_getter="all")
    stream.write_docbin(found["docbin"])
    return found


def places(docs: list[Doc], group: str = SCORED) -> list[list[tuple[int, int, str]]]:
    return [[(s.start, s.end, s.label_) for s in doc.spans[group]] for doc in docs]


# ---- gold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("getter", [None, "gold-ner", "all", ["ents", "all"]])
@pytest.mark.parametrize("format", ["standoff", "json"])
def test_formats_without_groups_fill_those_that_are_named(
    files: dict[str, Path], format: str, getter: Any
) -> None:
    docs = read_gold(files[format], span_getter=getter)
    assert places(docs) == places(annotated(), "all")


@pytest.mark.parametrize(
    ("getter", "expected"),
    [
        ("all", [(0, 1, "A"), (0, 3, "A"), (4, 5, "B")]),
        ("ents", [(0, 3, "A"), (4, 5, "B")]),
        ("gold-ner", [(0, 3, "A"), (4, 5, "B")]),
        (None, [(0, 3, "A"), (4, 5, "B")]),
        ({"all": "B"}, [(4, 5, "B")]),
        (lambda doc: list(doc.spans["all"])[:1], [(0, 1, "A")]),
    ],
)
def test_formats_with_groups_are_read_as_they_are(
    files: dict[str, Path], getter: Any, expected: Any
) -> None:
    assert places(read_gold(files["docbin"], span_getter=getter)) == [expected] * 3


# ---- predictions ----------------------------------------------------------------------------


def predicted(nlp: edspipe.Pipeline) -> list[list[tuple[int, int, str]]]:
    docs = [nlp(text) for text in TEXTS]
    return places(docs, "gold-ner")


@pytest.mark.parametrize("format", ["standoff", "json", "docbin"])
def test_predictions_know_nothing_of_gold(
    files: dict[str, Path], make_nlp: Callable[..., edspipe.Pipeline], format: str
) -> None:
    nlp = make_nlp()
    found = predict_file(nlp, files[format], confidence=False)
    assert [doc._.note_id for doc in found.found] == ["note-0", "note-1", "note-2"]
    assert places(found.found) == predicted(nlp)
    assert found.found[0].ents == ()
    assert places(found.gold)[0][-1] == (4, 5, "B")


def test_scores_are_those_of_the_metrics(
    files: dict[str, Path], tiny_nlp: edspipe.Pipeline
) -> None:
    found = predict_file(tiny_nlp, files["standoff"])
    evaluation = found.evaluate(ci={"n_iterations": 10}, max_examples=2)
    expected = evaluate_spans(
        found.gold, found.found, SCORED, ci={"n_iterations": 10}, max_examples=2
    )
    assert evaluation == expected
    assert evaluation.scores["micro"]["support"] == 9
    assert len(evaluation.errors["examples"]) == 2


def test_confidence_is_on_while_predicting_and_as_it_was_after(
    files: dict[str, Path], tiny_nlp: edspipe.Pipeline
) -> None:
    evaluation = predict_file(tiny_nlp, files["standoff"]).evaluate()
    assert evaluation.confidence is not None
    positives = evaluation.scores["micro"]["positives"]
    assert sum(evaluation.confidence["reliability"]["count"]) == positives > 0
    assert tiny_nlp.pipes.ner.confidence is False
    off = predict_file(tiny_nlp, files["standoff"], confidence=False).evaluate()
    assert off.confidence is None
    assert off.scores == evaluation.scores


def test_confidence_is_switched_off_after_an_error(tiny_nlp: edspipe.Pipeline) -> None:
    def fail() -> None:
        with confidences(tiny_nlp):
            assert tiny_nlp.pipes.ner.confidence is True
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tiny_nlp.pipes.ner.confidence is False


@pytest.mark.slow
def test_workers_find_the_same(files: dict[str, Path], tiny_nlp: edspipe.Pipeline) -> None:
    alone = predict_file(tiny_nlp, files["standoff"], batch_size="1 docs")
    many = predict_file(tiny_nlp, files["standoff"], batch_size="1 docs", num_cpu_workers=1)
    assert many.evaluate() == alone.evaluate()


def test_a_pipeline_does_not_differ_from_itself(
    files: dict[str, Path], make_nlp: Callable[..., edspipe.Pipeline]
) -> None:
    first, second = (predict_file(make_nlp(), files["standoff"]) for _ in range(2))
    test = first.compare(second, ci={"n_iterations": 20})
    assert (test["difference"], test["p_value"]) == (0.0, 1.0)


def test_the_difference_is_that_of_the_scores(
    files: dict[str, Path], make_nlp: Callable[..., edspipe.Pipeline]
) -> None:
    """Pipelines that write to different places are compared all the same."""
    first = predict_file(make_nlp(), files["standoff"])
    other = make_nlp(seed=3, target_span_getter="other", span_setter="found")
    second = predict_file(other, files["standoff"])
    scores = [one.evaluate().scores["micro"]["positives"] for one in (first, second)]
    assert min(scores) > 0
    tests = [first.compare(second), second.compare(first)]
    assert tests[0]["difference"] == -tests[1]["difference"]
    f = [one.evaluate().scores["A"]["f"] for one in (first, second)]
    assert first.compare(second, key="A")["difference"] == pytest.approx(f[0] - f[1])


def test_gold_without_spans_is_refused(tmp_path: Path, tiny_nlp: edspipe.Pipeline) -> None:
    (tmp_path / "a.txt").write_text("Pas de fièvre.")
    (tmp_path / "a.ann").write_text("")
    with pytest.raises(DataError, match=r"expected gold spans, found none in 1 documents; give"):
        predict_file(tiny_nlp, tmp_path)


def test_a_place_without_predictions_is_refused(
    files: dict[str, Path], tiny_nlp: edspipe.Pipeline
) -> None:
    message = r"no prediction is in 'ents', but there are some in gold-ner: name that"
    with pytest.raises(ValueError, match=message):
        predict_file(tiny_nlp, files["standoff"], span_getter="ents")


def test_a_pipeline_that_finds_nothing_is_scored(files: dict[str, Path]) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    evaluation = predict_file(nlp, files["standoff"]).evaluate()
    assert evaluation.scores["micro"]["positives"] == 0
    assert evaluation.errors["counts"]["missed"] == 6


# ---- places ---------------------------------------------------------------------------------


def all_ents(doc: Doc) -> list[Span]:
    return list(doc.ents)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("gold-ner", "gold-ner")),
        ({"span_setter": "found"}, ("gold-ner", "found")),
        ({"span_setter": "*"}, ("gold-ner", "ents")),
        ({"target_span_getter": {"x": ["A"]}}, ({"x": ["A"]}, {"x": ["A"]})),
        ({"target_span_getter": all_ents}, (all_ents, all_ents)),
    ],
)
def test_places_are_those_of_the_recogniser(
    make_nlp: Callable[..., edspipe.Pipeline], options: dict[str, Any], expected: Any
) -> None:
    assert places_of(make_nlp(**options)) == expected


def test_without_a_recogniser_places_are_the_entities() -> None:
    assert places_of(edspipe.blank("eds")) == ("ents", "ents")


def test_several_recognisers_are_told_apart_by_name(
    make_nlp: Callable[..., edspipe.Pipeline], encoder_dir: Path
) -> None:
    nlp, other = make_nlp(), make_nlp(target_span_getter="other")
    nlp.add_pipe(other.pipes.ner, name="second")
    message = r"the pipes ner, second learn from different spans; say which .* \(--span-getter\)"
    with pytest.raises(ValueError, match=message):
        places_of(nlp)
    with nlp.select_pipes(disable=["second"]):
        assert places_of(nlp) == ("gold-ner", "gold-ner")


# ---- two annotations ------------------------------------------------------------------------


def test_annotations_in_two_formats_agree(files: dict[str, Path]) -> None:
    found = agree_files(files["standoff"], files["json"], ci={"n_iterations": 10})
    assert found.evaluation.scores["micro"]["f"] == 1.0
    assert found.kappa == {"A": 1.0, "B": 1.0}
    assert found.evaluation.scores["ci"]["micro"]["f"] == [1.0, 1.0]


def test_documents_are_matched_by_id() -> None:
    docs = annotated()
    assert match_docs(docs, docs[::-1], ("a", "b")) == docs


def test_documents_without_ids_are_matched_by_position() -> None:
    docs = annotated()
    for doc in docs:
        doc._.note_id = None
    assert match_docs(docs, docs, ("a", "b")) == docs


def test_missing_documents_are_counted_and_named() -> None:
    docs, more = annotated(), annotated() + annotated()
    for index, doc in enumerate(more):
        doc._.note_id = f"other-{index}"
    message = (
        r"3 of a missing in b \(note-0, note-1, note-2\) and "
        r"6 of b missing in a \(other-0, other-1, other-2, other-3, other-4, \.\.\.\); documents"
    )
    with pytest.raises(DataError, match=message):
        match_docs(docs, more, ("a", "b"))
    with pytest.raises(DataError, match=r"got 1 of a missing in b \(note-2\); documents"):
        match_docs(docs, docs[:2], ("a", "b"))


def test_an_id_that_comes_twice_is_named() -> None:
    docs = annotated()
    docs[1]._.note_id = "note-0"
    with pytest.raises(DataError, match=r"b: expected each note id once, got .* \(note-0\)"):
        match_docs(annotated(), docs, ("a", "b"))


def test_texts_that_differ_are_named_and_not_quoted() -> None:
    docs = annotated()
    docs[1] = NLP.make_doc(TEXTS[1].replace("toux", "tous"))
    docs[1]._.note_id = "note-1"
    message = r"expected the same texts in a and b, but 1 differ \(note-1\), so offsets"
    with pytest.raises(DataError, match=message) as error:
        match_docs(annotated(), docs, ("a", "b"))
    assert "tous" not in str(error.value)


def test_folders_without_annotations_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Pas de fièvre.")
    (tmp_path / "a.ann").write_text("")
    with pytest.raises(DataError, match="expected annotations, found none here nor in the other"):
        agree_files(tmp_path, tmp_path)
