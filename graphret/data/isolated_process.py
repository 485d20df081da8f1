"""One process that decodes films; what it answers is checked as if it were not ours any more."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError, GraphretError
from graphret.data.shared_block import SharedBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret.data.images import FilmLimits

__all__ = ["EndedError", "IsolatedProcess", "TooSlowError"]

_START_SECONDS = 120.0
_LONGEST_LINE = 2**16
_BLOCK = 2**20
_DTYPES = {"uint8", "uint16", "float32"}
_LARGEST_ITEM = 4


class EndedError(Exception):
    """A worker that is gone, or gave something that is no film."""


class TooSlowError(EndedError):
    """A worker that was too slow."""


class IsolatedProcess:
    """A worker: a path goes in, the pixels of one film come back.

    Parameters
    ----------
    program
        Module that the process runs, and its arguments; its ``main`` answers as `isolated_worker.main` says.
    limits, seconds
        As of `IsolatedReader`.
    shape
        What every film that comes back must have; ``None``: any shape with at most ``limits.pixels`` pixels.

    Raises
    ------
    GraphretError
        The process cannot be started.
    """

    def __init__(
        self, program: tuple[str, ...], limits: FilmLimits, seconds: float, shape: tuple[int, int] | None
    ) -> None:
        self._shape = shape
        self._pixels = limits.pixels if shape is None else shape[0] * shape[1]
        self._unread = bytearray()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        }
        command = [sys.executable, "-P", "-m", *program]  # -P: no module of the present folder
        self._shared: SharedBlock | None = None
        try:
            if SharedBlock.is_possible():
                self._shared = SharedBlock(self._pixels * _LARGEST_ITEM)
            descriptor = None if self._shared is None else self._shared.descriptor
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=() if descriptor is None else (descriptor,),
            )
        except OSError as error:
            if self._shared is not None:
                self._shared.close()
            raise _not_started(error) from error
        try:
            self._send({"limits": asdict(limits), "seconds": seconds, "shared": descriptor})
            self._line(time.monotonic() + _START_SECONDS)
        except BaseException as error:
            self.end()
            if isinstance(error, EndedError):
                raise _not_started(error) from error
            raise

    def ask(self, path: str, seconds: float) -> NDArray[Any]:
        """Return the pixels of a film.

        Raises
        ------
        FilmError
            What the worker says of it.
        EndedError
            The worker is gone, and has to be ended.
        """
        deadline = time.monotonic() + seconds
        self._send(path)
        answer = self._line(deadline)
        if "reason" in answer:
            raise FilmError(path, str(answer["reason"]))
        shape: Any = answer.get("shape")
        is_shape = isinstance(shape, list) and len(shape) == 2 and all(type(side) is int and side > 0 for side in shape)
        if not is_shape or answer.get("dtype") not in _DTYPES or shape[0] * shape[1] > self._pixels:
            raise EndedError("its decoder gave no picture")
        if self._shape is not None and (tuple(shape) != self._shape or answer["dtype"] != "float32"):
            raise EndedError("its decoder gave no picture")
        pixels: NDArray[Any] = np.empty(shape, dtype=answer["dtype"])
        target = pixels.data.cast("B")
        if self._shared is None:
            self._fill(target, deadline)
        else:
            self._shared.copy_to(target)
        return pixels

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        if self._shared is not None:
            self._shared.close()

    def _send(self, value: Any) -> None:
        if self._process.stdin is None:
            raise EndedError("its decoder has no pipe")
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise EndedError(self._why()) from None

    def _line(self, deadline: float) -> dict[str, Any]:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > _LONGEST_LINE:
                raise EndedError("its decoder gave no picture")
            self._unread += self._read(_LONGEST_LINE, deadline)
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EndedError("its decoder gave no picture")
        return answer

    def _fill(self, target: memoryview, deadline: float) -> None:
        """Read exactly as many bytes as ``target`` has room for."""
        done = min(len(self._unread), len(target))
        target[:done] = self._unread[:done]
        del self._unread[:done]
        while done < len(target):
            data = self._read(min(len(target) - done, _BLOCK), deadline)
            target[done : done + len(data)] = data
            done += len(data)

    def _read(self, at_most: int, deadline: float) -> bytes:
        """Wait for some bytes."""
        if self._process.stdout is None:
            raise EndedError("its decoder has no pipe")
        descriptor = self._process.stdout.fileno()
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise TooSlowError("it took too long to decode, and was ended (decode_seconds)")
        data = os.read(descriptor, at_most)
        if not data:
            raise self._end_of_answers()
        return data

    def _end_of_answers(self) -> EndedError:
        why = self._why()
        return TooSlowError(why) if self._process.returncode == -signal.SIGXCPU else EndedError(why)

    def _why(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return "it took too long to decode, and was ended (decode_seconds)"
        how = f"by signal {signal.Signals(-status).name}" if status is not None and status < 0 else "by itself"
        return f"the process that decoded it ended {how}: it is damaged, or takes more memory than it may"


def _not_started(error: Exception) -> GraphretError:
    return GraphretError(
        f"no process can be started to decode films in: {error} "
        "(leave isolate out, decode in threads with decoders='threads', or free memory)"
    )
