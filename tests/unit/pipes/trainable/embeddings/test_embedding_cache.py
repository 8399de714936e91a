"""The cache of frozen embeddings: found or computed, a vector is the same to the bit."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from spacy.tokens import Doc
from support import gold_docs

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.cache import VectorCache
from edspipe.pipes.trainable.embeddings.transformer import Transformer

TEXTS = (
    "The patient has no fever. Cough for 3 days, chest pain.",
    "Pas de fièvre, toux depuis 3 jours.\nDouleur thoracique (EVA 4/10). " * 4,
    "Hypertension artérielle traitée par amlodipine 5 mg. ",
    "Toux et douleur depuis hier soir au lit. " * 3,
)


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU does not read exactly without a cache."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def make(encoder_dir: Path, tmp_path: Path) -> Callable[..., Transformer]:
    """Builds a frozen transformer with a cache."""

    def build(cache: str = "cpu", **options: Any) -> Any:
        if cache == "disk":
            options.setdefault("cache_dir", tmp_path / "vectors")
        settings: dict[str, Any] = {"window": 16, "stride": 12, "frozen": True, **options}
        return Transformer(name="bert", model=encoder_dir, **{"cache": cache, **settings})

    return build


@pytest.fixture
def docs() -> list[Doc]:
    nlp = edspipe.blank("eds")
    return [nlp.make_doc(text) for text in TEXTS]


def vectors(pipe: Transformer, docs: list[Doc], **options: Any) -> torch.Tensor:
    features = [pipe.preprocess(doc, **options) for doc in docs]
    return pipe(pipe.collate(features))["embeddings"]


class Spy:
    """Counts calls of a method."""

    def __init__(self, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        method = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)


# The same vectors


@pytest.mark.parametrize("cache", ["none", "cpu", "disk"])
def test_a_context_has_the_same_vectors_whatever_is_in_its_batch(
    make: Callable[..., Transformer], docs: list[Doc], cache: str
) -> None:
    pipe, plain = make(cache), make("none")
    alone = torch.cat([vectors(plain, [doc]) for doc in docs])
    first = vectors(pipe, docs)
    assert torch.equal(first, alone)
    assert torch.equal(vectors(pipe, docs), alone)
    backwards = vectors(pipe, docs[::-1]).split([len(doc) for doc in docs[::-1]])
    assert torch.equal(torch.cat(backwards[::-1]), alone)


def train(nlp: edspipe.Pipeline, num_epochs: int = 4) -> list[float]:
    """Train in batches of other documents in each epoch; return the losses."""
    docs = gold_docs(nlp, (*TEXTS, "Toux depuis 3 j.", "Pas de toux hier.", "Une douleur . . ."))
    nlp.train(True)
    trained = [p for p in nlp.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    losses = []
    for number in range(num_epochs):
        docs = docs[number:] + docs[:number]
        for batch in (docs[:3], docs[3:]):
            collated = nlp.collate([nlp.preprocess(doc, supervision=True) for doc in batch])
            loss = nlp.pipes.ner(collated["ner"])["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        list(nlp.pipe([doc.text for doc in docs]))  # a validation, in inference mode
    return losses


def recogniser(encoder_dir: Path, **options: Any) -> edspipe.Pipeline:
    edspipe.set_seed(0)
    nlp = edspipe.blank("eds")
    embedding = eds.transformer(model=str(encoder_dir), window=16, stride=12, **options)
    embedding = eds.text_cnn(kernel_sizes=[3], embedding=embedding)
    ner = eds.ner_crf(embedding=embedding, target_span_getter="gold-ner", labels=["A", "B"])
    nlp.add_pipe(ner, name="ner")
    return nlp


@pytest.mark.parametrize("cache", ["cpu", "disk"])
def test_a_training_with_a_cache_is_one_without_to_the_bit(
    encoder_dir: Path, tmp_path: Path, cache: str
) -> None:
    where = {"cache_dir": str(tmp_path / "vectors")} if cache == "disk" else {}
    kept = recogniser(encoder_dir, frozen=True, cache=cache, **where)
    plain = recogniser(encoder_dir, frozen=True)
    assert train(kept) == train(plain)
    for (name, one), other in zip(kept.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert kept.pipes.ner.embedding.embedding.cache.num_found > 0


def sent(value: Any) -> Any:
    """Return a value as another process gets it."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def test_features_that_crossed_to_another_process_give_the_same(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make()
    worker = sent(pipe)
    expected = vectors(make(), docs)
    for _ in range(2):
        batch = sent(worker.collate([worker.preprocess(doc) for doc in docs]))
        assert torch.equal(pipe(batch)["embeddings"], expected)
    assert (pipe.cache.num_found, pipe.cache.num_missed) == (4, 4)


