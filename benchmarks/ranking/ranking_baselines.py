"""Baselines that are no rankings of the package: re-ranking, database augmentation, whitening. Each gives lists (q, K).

k-reciprocal      Zhong, Zheng, Cao, Li: Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017
dba               database-side feature augmentation: Turcot, Lowe, ICCV 2009 (as in Arandjelovic, Zisserman 2012), with
                  weights cos^alpha, and with query expansion of the same kind where asked for
pca-whitening     Jegou, Chum, ECCV 2012, with a ridge of a share of the mean eigenvalue
lw-whitening      learned whitening from pairs that share a label: Mikolajczyk, Matas, ICCV 2007, as used by Radenovic,
                  Tolias, Chum, TPAMI 2019. It uses the labels of the archive's films (offline), the others none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numba
import numpy as np
from benchmark_codes import unit_rows

if TYPE_CHECKING:
    from ranking_sets import Side

K = 100
POOL = 1000
"""Films of a list that k-reciprocal re-ranking orders anew."""


@dataclass(frozen=True, eq=False)
class Task:
    """A side of a set, in the form that all baselines take; rows of ``neighbors`` are those of the archive's films."""

    side: Side
    neighbors: np.ndarray
    similarities: np.ndarray

    @cached_property
    def codes(self) -> np.ndarray:
        return unit_rows(self.side.codes)

    @cached_property
    def queries(self) -> np.ndarray:
        return unit_rows(self.side.query_codes)

    @cached_property
    def forbidden(self) -> list[np.ndarray]:
        return self.side.forbidden

    def lists(self, queries: np.ndarray, codes: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest allowed films by inner product, ties by smaller position, and the products."""
        out, values = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
        for first in range(0, len(queries), 128):
            scores = queries[first : first + 128] @ codes.T
            for row, films in enumerate(self.forbidden[first : first + 128]):
                scores[row, films] = -np.inf
            part = np.argpartition(-scores, k, axis=1)[:, :k]
            part.sort(axis=1)
            found = np.take_along_axis(scores, part, axis=1)
            order = np.argsort(-found, axis=1, kind="stable")
            rows = slice(first, first + len(scores))
            out[rows], values[rows] = np.take_along_axis(part, order, 1), np.take_along_axis(found, order, 1)
        return out, values


def _expanded(task: Task, codes: np.ndarray, queries: np.ndarray, n: int, alpha: float) -> np.ndarray:
    films, cosines = task.lists(queries, codes, n)
    weights = np.maximum(cosines, 0) ** alpha
    return unit_rows(
        np.stack([query + w @ codes[rows] for query, w, rows in zip(queries, weights, films, strict=True)])
    )


def dba(task: Task, *, n: int, alpha: float, queries_too: bool) -> np.ndarray:
    """Every film's code plus those of its n nearest, weighted by cos^alpha; then nearest."""
    codes = task.codes
    augmented = np.empty_like(codes)
    for first in range(0, len(codes), 256):
        rows = slice(first, first + 256)
        weights = np.maximum(task.similarities[rows, :n], 0) ** alpha
        augmented[rows] = codes[rows] + np.einsum("rn,rnd->rd", weights, codes[task.neighbors[rows, :n]])
    augmented = unit_rows(augmented)
    queries = _expanded(task, augmented, task.queries, n, alpha) if queries_too else task.queries
    return task.lists(queries, augmented)[0]


def pca_whitening(task: Task, *, power: float, ridge: float) -> np.ndarray:
    """Nearest by cosine of centred codes, whitened by (C + ridge * mean eigenvalue)^(-power / 2)."""
    mean = task.codes.mean(axis=0)
    centred = task.codes - mean
    values, vectors = np.linalg.eigh((centred.T @ centred / len(centred)).astype(np.float64))
    values = np.maximum(values, 0) + ridge * values.mean()
    matrix = (vectors * (values / values.max()) ** (-power / 2)).astype(np.float32)
    return task.lists(unit_rows((task.queries - mean) @ matrix), unit_rows(centred @ matrix))[0]


def lw_whitening(task: Task, *, dimensions: int, ridge: float, seed: int = 0) -> np.ndarray:
    """Learned whitening: C_S^(-1/2) of pairs that share a label, then the leading directions of what is left."""
    labels, codes = task.side.labels, task.codes
    generator = np.random.default_rng(seed)
    pairs = generator.integers(len(codes), size=(400_000, 2))
    matching = (labels[pairs[:, 0]] & labels[pairs[:, 1]]).any(axis=1)
    pairs = pairs[matching & (pairs[:, 0] != pairs[:, 1])][:20_000]
    mean = codes.mean(axis=0)
    differences = codes[pairs[:, 0]] - codes[pairs[:, 1]]
    within = (differences.T @ differences / len(pairs)).astype(np.float64)
    values, vectors = np.linalg.eigh(within)
    values = np.maximum(values, 0) + ridge * values.mean()
    first = (vectors / np.sqrt(values)) @ vectors.T
    whitened = (codes - mean) @ first.astype(np.float32)
    _, directions = np.linalg.eigh((whitened.T @ whitened / len(whitened)).astype(np.float64))
    second = directions[:, ::-1][:, :dimensions].astype(np.float32)
    queries = (task.queries - mean) @ first.astype(np.float32) @ second
    return task.lists(unit_rows(queries), unit_rows(whitened @ second))[0]


def k_reciprocal(task: Task, *, k1: int, k2: int, share: float) -> np.ndarray:
    """(1 - share) Jaccard distance of k-reciprocal sets + share of the distance 1 - cosine, over the nearest 1,000 films."""
    n_pool = min(POOL, len(task.codes) - max(len(films) for films in task.forbidden) - 1)
    pool, cosines = task.lists(task.queries, task.codes, n_pool)
    n_films = len(task.codes)
    lists = task.neighbors[:, :k1].astype(np.int32)
    kth = task.similarities[:, k1 - 1]
    encoded = _encode_films(lists, task.neighbors[:, : max(1, k1 // 2)].astype(np.int32), task.similarities)
    averaged = _averaged(*encoded, lists, k2)  # type: ignore[call-arg]
    out = np.empty((len(pool), K), np.int32)
    for row in range(len(pool)):
        nearest = pool[row, :k1]
        reciprocal = nearest[cosines[row, :k1] >= kth[nearest]]
        weights = np.zeros(n_films)
        members = set(reciprocal.tolist())
        half = max(1, k1 // 2)
        for film in reciprocal.tolist():  # 1/2 k1-reciprocal neighbours of a member join where most of them are members
            others = task.neighbors[film, :half]
            mutual = [other for other in others.tolist() if film in task.neighbors[other, :half]]
            if len(members.intersection(mutual)) > 2 / 3 * len(mutual):
                members.update(mutual)
        chosen = np.array(sorted(members), dtype=np.int64)
        if chosen.size:
            values = np.exp(task.codes[chosen] @ task.queries[row] - 1)
            weights[chosen] = values / values.sum()
        if k2 > 1 and chosen.size:  # local query expansion: the mean with the encodings of the first k2 - 1 films
            weights /= k2
            for film in pool[row, : k2 - 1]:
                entries = slice(encoded[0][film], encoded[0][film + 1])
                weights[encoded[1][entries]] += encoded[2][entries] / k2
        distances = _jaccard(weights, *averaged, pool[row])
        final = (1 - share) * distances + share * (1 - cosines[row])
        out[row] = pool[row, np.argsort(final, kind="stable")[:K]]
    return out


@numba.njit(cache=True)
def _encode_films(lists: np.ndarray, halves: np.ndarray, similarities: np.ndarray):
    """Expanded k-reciprocal encodings of all films, CSR (starts, films, weights)."""
    n = lists.shape[0]
    starts = np.zeros(n + 1, np.int64)
    films = np.empty(n * 64, np.int32)
    weights = np.empty(n * 64, np.float64)
    mark = np.full(n, -1, np.int64)
    value = np.zeros(n)
    filled = 0
    for film in range(n):
        members = np.empty(4096, np.int32)
        count = 0
        members[0] = film  # a film is its own first neighbour
        mark[film] = film
        value[film] = 1.0
        count = 1
        for place in range(lists.shape[1]):
            other = lists[film, place]
            for back in lists[other]:
                if back == film:
                    mark[other] = film
                    value[other] = np.exp(similarities[film, place] - 1)
                    members[count] = other
                    count += 1
                    break
        first = count
        for number in range(1, first):
            member = members[number]
            mutual = 0
            shared = 0
            for other in halves[member]:
                for back in halves[other]:
                    if back == member:
                        mutual += 1
                        shared += mark[other] == film
                        break
            if mutual > 0 and shared > 2 / 3 * mutual:
                for other in halves[member]:
                    if mark[other] != film and count < 4096:
                        for back in halves[other]:
                            if back == member:
                                mark[other] = film
                                # its own similarity is not in the table: that of the member it came by stands in
                                value[other] = value[member]
                                members[count] = other
                                count += 1
                                break
        total = 0.0
        for number in range(count):
            total += value[members[number]]
        if filled + count > films.shape[0]:
            films = np.concatenate((films, np.empty(films.shape[0], np.int32)))
            weights = np.concatenate((weights, np.empty(weights.shape[0], np.float64)))
        for number in range(count):
            films[filled] = members[number]
            weights[filled] = value[members[number]] / total
            filled += 1
        starts[film + 1] = filled
    return starts, films[:filled].copy(), weights[:filled].copy()


def _averaged(
    starts: np.ndarray, films: np.ndarray, weights: np.ndarray, lists: np.ndarray, k2: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every film's encoding averaged with those of its first k2 - 1 neighbours."""
    from scipy import sparse

    n = len(starts) - 1
    encoded = sparse.csr_array((weights, films.astype(np.int64), starts), shape=(n, n))
    if k2 > 1:
        rows = np.repeat(np.arange(n), k2)
        columns = np.concatenate([np.arange(n)[:, None], lists[:, : k2 - 1]], axis=1).ravel()
        mean = sparse.csr_array((np.full(n * k2, 1 / k2), (rows, columns)), shape=(n, n))
        encoded = (mean @ encoded).tocsr()
    return encoded.indptr.astype(np.int64), encoded.indices.astype(np.int64), encoded.data


@numba.njit(cache=True)
def _jaccard(query: np.ndarray, starts: np.ndarray, films: np.ndarray, weights: np.ndarray, pool: np.ndarray):
    out = np.empty(pool.shape[0])
    for place in range(pool.shape[0]):
        common = 0.0
        for entry in range(starts[pool[place]], starts[pool[place] + 1]):
            common += min(query[films[entry]], weights[entry])
        out[place] = 1.0 - common / (2.0 - common)
    return out
