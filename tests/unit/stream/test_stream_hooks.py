"""How things cross between processes, and what streams ask of the types that flow in them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

import edspipe
from edspipe.doc.attributes import declare_doc_attribute, declare_span_attribute
from edspipe.stream import hooks
from edspipe.stream.hooks import Shared, WrongValue, describe, dumps, loads
from edspipe.stream.ops.map import Map

declare_span_attribute("negation")
declare_doc_attribute("ward")

TEXT = "Pas de fièvre,  toux\ndepuis 3 jours. 👩‍⚕️ e\u0301"


@pytest.fixture(scope="module")
def nlp() -> edspipe.Pipeline:
    return edspipe.blank("eds")


def cross(value, *shared_objects):
    """What arrives in another process; the shared objects stay the same here."""
    shared = Shared()
    for thing in shared_objects:
        shared.keep(thing)
    return loads(dumps(value, shared), shared)


def annotated(nlp) -> Doc:
    doc = nlp.make_doc(TEXT)
    doc._.note_id = "n1"
    doc._.ward = "B"
    doc.cats = {"urgent": 0.5}
    doc.user_data["anything"] = {"a": [1]}
    first = Span(doc, 2, 3, label="Symptom", kb_id="C1", span_id="T1")
    same = Span(doc, 2, 3, label="Symptom", span_id="T2")
    doc.ents = [first]
    doc.spans["all"] = [first, same, Span(doc, 4, 6, label="Symptom")]
    doc.spans["none"] = []
    doc.spans.get("all").attrs["kind"] = "gold"
    first._.negation = True
    same._.negation = False
    return doc


def spans_of(spans) -> list[tuple]:
    return [(s.start_char, s.end_char, s.label_, s.kb_id_, s.id_, s._.negation) for s in spans]


def layout(doc: Doc) -> dict:
    return {
        "text": doc.text,
        "tokens": [(token.text, token.whitespace_, token.is_sent_start) for token in doc],
        "ents": spans_of(doc.ents),
        "iob": [(token.ent_iob_, token.ent_type_, token.ent_kb_id_) for token in doc],
        "spans": {name: spans_of(spans) for name, spans in doc.spans.items()},
        "attrs": {name: dict(spans.attrs) for name, spans in doc.spans.items()},
        "user_data": doc.user_data,
        "cats": doc.cats,
        "own": (doc._.note_id, doc._.ward),
    }


def test_a_doc_crosses_with_all_that_it_carries(nlp):
    doc = annotated(nlp)
    assert layout(cross(doc, nlp.vocab)) == layout(doc)


def test_a_doc_crosses_with_its_sentences(nlp):
    doc = annotated(nlp)
    for token in doc:
        token.is_sent_start = token.i in (0, 5)
    assert layout(cross(doc, nlp.vocab)) == layout(doc)


def test_a_tagged_doc_crosses_with_its_tags(nlp):
    doc = annotated(nlp)
    doc[2].tag_, doc[2].lemma_ = "NOM", "fièvre"
    arrived = cross(doc, nlp.vocab)
    assert (arrived[2].tag_, arrived[2].lemma_) == ("NOM", "fièvre")
    assert layout(arrived) == layout(doc)


@pytest.mark.parametrize("text", ["", " ", "\n", "a", "a ", " a"])
def test_docs_of_any_text_cross(nlp, text):
    doc = nlp.make_doc(text)
    assert layout(cross(doc, nlp.vocab)) == layout(doc)


def test_a_doc_without_entities_set_stays_so(nlp):
    arrived = cross(nlp.make_doc(TEXT), nlp.vocab)
    assert not arrived.has_annotation("ENT_IOB")


def test_a_doc_is_rebuilt_on_the_vocab_of_the_receiver(nlp):
    assert cross(nlp.make_doc(TEXT), nlp.vocab).vocab is nlp.vocab


def test_a_doc_crosses_without_its_vocab_once_that_is_shared(nlp):
    shared = Shared()
    shared.keep(nlp.vocab)
    assert len(dumps(nlp.make_doc(TEXT), shared)) < 2000


def test_docs_inside_other_things_cross_too(nlp):
    arrived = cross({"docs": [annotated(nlp)]}, nlp.vocab)
    assert layout(arrived["docs"][0]) == layout(annotated(nlp))


def test_names_of_labels_reach_a_vocab_that_does_not_know_them(nlp):
    sender, receiver = Shared(), Shared()
    sender.keep(nlp.vocab)
    receiver.keep(edspipe.blank("eds").vocab)
    arrived = loads(dumps(annotated(nlp), sender), receiver)
    assert layout(arrived) == layout(annotated(nlp))


def test_names_of_attributes_reach_a_process_that_does_not_know_them(nlp):
    declare_span_attribute("certainty")
    declare_doc_attribute("service")
    doc = annotated(nlp)
    doc.ents[0]._.certainty = "high"
    doc._.service = "X"
    packed = dumps(doc, Shared())
    Span.remove_extension("certainty")
    Doc.remove_extension("service")
    arrived = loads(packed, Shared())
    assert (arrived.ents[0]._.certainty, arrived._.service) == ("high", "X")


# ---- shared objects ----------------------------------------------------------------------------


def test_shared_objects_are_collected_while_packing(nlp):
    sender, receiver = Shared(), Shared()
    packed = dumps([nlp.make_doc("a"), nlp.make_doc("b")], sender, collect=True)
    for data in sender.packed():
        receiver.keep(loads(data, receiver))
    first, second = loads(packed, receiver)
    assert len(sender.packed()) == 1
    assert first.vocab is second.vocab is receiver[0]


def test_only_new_shared_objects_are_packed_again():
    shared = Shared()
    shared.keep(Vocab())
    shared.packed()
    shared.keep(Vocab())
    assert len(shared.packed(1)) == 1


def test_no_more_shared_objects_are_kept_than_a_few(monkeypatch, nlp):
    monkeypatch.setattr(hooks, "MAX_SHARED", 1)
    shared = Shared()
    dumps([nlp.make_doc("a"), edspipe.blank("eds").make_doc("b")], shared, collect=True)
    assert len(shared.packed()) == 1


# ---- other things ------------------------------------------------------------------------------


def test_lambdas_and_local_functions_cross():
    factor = 3

    def local(x):
        return x * factor

    assert cross(local)(2) == cross(lambda x: x * factor)(2) == 6


def test_tensors_cross():
    import torch

    tensors = {
        "int": torch.arange(6).reshape(2, 3),
        "view": torch.arange(6.0).reshape(2, 3).T,
        "bool": torch.tensor([True, False]),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "none": torch.zeros(0, 3),
    }
    arrived = cross(tensors)
    assert {name: tensor.dtype for name, tensor in arrived.items()} == {
        name: tensor.dtype for name, tensor in tensors.items()
    }
    assert all(torch.equal(arrived[name], tensors[name]) for name in tensors)


def test_arrays_cross():
    assert cross(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (threading.Lock(), "a lock cannot cross to another process: it holds a _thread.lock"),
        ([iter([]), (x for x in "a")], "a list cannot cross .*: it holds a generator"),
    ],
)
def test_what_cannot_be_pickled_is_named(value, message):
    with pytest.raises(WrongValue, match=message):
        dumps(value, Shared())


def test_a_message_of_pickle_that_may_quote_text_is_not_passed_on():
    class Secretive:
        def __reduce__(self):
            raise ValueError("M. Dupont")

    with pytest.raises(WrongValue, match=r"a Secretive cannot cross .* with ValueError$") as caught:
        dumps(Secretive(), Shared())
    assert "Dupont" not in str(caught.value)


def test_a_thing_is_named_by_its_id_or_else_its_index(nlp):
    doc = nlp.make_doc("a")
    assert describe(doc, 4) == "item 4"
    doc._.note_id = "n1"
    assert describe(doc, 4) == "document 'n1'"


# ---- what an object may say of its own travel --------------------------------------------------


class Weighty:
    """Says how its methods run in a stream, as pipelines do."""

    def __init__(self) -> None:
        self.weights = bytes(10**6)

    def collate(self, batch, device=None):
        return {"batch": batch, "device": device}

    def stream_op(self, method, kwargs):
        device = kwargs.get("device")
        arrive = lambda batch: {**batch, "device": device}  # noqa: E731
        return getattr(Light(), method), {}, arrive


class Light:
    def collate(self, batch, device=None):
        return {"batch": batch, "device": device}


def test_an_object_can_send_a_light_copy_and_finish_on_arrival():
    op, arrive = Map(Weighty().collate, {"device": "cuda:7"}).for_worker()
    assert len(dumps(op, Shared())) < 10**5
    assert op.kwargs == {}
    assert op.function([1]) == {"batch": [1], "device": None}
    assert arrive(op.function([1])) == {"batch": [1], "device": "cuda:7"}


def test_an_op_travels_with_its_name_and_its_place():
    original = Map(Weighty().collate)
    original.place = 4
    op, _ = original.for_worker()
    assert (op.place, op.stage) == (4, "map(Weighty.collate)")


@pytest.mark.parametrize("function", [len, int, Weighty, lambda x: x, "a".join])
def test_other_functions_travel_as_they_are(function):
    op = Map(function)
    assert op.for_worker() == (op, None)


def test_a_pipeline_travels_without_weights(tiny_nlp):
    num_bytes = sum(tensor.nbytes for tensor in tiny_nlp.iter_tensors())
    op, _ = Map(tiny_nlp.preprocess).for_worker()
    shared = Shared()
    packed = dumps(op, shared, collect=True)
    assert num_bytes > 50_000
    assert len(packed) + num_bytes / 2 < len(dumps(Map(tiny_nlp.preprocess), shared))


def test_a_light_copy_of_a_pipeline_prepares_as_the_pipeline_does(tiny_nlp):
    doc = tiny_nlp.make_doc("Pas de fièvre.")
    op, _ = Map(tiny_nlp.preprocess).for_worker()
    there, here = op.function(doc), tiny_nlp.preprocess(doc)
    assert there["stats"] == here["stats"]
    assert str(sorted(there)) == str(sorted(here))


def test_a_device_is_asked_for_in_the_main_process_only(tiny_nlp):
    op, arrive = Map(tiny_nlp.collate, {"device": "meta"}).for_worker()
    batch = op.function([tiny_nlp.preprocess(tiny_nlp.make_doc("Pas de fièvre."))])
    assert "device" not in op.kwargs
    assert {tensor.device.type for tensor in tensors_of(batch)} == {"cpu"}
    assert {tensor.device.type for tensor in tensors_of(arrive(batch))} == {"meta"}


def tensors_of(tree) -> list:
    import torch

    if isinstance(tree, dict):
        return [tensor for value in tree.values() for tensor in tensors_of(value)]
    return [tree] if isinstance(tree, torch.Tensor) else []
