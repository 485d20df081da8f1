"""Whether an archive has anything similar to a query: how rarely its own films are as far from those of others."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Float64Array, Int64Array
    from graphret.neighbors import NeighborTable, Search
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["Novelty", "best_similarities"]

SAMPLE = 2000
"""Films of the archive, at most, whose best similarity is known: a share of 1 % is then told to 0.2 %."""
UNSEEN = 300
"""From so many films outside "train" on, only they count: an encoder knows those that it was trained on too well."""
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Novelty:
    """Best similarities of an archive's films to films of other patients: what is usual for a new patient's film.

    A query whose best similarity s is rarer than that gets a small p-value, ``p = (1 + #{b <= s}) / (1 + m)`` over the
    m films of the archive with best similarities b. If the query is a film like them, p <= level happens with a
    probability of at most level, whatever the codes are (a conformal p-value: Vovk, Gammerman, Shafer 2005).

    Parameters
    ----------
    similarities
        float32 (m,), ascending, cosines.

    Examples
    --------
    >>> Novelty(np.array([0.8, 0.9, 0.95], dtype=np.float32)).p_values([0.2, 0.9]).tolist()
    [0.25, 0.75]
    """

    similarities: Float32Array

    def __len__(self) -> int:
        return len(self.similarities)

    @classmethod
    def of(
        cls, search: Search, patients: Any, splits: Any, table: NeighborTable | None = None, *, seed: int = 0
    ) -> Novelty:
        """Measure it on the archive itself, each film without all films of its patient.

        Parameters
        ----------
        search
            Over the codes of the n films.
        patients, splits
            Of the films, (n,). Films of other splits than "train" are taken alone where there are 300 of them or more.
        table
            Their nearest neighbours where they are known: then only films are searched for whose neighbours are all of
            their own patient.
        seed
            Draws 2,000 films of a larger archive.

        Notes
        -----
        O(m k) with a table, else m searches.
        """
        patients = np.asarray(patients)
        if (patients == patients[:1]).all():  # nobody else is there
            return cls(np.empty(0, dtype=np.float32))
        rows = np.flatnonzero(np.asarray(splits) != "train")
        if len(rows) < UNSEEN:
            rows = np.arange(len(patients))
        if len(rows) > SAMPLE:
            rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
        best = np.full(len(rows), np.nan, dtype=np.float32)
        if table is not None:
            neighbors = table.neighbors[rows]
            others = (neighbors >= 0) & (patients[neighbors] != patients[rows, None])
            found = others.any(axis=1)
            best[found] = table.similarities[rows[found], others[found].argmax(axis=1)]
        pending = np.flatnonzero(np.isnan(best))
        for start in range(0, len(pending), _BLOCK):
            block = pending[start : start + _BLOCK]
            best[block] = _without_own(search, patients, rows[block])
        return cls(np.sort(best[~np.isnan(best)]))

    def p_values(self, best: Any) -> Float64Array:
        """Return the p-value of each best similarity, float64 (q,); NaN where the archive has only one patient."""
        similarities = np.asarray(best, dtype=np.float32)
        if not len(self):
            return np.full(similarities.shape, np.nan)
        p: Float64Array = (1 + np.searchsorted(self.similarities, similarities, side="right")) / (1 + len(self))
        return p

    @property
    def smallest(self) -> float:
        """The smallest p-value that there can be: an alarm at a lower level is never given."""
        return 1 / (1 + len(self))

    def to_record(self) -> dict[str, Any]:
        """Return JSON values that `from_record` reads; float32, little-endian, in base64."""
        values = base64.b64encode(self.similarities.astype("<f4").tobytes()).decode()
        return {"n_films": len(self), "similarities": values}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Novelty:
        """Read back what `to_record` wrote."""
        values = np.frombuffer(base64.b64decode(record["similarities"]), dtype="<f4")
        return cls(values.astype(np.float32))


def _without_own(search: Search, patients: NDArray[Any], rows: Int64Array) -> Float32Array:
    """Best similarity of films to those of other patients, NaN where there is none."""
    forbidden = [np.flatnonzero(patients == patients[row]).astype(np.int32) for row in rows]
    found = search.search(search.read_codes(rows), 1, forbidden=forbidden)
    return np.where(found.neighbors[:, 0] >= 0, found.similarities[:, 0], np.float32(np.nan))


def best_similarities(archive: Archive, batch: QueryBatch, n_threads: int | None = None) -> Float32Array:
    """Return the best similarity of each query to any film but the forbidden ones, float32 (q,); -1 where all are.

    A mask of allowed films has no say: what it hides is in the archive nevertheless.
    """
    batch = batch.at_least(archive, 1, n_threads)
    neighbors, similarities = batch.neighbors, batch.similarities
    if batch.allowed is not None:
        table = archive.search.search(batch.codes, 1, forbidden=batch.forbidden, n_threads=n_threads)
        neighbors, similarities = table.neighbors, table.similarities
    return np.where(neighbors[:, 0] >= 0, similarities[:, 0], np.float32(-1))
