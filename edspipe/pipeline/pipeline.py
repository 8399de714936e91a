"""Pipeline: ordered pipes over one Doc, trainable or not.

```python
nlp = edspipe.blank("eds")
nlp.add_pipe("eds.sentences")
doc = nlp("Pas de fièvre. Toux depuis 3 jours.")
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import spacy
from pydantic_core import core_schema
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab, create_vocab

import edspipe.pipeline.doc_transport
import edspipe.pipeline.spacy_pipe  # noqa: F401
from edspipe.config.draft import Draft
from edspipe.config.files import name_place, parse_yaml, read_config
from edspipe.config.registry import registry
from edspipe.config.schema import build, link
from edspipe.config.serialize import Config, to_config
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import ConfigError, did_you_mean, refuse_unknown
from edspipe.pipeline import serialization
from edspipe.pipeline.memory import watch
from edspipe.pipeline.model_steps import ModelSteps
from edspipe.pipeline.pipe_editing import PipeEditing, name_problem
from edspipe.pipeline.pipe_list import PipeList
from edspipe.stream.stream import Stream
from edspipe.version import __version__


class Pipeline(PipeEditing, ModelSteps):
    """Ordered pipes over one Doc.

    Args:
        lang: `"eds"` for the fast clinical tokenizer, or a language code of spaCy.
        vocab: The Vocab of its Docs; None makes one.
        meta: Name, version, description, ... of the model.
    """

    def __init__(
        self,
        lang: str = "eds",
        *,
        vocab: Vocab | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.lang = lang
        self.vocab, self.tokenizer = _make_tokenizer(lang, vocab)
        self.meta: dict[str, Any] = {"lang": lang, "edspipe_version": __version__, **(meta or {})}
        self.pipes = PipeList()
        watch(self)
        self.disabled: frozenset[str] = frozenset()

    # ---- documents -------------------------------------------------------------------------

    def make_doc(self, text: str) -> Doc:
        """Tokenize a text; `doc.text` is the text, to the letter."""
        return self.tokenizer(text)

    def __call__(self, text_or_doc: str | Doc) -> Doc:
        """Run the pipes that are switched on over one text or Doc."""
        return self.process_batch([text_or_doc], names=self.pipe_names)[0]

    def pipe(
        self,
        docs: Iterable[str | Doc] | Stream,
        *,
        batch_size: int | str | None = None,
        return_embeddings: bool | str = False,
        **settings: Any,
    ) -> Stream:
        """Return a stream that runs the pipes over texts or Docs, models in batches.

        Args:
            docs: Texts, Docs, or a stream of them.
            batch_size: Batch of the models, `"32 docs"`, `"2000 words"`.
            return_embeddings: Give pairs: a Doc, and the vectors of its words, float32, *Shape*
                `(words, size)`. True takes the embedding of the last trainable pipe (or that pipe,
                if it is an embedding); a name takes another pipe's, or a path such as
                `"ner.embedding.embedding"` what stands further inside.
            **settings: As of `Stream.set_processing`, e.g. `num_cpu_workers=2`.

        Raises:
            ValueError: There is no such embedding.
        """
        stream = docs if isinstance(docs, Stream) else Stream.from_items(docs)
        if settings:
            stream = stream.set_processing(**settings)
        embedding = None
        if return_embeddings:
            embedding = self.find_embedding(
                None if return_embeddings is True else return_embeddings
            )
        return stream.map_pipeline(self, batch_size=batch_size, embedding=embedding)

    # ---- configs ---------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The config that builds this pipeline again (without its weights)."""
        seen: dict[int, str] = {}
        components = {
            name: to_config(pipe, f"nlp.components.{name}", seen) for name, pipe in self.pipes
        }
        block = {"@core": "pipeline", "lang": self.lang, "components": Config(components)}
        if self.disabled:
            block["disable"] = sorted(self.disabled)
        return Config({"nlp": Config(block)})

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | str | Path,
        *,
        meta: Mapping[str, Any] | None = None,
        source: Path | None = None,
    ) -> Pipeline:
        """Build a pipeline from a config.

        Args:
            config: A config, with the block `nlp:` or being that block; a path to a file; or YAML.
            meta: Name, version, ... of the model.
            source: The folder of the pipes in a saved model, where they are rebuilt from one.

        Raises:
            ConfigError: With the path of what is wrong, and file and line where it is a file.
        """
        root = _read(config)
        try:
            return cls._from_config(root, meta, source)
        except ConfigError as error:
            if isinstance(config, Mapping) or _is_yaml(config):
                raise
            raise name_place(error, [config]) from None

    @classmethod
    def _from_config(
        cls, root: Config, meta: Mapping[str, Any] | None, source: Path | None
    ) -> Pipeline:
        block = root.get("nlp", root)
        if not isinstance(block, dict):
            raise ConfigError("nlp: expected a block with lang and components")
        known = ("@core", "lang", "components", "disable")
        refuse_unknown(block, known, "nlp", "The block nlp has")
        if "nlp" not in root:
            root = Config({"nlp": block})
        block = link(root)["nlp"]
        components = block.get("components") or Config()
        if not isinstance(components, dict):
            raise ConfigError("nlp.components: expected names with a block each")
        return make_pipeline_of(
            block.get("lang", "eds"),
            build(components, ("nlp", "components")),
            block.get("disable") or (),
            meta=meta,
            source=source,
            cls=cls,
        )

    @classmethod
    def validate(cls, value: Any) -> Pipeline:
        """Return a pipeline as it is, or build one from its config.

        Raises:
            ConfigError: The config is wrong.
            ValueError: The value is neither.
        """
        if isinstance(value, Pipeline):
            return value
        if isinstance(value, Mapping):
            return cls.from_config(value)
        raise ValueError(f"expected a Pipeline or its config, got {type(value).__name__}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source_type: Any, handler: Any) -> Any:
        """Let a function with `nlp: edspipe.Pipeline` take a pipeline or its config."""
        return core_schema.no_info_plain_validator_function(cls.validate)

    # ---- saving ----------------------------------------------------------------------------

    def to_disk(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write the pipeline to a folder; a kill at any moment leaves the old or the new whole."""
        serialization.save(self, Path(path), overwrite=overwrite)

    def from_disk(self, path: str | Path) -> Pipeline:
        """Read the weights and tables of a saved pipeline with the same pipes into this one.

        Raises:
            CheckpointError: A file is missing or damaged, or does not fit.
        """
        serialization.load_into(self, Path(path))
        return self

    # ---- spaCy -----------------------------------------------------------------------------

    @cached_property
    def spacy_language(self) -> Language:
        """A spaCy pipeline on the same Vocab, which makes spaCy's components."""
        code = "xx" if self.lang == "eds" else self.lang
        return spacy.blank(code, vocab=self.vocab)

    def worker_copy(self) -> Pipeline:
        """Return a copy without weights, for workers that only prepare and collate."""
        memo: dict[int, Any] = {id(self.vocab): self.vocab}
        for tensor in self.iter_tensors():
            memo[id(tensor)] = tensor.new_empty(0)
        return deepcopy(self, memo)

    def __repr__(self) -> str:
        return serialization.summary(self)


def _make_tokenizer(lang: str, vocab: Vocab | None) -> tuple[Vocab, Any]:
    if lang == "eds":
        vocab = create_vocab("xx", Language.Defaults) if vocab is None else vocab
        return vocab, EdsTokenizer(vocab)
    try:
        if not lang.isidentifier():  # a dotted name would reach other modules
            raise ImportError(lang)
        language = spacy.blank(lang, vocab=True if vocab is None else vocab)
    except ImportError:
        raise ConfigError(
            f"nlp.lang: expected 'eds' or a language code of spaCy, got {lang!r}"
        ) from None
    return language.vocab, language.tokenizer


def _read(config: Mapping[str, Any] | str | Path) -> Any:
    if isinstance(config, Mapping):
        return config if isinstance(config, Config) else Config(dict(config))
    return parse_yaml(str(config)) if _is_yaml(config) else read_config(config)


def _is_yaml(config: str | Path) -> bool:
    return isinstance(config, str) and "\n" in config


def make_pipeline_of(
    lang: str,
    components: Mapping[str, Any],
    disable: Sequence[str] = (),
    *,
    meta: Mapping[str, Any] | None = None,
    source: Path | None = None,
    cls: type[Pipeline] = Pipeline,
) -> Pipeline:
    """Build a pipeline of drafts.

    Raises:
        ConfigError: A component is not one, or its arguments are wrong.
    """
    if not isinstance(lang, str):
        raise ConfigError(f"nlp.lang: expected a text, got {lang!r}")
    nlp = cls(lang, meta=meta)
    for name, draft in components.items():
        path = f"nlp.components.{name}"
        if not isinstance(name, str):
            raise ConfigError(f"{path}: the name of a pipe is a text; quote it")
        if problem := name_problem(name):
            raise ConfigError(f"{path}: {problem}")
        if not isinstance(draft, Draft):
            raise ConfigError(f"{path}: expected a block with '@factory'")
        folder = None if source is None else source / name
        nlp.add_pipe(draft, name=name, path=path, source=folder)
    off = [disable] if isinstance(disable, str) else disable
    if not isinstance(off, (list, tuple)):
        raise ConfigError(f"nlp.disable: expected names of pipes, got {disable!r}")
    for name in off:
        if name not in nlp.pipes:
            raise ConfigError(
                f"nlp.disable: there is no pipe '{name}'.{did_you_mean(name, nlp.pipes.names)}"
            )
    if off:
        nlp.select_pipes(disable=off)
    return nlp


@registry.core.register("pipeline")
def make_pipeline(
    lang: str = "eds",
    components: dict[str, Any] | None = None,
    disable: list[str] | None = None,
) -> Pipeline:
    """Build a pipeline from its block in a config.

    Args:
        lang: `"eds"` or a language code of spaCy.
        components: Names to component blocks, in order.
        disable: Names of pipes to switch off.
    """
    return make_pipeline_of(lang, components or {}, disable or ())
