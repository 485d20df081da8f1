"""The films of a table become codes; in a folder they are kept in shards, so that a killed run goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from graphret._checks import check_integer
from graphret._errors import DataError, FilmError
from graphret._threads import available_threads
from graphret.data import FilmProblem
from graphret.data.frame_place import split_frame
from graphret.data.isolated import Decoding
from graphret.encoders.inference.colours import reads_colour, say_channels
from graphret.encoding.batches import encode_each
from graphret.encoding.sources import film_source
from graphret.files import Stage, Stages, digest, file_state, map_array, write_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from graphret._errors import GraphretError
    from graphret._types import Codes, Int64Array, Progress
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.encoding.sources import FilmSource

__all__ = ["EncodedFilms", "EncodingJob", "encode_films"]

Spread: TypeAlias = "Callable[[EncodingJob, Stages, str, tuple[range, ...], Callable[[int], None]], None]"

CODES = "codes.npy"
ARITHMETIC = 2
"""Raised when decoding, resizing or the networks round otherwise than before: a killed run is then not gone on with,
because its codes would be of two kinds. 2: films are resized by our own kernel."""


@dataclass(frozen=True, eq=False)
class EncodedFilms:
    """Codes of the films that have one.

    Parameters
    ----------
    codes
        float32 (m, d); memory-mapped where there is a file.
    rows
        int64 (m,), ascending: their rows in the table.
    problems
        The films that were left out, and why.
    file
        The ``.npy`` file that holds the codes; None where they were encoded in memory.
    """

    codes: Codes
    rows: Int64Array
    problems: tuple[FilmProblem, ...]
    file: Path | None


def encode_films(
    table: ImageTable,
    encoder: Encoder,
    out: str | os.PathLike[str] | None = None,
    *,
    batch_size: int | None = None,
    precision: str = "float32",
    n_workers: int | None = None,
    shard_rows: int = 4096,
    decoding: Decoding | None = None,
    allow_none: bool = False,
    spread: Spread | None = None,
    shards: Stages | None = None,
    progress: Progress | None = None,
) -> EncodedFilms:
    """Encode the films of a table; a film that cannot be used is reported and skipped.

    With a folder, every ``shard_rows`` films a shard is written to it. A run that was killed goes on with the first
    missing shard when it is called again with the same films (ids, paths, sizes and times of the files), encoder and
    parameters; anything else starts afresh.

    Parameters
    ----------
    table
        Films with files.
    encoder
        Turns films into codes.
    out
        Folder for the shards and for ``codes.npy``, which is written last; None encodes in memory.
    batch_size
        Films that go through the encoder at once; codes do not depend on it beyond 1e-5. ``None``: 32 on a processor,
        and on a GPU what a trial of its memory allows, up to 256.
    precision
        Passed to the encoder.
    n_workers
        As in `encode_each`.
    shard_rows
        Films of a shard.
    decoding
        What one film may take, and what decodes: threads, or processes, which codes do not depend on. The defaults
        when not given.
    allow_none
        True gives no codes, and says why, where not one film has a code; else that is an error.
    spread
        Encodes the missing shards somewhere else: called as ``spread(job, shards, key, missing, say)``, with a tuple
        of the rows of each missing shard, and a function that is told the number of films of every shard that is done.
        With ``out`` only.
    shards
        Where the shards are kept; ``None``: in ``out``.
    progress
        Called as ``progress("encode", films done, films)``.

    Returns
    -------
    EncodedFilms
        In the order of the table.

    Raises
    ------
    DataError
        The table is empty, or not one film has a code (unless ``allow_none``).
    EncoderError
        The encoder fails, or gives an array of a wrong shape.
    StoreError
        The shards cannot be written.

    Notes
    -----
    Memory beside the films in flight: one shard of codes, or all codes without a folder.
    """
    if batch_size is not None:
        check_integer("batch_size", batch_size, 1)
    shard_rows = check_integer("shard_rows", shard_rows, 1)
    if n_workers is not None:
        check_integer("n_workers", n_workers, 1)
    if not len(table):
        raise DataError("the table has no film: there is nothing to encode")
    colour = reads_colour(encoder)
    say_channels(encoder.name, colour=colour, spec=table.spec, channels=table.channels, n_films=len(table))
    job = EncodingJob(table, encoder, precision, batch_size, n_workers, decoding or Decoding(), progress)
    if out is None:
        with job.source(len(table)) as source:
            shard = job.encode(range(len(table)), 0, source)
        rows, problems = _joined(table, [shard], allow_none=allow_none)
        return EncodedFilms(shard.arrays["codes"], rows, problems, None)
    kept = Stages(out) if shards is None else shards
    key = _key(table, encoder, precision, shard_rows, job.decoding)
    kept.keep_only(key)
    parts = [range(first, min(first + shard_rows, len(table))) for first in range(0, len(table), shard_rows)]
    missing = [part for part in parts if kept.load(_shard(part.start), key) is None]
    done = len(table) - sum(len(part) for part in missing)

    def say(n_films: int) -> None:
        nonlocal done
        done += n_films
        job.say(done)

    if spread is not None:
        spread(job, kept, key, tuple(missing), say)
    elif missing:
        with job.source(len(table) - done) as source:
            for part in missing:
                job.keep(part, kept, key, source, done)
                done += len(part)
    job.say(len(table))
    names = [_shard(part.start) for part in parts]
    return _assemble(table, kept, key, names, Path(out) / CODES, allow_none=allow_none)


@dataclass(frozen=True)
class EncodingJob:
    """How the films of one table are encoded."""

    table: ImageTable
    encoder: Encoder
    precision: str
    batch_size: int | None
    n_workers: int | None
    decoding: Decoding
    progress: Progress | None

    def source(self, n_films: int) -> AbstractContextManager[FilmSource]:
        """Open what reads the films; ``n_films`` of them are to be read."""
        return film_source(self.decoding, self.encoder, n_films, self.n_workers or available_threads())

    def encode(self, rows: range, done: int, source: FilmSource) -> Stage:
        """Encode the films of some rows: a shard, as it is kept."""
        problems: list[FilmProblem] = []

        def report(row: int, error: GraphretError) -> None:
            reason = error.reason if isinstance(error, FilmError) else str(error)
            problems.append(FilmProblem(str(self.table.ids[row]), str(self.table.paths[row]), reason))

        kept, codes = encode_each(
            self.encoder,
            lambda row: source.read(self.table.film_path(row)),
            rows,
            on_problem=report,
            is_prepared=source.is_prepared,
            precision=self.precision,
            batch_size=self.batch_size,
            n_workers=self.n_workers,
            on_batch=lambda n: self.say(done + n),
        )
        return Stage({"problems": [asdict(problem) for problem in problems]}, {"codes": codes, "rows": kept})

    def keep(self, rows: range, shards: Stages, key: str, source: FilmSource, done: int = 0) -> None:
        """Encode the films of some rows, and keep them as a shard."""
        shards.save(_shard(rows.start), key, *self.encode(rows, done, source))

    def say(self, done: int) -> None:
        """Call the caller's progress."""
        if self.progress is not None:
            self.progress("encode", done, len(self.table))


