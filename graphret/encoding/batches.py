"""The one loop from films to codes: threads decode ahead of the encoder, which takes batches."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret._checks import check_integer
from graphret._errors import CodesError, DataError, EncoderError, GraphretError
from graphret._threads import available_threads
from graphret._types import Codes, Float32Array, Int64Array
from graphret.encoders.inference.forward import ON_PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from graphret.encoders import Encoder
    from graphret.encoders.inference.device_batches import BegunOnDevice
    from graphret.encoders.inference.workers import Begun

__all__ = ["CODE_OF_ZEROS", "NO_COSINE", "encode_each"]

Decoded: TypeAlias = Float32Array | GraphretError
CODE_OF_ZEROS = "its code is all zeros, which has no cosine"
CODE_NOT_FINITE = "its code holds NaN or infinity"
NO_MEMORY = "there is not enough memory to prepare it: decode fewer films at a time"
NO_COSINE = frozenset({CODE_OF_ZEROS, CODE_NOT_FINITE})
"""Reasons of films that were left out although they were encoded."""


def encode_each(
    encoder: Encoder,
    read: Callable[[int], NDArray[Any]],
    numbers: Sequence[int],
    *,
    on_problem: Callable[[int, GraphretError], None],
    is_prepared: bool = False,
    precision: str = "float32",
    batch_size: int | None = None,
    n_workers: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> tuple[Int64Array, Codes]:
    """Encode films one after the other; one that cannot be used is a problem for the caller.

    Parameters
    ----------
    encoder
        Turns films into codes.
    read
        Returns the pixels of a film by its number; called in several threads.
    numbers
        The films.
    on_problem
        Called in this thread with the number of a film and the error: it cannot be read or prepared, or (`CodesError`)
        its code is all zeros or not finite. What it raises ends the work.
    is_prepared
        ``read`` returns what the encoder's ``prepare`` makes of the pixels.
    precision
        Passed to the encoder.
    batch_size
        Films that go through the encoder at once; ``None``: as many as it asks for (`Encoder.films_at_once`).
    n_workers
        Threads that read and prepare; ``None`` for all processors. At most ``batch_size + 2 n_workers`` films wait in
        memory, beside two batches in the encoder.
    on_batch
        Called after each batch with the number of films that are done.

    Returns
    -------
    kept, codes
        int64 (m,), the numbers of the films that have a code, in their order; and float32 (m, d).

    Raises
    ------
    EncoderError
        The encoder fails, or gives an array of a wrong shape.
    """
    batch_size = (
        _films_at_once(encoder, precision) if batch_size is None else check_integer("batch_size", batch_size, 1)
    )
    workers = available_threads() if n_workers is None else check_integer("n_workers", n_workers, 1)
    kept = np.empty(len(numbers), dtype=np.int64)
    codes = np.empty((len(numbers), encoder.code_length), dtype=np.float32)
    n_kept = n_done = 0
    begun: deque[tuple[int, list[int], Begun | BegunOnDevice | Future[Float32Array] | None]] = deque()

    def finish() -> None:
        """Wait for the codes of the first batch that was begun."""
        nonlocal n_kept, n_done
        n_films, usable, work = begun.popleft()
        if work is not None:
            with _encoder_errors(encoder, len(usable)):
                encoded = _check_shape(encoder, work.result(), len(usable))
            good = _good_codes(usable, encoded, on_problem)
            rows = slice(n_kept, n_kept + int(good.sum()))
            kept[rows], codes[rows] = np.array(usable)[good], encoded[good]
            n_kept = rows.stop
        n_done += n_films
        if on_batch is not None:
            on_batch(n_done)

    def prepare(number: int) -> Decoded:
        try:
            film = read(number)
            return np.asarray(film if is_prepared else encoder.prepare(film), dtype=np.float32)
        except GraphretError as error:
            return error
        except MemoryError:  # of one film, it does not end the work on all others
            return DataError(NO_MEMORY)

    with (
        _prepared(prepare, numbers, workers, batch_size) as films,
        _beginning(encoder, precision, batch_size, len(numbers)) as begin,
    ):
        while batch := list(islice(films, batch_size)):
            usable, images = [], []
            for number, film in batch:
                if isinstance(film, GraphretError):
                    on_problem(number, film)
                else:
                    usable.append(number)
                    images.append(film)
            with _encoder_errors(encoder, len(images)):
                begun.append((len(batch), usable, begin(np.stack(images)) if images else None))
            if len(begun) > 1:  # the encoder has a batch to go on with while the codes of the last one are taken
                finish()
        while begun:
            finish()
    return kept[:n_kept], codes[:n_kept]


def _films_at_once(encoder: Encoder, precision: str) -> int:
    """What the encoder asks for; an encoder of another package may not say it."""
    choose: Any = getattr(encoder, "films_at_once", None)
    with _encoder_errors(encoder, 1):
        return ON_PROCESSOR if choose is None else int(choose(precision))


@contextmanager
def _prepared(
    prepare: Callable[[int], Decoded], numbers: Sequence[int], workers: int, batch_size: int
) -> Iterator[Iterator[tuple[int, Decoded]]]:
    """Prepared films in the order of their numbers, with a bounded number in flight."""
    if len(numbers) == 1:  # no thread has to begin for a single query
        yield iter([(numbers[0], prepare(numbers[0]))])
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="graphret-decode") as pool:
        films = _in_flight(pool, prepare, numbers, batch_size + 2 * workers)
        try:
            yield films
        finally:
            films.close()


def _in_flight(
    pool: ThreadPoolExecutor, prepare: Callable[[int], Decoded], numbers: Sequence[int], ahead: int
) -> Generator[tuple[int, Decoded]]:
    flying: deque[tuple[int, Future[Decoded]]] = deque()
    try:
        for number in numbers:
            flying.append((number, pool.submit(prepare, number)))
            if len(flying) >= ahead:
                first, future = flying.popleft()
                yield first, future.result()
        while flying:
            first, future = flying.popleft()
            yield first, future.result()
    finally:
        for _, future in flying:
            future.cancel()


@contextmanager
def _beginning(
    encoder: Encoder, precision: str, batch_size: int, n_films: int
) -> Iterator[Callable[[Float32Array], Begun | BegunOnDevice | Future[Float32Array]]]:
    """A function that begins a batch; a single film goes through the encoder at once, in this thread."""
    how: Any = {"precision": precision, "batch_size": batch_size}
    if n_films > 1:
        with encoder.encoding(**how) as begin:
            yield begin
        return

    def at_once(images: Float32Array) -> Future[Float32Array]:
        done: Future[Float32Array] = Future()
        done.set_result(encoder.encode(images, **how))
        return done

    yield at_once


def _good_codes(
    numbers: list[int], encoded: Codes, on_problem: Callable[[int, GraphretError], None]
) -> NDArray[np.bool_]:
    """Say which codes have a cosine, and why the others have none."""
    squares = np.einsum("ij,ij->i", encoded, encoded, dtype=np.float64)
    for number, square in zip(numbers, squares.tolist(), strict=True):
        if not np.isfinite(square):
            on_problem(number, CodesError(CODE_NOT_FINITE))
        elif square == 0:
            on_problem(number, CodesError(CODE_OF_ZEROS))
    good: NDArray[np.bool_] = np.isfinite(squares) & (squares > 0)
    return good


@contextmanager
def _encoder_errors(encoder: Encoder, n: int) -> Iterator[None]:
    """Errors of torch as ours."""
    try:
        yield
    except GraphretError:
        raise
    except (RuntimeError, MemoryError) as error:  # torch reports a full device as a RuntimeError
        raise EncoderError(
            f"the encoder {encoder.name} failed on a batch of {n} films: {error} "
            "(make batch_size smaller if memory was short)"
        ) from error


def _check_shape(encoder: Encoder, codes: Codes, n: int) -> Codes:
    array = np.asarray(codes, dtype=np.float32)
    if array.shape != (n, encoder.code_length):
        raise EncoderError(
            f"the encoder {encoder.name} returned shape {array.shape} for {n} films: "
            f"it must be ({n}, {encoder.code_length})"
        )
    return array
