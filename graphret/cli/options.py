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

__all__ = ["config_options", "documented_parameters", "parse_assignments", "parse_names", "parse_word"]

_NONE = re.compile(r"\bNone\b")


def config_options(
    config: type[Any], *, only: Collection[str] | None = None, as_given: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command: its parameter ``config`` becomes one option for every field of a dataclass.

    A field ``learning_rate: float = 1e-3`` becomes ``--learning-rate FLOAT`` with that default, a bool ``--flag /
    --no-flag``, a number that may also be "auto" or None takes these words, and a mapping takes ``NAME=VALUE`` several
    times. The help is what the numpydoc "Parameters" of the dataclass say, and the field's metadata "allowed". The
    config checks its values itself, so that a mistake is refused in the same words as in Python.

    Parameters
    ----------
    config
        A dataclass whose fields all have defaults.
    only
        The fields that the command needs; the others have no option and keep their defaults.
    as_given
        Call the command with ``given``, a dict of the fields that the user named, in place of ``config``: for a config
        whose defaults depend on another option.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Oven:
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
        field.name: _Option.of(field, hints[field.name], helps.get(field.name, ""))
        for field in dataclasses.fields(config)
        if only is None or field.name in only
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(**given: Any) -> Any:
            values = {name: option.parse(given.pop(name)) for name, option in options.items()}
            if as_given:
                context = given.pop("context")
                named = {name: value for name, value in values.items() if _is_named(context, name)}
                return command(**given, given=named)
            return command(**given, config=config(**values))

        signature = inspect.signature(command, eval_str=True)
        own = "given" if as_given else "config"
        kept = [entry for entry in signature.parameters.values() if entry.name != own]
        added = [option.parameter() for option in options.values()]
        if as_given:
            keyword = inspect.Parameter.KEYWORD_ONLY
            added.append(inspect.Parameter("context", keyword, annotation=typer.Context))
        as_keywords = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in [*kept, *added]]
        with_options.__signature__ = signature.replace(parameters=as_keywords)  # type: ignore[attr-defined]
        return with_options

    return decorate


def _is_named(context: typer.Context, name: str) -> bool:
    """Whether the user named an option of the command."""
    # By its word: the enumeration is click's own or that of the copy of click in typer.
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _as_it_is(value: Any) -> Any:
    return value


@dataclasses.dataclass(frozen=True)
class _Option:
    """How one field is shown to typer, and how what typer hands back becomes the field's value."""

    name: str
    annotation: Any
    default: Any
    help: str
    parse: Callable[[Any], Any] = _as_it_is
    metavar: str | None = None
    further_flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, field: "dataclasses.Field[Any]", hint: Any, text: str) -> "_Option":
        name = field.name
        if field.metadata.get("allowed"):
            text = f"{text} One of {', '.join(field.metadata['allowed'])}."
        further = tuple(field.metadata.get("flags", ()))
        if field.default is dataclasses.MISSING:  # a mapping, the one mutable default of our configs
            return cls(name, list[str] | None, None, text, functools.partial(parse_assignments, name), "NAME=VALUE")
        kinds = typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
        words = [word for kind in kinds if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
        nothing = types.NoneType in kinds
        if not words and not (nothing and field.default is not None):
            # typer has no word for None: the option is left out
            return cls(name, hint, field.default, _NONE.sub("not given", text), further_flags=further)
        number = next((kind for kind in (float, int) if kind in kinds), None)
        text = _NONE.sub("none", text)
        shown = [*words, *(["NUMBER"] if number else []), *(["none"] if nothing else [])]
        parse = functools.partial(parse_word, number=number, nothing=nothing)
        return cls(name, str, "none" if field.default is None else str(field.default), text, parse, "|".join(shown))

    def parameter(self) -> inspect.Parameter:
        """As a parameter that typer turns into an option."""
        flag = "--" + self.name.replace("_", "-")
        flags = [f"{flag}/--no-{flag[2:]}"] if self.annotation is bool else [flag]
        if len(self.name) == 1:
            flags.append(flag[1:])  # k is -k as well
        flags += self.further_flags
        option = typer.Option(*flags, help=self.help, metavar=self.metavar)
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(self.name, kind, default=self.default, annotation=Annotated[self.annotation, option])


def parse_word(text: str, *, number: type[int] | type[float] | None, nothing: bool) -> str | float | None:
    """Read "none" as None where that is allowed, then a number where one is, and keep any other word.

    Examples
    --------
    >>> [parse_word(word, number=float, nothing=True) for word in ("auto", "0.5", "none")]
    ['auto', 0.5, None]
    """
    if nothing and text.lower() == "none":
        return None
    try:
        return number(text) if number is not None else text
    except ValueError:
        return text


def parse_names(*texts: str) -> list[str]:
    """Read names with commas between them; the texts of an option that was given several times follow each other.

    Examples
    --------
    >>> parse_names("P@10, nDCG@100"), parse_names("train", "valid")
    (['P@10', 'nDCG@100'], ['train', 'valid'])
    """
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


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


def documented_parameters(documented: type[Any]) -> Mapping[str, str]:
    """Return what the numpydoc section "Parameters" of a class says, by parameter, as one line each.

    Examples
    --------
    >>> from graphret.training import TrainConfig
    >>> documented_parameters(TrainConfig)["learning_rate"]
    'At the start; Haq et al. (2021) have 1e-3 for NIH and 1e-4 for Stanford.'
    """
    lines = inspect.cleandoc(documented.__doc__ or "").splitlines()
    found: dict[str, str] = {}
    names: list[str] = []
    for line in _section(lines, "Parameters"):
        if line and not line.startswith(" "):
            names = [part.strip() for part in line.partition(":")[0].split(",")]
            found.update(dict.fromkeys(names, ""))
        else:
            found.update({name: f"{found[name]} {_unmarked(line)}".strip() for name in names})
    return found


def _section(lines: list[str], title: str) -> Iterator[str]:
    """The lines under a title that is underlined with hyphens, up to the next one."""
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            inside = line == title
        elif inside and set(line) != {"-"}:
            yield line


def _unmarked(line: str) -> str:
    """Without the marks of reStructuredText."""
    return re.sub(r":\w+:`[~.]?([^`]*)`|`{1,2}([^`]+)`{1,2}", lambda match: match[1] or match[2], line.strip())
