"""Options of a command from the fields of a config dataclass, so that Python and the command line cannot disagree."""

import collections.abc
import dataclasses
import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

import typer

from graphret._errors import InvalidParameterError

__all__ = ["config_options", "parse_assignments", "parse_word"]


def config_options(
    config: type[Any], *, parameter: str = "config", leave_out: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command: its parameter ``parameter`` becomes one option for every field of a dataclass.

    A field ``learning_rate: float = 1e-3`` becomes ``--learning-rate FLOAT`` with that default; a bool becomes
    ``--flag / --no-flag``; where texts stand for values ("auto", None) the option takes those words; a tuple takes
    names with commas between; a mapping takes ``NAME=VALUE`` several times. The help is the field's metadata ``help``, or
    what the numpydoc "Parameters" of the dataclass say.

    Parameters
    ----------
    config
        A dataclass whose fields all have defaults.
    parameter
        The keyword parameter of the command that gets the config.
    leave_out
        Fields that the command sets in another way; they are passed on by nobody and keep their defaults.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Oven:
    ...     '''An oven.
    ...
    ...     Parameters
    ...     ----------
    ...     degrees
    ...         How hot.
    ...     '''
    ...
    ...     degrees: float = 180.0
    >>> @config_options(Oven)
    ... def bake(cake: str, *, config: Oven) -> str:
    ...     return f"{cake} at {config.degrees}"
    >>> list(inspect.signature(bake).parameters), bake(cake="pie", degrees=200.0)
    (['cake', 'degrees'], 'pie at 200.0')
    """
    helps = documented_parameters(config)
    # Containers may be imported for type checkers only, so their names are given.
    hints = typing.get_type_hints(config, localns=vars(collections.abc))
    options = {
        field.name: _Option.of(field, hints[field.name], field.metadata.get("help", helps.get(field.name, "")))
        for field in dataclasses.fields(config)
        if field.name not in leave_out
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(**given: Any) -> Any:
            values = {name: option.parse(given.pop(name)) for name, option in options.items()}
            return command(**given, **{parameter: config(**values)})

        signature = inspect.signature(command, eval_str=True)
        kept = [entry for entry in signature.parameters.values() if entry.name != parameter]
        added = [option.parameter() for option in options.values()]
        as_keywords = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in [*kept, *added]]
        with_options.__signature__ = signature.replace(parameters=as_keywords)  # type: ignore[attr-defined]
        return with_options

    return decorate


@dataclasses.dataclass(frozen=True)
class _Option:
    """How one field is shown to typer, and how what typer hands back becomes the field's value."""

    name: str
    annotation: Any
    default: Any
    help: str
    parse: Callable[[Any], Any] = lambda value: value
    metavar: str | None = None

    @classmethod
    def of(cls, field: "dataclasses.Field[Any]", hint: Any, text: str) -> "_Option":
        made = field.default_factory() if field.default is dataclasses.MISSING else field.default  # type: ignore[misc]
        kinds = set(_alternatives(hint))
        plain = kinds - {types.NoneType}
        words = {word for kind in plain if typing.get_origin(kind) is Literal for word in typing.get_args(kind)}
        origin = typing.get_origin(next(iter(plain))) if len(plain) == 1 else None
        name = field.name
        if isinstance(made, Mapping):
            return cls(name, list[str] | None, None, text, lambda given: parse_assignments(name, given), "NAME=VALUE")
        if origin is tuple:
            shown = ",".join(map(str, made)) if made else None
            return cls(name, str | None, shown, text, lambda given: _names(given, made), "NAME,...")
        if plain <= {bool, int, float, str} and len(plain) == 1 and (made is None or types.NoneType not in kinds):
            return cls(name, hint, made, text)
        if words and not plain & {int, float}:
            metavar = "|".join([*sorted(map(str, words)), *(["none"] if types.NoneType in kinds else [])])
        else:
            metavar = "|".join(_words(plain, words, made, nothing=types.NoneType in kinds))
        number = next((kind for kind in (float, int) if kind in plain), None)
        return cls(
            name,
            str,
            "none" if made is None else str(made),
            text,
            lambda given: parse_word(given, number, nothing=types.NoneType in kinds, name=name, allowed=metavar),
            metavar,
        )

    def parameter(self) -> inspect.Parameter:
        """As a parameter that typer turns into an option."""
        flag = "--" + self.name.replace("_", "-")
        flags = [f"{flag}/--no-{flag[2:]}"] if self.annotation is bool else [flag]
        if len(self.name) == 1:
            flags.append(flag[1:])  # k is -k as well
        option = typer.Option(*flags, help=self.help, metavar=self.metavar)
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(self.name, kind, default=self.default, annotation=Annotated[self.annotation, option])


def parse_word(
    text: str, number: type[int] | type[float] | None, *, nothing: bool, name: str, allowed: str
) -> str | float | None:
    """Read "none" as None where that is allowed, then a number where one is, and keep any other word.

    Whether the word is one that the parameter knows is for the config to say, in the same words as in Python.

    Raises
    ------
    InvalidParameterError
        An empty word.

    Examples
    --------
    >>> [parse_word(word, float, nothing=True, name="threshold", allowed="auto") for word in ("auto", "0.5", "none")]
    ['auto', 0.5, None]
    """
    if not text:
        raise InvalidParameterError(name, text, allowed)
    if nothing and text.lower() == "none":
        return None
    if number is not None:
        try:
            return number(text)
        except ValueError:
            return text
    return text


def parse_assignments(name: str, given: list[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is JSON (a number, true, a list) is read as such, any other as text.

    Raises
    ------
    InvalidParameterError
        An entry without "=", or a name twice.

    Examples
    --------
    >>> parse_assignments("options", ["drop_rate=0.2", "pixels=imagenet"])
    {'drop_rate': 0.2, 'pixels': 'imagenet'}
    """
    values: dict[str, Any] = {}
    for entry in given or []:
        key, equals, text = entry.partition("=")
        if not equals or not key or key in values:
            raise InvalidParameterError(name, entry, "NAME=VALUE, each name once")
        try:
            values[key] = json.loads(text)
        except json.JSONDecodeError:
            values[key] = text
    return values


def documented_parameters(documented: type[Any]) -> dict[str, str]:
    """Return what the numpydoc section "Parameters" of a class says, by parameter, as one line each.

    Examples
    --------
    >>> from graphret.training import TrainConfig
    >>> documented_parameters(TrainConfig)["learning_rate"]
    'Of Adam; P1 has 1e-3 for NIH and 1e-4 for Stanford.'
    """
    lines = inspect.cleandoc(documented.__doc__ or "").splitlines()
    try:
        start = lines.index("Parameters") + 2
    except ValueError:
        return {}
    found: dict[str, str] = {}
    names: list[str] = []
    for line in _section(lines[start:]):
        if line and not line.startswith(" "):
            names = [part.strip() for part in line.partition(":")[0].split(",")]
            found.update(dict.fromkeys(names, ""))
        else:
            found.update({name: f"{found[name]} {_plain(line)}".strip() for name in names})
    return found


def _section(lines: list[str]) -> Iterator[str]:
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            return
        yield line


def _plain(line: str) -> str:
    """Without the marks of reStructuredText."""
    return re.sub(r":\w+:`[~.]?([^`]*)`|`{1,2}([^`]+)`{1,2}", lambda match: match[1] or match[2], line.strip())


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return tuple(kind for part in typing.get_args(hint) for kind in _alternatives(part))
    return (hint,)


def _words(plain: Collection[Any], words: Collection[Any], made: Any, *, nothing: bool) -> list[str]:
    shown = sorted({*map(str, words), *([made] if isinstance(made, str) else [])})
    shown += [text for kind, text in ((float, "NUMBER"), (int, "INTEGER")) if kind in plain]
    return [*shown, *(["none"] if nothing else [])]


def _names(given: str | None, made: Any) -> Any:
    return made if given is None else tuple(name.strip() for name in given.split(",") if name.strip())
