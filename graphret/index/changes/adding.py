"""Films are added: only those that are new, or whose files have changed, are decoded and encoded."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import CodesError, EncoderError
from graphret.data import ImageTable
from graphret.encoding import encode_films
from graphret.index.changes.change import Change, Current, changing, rows_but
from graphret.index.changes.rows import changed_contents
from graphret.index.changes.tables import check_label_names, completed, joined_films
from graphret.index.changes.unchanged import as_it_is
from graphret.index.left_out import say_left_out
from graphret.index.neighbor_files import file_states
from graphret.index.source import check_films, describe_codes
from graphret.index.store import KEEP

if TYPE_CHECKING:
    import os

    from graphret._types import BoolArray, Codes, Int64Array, Progress
    from graphret.encoders import Encoder

__all__ = ["add_films"]

logger = logging.getLogger(__name__)

_DESCRIBED = ("ids", "labels", "patients", "label_names", "splits")
SAME_CODE = 1e-5
"""Of the largest value of a code: what the batch in which a film is encoded can change."""


def add_films(
    path: str | os.PathLike[str],
    films_or_codes: Any,
    described: dict[str, Any] | None = None,
    *,
    encoder: Encoder | None = None,
    films: ImageTable | None = None,
    keep: int = KEEP,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Change:
    """Add films, or codes made elsewhere, to the current generation of an index; see `Index.add`."""
    described = {**dict.fromkeys(_DESCRIBED), **(described or {}), "films": films}
    with changing(path, "add", keep) as current:
        if isinstance(films_or_codes, ImageTable):
            given = _given_films(current, films_or_codes, described, encoder, progress)
        else:
            given = _given_codes(current, films_or_codes, described)
        return given.put_in(n_threads, progress)


class _Given:
    """Films with codes that are new, or take the place of films with the same ids.

    Parameters
    ----------
    codes, films, states
        m films.
    counts
        Of all films that were given, by what became of them.
    refreshed
        Whether files of films have other times than before, though their codes are the same.
    """

    def __init__(
        self,
        current: Current,
        codes: Codes,
        films: ImageTable,
        states: Int64Array,
        counts: dict[str, int],
        *,
        refreshed: bool = False,
    ) -> None:
        self.current, self.codes, self.films, self.states, self.counts = current, codes, films, states, counts
        self.refreshed = refreshed

    def put_in(self, n_threads: int | None, progress: Progress | None) -> Change:
        """Write the new generation, or say that there is nothing to do."""
        current, films, problems = self.current, self.films, self.films.problems
        old = np.array([current.positions.get(name, -1) for name in films.ids.tolist()], dtype=np.int64)
        replaced = old[old >= 0]
        say_left_out(problems)
        if not len(films):
            if not self.refreshed:
                return Change("add", current.generation.name, self.counts, problems)
            name = current.publish(lambda _: as_it_is(current, "film files"))
            return Change("add", name, self.counts, problems)
        if len(replaced):
            logger.info(
                "%d films have changed, first %s: they take the place of the old ones",
                len(replaced),
                current.films.ids[replaced[0]],
            )
            known = completed(films.select(np.flatnonzero(old >= 0)), current.films, replaced)
            films = joined_films(_ordered_like(films.select(np.flatnonzero(old < 0)), current.films), known)
            order = np.concatenate([np.flatnonzero(old < 0), np.flatnonzero(old >= 0)])
        else:
            order = np.arange(len(films))
        missing = [name for name in current.films.label_names if name not in films.label_names]
        if missing and len(old) > len(replaced):
            more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
            logger.warning("nothing is said of %s%s: new films count as without", ", ".join(missing[:5]), more)
        record = current.record
        name = current.publish(
            lambda folder: changed_contents(
                current,
                folder,
                rows_but(len(current.films), replaced),
                np.ascontiguousarray(self.codes[order]),
                films,
                self.states[order],
                {
                    "added": record["added"] + len(films),
                    "removed": record["removed"] + len(replaced),
                    "films_ever": record["films_ever"] + len(films) - len(replaced),
                },
                n_threads=n_threads,
                progress=progress,
            )
        )
        return Change("add", name, self.counts, problems)


def _ordered_like(films: ImageTable, old: ImageTable) -> ImageTable:
    """Return films with the labels of the index, in its order."""
    nothing = replace(old.select(np.empty(0, np.int64)), problems=())
    return joined_films(nothing, films)


def _given_codes(current: Current, values: Any, described: dict[str, Any]) -> _Given:
    if described["ids"] is None and described["films"] is None and hasattr(values, "__len__"):
        first = max([current.record["films_ever"], *(int(name) + 1 for name in current.positions if name.isdecimal())])
        described = {**described, "ids": [str(first + row) for row in range(len(values))]}
    codes, films = describe_codes(values, **described)
    stored = current.generation.codes
    if codes.shape[1] != stored.shape[1]:
        raise CodesError(
            f"the codes have {codes.shape[1]} dimensions, those of the index {stored.shape[1]}: give codes of the same "
            "encoder"
        )
    check_label_names(current.films, films)
    old = np.array([current.positions.get(name, -1) for name in films.ids.tolist()], dtype=np.int64)
    there = np.flatnonzero(old >= 0)
    same = there[(stored[old[there]] == codes[there]).all(axis=1)]
    rows = rows_but(len(films), same)
    counts = {"added": int((old < 0).sum()), "replaced": len(there) - len(same), "known": len(same), "left_out": 0}
    return _Given(current, codes[rows], films.select(rows), file_states(films.paths[rows].tolist()), counts)


def _given_films(
    current: Current,
    table: ImageTable,
    described: dict[str, Any],
    encoder: Encoder | None,
    progress: Progress | None,
) -> _Given:
    check_films(table, described)
    check_label_names(current.films, table)
    states = file_states(table.paths.tolist())
    known, changed = _compare(current, table, states)
    wanted = np.flatnonzero(~known | changed)
    if not len(wanted):
        counts = {"added": 0, "replaced": 0, "known": len(table), "left_out": table.n_left_out}
        return _Given(current, current.generation.codes[:0], table.select(wanted), states[wanted], counts)
    encoded = encode_films(
        table.select(wanted),
        _encoder_of(current, encoder),
        current.work,
        batch_size=current.config.batch_size,
        precision=current.config.precision,
        n_workers=current.config.n_workers,
        shard_rows=current.config.shard_rows,
        decoding=current.config.decoding,
        progress=progress,
        allow_none=True,
    )
    rows = wanted[encoded.rows]
    old = np.array([current.positions.get(name, -1) for name in table.ids[rows].tolist()], dtype=np.int64)
    there = np.flatnonzero(old >= 0)
    equal = np.zeros(len(rows), np.bool_)
    equal[there] = _are_equal(current.generation.codes[old[there]], encoded.codes[there])
    current.states[old[equal]] = states[rows[equal]]
    rows, codes = rows[~equal], encoded.codes[~equal]
    films = table.select(rows)
    films = replace(films, problems=(*table.problems, *encoded.problems))
    counts = {
        "added": int((old < 0).sum()),
        "replaced": len(there) - int(equal.sum()),
        "known": len(table) - len(wanted) + int(equal.sum()),
        "left_out": films.n_left_out,
    }
    return _Given(current, codes, films, states[rows], counts, refreshed=bool(equal.any()))


def _are_equal(before: Codes, now: Codes) -> BoolArray:
    """Whether codes differ by no more than by the batch in which a film was encoded."""
    largest = np.abs(before).max(axis=1, initial=0)
    equal: BoolArray = np.abs(before - now).max(axis=1, initial=0) <= SAME_CODE * largest
    return equal


def _compare(current: Current, table: ImageTable, states: Int64Array) -> tuple[BoolArray, BoolArray]:
    """Say which films the index has, and the files of which have another size or time than when they were encoded."""
    old = np.array([current.positions.get(name, -1) for name in table.ids.tolist()], dtype=np.int64)
    known: BoolArray = old >= 0
    before = current.states[old]
    changed: BoolArray = known & (before[:, 0] >= 0) & (states[:, 0] >= 0) & (before != states).any(axis=1)
    return known, changed


def _encoder_of(current: Current, given: Encoder | None) -> Encoder:
    about = current.generation.manifest["encoder"]
    if about is not None and given is not None and given.fingerprint == about["fingerprint"]:
        return given
    loaded = current.generation.read_encoder()
    if loaded is None:
        raise EncoderError(f"{current.root} was built of codes made elsewhere, it has no encoder: add codes")
    return loaded