def test_precisions_are_kept_apart(make: Callable[..., Transformer], docs: list[Doc]) -> None:
    pipe = make()
    full = vectors(pipe, docs)
    with torch.autocast("cpu", torch.bfloat16):
        half = vectors(pipe, docs)
        assert not torch.equal(half.float(), full)
        assert torch.equal(vectors(pipe, docs), half)
    assert torch.equal(vectors(pipe, docs), full)


# What is computed


@pytest.mark.parametrize("cache", ["cpu", "disk"])
def test_what_was_found_is_neither_tokenized_nor_computed(
    make: Callable[..., Transformer],
    docs: list[Doc],
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = make(cache)
    vectors(pipe, docs)
    spies = [Spy(pipe, "read", monkeypatch), Spy(pipe, "encode", monkeypatch)]
    vectors(pipe, docs[::-1])
    assert [spy.number for spy in spies] == [0, 0]
    vectors(pipe, [docs[0], edspipe.blank("eds").make_doc("une toux")])
    assert [spy.number for spy in spies] == [1, 1]
    assert (pipe.cache.num_found, pipe.cache.num_missed) == (5, 5)


def test_equal_contexts_of_a_batch_are_computed_once(
    make: Callable[..., Transformer], docs: list[Doc], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = make()
    spy = Spy(pipe, "read", monkeypatch)
    again = edspipe.blank("eds").make_doc(TEXTS[0])
    found = vectors(pipe, [docs[0], again]).split(len(again))
    assert torch.equal(*found)
    assert spy.number == 1


def test_counts_of_documents_are_the_same(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe, plain = make(), make("none")
    for _ in range(2):
        for doc in docs:
            assert pipe.preprocess(doc)["stats"] == plain.preprocess(doc)["stats"]
        vectors(pipe, docs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["a", "b"], [True, False]), (["a", "b"], [False, False])),
        ((["a", "b"], [True, False]), (["a", "b"], [True, True])),
        ((["a", "b"], [True, False]), (["a", "B"], [True, False])),
        ((["ab"], [False]), (["a", "b"], [False, False])),
    ],
    ids=["blank", "last blank", "letter", "words"],
)
def test_contexts_that_are_not_quite_equal_are_kept_apart(
    make: Callable[..., Transformer], one: Any, other: Any
) -> None:
    vocab = edspipe.blank("eds").vocab
    pipe = make()
    for words, spaces in (one, other, one, other):
        vectors(pipe, [Doc(vocab, words=words, spaces=spaces)])
    assert (pipe.cache.num_found, pipe.cache.num_missed) == (2, 2)


