"""Minimal loss hashing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import CodesError, InvalidParameterError
from graphret.hashing.base import LinearHasher
from graphret.hashing.labels import PairLabels, PairSampler
from graphret.hashing.pca import BLOCK_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Codes, Float64Array

__all__ = ["MLH"]

N_RECORDS = 20
CONSTANT = 0.1
"""Input of c, small beside codes of length about 1: with as large a one, planes would first of all move together."""


class MLH(LinearHasher):
    """Hash by planes that minimise a hinge loss on Hamming distances of labelled pairs.

    Norouzi and Fleet, Minimal loss hashing for compact binary codes, ICML 2011. For bits in {0, 1}, h(x) = [W x + c >=
    0] is the h that maximises h' (W x + c). A similar pair should be nearer than rho bits, a dissimilar one farther
    (Eq. 5):

        l(m, similar) = max(m - rho + 1, 0),    l(m, dissimilar) = lambda max(rho - m + 1, 0),    m = |h_i - h_j|_1,

    and the loss is bounded from above by (Eq. 6)

        max over g_i, g_j of [ l(|g_i - g_j|_1, s) + g_i' u + g_j' v ] - h_i' u - h_j' v,    u = W x_i + c, v = W x_j +
        c.

    The inner maximum is exact in O(b log b): for every bit, what it gains by differing; for every m, the m largest
    gains. Each step moves W by ``rate ((h_i - g_i) x_i' + (h_j - g_j) x_j')``, averaged over a batch of pairs, with
    momentum.

    Parameters
    ----------
    n_bits
        Any number.
    seed
        Of the first W and of the pairs.
    rho
        In bits, >= 1; ``None``: n_bits / 4, at least 1. (The paper chooses it on a validation set.)
    weight
        The lambda of dissimilar pairs, > 0. The default was chosen on validation films of two real sets.
    n_iterations
        Batches.
    batch_size
        Pairs of a batch, half of them similar.
    rate
        Of the first step, > 0; it falls linearly to 0.
    momentum
        In [0, 1).
    decay
        Of W in every step, times the rate, >= 0 (the paper's regulariser).

    Attributes
    ----------
    losses
        float64 (20,): the mean bound in every twentieth of the batches (fewer with fewer batches).

    Notes
    -----
    Departures: codes are centred, and divided by their mean length, so that ``rate`` does not depend on their scale;
    batches hold as many similar as dissimilar pairs; the rate falls linearly and nothing is chosen on a validation set.
    ``fit`` is O(n_iterations batch_size n_bits (d + log n_bits)) after one pass over the codes; encoding is one
    product.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels = generator.integers(0, 3, 150)
    >>> codes = (np.eye(8)[labels] + 0.3 * generator.normal(size=(150, 8))).astype(np.float32)
    >>> hasher = MLH(16, n_iterations=200).fit(codes, labels)
    >>> hasher.transform(codes).shape, bool(hasher.losses[-1] < hasher.losses[0])
    ((150, 2), True)
    """

    name: ClassVar[str] = "mlh"
    paper: ClassVar[str] = "Norouzi, Fleet, ICML 2011"
    needs_labels: ClassVar[bool] = True

    def __init__(
        self,
        n_bits: int,
        *,
        seed: int = 0,
        rho: int | None = None,
        weight: float = 2.0,
        n_iterations: int = 2000,
        batch_size: int = 100,
        rate: float = 0.3,
        momentum: float = 0.9,
        decay: float = 1e-3,
    ) -> None:
        self.rho = None if rho is None else check_integer("rho", rho, 1, "bits")
        self.weight = check_number("weight", weight, above=0)
        self.n_iterations = check_integer("n_iterations", n_iterations, 1)
        self.batch_size = check_integer("batch_size", batch_size, 2)
        self.rate = check_number("rate", rate, above=0)
        self.momentum, self.decay = (
            check_number("momentum", momentum, at_least=0),
            check_number("decay", decay, at_least=0),
        )
        if self.momentum >= 1:
            raise InvalidParameterError("momentum", momentum, "a number >= 0 and < 1")
        super().__init__(
            n_bits,
            seed=seed,
            rho=self.rho,
            weight=self.weight,
            n_iterations=self.n_iterations,
            batch_size=self.batch_size,
            rate=self.rate,
            momentum=self.momentum,
            decay=self.decay,
        )

    @property
    def losses(self) -> Float64Array:
        """The mean bound in every twentieth of the batches."""
        return self._array("losses")

    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:
        generator = np.random.default_rng(self.seed)
        pairs = PairLabels(labels, len(codes))
        pairs.sample(1000, np.random.default_rng(self.seed))  # refuses labels that nothing can be learnt from
        sampler = PairSampler(pairs)
        mean, length = _mean_and_length(codes)
        n_dimensions = codes.shape[1]
        weights = generator.standard_normal((n_dimensions + 1, self.n_bits))
        weights /= np.linalg.norm(weights, axis=0)
        weights[-1] = 0.0
        rho = max(1, self.n_bits // 4) if self.rho is None else self.rho
        velocity = np.zeros_like(weights)
        bounds: list[float] = []
        for step in range(self.n_iterations):
            first, second, similarity = sampler.draw(self.batch_size, generator)
            if not first.size:
                continue
            sides = np.full((2, first.size, n_dimensions + 1), CONSTANT)
            sides[:, :, :-1] = (codes[np.stack([first, second])] - mean) / length
            values = sides @ weights
            adversaries, bound = loss_augmented_bits(values[0], values[1], similarity, rho, self.weight)
            bounds.append(float(bound.mean()))
            moves = (values >= 0).astype(np.float64) - adversaries
            gradient = np.einsum("spd,spb->db", sides, moves, optimize=True) / first.size - self.decay * weights
            velocity = self.momentum * velocity + self.rate * (1.0 - step / self.n_iterations) * gradient
            weights += velocity
        plane = weights[:-1] / length
        return {
            "weights": np.ascontiguousarray(plane, np.float32),
            "offsets": (CONSTANT * weights[-1] - mean @ plane).astype(np.float32),
            "losses": np.array([part.mean() for part in np.array_split(np.array(bounds), N_RECORDS) if part.size]),
        }


def loss_augmented_bits(
    u: Float64Array, v: Float64Array, similarity: NDArray[np.int8], rho: int, weight: float
) -> tuple[BoolArray, Float64Array]:
    """Find the bits that maximise ``l(|g_i - g_j|) + g_i' u + g_j' v`` for every pair (Norouzi and Fleet, Section 4.1).

    Parameters
    ----------
    u, v
        float64 (p, b), values of the first and the second film of every pair.
    similarity
        int8 (p,): > 0 similar, else dissimilar.
    rho, weight
        Of the loss.

    Returns
    -------
    bits, bound
        bool (2, p, b), g of both sides, and float64 (p,), the maximum less ``h_i' u + h_j' v``: never below the loss of
        the pair. O(p b log b).
    """
    alike, apart = np.maximum(u + v, 0.0), np.maximum(u, v)
    gain = apart - alike  # of a bit by differing
    order = np.argsort(-gain, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(gain, order, axis=1), axis=1)
    sums = np.concatenate([np.zeros((len(u), 1)), sums], axis=1)
    distance = np.arange(u.shape[1] + 1)
    losses = np.where(
        similarity[:, None] > 0, np.maximum(distance - rho + 1, 0), weight * np.maximum(rho - distance + 1, 0)
    )
    totals = sums + losses
    best = totals.argmax(axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(u.shape[1]), order.shape), axis=1)
    differs = rank < best[:, None]
    bits = np.stack([np.where(differs, u >= v, u + v >= 0), np.where(differs, u < v, u + v >= 0)])
    reached = np.take_along_axis(totals, best[:, None], axis=1)[:, 0] + alike.sum(axis=1)
    return bits, reached - np.maximum(u, 0.0).sum(axis=1) - np.maximum(v, 0.0).sum(axis=1)


def _mean_and_length(codes: Codes) -> tuple[Float64Array, float]:
    """Mean of the codes, and mean length of what is left of them without it."""
    mean = np.zeros(codes.shape[1])
    for first in range(0, len(codes), BLOCK_ROWS):
        mean += codes[first : first + BLOCK_ROWS].sum(axis=0, dtype=np.float64)
    mean /= len(codes)
    lengths = [
        np.linalg.norm(codes[first : first + BLOCK_ROWS] - mean, axis=1).sum()
        for first in range(0, len(codes), BLOCK_ROWS)
    ]
    length = float(np.sum(lengths)) / len(codes)
    if not length > 0:
        raise CodesError("codes are all the same: there is nothing to cut apart")
    return mean, length
