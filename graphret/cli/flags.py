"""Errors in the words of the command line: a parameter of Python is named by the option that sets it."""

import ast
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from typer.core import TyperCommand

from graphret._errors import FilmError, GraphretError, MissingFileError

__all__ = ["Flag", "FlagCommand", "in_flags"]

_NOT_TRANSLATED = (FilmError, MissingFileError)
"""They name a file, whose name is nobody's parameter."""
_BEFORE = r"(?<![\w\-./:=\"'])"
_VALUE = r"('[^']*'|\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}|[^\s,;:()]*)"


class Flag(NamedTuple):
    """An option: how it is written, how it is written to say no, and the word for its value."""

    yes: str
    no: str = ""
    metavar: str = "VALUE"


_FURTHER: Mapping[str, Mapping[str, Flag]] = {
    "query": {
        "exclude": Flag("--exclude-same-patient", "--exclude-same-patient"),
        "negative_weight": Flag("--unlike-weight"),
    },
    "evaluate": {"queries": Flag("--split")},
    "export": {"path": Flag("FILE")},
}
"""Parameters that a command sets by an option of another name."""
_COMMANDS = {"update_labels(..., add_labels=True)": "graphret update-labels INDEX --table FILE.csv --add-labels"}
"""Calls of Python that a hint names, and the commands that do the same."""


class FlagCommand(TyperCommand):
    """A command whose errors name its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises
        ------
        GraphretError
            What the work raised, with its text translated.
        """
        try:
            return super().invoke(ctx)
        except _NOT_TRANSLATED:
            raise
        except GraphretError as error:
            error.args = (in_flags(str(error), _flags(self)),)
            raise


def _flags(command: TyperCommand) -> dict[str, Flag]:
    flags = dict(_FURTHER.get(command.name or "", {}))
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name:
            # a parameter of one letter is written with one hyphen
            flag = f"-{parameter.name}" if len(parameter.name) == 1 else parameter.opts[0]
            without = f"no {flag}" if getattr(parameter, "is_flag", False) else ""
            no = next(iter(parameter.secondary_opts), without)
            flags[parameter.name] = Flag(flag, no, getattr(parameter, "metavar", None) or "VALUE")
    return flags


def in_flags(text: str, flags: Mapping[str, Flag]) -> str:
    """Translate the text of an error.

    ``name=value`` becomes the option with its value, a name of several words the option, a call of Python the command,
    and None what the command line has instead.

    Examples
    --------
    >>> flags = {"batch_size": Flag("--batch-size"), "resume": Flag("--resume", "--restart"), "k": Flag("-k")}
    >>> in_flags("batch_size=1 is not allowed: give an integer >= 2, or None", flags)
    '--batch-size 1 is not allowed: give an integer >= 2, or no value'
    >>> in_flags("give resume=False to start again, or a larger batch_size", flags)
    'give --restart to start again, or a larger --batch-size'
    """
    for call, command in _COMMANDS.items():
        text = text.replace(call, command)
    if flags:
        names = "|".join(sorted(flags, key=len, reverse=True))
        text = re.sub(rf"{_BEFORE}({names})={_VALUE}", lambda match: _option(flags[match[1]], match[2]), text)
        words = "|".join(name for name in flags if "_" in name)
        if words:
            text = re.sub(rf"{_BEFORE}({words})(?![\w=\"'])", lambda match: flags[match[1]].yes, text)
    return re.sub(rf"{_BEFORE}None\b", "no value", text)


def _option(flag: Flag, value: str) -> str:
    if flag.no and value in {"True", "False", "'patient'", '"patient"'}:
        return flag.no if value == "False" else flag.yes
    if value == "None":
        return f"{flag.yes} (not given)"
    if value == "[...]":
        return f"{flag.yes} {flag.metavar}"
    return f"{flag.yes} {_container(value) if value[:1] in {'[', '{'} else value}"


def _container(text: str) -> str:
    """A list or a mapping as the options write them: with commas, as NAME=VALUE."""
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, ValueError):  # it was cut short
        return text
    entries = [f"{name}={value}" for name, value in found.items()] if isinstance(found, dict) else map(str, found)
    return ",".join(entries)
