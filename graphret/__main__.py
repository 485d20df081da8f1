"""``python -m graphret``: the command line."""

from graphret.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
