"""Write the commands and options of docs/command_line.md from the program itself; a test compares the two.

Run as ``python docs/write_command_line.py``.
"""

from __future__ import annotations

import html
import inspect
import sys
import typing
from pathlib import Path
from typing import Any

import typer

from graphret.cli.app import command_app

PAGE = Path(__file__).with_name("command_line.md")
MARK = "<!-- Below: written by docs/write_command_line.py from `graphret COMMAND --help`. -->"


_VALUES = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def command_pages() -> str:
    """Describe every command: what it does, how it is called, its arguments and options."""
    app = command_app()
    group: Any = typer.main.get_command(app)
    functions = {
        info.callback.__name__.replace("_", "-"): info.callback for info in app.registered_commands if info.callback
    }
    return "\n".join(_command(name, command, functions[name]) for name, command in group.commands.items())


def _command(name: str, command: Any, function: Any) -> str:
    takes = {entry.name: _takes(entry.annotation) for entry in inspect.signature(function).parameters.values()}
    parameters = [entry for entry in command.params if not getattr(entry, "hidden", False)]
    arguments = [entry for entry in parameters if entry.param_type_name == "argument"]
    options = [entry for entry in parameters if entry.param_type_name == "option"]
    call = " ".join(["graphret", name, *(entry.metavar for entry in arguments), "[OPTIONS]" if options else ""]).strip()
    lines = [f"## graphret {name}", "", f"    {call}", "", " ".join(command.help.split()), ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{entry.metavar}` | {_cell(entry.help)} |" for entry in arguments] + [""]
    if options:
        lines += ["| option | default | meaning |", "|---|---|---|"]
        lines += [
            f"| {_flags(entry, takes[entry.name])} | {_default(entry)} | {_cell(entry.help or '')} |"
            for entry in options
        ] + [""]
    return "\n".join(lines)


def _takes(annotation: Any) -> str:
    """The word for what an option takes, where it has none of its own."""
    kinds = {annotation}
    while any(typing.get_args(kind) for kind in kinds):
        kinds = {inner for kind in kinds for inner in (typing.get_args(kind) or (kind,))}
    return next((word for kind, word in _VALUES.items() if kind in kinds), "")


def _flags(option: Any, takes: str) -> str:
    """All spellings of an option, the long ones first, with what it takes."""
    spellings = sorted([*option.opts, *option.secondary_opts], key=lambda flag: not flag.startswith("--"))
    value = "" if option.is_flag else f" {option.metavar or takes}"
    return ", ".join([*map(_code, spellings[:-1]), _code(spellings[-1] + value)])


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.is_flag:
        if not option.secondary_opts:
            return ""
        return _code((option.opts if option.default else option.secondary_opts)[0])
    return "" if option.default in {None, ""} else _code(str(option.default))


def _code(text: str) -> str:
    """As code in a cell of a table, where a bar needs another spelling."""
    return f"`{text}`" if "|" not in text else f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    PAGE.write_text(f"{before}{MARK}\n\n{command_pages()}", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
