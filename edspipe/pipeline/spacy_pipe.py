"""spaCy's own components inside an edspipe pipeline: `nlp.add_pipe("sentencizer")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.errors import ConfigError


@registry.factory.register("spacy")
class SpacyPipe:
    """Runs a component of spaCy; its attributes are reached through this object.

    Args:
        nlp: The edspipe pipeline.
        name: The name of the pipe.
        factory: The name of spaCy's factory, e.g. `"sentencizer"`.
        config: Its settings.

    Raises:
        ConfigError: spaCy has no such factory.
    """

    def __init__(
        self, nlp: Any, name: str, *, factory: str, config: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        language = nlp.spacy_language
        if not language.has_factory(factory):
            raise ConfigError(f"{name}: spaCy has no factory '{factory}'")
        self.component = language.create_pipe(factory, name, config=config or {})

    def __call__(self, doc: Doc) -> Doc:
        return self.component(doc)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "component":
            raise AttributeError(name)
        return getattr(self.component, name)

    def to_disk(self, path: Path) -> None:
        """Write what spaCy's component writes, if it writes anything."""
        if hasattr(self.component, "to_disk"):
            self.component.to_disk(path, exclude=["vocab"])

    def from_disk(self, path: Path) -> None:
        """Read it back."""
        if hasattr(self.component, "from_disk") and path.exists():
            self.component.from_disk(path, exclude=["vocab"])


def is_spacy_factory(language: Language, name: str) -> bool:
    """Whether a name is one of spaCy's factories."""
    return language.has_factory(name)