def test_prompts_are_a_part_of_what_is_looked_up(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe, plain = make(), make("none")
    doc = docs[0]
    contexts = [doc[:6], doc[6:]]
    for prompts in (["fever", "pain"], ["fever", "cough"], [], ["", ""], ["fever", "pain"]):
        found = vectors(pipe, [doc], contexts=contexts, prompts=prompts)
        assert torch.equal(found, vectors(plain, [doc], contexts=contexts, prompts=prompts))
    assert (pipe.cache.num_found, pipe.cache.num_missed) == (3, 7)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_texts_without_pieces_are_kept_too(make: Callable[..., Transformer], text: str) -> None:
    doc = edspipe.blank("eds").make_doc(text)
    pipe = make()
    for _ in range(2):
        assert torch.equal(vectors(pipe, [doc]), vectors(make("none"), [doc]))
    assert vectors(pipe, []).shape == (0, pipe.output_size)


# Weights and settings


@pytest.mark.parametrize("cache", ["cpu", "disk"])
@pytest.mark.parametrize(
    "change",
    [
        lambda pipe: next(pipe.encoder.parameters()).mul_(2),
        lambda pipe: pipe.empty_word.add_(1),
        lambda pipe: setattr(pipe, "stride", 8),
    ],
    ids=["encoder", "empty word", "stride"],
)
def test_what_was_computed_otherwise_is_not_found(
    make: Callable[..., Transformer],
    docs: list[Doc],
    cache: str,
    change: Callable[[Transformer], Any],
) -> None:
    pipe, plain = make(cache), make("none")
    before = vectors(pipe, docs)
    for changed in (pipe, plain):
        with torch.no_grad():
            change(changed)
    blank = edspipe.blank("eds").make_doc("a \n b")  # with a word that has no piece
    after = vectors(pipe, [*docs, blank])
    assert torch.equal(after, vectors(plain, [*docs, blank]))
    assert pipe.cache.num_found == 0
    if changed.stride == 8:
        assert not torch.equal(after[: len(before)], before)


@pytest.mark.parametrize("cache", ["cpu", "disk"])
@pytest.mark.parametrize("named", ["word_embeddings.weight", "query.weight", "LayerNorm.bias"])
def test_weights_that_were_written_to_unnoticed_by_pytorch_are_others(
    make: Callable[..., Transformer], docs: list[Doc], cache: str, named: str
) -> None:
    pipe, plain = make(cache), make("none")
    before = vectors(pipe, docs)
    for changed in (pipe, plain):
        weight = next(p for name, p in changed.named_parameters() if name.endswith(named))
        version = weight._version
        weight.data.mul_(3).add_(0.5)
        assert weight._version == version
    after = vectors(pipe, docs)
    assert pipe.cache.num_found == 0
    assert torch.equal(after, vectors(plain, docs))
    assert not torch.equal(after, before)
    assert torch.equal(vectors(make(cache), docs), before), "what is on disk was not mixed up"


class Shifted(torch.nn.Module):
    """Has what a module may have: types, layouts, and buffers that are not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.ones(100, 40), requires_grad=False)
        self.transposed = torch.nn.Parameter(torch.ones(9, 7).T, requires_grad=False)
        self.register_buffer("saved", torch.full((), torch.nan, dtype=torch.float64))
        self.register_buffer("unsaved", torch.arange(50), persistent=False)
        self.register_buffer("mask", torch.zeros(3, dtype=torch.bool), persistent=False)
        self.register_buffer("nothing", torch.zeros(0, 4), persistent=False)


@pytest.mark.parametrize("name", ["table", "transposed", "saved", "unsaved", "mask"])
@pytest.mark.parametrize("counted", [True, False])
def test_each_parameter_and_buffer_counts(name: str, counted: bool) -> None:
    module, cache = Shifted().eval(), VectorCache("cpu", name="x")
    first = cache.vectors(module, ())
    assert cache.vectors(module, ()) is first
    tensor = getattr(module, name)
    (tensor if counted else tensor.data).fill_(1 if name == "mask" else 5)
    assert cache.vectors(module, ()) is not first


def test_weights_are_digested_once(
    make: Callable[..., Transformer], docs: list[Doc], monkeypatch: pytest.MonkeyPatch
) -> None:
    import edspipe.pipes.trainable.embeddings.cache as module

    spy = Spy(module, "digest_tensors", monkeypatch)
    pipe = make()
    for doc in docs:
        vectors(pipe, [doc])
    assert spy.number == 1


def test_a_sample_made_before_weights_changed_is_computed_anew(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make()
    vectors(pipe, docs)
    batch = pipe.collate([pipe.preprocess(doc) for doc in docs])
    with torch.no_grad():
        next(pipe.encoder.parameters()).mul_(2)
    plain = make("none")
    plain.load_state_dict(pipe.state_dict())
    assert torch.equal(pipe(batch)["embeddings"], vectors(plain, docs))


def test_it_may_be_switched_off_between_a_batch_and_its_vectors(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make()
    expected = vectors(pipe, docs)
    mixed = [pipe.preprocess(doc) for doc in docs[:2]]
    batch = pipe.collate([pipe.preprocess(doc) for doc in docs])
    pipe.set_cache("none")
    assert torch.equal(pipe(batch)["embeddings"], expected)
    mixed += [pipe.preprocess(doc) for doc in docs[2:]]
    assert torch.equal(pipe(pipe.collate(mixed))["embeddings"], expected)


# Frozen or refused


def test_a_frozen_encoder_stays_as_it_is(make: Callable[..., Transformer], docs: list[Doc]) -> None:
    pipe = make("none")
    pipe.train(True)
    assert not any(module.training for module in pipe.modules())
    assert not vectors(pipe, docs).requires_grad


@pytest.mark.parametrize("cache", ["cpu", "gpu"])
def test_an_encoder_that_trains_is_refused(encoder_dir: Path, cache: str) -> None:
    nlp = edspipe.blank("eds")
    message = (
        f"nlp.components.bert.cache: '{cache}' keeps the vectors of a frozen embedding, and this "
        "one trains: its vectors change with each step; set frozen=True, or cache='none'"
    )
    with pytest.raises(ConfigError) as caught:
        nlp.add_pipe(eds.transformer(model=str(encoder_dir), cache=cache), name="bert")
    assert str(caught.value) == message


def test_an_encoder_that_trains_later_is_refused_then(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make()
    vectors(pipe, docs)
    pipe.empty_word.requires_grad_(True)
    message = "bert: cache='cpu' keeps the vectors of a frozen embedding, and its parameter "
    with pytest.raises(ConfigError, match=message + "'empty_word' trains; set frozen=True"):
        vectors(pipe, docs)
    with pytest.raises(ConfigError, match="cache: 'cpu' keeps the vectors of a frozen"):
        pipe.set_cache("cpu")


def test_an_encoder_whose_dropout_is_on_is_refused(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make()
    next(pipe.encoder.children()).train(True)
    with pytest.raises(ConfigError, match="is in training mode, whose dropout makes vectors rand"):
        vectors(pipe, docs)


def test_the_cache_of_a_gpu_is_refused_on_a_cpu(
    make: Callable[..., Transformer], docs: list[Doc]
) -> None:
    pipe = make("gpu")
    with pytest.raises(ConfigError, match="bert: cache='gpu' keeps vectors where the embedding is"):
        vectors(pipe, docs)


def test_a_folder_of_no_use_is_named(
    make: Callable[..., Transformer], docs: list[Doc], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    pipe = make("disk", cache_dir=tmp_path / "file")
    with pytest.raises(
        ConfigError, match=r"bert: cache_dir: \S+/file cannot be used \(File exists"
    ):
        vectors(pipe, docs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": "ram"}, "cache: expected one of none, cpu, gpu, disk, got 'ram'"),
        (
            {"cache": "disk", "cache_dir": None},
            "cache_dir: missing; cache='disk' needs a folder. As the vectors of a note can tell "
            "what it says, they are kept in a folder 'edspipe-vectors' in it, which only its owner",
        ),
        ({"cache_dir": "x"}, "cache_dir: only cache='disk' has a folder, and cache is 'cpu'"),
        ({"cache_bytes": 0}, "cache_bytes: expected a whole number above 0, got 0"),
        ({"cache_bytes": True}, "cache_bytes: expected a whole number above 0, got True"),
    ],
)
def test_wrong_arguments_are_refused(
    make: Callable[..., Transformer], options: dict[str, Any], message: str
) -> None:
    pipe = make("none")
    with pytest.raises(ConfigError, match=message):
        pipe.set_cache(**{"cache": "cpu", **options})


# Bounds, and what is told


def test_what_has_no_room_is_computed_and_what_is_there_stays(
    make: Callable[..., Transformer], docs: list[Doc], log: list[str]
) -> None:
    size = 32 * 4
    pipe = make(cache_bytes=size * (len(docs[0]) + len(docs[1])) + 100)
    expected = vectors(make("none"), docs)
    for _ in range(3):
        assert torch.equal(vectors(pipe, docs), expected)
    assert pipe.cache.num_bytes == size * (len(docs[0]) + len(docs[1]))
    assert (pipe.cache.num_found, pipe.cache.num_missed) == (4, 8)
    full = [line for line in log if "the cache is full" in line]
    assert len(full) == 1
    assert full[0].startswith("INFO bert: the cache is full (")


def test_the_hit_rate_is_logged_seldom(
    make: Callable[..., Transformer], docs: list[Doc], log: list[str]
) -> None:
    pipe = make()
    for _ in range(1200):
        vectors(pipe, docs[:4])
    lines = [line for line in log if "were found" in line]
    assert len(lines) == 3
    assert lines[0].startswith("INFO bert: 99.6% of 1,000 contexts were found in the cache (cpu, ")


@pytest.mark.parametrize("cache", ["cpu", "disk"])
@pytest.mark.parametrize("number", [1, 4])
def test_vectors_may_be_written_to(
    make: Callable[..., Transformer], docs: list[Doc], cache: str, number: int
) -> None:
    pipe = make(cache)
    expected = vectors(make("none"), docs[:number])
    for _ in range(4):
        found = vectors(pipe, docs[:number])
        assert torch.equal(found, expected)
        found.zero_()
        pipe.cache.flush()


def test_nothing_is_kept_on_documents(make: Callable[..., Transformer], docs: list[Doc]) -> None:
    before = [doc.to_bytes() for doc in docs]
    vectors(make(), docs)
    assert [doc.to_bytes() for doc in docs] == before


@pytest.mark.parametrize("copy", [deepcopy, sent])
def test_a_copy_has_the_settings_and_starts_empty(
    make: Callable[..., Transformer], docs: list[Doc], copy: Callable[[Any], Any]
) -> None:
    pipe = make(cache_bytes=12345)
    vectors(pipe, docs)
    other = copy(pipe)
    assert (other.cache.kind, other.cache.max_bytes, other.cache.num_bytes) == ("cpu", 12345, 0)
    assert torch.equal(vectors(other, docs), vectors(pipe, docs))


def test_a_saved_model_is_frozen_and_loaded_without_a_cache(
    encoder_dir: Path, tmp_path: Path
) -> None:
    folder = str(tmp_path / "vectors")
    nlp = recogniser(encoder_dir, frozen=True, cache="disk", cache_dir=folder)
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model").pipes.ner.embedding.embedding
    assert loaded.frozen
    assert not loaded.cache.is_on


def test_it_can_be_said_in_a_config(encoder_dir: Path) -> None:
    config = recogniser(encoder_dir, frozen=True, cache="cpu", cache_bytes=999).config
    embedding = edspipe.Pipeline.from_config(config).pipes.ner.embedding.embedding
    assert (embedding.frozen, embedding.cache.kind, embedding.cache.max_bytes) == (True, "cpu", 999)
