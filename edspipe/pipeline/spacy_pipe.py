"""spaCy's own components inside an edspipe pipeline: `nlp.add_pipe("sentencizer")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalogue import RegistryError
from confection import ConfigValidationError
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.errors import ConfigError, did_you_mean


@registry.factory.register("spacy")
class SpacyPipe:
    """Runs a component of spaCy; its attributes are reached through this object.

    Args:
        nlp: The edspipe pipeline.
        name: The name of the pipe.
        factory: The name of spaCy's factory, e.g. `"sentencizer"`.
        config: Its settings.

    Raises:
        ConfigError: spaCy has no such factory, or refuses the settings.
    """

    def __init__(
        self, nlp: Any, name: str, *, factory: str, config: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        language = nlp.spacy_language
        if not language.has_factory(factory):
            near = did_you_mean(factory, language.factory_names)
            raise ConfigError(f"factory: spaCy has no factory '{factory}'.{near}")
        try:
            self.component = language.create_pipe(factory, name, config=config or {})
        except ConfigValidationError as error:
            reasons = _reasons(error, language.get_factory_meta(factory).default_config)
            raise ConfigError(f"config: spaCy's '{factory}' refuses it: {reasons}") from None
        except RegistryError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"config: spaCy's '{factory}' refuses it: {reason}") from None

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


def _reasons(error: ConfigValidationError, known: dict[str, Any]) -> str:
    reasons = []
    for item in error.errors:
        loc = [str(part) for part in item.get("loc", ())]
        near = did_you_mean(loc[-1], known) if loc and loc[-1] not in known else ""
        reasons.append(f"{'.'.join(loc)}: {item.get('msg')}.{near}")
    return "; ".join(reasons)
