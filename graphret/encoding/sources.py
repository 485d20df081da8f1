"""What hands out the films of a table: threads of this process, or processes that also resize."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.data.isolated import IsolatedReader
from graphret.encoders.inference.colours import reads_colour
from graphret.encoders.inference.resize import prepare_film

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from graphret.data.isolated import Decoding
    from graphret.encoders import Encoder

__all__ = ["FilmSource", "compile_resize", "decodes_in_processes", "film_source"]

MIN_FILMS, MIN_WORKERS = 2048, 4
WORKER = "graphret.encoding.preparing_worker"
_TRIES = 2


class FilmSource(NamedTuple):
    """How films are read, from any thread."""

    read: Callable[[str], NDArray[Any]]
    """Pixels of a film by its path, or the image that the encoder's ``prepare`` makes of them."""

    is_prepared: bool
    """Which of the two."""


def decodes_in_processes(decoders: str, encoder: Encoder, n_films: int, n_workers: int) -> bool:
    """Say whether films are decoded in processes apart.

    Parameters
    ----------
    decoders
        "threads", "processes" or "auto".
    encoder
        What the films are for. One whose ``prepare`` does more than resize (``only_resizes`` is not true) prepares
        in this process. One that reads colours has its films decoded here too.
    n_films, n_workers
        How many films there are, and how many are decoded at one time.

    Raises
    ------
    InvalidParameterError
        Processes are asked for, and the encoder reads colours.

    Notes
    -----
    "auto" takes processes for an encoder on a GPU, at least 4 workers and at least 2,048 films. On a processor the
    network needs nearly all of the time, and threads are enough. Beside an H200, 16 threads decoded and resized 865
    JPEG films of 1,024 px a second where the network took 2,345: each film holds the interpreter for a while, which
    more threads do not change. Processes take a second or two to start, a thousand films' time.

    Examples
    --------
    >>> from graphret.encoders import Encoder
    >>> encoder = Encoder.untrained("resnet18", ["Mass"], size=32, seed=0, device="cpu")
    >>> decodes_in_processes("auto", encoder, 10**6, 16), decodes_in_processes("processes", encoder, 1, 1)
    (False, True)
    """
    if reads_colour(encoder):
        if decoders == "processes":
            reason = "films with colours are decoded in this process only"
            raise InvalidParameterError("decoders", decoders, '"auto" or "threads"', reason)
        return False
    if decoders != "auto":
        return decoders == "processes"
    on_gpu = getattr(encoder, "device", "cpu") == "cuda" and getattr(encoder, "only_resizes", False)
    return on_gpu and n_workers >= MIN_WORKERS and n_films >= MIN_FILMS


@contextmanager
def film_source(decoding: Decoding, encoder: Encoder, n_films: int, n_workers: int) -> Iterator[FilmSource]:
    """Open what reads films, by threads or by processes as `decodes_in_processes` says.

    Parameters
    ----------
    decoding
        As of `encode_films`.
    encoder, n_films, n_workers
        As of `decodes_in_processes`.

    Notes
    -----
    A process that ends over a film is followed by a second one, so that a film is not lost to whatever ended the
    first; with ``isolate`` the film is refused at once.
    """
    if not decodes_in_processes(decoding.decoders, encoder, n_films, n_workers):
        with decoding.reader(colour=reads_colour(encoder)) as read:
            yield FilmSource(read, is_prepared=False)
        return
    tries = 1 if decoding.isolate else _TRIES
    how: dict[str, Any] = {"limits": decoding.limits, "seconds": decoding.seconds, "tries": tries}
    is_prepared = bool(getattr(encoder, "only_resizes", False))
    if is_prepared:
        compile_resize()  # once here and kept, not in each process
        how |= {"program": (WORKER, str(encoder.size)), "shape": (encoder.size, encoder.size)}
    with IsolatedReader(**how) as reader:
        yield FilmSource(reader.read_pixels, is_prepared)


def compile_resize() -> None:
    """Compile the resize for every dtype of a film, or load what was compiled before."""
    for dtype in (np.uint8, np.uint16, np.float32):
        prepare_film(np.zeros((1, 1), dtype), 1)
