"""edspipe.Cli: functions as commands, their arguments from configs and dotted overrides.

```python
app = edspipe.Cli()

@app.command(name="train", registry=edspipe.registry)
def train(nlp: edspipe.Pipeline, max_steps: int = 100): ...

if __name__ == "__main__":
    app.run()
```

`python train.py --config config.yml --nlp.components.ner.window=40 --seed 43`
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import confit
from confit import Config
from confit.errors import ConfitValidationError

from edspipe.cli.modules import import_module
from edspipe.cli.overrides import apply_override, check_sections, parse_options
from edspipe.config.draft import config_error
from edspipe.config.files import name_place, parse_value, read_config
from edspipe.config.paths import parameters_of
from edspipe.config.schema import build, link, merge
from edspipe.errors import ConfigError, EdspipeError, did_you_mean
from edspipe.training.randomness import set_seed

OWN_OPTIONS = ("config", "seed", "import")


class Cli(confit.Cli):
    """confit's `Cli`, with `run()`, `--seed` for every command, and overrides checked by name.

    - `--config FILE` may be given several times; later files change earlier ones.
    - `--seed N` seeds everything before the config is built, whether or not the function has an
      argument `seed`.
    - `--import MODULE` imports code of your own, whose registered names the config may then use.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._started = False
        self._defaults: dict[str, dict[str, Any]] = {}

    def command(self, name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        """Register a function as a command; options as of confit's `Cli.command`."""
        register = super().command(name, **options)

        def wrapper(function: Callable[..., Any]) -> Any:
            @wraps(function)
            def started(*args: Any, **kwargs: Any) -> Any:
                self._started = True
                return function(*args, **kwargs)

            validated = register(started)
            self._functions[name] = validated
            self._defaults[name] = options
            return validated

        return wrapper

    def __call__(self, args: list[str] | None = None) -> Any:
        return self.run(args)

    def run(self, args: list[str] | None = None) -> Any:
        """Run the command that the arguments name; an error is printed, and ends with code 1."""
        try:
            return self.main(args)
        except EdspipeError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            raise SystemExit(1) from None

    def main(self, args: list[str] | None = None) -> Any:
        """Run the command that the arguments name.

        Raises:
            ConfigError: The config or an option is wrong.
        """
        words = list(sys.argv[1:] if args is None else args)
        wants_help = [word for word in words if word in ("--help", "-h")]
        if wants_help and words[0] not in self._functions and len(self._functions) > 1:
            return super().main(wants_help)
        words = [word for word in words if word not in wants_help]
        name = self._pick(words)
        function = self._functions[name]
        if wants_help:
            print(_help(name, function))
            raise SystemExit(0)
        options = parse_options(words)
        for key, value in options:
            if key == "import":
                import_module(value)
        files = [value for key, value in options if key == "config"]
        config = self.complete(name, self._config(name, function, options))
        self._started = False
        try:
            check_sections(config, self._functions)
            _check_arguments(name, function, config[name])
            arguments = link(config)[name]
            self._seed(name, arguments, function, options)
            return _call(name, function, build(arguments, (name,)))
        except ConfigError as error:
            if self._started or not files:
                raise
            raise name_place(error, files) from None

    def complete(self, name: str, config: Config) -> Config:
        """Return the config of a command, to be changed before anything of it is built.

        Args:
            name: The command.
            config: What files and options say.
        """
        return config

    def parameters(self, function: Callable[..., Any]) -> list[str]:
        """Return the names that a config may give to a command."""
        return parameters_of(function)

    def _pick(self, words: list[str]) -> str:
        if words and words[0] in self._functions:
            return words.pop(0)
        if len(self._functions) == 1 and (not words or words[0].startswith("--")):
            return next(iter(self._functions))
        came = words[0] if words else "nothing"
        raise ConfigError(
            f"expected a command ({', '.join(self._functions)}), got {came}."
            f"{did_you_mean(came, self._functions)}"
        )

    def _config(
        self, name: str, function: Callable[..., Any], options: list[tuple[str, str]]
    ) -> Config:
        config = Config()
        default, always = (
            self._defaults[name].get(key) for key in ("default_config", "merge_with_default_config")
        )
        if default is not None and (always or all(key != "config" for key, _ in options)):
            config = merge(config, default)
        for key, value in options:
            if key == "config":
                config = merge(config, read_config(value))
        config.setdefault(name, Config())
        parameters = self.parameters(function)
        for key, value in options:
            if key not in OWN_OPTIONS:
                apply_override(config, name, key, value, parameters)
        return config

    def _seed(
        self,
        name: str,
        arguments: Config,
        function: Callable[..., Any],
        options: list[tuple[str, str]],
    ) -> None:
        place = f"{name}.seed"
        parameter = inspect.signature(function).parameters.get("seed")
        seed = arguments.get("seed")
        if seed is None and parameter is not None and parameter.default is not parameter.empty:
            seed = parameter.default
        for key, value in options:
            if key == "seed":
                place, seed = "--seed", parse_value(value)
                if parameter is not None:
                    arguments["seed"] = seed
        if seed is None:
            return
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ConfigError(f"{place}: expected a whole number, got {seed!r}")
        try:
            set_seed(seed)
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from None


def _call(name: str, function: Callable[..., Any], arguments: Any) -> Any:
    try:
        return function(**arguments)
    except ConfitValidationError as error:
        raise config_error(error, name) from None


def _help(name: str, function: Callable[..., Any]) -> str:
    lines = [inspect.getdoc(function) or name, "", "Options (dotted names reach into blocks):"]
    for key, parameter in inspect.signature(function).parameters.items():
        kind = str(parameter.annotation).removeprefix("<class '").removesuffix("'>")
        needed = parameter.default is parameter.empty
        default = " (required)" if needed else f" = {parameter.default!r}"
        lines.append(f"  --{key} {'' if kind == '<empty>' else kind}{default}")
    lines += ["  --config FILE (several times; later ones change earlier ones)"]
    lines += ["  --seed NUMBER", "  --import MODULE (code of your own)"]
    return "\n".join(lines)


def _check_arguments(name: str, function: Callable[..., Any], arguments: Any) -> None:
    if not isinstance(arguments, dict):
        raise ConfigError(f"{name}: expected a block with the arguments of the command")
    signature = inspect.signature(function)
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return
    known = list(signature.parameters)
    for key in arguments:
        if key not in known:
            raise ConfigError(
                f"{name}.{key}: the command has no argument '{key}'."
                f"{did_you_mean(key, known)} Its arguments are: {', '.join(known)}"
            )
    for key, parameter in signature.parameters.items():
        if key not in arguments and parameter.default is parameter.empty:
            raise ConfigError(
                f"{name}.{key}: missing; give it in the config, or as --{key} on the command line"
            )