def _assemble(
    table: ImageTable, shards: Stages, key: str, names: list[str], file: Path, *, allow_none: bool
) -> EncodedFilms:
    """Join the shards to one file that can be memory-mapped, one shard in memory at a time."""
    try:
        rows, problems = _joined(table, [shards.read(name, key, ["rows"]) for name in names], allow_none=allow_none)
    except DataError:
        shards.keep_only("")  # nothing in there is worth to go on with
        raise
    length = shards.read(names[0], key, ["codes"]).arrays["codes"].shape[1]
    parts = (shards.read(name, key, ["codes"]).arrays["codes"] for name in names)
    write_rows(file, (rows.size, length), np.dtype(np.float32), parts)
    return EncodedFilms(map_array(file), rows, problems, file)


def _joined(
    table: ImageTable, shards: Sequence[Stage], *, allow_none: bool
) -> tuple[Int64Array, tuple[FilmProblem, ...]]:
    """Rows and problems of all shards.

    Raises
    ------
    DataError
        Not one film has a code.
    """
    rows = np.concatenate([shard.arrays["rows"] for shard in shards])
    problems = tuple(FilmProblem(**entry) for shard in shards for entry in shard.record["problems"])
    if not rows.size and not allow_none:
        first = problems[0]
        raise DataError(
            f"none of the {len(table)} films has a code; the first, {first.id} ({first.path}): {first.reason}"
        )
    return rows, problems


def _shard(first: int) -> str:
    return f"shard-{first:09d}"


def _key(table: ImageTable, encoder: Encoder, precision: str, shard_rows: int, decoding: Decoding) -> str:
    """Hash of everything that codes and shards depend on."""
    films = (
        [name, path, *file_state(split_frame(path)[0])]
        for name, path in zip(table.ids.tolist(), table.paths.tolist(), strict=True)
    )
    left_out_by = decoding.limits.pixels, decoding.limits.memory, decoding.isolate, decoding.seconds
    return digest(ARITHMETIC, encoder.fingerprint, precision, shard_rows, *left_out_by, len(table), *films)
