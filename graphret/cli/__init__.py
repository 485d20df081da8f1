"""The command line: one file a command. Heavy libraries are imported by the commands that need them."""

from graphret.cli.entry import main

__all__ = ["main"]
