"""The entry of the program: run a command, and turn every way in which it can end into an exit status and one line."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from graphret._errors import GraphretError
from graphret._plain import plain_text
from graphret.cli.app import COMMANDS, command_app

__all__ = ["main"]

# typer has its own copy of click in newer versions, so the base of its usage errors is asked for, not imported.
_CallError: type[Exception] = typer.BadParameter.__mro__[2]
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Without the name of the program; those of the process when None.

    Returns
    -------
    int
        0 done, 1 the work failed, 2 the call was wrong, 130 interrupted. An error is one line on stderr, and stdout
        stays empty. The environment variable ``GRAPHRET_DEBUG`` shows the traceback as well.

    Examples
    --------
    >>> main(["datasets", "--json"]) # doctest: +ELLIPSIS
    [...
    0
    """
    if hasattr(sys.stdout, "reconfigure"):  # a path that is not UTF-8 is shown by its escapes, and ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # another first word is an option of the program, or a mistake: then all commands are shown, or the nearest
        app = command_app(words[:1]) if words[:1] and words[0] in COMMANDS else command_app()
        status = app(words, prog_name="graphret", standalone_mode=False)
        # a short result still waits in the buffer: written only when Python ends, a broken pipe would be noise and 120
        sys.stdout.flush()
    except GraphretError as error:
        return _fail(str(error), error, error.exit_status)
    except _CallError as error:
        return _fail(f"{error.format_message()} {_where_help_is(error)}", error, error.exit_code)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail("interrupted; run the same command again to resume", error, _INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout has gone (`graphret query ... | head`): nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - a user is not shown a traceback; who wants one is told how to get it
        name = type(error).__name__
        return _fail(f"unexpected {name}: {error} (GRAPHRET_DEBUG=1 shows where; please report it)", error, 1)
    if status == _INTERRUPTED:  # newer versions of typer turn Ctrl-C into this
        return _fail("interrupted; run the same command again to resume", None, _INTERRUPTED)
    return int(status or 0)


def _fail(message: str, error: BaseException | None, status: int) -> int:
    if os.environ.get("GRAPHRET_DEBUG") and error is not None:
        traceback.print_exception(error)
    sys.stderr.write(f"graphret: error: {plain_text(' '.join(message.split()))}\n")
    return status


def _where_help_is(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "graphret"
    return f"(see `{command} --help`)"
