"""From films to codes: decoded by threads, encoded in batches, kept in shards so that a killed run goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret._errors import DataError, EncoderError, FilmError, GraphretError
from graphret._numba import available_threads
from graphret._types import Codes, Float32Array, Int64Array, Progress, check_integer
from graphret.data import FilmProblem, ImageTable
from graphret.files import Stage, Stages, digest, map_array, write_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from graphret.encoders import Encoder
    from graphret.encoders.inference.workers import Begun

__all__ = ["EncodedFilms", "encode_films", "encode_images"]

Decoded: TypeAlias = Float32Array | FilmProblem
CODES = "codes.npy"
CODE_OF_ZEROS = "its code is all zeros, which has no cosine"
"""Reason of a film that was left out although it was encoded."""
ARITHMETIC = 2
"""Raised when decoding, resizing or the networks round otherwise than before: a killed run is then not gone on with,
because its codes would be of two kinds. 2: films are resized by our own kernel."""


@dataclass(frozen=True, eq=False)
class EncodedFilms:
    """Codes of the films that have one.

    Parameters
    ----------
    codes
        float32 (m, d), memory-mapped.
    rows
        int64 (m,), ascending: their rows in the table.
    problems
        The films that were left out, and why.
    file
        The ``.npy`` file that holds the codes.
    """

    codes: Codes
    rows: Int64Array
    problems: tuple[FilmProblem, ...]
    file: Path


def encode_films(
    table: ImageTable,
    encoder: Encoder,
    out: str | os.PathLike[str],
    *,
    batch_size: int = 32,
    precision: str = "float32",
    n_workers: int | None = None,
    shard_rows: int = 4096,
    progress: Progress | None = None,
) -> EncodedFilms:
    """Encode the films of a table; a film that cannot be used is reported and skipped.

    Every ``shard_rows`` films a shard is written to ``out``. A run that was killed goes on with the first missing
    shard when it is called again with the same films (ids, paths, sizes and times of the files), encoder and
    parameters; anything else starts afresh.

    Parameters
    ----------
    table
        Films with files.
    encoder
        Turns films into codes.
    out
        Folder for the shards and for ``codes.npy``, which is written last.
    batch_size
        Films that go through the encoder at once; codes do not depend on it beyond 1e-5.
    precision
        Passed to the encoder.
    n_workers
        Threads that decode and resize; ``None`` for all processors. At most ``batch_size + 2 n_workers`` films wait in
        memory, beside two batches in the encoder.
    shard_rows
        Films of a shard.
    progress
        Called as ``progress("encode", films done, films)``.

    Returns
    -------
    EncodedFilms
        In the order of the table.

    Raises
    ------
    DataError
        The table is empty, or not one film has a code.
    EncoderError
        The encoder fails, or gives an array of a wrong shape.
    StoreError
        The shards cannot be written.

    Notes
    -----
    Memory beside the films in flight: one shard of codes.
    """
    batch_size = check_integer("batch_size", batch_size, 1)
    shard_rows = check_integer("shard_rows", shard_rows, 1)
    workers = available_threads() if n_workers is None else check_integer("n_workers", n_workers, 1)
    if not len(table):
        raise DataError("the table has no film: there is nothing to encode")
    shards = Stages(out)
    key = _key(table, encoder, precision, shard_rows)
    shards.keep_only(key)
    starts = range(0, len(table), shard_rows)
    missing = [first for first in starts if shards.load(_shard(first), key) is None]
    done = len(table) - sum(min(shard_rows, len(table) - first) for first in missing)
    with ThreadPoolExecutor(workers, thread_name_prefix="graphret-decode") as pool:
        batches = _Batches(table, encoder, precision, batch_size, pool, workers)
        for first in missing:
            rows = range(first, min(first + shard_rows, len(table)))
            shards.save(_shard(first), key, *batches.encode(rows, progress, done))
            done += len(rows)
    if progress is not None:
        progress("encode", len(table), len(table))
    return _assemble(table, shards, key, [_shard(first) for first in starts])


def encode_images(encoder: Encoder, images: Float32Array, precision: str, batch_size: int) -> Codes:
    """Encode prepared images, float32 (b, size, size), and check what the encoder returns.

    Raises
    ------
    EncoderError
        It failed, or returned another shape than (b, code_length).
    """
    with _encoder_errors(encoder, len(images)):
        codes = encoder.encode(images, precision=precision, batch_size=batch_size)  # type: ignore[arg-type]
    return _check_shape(encoder, codes, len(images))


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


class _Batches:
    """Decodes films ahead of the encoder, and begins a batch before it asks for the codes of the last one."""

    def __init__(
        self,
        table: ImageTable,
        encoder: Encoder,
        precision: str,
        batch_size: int,
        pool: ThreadPoolExecutor,
        workers: int,
    ) -> None:
        self.table = table
        self.encoder = encoder
        self.precision = precision
        self.batch_size = batch_size
        self.pool = pool
        self.ahead = batch_size + 2 * workers

    def encode(self, rows: range, progress: Progress | None, done: int) -> Stage:
        """Encode the films of some rows: a shard."""
        kept: list[int] = []
        codes: list[Codes] = []
        problems: list[FilmProblem] = []
        begun: deque[tuple[range, list[int], Begun | None]] = deque()

        def finish() -> None:
            batch, usable, work = begun.popleft()
            if work is not None:
                with _encoder_errors(self.encoder, len(usable)):
                    encoded = _check_shape(self.encoder, work.result(), len(usable))
                self._keep(usable, encoded, kept, codes, problems)
            if progress is not None:
                progress("encode", done + batch.stop - rows.start, len(self.table))

        how: Any = {"precision": self.precision, "batch_size": self.batch_size}
        with closing(self._decoded(rows)) as decoded, self.encoder.encoding(**how) as begin:
            for start in range(rows.start, rows.stop, self.batch_size):
                batch = range(start, min(start + self.batch_size, rows.stop))
                usable, images = [], []
                for row, image in islice(decoded, len(batch)):
                    if isinstance(image, FilmProblem):
                        problems.append(image)
                    else:
                        usable.append(row)
                        images.append(image)
                with _encoder_errors(self.encoder, len(images)):
                    begun.append((batch, usable, begin(np.stack(images)) if images else None))
                if len(begun) > 1:
                    finish()
            while begun:
                finish()
        made = np.concatenate([np.empty((0, self.encoder.code_length), np.float32), *codes])
        return Stage(
            {"problems": [asdict(problem) for problem in problems]},
            {"codes": made, "rows": np.array(kept, dtype=np.int64)},
        )

    def _keep(
        self,
        rows: list[int],
        encoded: Codes,
        kept: list[int],
        codes: list[Codes],
        problems: list[FilmProblem],
    ) -> None:
        squares = np.einsum("ij,ij->i", encoded, encoded, dtype=np.float64)
        for row, square in zip(rows, squares.tolist(), strict=True):
            if not np.isfinite(square):
                problems.append(self._problem(row, "its code holds NaN or infinity"))
            elif square == 0:
                problems.append(self._problem(row, CODE_OF_ZEROS))
            else:
                kept.append(row)
        codes.append(encoded[np.isfinite(squares) & (squares > 0)])

    def _decoded(self, rows: range) -> Generator[tuple[int, Decoded]]:
        """Decoded films in the order of their rows, with a bounded number in flight."""
        flying: deque[tuple[int, Future[Decoded]]] = deque()
        try:
            for row in rows:
                flying.append((row, self.pool.submit(self._decode, row)))
                if len(flying) >= self.ahead:
                    first, future = flying.popleft()
                    yield first, future.result()
            while flying:
                first, future = flying.popleft()
                yield first, future.result()
        finally:
            for _, future in flying:
                future.cancel()

    def _decode(self, row: int) -> Decoded:
        try:
            return np.asarray(self.encoder.prepare(self.table.read_pixels(row)), dtype=np.float32)
        except FilmError as error:
            return self._problem(row, error.reason)
        except GraphretError as error:
            return self._problem(row, str(error))

    def _problem(self, row: int, reason: str) -> FilmProblem:
        return FilmProblem(str(self.table.ids[row]), str(self.table.paths[row]), reason)


def _assemble(table: ImageTable, shards: Stages, key: str, names: list[str]) -> EncodedFilms:
    """Join the shards to one file that can be memory-mapped, one shard in memory at a time."""
    about = [shards.read(name, key, ["rows"]) for name in names]
    rows = np.concatenate([shard.arrays["rows"] for shard in about])
    problems = [FilmProblem(**entry) for shard in about for entry in shard.record["problems"]]
    if not rows.size:
        first = problems[0]
        shards.keep_only("")  # nothing in there is worth to go on with
        raise DataError(
            f"none of the {len(table)} films has a code; the first, {first.id} ({first.path}): {first.reason}"
        )
    length = shards.read(names[0], key, ["codes"]).arrays["codes"].shape[1]
    file = shards.folder / CODES
    parts = (shards.read(name, key, ["codes"]).arrays["codes"] for name in names)
    write_rows(file, (rows.size, length), np.dtype(np.float32), parts)
    return EncodedFilms(map_array(file), rows, tuple(problems), file)


def _shard(first: int) -> str:
    return f"shard-{first:09d}"


def _key(table: ImageTable, encoder: Encoder, precision: str, shard_rows: int) -> str:
    """Hash of everything that codes and shards depend on."""
    films = ([name, path, *_state(path)] for name, path in zip(table.ids.tolist(), table.paths.tolist(), strict=True))
    return digest(ARITHMETIC, encoder.fingerprint, precision, shard_rows, len(table), *films)


def _state(path: str) -> tuple[int, int]:
    """Size and time of change of a film; (-1, -1) where there is none, which reading it will report."""
    try:
        status = Path(path).stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
