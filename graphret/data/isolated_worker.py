"""The process that decodes for `isolated.IsolatedReader`: a path a line in, a line and pixels out, within limits."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError, GraphretError
from graphret.data.images import FilmLimits, read_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["main"]

_MARGIN = 2**28
"""Beyond what a film may take by its header: for decoders that are loaded with the first film that needs them."""
_OPEN_FILES = 64


def main(prepare: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> None:
    """Decode until the other end is closed; nothing is written but to the two pipes and the shared memory.

    The first line in is ``{"limits": {...}, "seconds": ..., "shared": 5}``, the last a descriptor of memory, or null.
    Any other line is a path as JSON. For each comes a line ``{"shape": [h, w], "dtype": "uint8"}``, the pixels being in
    the shared memory by then, or behind that line; or ``{"reason": "..."}``.

    Parameters
    ----------
    prepare
        Makes of the pixels what is handed out. What it loads must be loaded by then: the limits are for films.
    """
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks, who ends this process
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # what decoders say may hold values of the file
    settings = json.loads(sys.stdin.readline())
    limits = FilmLimits(**settings["limits"])
    shared = None if settings["shared"] is None else mmap.mmap(settings["shared"], 0)
    _load_decoders()
    with contextlib.suppress(ImportError):  # a system without it has no such limits
        _limit(limits.memory + _MARGIN)
    answers.write(b"{}\n")
    answers.flush()
    for line in sys.stdin:
        _limit_time(settings["seconds"])
        found = _decode(json.loads(line), limits, prepare)
        if isinstance(found, str):
            answers.write(json.dumps({"reason": found}).encode() + b"\n")
        else:
            pixels = memoryview(found).cast("B")
            if shared is not None:
                shared[: len(pixels)] = pixels
            answers.write(json.dumps({"shape": found.shape, "dtype": found.dtype.name}).encode() + b"\n")
            if shared is None:
                answers.write(pixels)
        answers.flush()


def _decode(path: str, limits: FilmLimits, prepare: Callable[[NDArray[Any]], NDArray[Any]] | None) -> Any:
    try:
        pixels = read_pixels(path, limits=limits)
        return pixels if prepare is None else prepare(pixels)
    except GraphretError as error:
        return error.reason if isinstance(error, FilmError) else str(error)
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
