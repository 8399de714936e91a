"""What a rule of eds.contextual_matcher may say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edspipe.errors import ConfigError

_WINDOW = re.compile(r"(words|sents)\[(-?\d{1,4}):(-?\d{1,4})\]")


class Window(NamedTuple):
    """How far around a match is looked.

    Attributes:
        unit: `"words"`, or `"sents"`: sentences.
        before: The first, counted from the match: 0 is none before it, or its own sentence.
        after: The last.
    """

    unit: str
    before: int
    after: int


def parse_window(value: Any) -> Window:
    """Return a window: `5` and `[-5, 5]` are words, `"words[-5:0]"`, `"sents[-1:1]"`.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, Window):
        return value
    if isinstance(value, str) and (match := _WINDOW.fullmatch(value)):
        window = Window(match[1], int(match[2]), int(match[3]))
    elif isinstance(value, int) and not isinstance(value, bool):
        window = Window("words", -value, value)
    elif isinstance(value, (list, tuple)) and [type(v) for v in value] == [int, int]:
        window = Window("words", *value)
    else:
        window = Window("words", 1, 0)
    if window.before > 0 or window.after < 0:
        raise ValueError(
            "expected a number of words, [-before, after], 'words[-before:after]' or "
            f"'sents[-before:after]'; got {value!r}"
        )
    return window


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


Texts = Annotated[list[str], BeforeValidator(_as_list)]
AWindow = Annotated[Window, BeforeValidator(parse_window)]
OWN_SENTENCE = Window("sents", 0, 0)


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Context(_Rule):
    """Terms and patterns around a match, one of which is enough.

    Attributes:
        terms: Terms.
        regex: Patterns.
        window: How far around the match they are looked for.
        attr: What is compared; None takes the pipe's.
        include_entity: Whether they may lie on the match itself, or reach into it.
    """

    terms: Texts = []
    regex: Texts = []
    window: AWindow = OWN_SENTENCE
    attr: str | None = None
    include_entity: bool = False

    @model_validator(mode="after")
    def _has_something(self) -> Context:
        if not self.terms and not self.regex:
            raise ValueError("expected terms or regex")
        return self


class Assign(_Rule):
    """A value that is read around a match.

    Attributes:
        name: The attribute, `span._.<name>`, and the key in `span._.assigned`.
        regex: The pattern: the value is its group, or the whole of what it finds if it has none.
        window: How far around the match it is searched.
        attr: The text that is searched; None takes the pipe's.
        required: Whether a match without the value is dropped.
        replace_entity: Whether the span becomes the value's words.
        reduce_mode: Which value is taken where there are several; None takes a list of all.
    """

    name: str = Field(pattern=r"^[A-Za-z_]\w*$")
    regex: str
    window: AWindow = OWN_SENTENCE
    attr: str | None = None
    required: bool = False
    replace_entity: bool = False
    reduce_mode: Literal["keep_nearest", "keep_first", "keep_last"] | None = "keep_nearest"


class Pattern(_Rule):
    """What is looked for, and the context in which it counts.

    Attributes:
        terms: Terms.
        regex: Patterns.
        attr: What is compared; None takes the pipe's.
        source: A name of the rule, written to `span._.source`.
        include: Each of these must be found.
        exclude: None of these may be found.
        assign: Values to read.
    """

    terms: Texts = []
    regex: Texts = []
    attr: str | None = None
    source: str | None = None
    include: Annotated[list[Context], BeforeValidator(_as_list)] = []
    exclude: Annotated[list[Context], BeforeValidator(_as_list)] = []
    assign: Annotated[list[Assign], BeforeValidator(_as_list)] = []

    @model_validator(mode="after")
    def _has_something(self) -> Pattern:
        if not self.terms and not self.regex:
            raise ValueError("expected terms or regex")
        if sum(one.replace_entity for one in self.assign) > 1:
            raise ValueError("replace_entity: only one value can replace the span")
        return self


def parse_patterns(patterns: Any) -> list[Pattern]:
    """Return the rules, validated.

    Raises:
        ConfigError: One is not of this form; the message names the path.
    """
    found = []
    for number, pattern in enumerate(_as_list(patterns)):
        try:
            found.append(Pattern.model_validate(pattern))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, (number, *one['loc'])))}: {one['msg']}"
                for one in error.errors(include_url=False)
            )
            raise ConfigError(f"eds.contextual_matcher: patterns.{problems}") from None
    if not found:
        raise ConfigError("eds.contextual_matcher: patterns: expected at least one")
    return found
