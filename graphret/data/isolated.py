"""Decode films of unknown origin in processes of their own, which are ended when they take too much time or memory."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphret._checks import check_flag, check_integer, check_number
from graphret._errors import FilmError, InvalidParameterError, UnknownNameError
from graphret._notes import note_once
from graphret.data.images import FilmLimits, read_pixels
from graphret.data.isolated_process import EndedError, IsolatedProcess, TooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["DECODERS", "SECONDS", "Decoding", "IsolatedReader"]

logger = logging.getLogger(__name__)

SECONDS = 60.0
"""The largest films take a few seconds."""
DECODERS = ("auto", "processes", "threads")
DECODE = ("graphret.data.isolated_worker",)


class IsolatedReader:
    """Read films in worker processes: one that hangs, crashes or eats memory is a film that cannot be read.

    Parameters
    ----------
    limits
        As in `read_film`. A worker may also not take more memory than that (and 256 MiB for libraries) whatever a
        header says, cannot write files, and opens few (Linux; elsewhere only the time holds).
    seconds
        Time for one film, after which its worker is ended.
    tries
        Processes that may end over one film before it cannot be read, >= 1. A second one tells a film that ends its
        process from a process that something else ended; that a film needed it is logged once. A film that was too
        slow is not tried again.
    program
        Module that the workers run, and its arguments: one that does more than decode.
    shape
        What the films that it gives must have (float32 then); ``None``: any.

    Raises
    ------
    InvalidParameterError
        ``seconds`` is no number above 0, or ``tries`` no integer above 0.

    Notes
    -----
    Safe to call from many threads: each that reads has a worker for as long. A worker takes a second to start, and
    decodes film after film. The pixels are copied once, out of memory that both processes see; through a pipe where
    the system has no such memory.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from graphret.data import write_png
    >>> with tempfile.TemporaryDirectory() as folder, IsolatedReader() as reader:
    ...     write_png(f"{folder}/film.png", np.array([[0.0, 0.2]], dtype=np.float32))
    ...     reader.read_pixels(f"{folder}/film.png")
    array([[ 0, 51]], dtype=uint8)
    """

    def __init__(
        self,
        *,
        limits: FilmLimits | None = None,
        seconds: float = SECONDS,
        tries: int = 1,
        program: tuple[str, ...] = DECODE,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self._limits = FilmLimits() if limits is None else limits
        self._seconds = check_number("decode_seconds", seconds, above=0)
        self._tries = check_integer("tries", tries, 1)
        self._program, self._shape = program, shape
        self._idle: list[IsolatedProcess] = []
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
        tries = self._tries
        while True:
            tries -= 1
            try:
                return self._read(path)
            except EndedError as error:
                if not tries or isinstance(error, TooSlowError):
                    raise FilmError(path, str(error)) from None
                note_once(logger, f"a process that decodes films is gone, and another one gets its film: {error}")

    def _read(self, path: str) -> NDArray[Any]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or IsolatedProcess(self._program, self._limits, self._seconds, self._shape)
        try:
            pixels = worker.ask(path, self._seconds)
        except FilmError:
            self._give_back(worker)
            raise
        except BaseException:
            worker.end()
            raise
        self._give_back(worker)
        return pixels

    def _give_back(self, worker: IsolatedProcess) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(worker)
                return
        worker.end()


@dataclass(frozen=True)
class Decoding:
    """How the films of a table are decoded.

    Parameters
    ----------
    isolate
        In processes of their own, see `IsolatedReader`; for films of unknown origin.
    decoders
        What decodes many films for an encoder: "threads" of this process, or "processes" apart, which also resize and
        do not wait for its interpreter; "auto" chooses, see `graphret.encoding`. A film has the same pixels, to the
        bit.
    limits
        What one film, and all that are decoded at one time, may take.
    seconds
        Time for one film, where a process apart decodes it.

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
    decoders: str = "auto"

    def __post_init__(self) -> None:
        check_flag("isolate", self.isolate)
        check_number("decode_seconds", self.seconds, above=0)
        if self.decoders not in DECODERS:
            raise UnknownNameError("decoders", self.decoders, DECODERS)

    @contextmanager
    def reader(self, *, colour: bool = False) -> Iterator[Callable[[str], NDArray[Any]]]:
        """Return what gives the pixels of a film by its path, from any thread, inside the block.

        With ``colour`` as `read_pixels` gives them then; processes apart give grey films only, and are refused.
        """
        if self.isolate and colour:
            raise InvalidParameterError("isolate", True, "False", "films with colours are decoded in this process only")
        if self.isolate:
            with IsolatedReader(limits=self.limits, seconds=self.seconds) as isolated:
                yield isolated.read_pixels
        else:
            yield lambda path: read_pixels(path, limits=self.limits, colour=colour)
