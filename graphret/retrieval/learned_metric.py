"""A metric learned offline from the labels of an archive; at query time there is only a projection, and no label."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import InvalidParameterError
from graphret._threads import one_blas_thread
from graphret.neighbors.exact_search import TILE, row_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array

__all__ = ["LabelScatter", "LearnedMetric", "WithinScatter", "mean_direction", "padded", "project_all"]

DIMENSIONS = 32
"""Whitened directions that are kept beside the discriminant ones."""
ROUNDING = float(np.finfo(np.float32).eps) ** 2
"""Variance of unit codes below which there is nothing but the rounding of float32."""
LANES = 16
"""Values of float32 that a processor adds at once."""
AT_MOST = 32
"""Discriminant directions, at most; there is one less than there are findings."""


@dataclass(frozen=True, eq=False)
class LabelScatter:
    """Sums over the unit codes of films and their findings, from which a metric is learned.

    Every pair of a film and one of its findings is one observation; a film without any finding is one of "none of
    them". Sums of different films about the same origin add and subtract, so that films can be left out afterwards.

    Parameters
    ----------
    origin
        float64 (d,), subtracted from every unit code before it is summed.
    counts
        float64 (L + 1,), films with each finding, "none" last.
    sums
        float64 (L + 1, d), of their codes.
    squares
        float64 (d, d), sum of outer products over all observations.
    """

    origin: Float64Array
    counts: Float64Array
    sums: Float64Array
    squares: Float64Array

    @classmethod
    def of(cls, codes: Codes, labels: BoolArray, origin: Float64Array) -> LabelScatter:
        """Sum over codes float32 (n, d) and labels bool (n, L); O(n d^2), one tile of memory.

        Single-threaded, so that it does not depend on the threads of the caller.
        """
        findings = np.concatenate([labels, ~labels.any(axis=1, keepdims=True)], axis=1).astype(np.float32)
        sums = np.zeros((findings.shape[1], origin.size))
        squares = np.zeros((origin.size, origin.size))
        with one_blas_thread():
            for first in range(0, len(codes), TILE):
                block = _unit(codes[first : first + TILE], origin)
                marks = findings[first : first + TILE]
                sums += marks.T @ block
                squares += (block * marks.sum(axis=1, keepdims=True)).T @ block
        return cls(origin, findings.sum(axis=0, dtype=np.float64), sums, squares)

    def __add__(self, other: LabelScatter) -> LabelScatter:
        return LabelScatter(
            self.origin, self.counts + other.counts, self.sums + other.sums, self.squares + other.squares
        )

    def __sub__(self, other: LabelScatter) -> LabelScatter:
        return LabelScatter(
            self.origin, self.counts - other.counts, self.sums - other.sums, self.squares - other.squares
        )


@dataclass(frozen=True, eq=False)
class WithinScatter:
    """S_w of films by its eigenvectors, and the scatter between findings in these coordinates.

    The scatter of all observations is the sum of both, ``diag(values) + between' between``.

    Parameters
    ----------
    mean
        float64 (d,), of all observations.
    values, vectors
        float64 (d,) and (d, d): S_w = V diag(values) V'.
    between
        float64 (f, d): the means of the f findings that are there, less the mean, weighted, times V.
    """

    mean: Float64Array
    values: Float64Array
    vectors: Float64Array
    between: Float64Array

    @classmethod
    def of(cls, scatter: LabelScatter) -> WithinScatter:
        """Decompose the sums over films; O(d^3), single-threaded, by numpy: beside scipy's other threads wait.

        Raises
        ------
        InvalidParameterError
            Not one film.
        """
        total = scatter.counts.sum()
        if total < 1:
            raise InvalidParameterError("scatter", "0 films", "at least one film to learn from")
        with one_blas_thread():
            mean = scatter.sums.sum(axis=0) / total
            there = scatter.counts > 0.5  # subtracted sums may leave a rounding of 0
            counts = scatter.counts[there, None]
            between = (scatter.sums[there] / counts - mean) * np.sqrt(counts / total)
            everything = scatter.squares / total - np.outer(mean, mean)
            values, vectors = np.linalg.eigh(everything - between.T @ between)
            return cls(scatter.origin + mean, np.maximum(values, 0.0), vectors, between @ vectors)


@dataclass(frozen=True, eq=False)
class LearnedMetric:
    """Metric learned from findings: learned whitening and linear discriminants, each a cosine of its own.

    With S_w and S_b the scatter within and between the findings (`LabelScatter`), and
    ``W = (S_w + ridge tr(S_w) / d I)^(-1/2)``:

    - A: the leading ``dimensions`` directions of all codes after W, learned whitening as of Mikolajczyk and Matas
      (ICCV 2007) and Radenovic, Tolias, Chum (TPAMI 2019), from all matching pairs in closed form;
    - D: the discriminant directions (Fisher 1936; Rao 1948), eigenvectors of ``W S_b W`` to the eigenvalues l > 0,
      weighted by ``(l / (1 + l))^(1/2)``: a direction counts by the share of its variance that findings explain.

    The similarity of two films is ``discriminant_share cos(D x, D y) + (1 - discriminant_share) cos(A x, A y)``, the
    inner product of vectors of length 1 (`project`).

    Parameters
    ----------
    centre
        float32 (d,), mean of the unit codes.
    directions
        float32 (m, d): D, then A.
    n_discriminant
        Rows of D.
    discriminant_share
        Of D, 0 to 1.
    """

    centre: Float32Array
    directions: Float32Array
    n_discriminant: int
    discriminant_share: float

    @classmethod
    def fit(
        cls,
        scatter: LabelScatter | WithinScatter,
        *,
        discriminant_share: float,
        ridge: float,
        dimensions: int = DIMENSIONS,
    ) -> LearnedMetric:
        """Learn the metric from sums over films; O(d^3), single-threaded.

        Parameters
        ----------
        scatter
            Of the films with their findings. Decomposed (`WithinScatter.of`) it serves several metrics, for a third of
            the time each.
        discriminant_share
            Weight of the discriminant directions, 0 to 1; 0 is learned whitening alone.
        ridge
            Added to S_w, in units of its mean eigenvalue, above 0.
        dimensions
            Directions of the whitened codes, >= 1.

        Raises
        ------
        InvalidParameterError
            A value out of its range, or not one film.
        """
        from scipy.linalg import eigh

        discriminant_share = check_number("discriminant_share", discriminant_share, at_least=0.0, at_most=1.0)
        ridge = check_number("ridge", ridge, above=0.0)
        dimensions = check_integer("dimensions", dimensions, 1, "directions of the whitened codes")
        within = scatter if isinstance(scatter, WithinScatter) else WithinScatter.of(scatter)
        n_dimensions = within.mean.size
        with one_blas_thread():
            floor = max(ridge * within.values.mean(), ROUNDING)
            # W is diagonal in the coordinates of the eigenvectors
            whiten = 1.0 / np.sqrt(within.values + floor)
            leading = [max(n_dimensions - dimensions, 0), n_dimensions - 1]
            between = within.between * whiten
            _, axes = eigh(np.diag(within.values * whiten**2) + between.T @ between, subset_by_index=leading)
            # W S_b W has the rank of the findings: its eigenvectors are the right singular vectors of their means.
            _, strengths, found = np.linalg.svd(between, full_matrices=False)
            eigenvalues = strengths[:AT_MOST] ** 2
            kept = eigenvalues > 1e-9
            weights = np.sqrt(eigenvalues[kept] / (1.0 + eigenvalues[kept]))
            discriminant = weights[:, None] * found[:AT_MOST][kept]
            directions = (np.concatenate([discriminant, axes[:, ::-1].T]) * whiten) @ within.vectors.T
        return cls(within.mean.astype(np.float32), directions.astype(np.float32), int(kept.sum()), discriminant_share)

    def project(self, codes: Codes) -> Float32Array:
        """Turn codes float32 (n, d), any scale, into vectors float32 (n, m) whose inner product is the similarity.

        O(n d m), one tile of memory, single-threaded. A code without direction, at the centre of the archive, counts as
        the first direction.
        """
        return project_all([self], codes)[0]

    def project_queries(self, codes: Codes) -> Float32Array:
        """Do the same, code by code and without BLAS, so that a query is rounded alike alone and in a batch."""
        out = np.empty((len(codes), len(self.directions)), np.float32)
        for row in range(len(codes)):
            code = _unit(codes[row : row + 1], self.centre)[0]
            np.einsum("md,d->m", self.directions, code, out=out[row])
        return self.balanced(out)

    def balanced(self, vectors: Float32Array) -> Float32Array:
        """Bring both parts of vectors, in place, to the lengths that their shares give them."""
        parts = (vectors[:, : self.n_discriminant], vectors[:, self.n_discriminant :])
        for part, weight in zip(parts, (self.discriminant_share, 1.0 - self.discriminant_share), strict=True):
            # summed along the row in one order, however many rows there are
            lengths = np.sqrt(np.square(part, dtype=np.float64).sum(axis=1, keepdims=True))
            scales = np.divide(np.sqrt(weight), lengths, out=np.zeros_like(lengths), where=lengths > 0)
            np.multiply(part, scales, out=part, casting="same_kind")
        vectors[~vectors.any(axis=1), 0] = 1.0
        return vectors

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON; the numbers are float32, little-endian, base64."""
        numbers = np.concatenate([self.centre[None], self.directions]).astype("<f4")
        return {
            "learned_from": "the archive's labels",
            "discriminant_share": self.discriminant_share,
            "n_discriminant": self.n_discriminant,
            "shape": list(numbers.shape),
            "numbers": base64.b64encode(numbers.tobytes()).decode("ascii"),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> LearnedMetric:
        """Read what `to_record` gave, to the bit.

        Examples
        --------
        >>> metric = LearnedMetric(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1, 0.5)
        >>> again = LearnedMetric.from_record(metric.to_record())
        >>> again.project(np.array([[3, 3]], np.float32)).astype(float).round(3).tolist()
        [[0.707, 0.707]]
        """
        numbers = np.frombuffer(base64.b64decode(record["numbers"]), "<f4").astype(np.float32)
        numbers = numbers.reshape(record["shape"])
        return cls(numbers[0], numbers[1:], int(record["n_discriminant"]), float(record["discriminant_share"]))


def padded(vectors: Float32Array) -> Float32Array:
    """Put zeros behind vectors float32 (n, m), up to a multiple of 16 values: a scan of one query then has no rest.

    Examples
    --------
    >>> padded(np.ones((2, 46), np.float32)).shape
    (2, 48)
    """
    n_missing = -vectors.shape[1] % LANES
    return np.pad(vectors, ((0, 0), (0, n_missing))) if n_missing else vectors


def project_all(metrics: Sequence[LearnedMetric], codes: Codes) -> list[Float32Array]:
    """Project codes by several metrics, reading them once; see `LearnedMetric.project`.

    Metrics that differ in their share only have the same directions: one product serves them.
    """
    outs = [np.empty((len(codes), len(metric.directions)), np.float32) for metric in metrics]
    offsets = {id(metric.directions): metric.directions @ metric.centre for metric in metrics}
    with one_blas_thread():
        for first in range(0, len(codes), TILE):
            block = _unit(codes[first : first + TILE], np.zeros(1))
            products: dict[int, Float32Array] = {}
            for out, metric in zip(outs, metrics, strict=True):
                key = id(metric.directions)
                if key not in products:
                    products[key] = block @ metric.directions.T - offsets[key]
                out[first : first + TILE] = metric.balanced(products[key].copy())
    return outs


def mean_direction(codes: Codes) -> Float64Array:
    """Average the unit codes, float64 (d,); one tile of memory.

    Examples
    --------
    >>> mean_direction(np.array([[2, 0], [0, 3]], np.float32)).tolist()
    [0.5, 0.5]
    """
    total = np.zeros(codes.shape[1])
    for first in range(0, len(codes), TILE):
        total += _unit(codes[first : first + TILE], np.zeros(1)).sum(axis=0, dtype=np.float64)
    return total / len(codes)


def _unit(codes: Codes, centre: Float32Array | Float64Array) -> Float32Array:
    """Unit codes less the centre, float32."""
    block = codes / row_lengths(codes)[:, None]
    block -= centre
    return np.asarray(block, dtype=np.float32)
