"""The process that decodes for `isolated.IsolatedReader`: a path a line in, a line and pixels out, within limits."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from graphret._errors import FilmError
from graphret.data.images import FilmLimits, read_pixels

__all__ = ["main"]

_MARGIN = 2**28
"""Beyond what a film may take by its header: for decoders that are loaded with the first film that needs them."""
_OPEN_FILES = 64


def main() -> None:
    """Decode until the other end is closed; nothing is written but to the two pipes.

    The first line in is ``{"limits": {...}, "seconds": ...}``, any other a path as JSON. For each comes a line
    ``{"shape": [h, w], "dtype": "uint8"}`` and the pixels, or ``{"reason": "..."}``.
    """
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # what decoders say may hold values of the file
    settings = json.loads(sys.stdin.readline())
    limits = FilmLimits(**settings["limits"])
    _load_decoders()
    with contextlib.suppress(ImportError):  # a system without it has no such limits
        _limit(limits.memory + _MARGIN)
    answers.write(b"{}\n")
    answers.flush()
    for line in sys.stdin:
        _limit_time(settings["seconds"])
        found = _decode(json.loads(line), limits)
        if isinstance(found, str):
            answers.write(json.dumps({"reason": found}).encode() + b"\n")
        else:
            answers.write(json.dumps({"shape": found.shape, "dtype": found.dtype.name}).encode() + b"\n")
            answers.write(memoryview(found).cast("B"))
        answers.flush()


def _decode(path: str, limits: FilmLimits) -> Any:
    try:
        return read_pixels(path, limits=limits)
    except FilmError as error:
        return error.reason
    except MemoryError:
        return "it takes more memory to decode than it may"


def _load_decoders() -> None:
    """Load now what takes memory to load, so that the limit is for films."""
    for name in ("pydicom.pixels", "openjpeg", "jpeg_ls", "graphret.data.decoding.dicom"):
        with contextlib.suppress(ImportError):
            __import__(name)


def _limit(n_bytes: int) -> None:
    import resource

    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere what the process has taken so far is not known
        taken = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, taken + n_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _limit_time(seconds: float) -> None:
    """End this process by itself when the one that asks is gone and nobody ends it."""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        end = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
