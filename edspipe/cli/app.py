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

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confit
from confit import Config
from confit.errors import ConfitValidationError
from confit.utils.xjson import loads

from edspipe.cli.overrides import apply_override, check_sections, parameters_of, parse_options
from edspipe.config.draft import config_error
from edspipe.config.schema import read_config, resolve
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

    def command(self, name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        """Register a function as a command; options as of confit's `Cli.command`."""
        register = super().command(name, **options)

        def wrapper(function: Callable[..., Any]) -> Any:
            validated = register(function)
            self._functions[name] = validated
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
        if "--help" in words or "-h" in words:
            return super().main(words)
        name = self._pick(words)
        function = self._functions[name]
        options = parse_options(words)
        for key, value in options:
            if key == "import":
                importlib.import_module(value)
        config = self._config(name, function, options)
        check_sections(config, self._functions)
        self._seed(config, name, function, options)
        arguments = resolve(config.get(name, Config()), config, (name,))
        _check_arguments(name, function, arguments)
        try:
            return function(**arguments)
        except ConfitValidationError as error:
            raise config_error(error, name) from None

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
        for key, value in options:
            if key == "config":
                config = config.merge(read_config(Path(value)))
        config.setdefault(name, Config())
        parameters = parameters_of(function)
        for key, value in options:
            if key not in OWN_OPTIONS:
                apply_override(config, name, key, value, parameters)
        return config

    def _seed(
        self,
        config: Config,
        name: str,
        function: Callable[..., Any],
        options: list[tuple[str, str]],
    ) -> None:
        parameter = inspect.signature(function).parameters.get("seed")
        given = [loads(value) for key, value in options if key == "seed"]
        if given and parameter is not None:
            config[name]["seed"] = given[-1]
        seed = given[-1] if given else resolve(config[name].get("seed"), config, (name, "seed"))
        if seed is None and parameter is not None and parameter.default is not parameter.empty:
            seed = parameter.default
        if seed is None:
            return
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ConfigError(f"--seed: expected a whole number, got {seed!r}")
        set_seed(seed)


def _check_arguments(name: str, function: Callable[..., Any], arguments: Any) -> None:
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
