"""Decode films of unknown origin in processes of their own, which are ended when they take too much time or memory."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_flag, check_number
from graphret._errors import FilmError, GraphretError
from graphret.data.images import FilmLimits, read_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["SECONDS", "Decoding", "IsolatedReader"]

SECONDS = 60.0
"""The largest films take a few seconds."""
_START_SECONDS = 120.0
_LONGEST_LINE = 2**16
_BLOCK = 2**20
_DTYPES = {"uint8", "uint16", "float32"}


class _EndedError(Exception):
    """A worker that is gone, or was too slow."""


class IsolatedReader:
    """Read films in worker processes: one that hangs, crashes or eats memory is a film that cannot be read.

    Parameters
    ----------
    limits
        As in `read_film`. A worker may also not take more memory than that (and 256 MiB for libraries) whatever a
        header says, cannot write files, and opens few (Linux; elsewhere only the time holds).
    seconds
        Time for one film, after which its worker is ended.

    Raises
    ------
    InvalidParameterError
        ``seconds`` is no number above 0.

    Notes
    -----
    Safe to call from many threads: each that reads has a worker for as long. A worker takes a second to start, and
    decodes film after film. The pixels are copied once through a pipe.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from graphret.data import write_png
    >>> with tempfile.TemporaryDirectory() as folder, IsolatedReader() as reader:
    ...     write_png(f"{folder}/film.png", np.array([[0.0, 0.2]], dtype=np.float32))
    ...     reader.read_pixels(f"{folder}/film.png")
    array([[ 0, 51]], dtype=uint8)
    """

    def __init__(self, *, limits: FilmLimits | None = None, seconds: float = SECONDS) -> None:
        self._limits = FilmLimits() if limits is None else limits
        self._seconds = check_number("decode_seconds", seconds, above=0)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            self._is_closed = True
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.end()

    def read_pixels(self, path: str) -> NDArray[Any]:
        """Decode one film, as `graphret.read_pixels`.

        Raises
        ------
        FilmError
            As there; and where it took too long, or its worker ended.
        GraphretError
            No worker can be started.
        """
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or _Worker(self._limits, self._seconds)
        try:
            pixels = worker.ask(path, self._seconds)
        except _EndedError as error:
            worker.end()
            raise FilmError(path, str(error)) from None
        except FilmError:
            self._give_back(worker)
            raise
        except BaseException:
            worker.end()
            raise
        self._give_back(worker)
        return pixels

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(worker)
                return
        worker.end()


class _Worker:
    """One process; what it answers is checked as if it were not ours any more."""

    def __init__(self, limits: FilmLimits, seconds: float) -> None:
        self._pixels = limits.pixels
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        }
        command = [sys.executable, "-P", "-m", "graphret.data.isolated_worker"]  # -P: no module of the present folder
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            self._send({"limits": asdict(limits), "seconds": seconds})
            self._line(time.monotonic() + _START_SECONDS)
        except (OSError, _EndedError) as error:
            raise GraphretError(
                f"no process can be started to decode films in: {error} (leave isolate out, or free memory)"
            ) from error

    def ask(self, path: str, seconds: float) -> NDArray[Any]:
        """Return the pixels of a film, or raise what the worker says of it."""
        deadline = time.monotonic() + seconds
        self._send(path)
        answer = self._line(deadline)
        if "reason" in answer:
            raise FilmError(path, str(answer["reason"]))
        shape: Any = answer.get("shape")
        is_shape = isinstance(shape, list) and len(shape) == 2 and all(type(side) is int and side > 0 for side in shape)
        if not is_shape or answer.get("dtype") not in _DTYPES or shape[0] * shape[1] > self._pixels:
            raise _EndedError("its decoder gave no picture")
        pixels: NDArray[Any] = np.empty(shape, dtype=answer["dtype"])
        self._fill(pixels.data.cast("B"), deadline)
        return pixels

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _send(self, value: Any) -> None:
        if self._process.stdin is None:
            raise _EndedError("its decoder has no pipe")
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise _EndedError(self._why()) from None

    def _line(self, deadline: float) -> dict[str, Any]:
        line = bytearray()
        byte = bytearray(1)
        while byte != b"\n":
            self._fill(memoryview(byte), deadline)
            line += byte
            if len(line) > _LONGEST_LINE:
                raise _EndedError("its decoder gave no picture")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _EndedError("its decoder gave no picture")
        return answer

    def _fill(self, target: memoryview, deadline: float) -> None:
        """Read exactly as many bytes as ``target`` has room for."""
        if self._process.stdout is None:
            raise _EndedError("its decoder has no pipe")
        descriptor = self._process.stdout.fileno()
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        done = 0
        while done < len(target):
            left = deadline - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                raise _EndedError("it took too long to decode, and was ended (decode_seconds)")
            data = os.read(descriptor, min(len(target) - done, _BLOCK))
            if not data:
                raise _EndedError(self._why())
            target[done : done + len(data)] = data
            done += len(data)

    def _why(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return "it took too long to decode, and was ended (decode_seconds)"
        how = f"by signal {signal.Signals(-status).name}" if status is not None and status < 0 else "by itself"
        return f"the process that decoded it ended {how}: it is damaged, or takes more memory than it may"


@dataclass(frozen=True)
class Decoding:
    """How the films of a table are decoded.

    Parameters
    ----------
    isolate
        In processes of their own, see `IsolatedReader`; for films of unknown origin.
    limits
        What one film, and all that are decoded at one time, may take.
    seconds
        Time for one film, where they are isolated.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed.

    Examples
    --------
    >>> with Decoding().reader() as read:
    ...     read("/no/film.png")
    Traceback (most recent call last):
    graphret._errors.FilmError: cannot read film /no/film.png: there is no such file
    """

    isolate: bool = False
    limits: FilmLimits = field(default_factory=FilmLimits)
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        check_flag("isolate", self.isolate)
        check_number("decode_seconds", self.seconds, above=0)

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], NDArray[Any]]]:
        """Return what gives the pixels of a film by its path, from any thread, inside the block."""
        if self.isolate:
            with IsolatedReader(limits=self.limits, seconds=self.seconds) as isolated:
                yield isolated.read_pixels
        else:
            yield lambda path: read_pixels(path, limits=self.limits)
