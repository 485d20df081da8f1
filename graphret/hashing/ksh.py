"""Supervised hashing with kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import CodesError
from graphret.hashing.base import Hasher
from graphret.hashing.labels import PairLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes, Float32Array, Float64Array

__all__ = ["KSH"]

RIDGE = 1e-6
"""Share of the mean eigenvalue of K'K that is added to it: anchors that are alike make it singular."""


class KSH(Hasher):
    """Hash by sums of kernels whose bits' inner products approach the similarities of labelled pairs.

    Liu, Wang, Ji, Jiang and Chang, Supervised hashing with kernels, CVPR 2012. For m anchors drawn from the codes,

        k(x) = (exp(-|x - x_j|^2 / 2 s) - mu_j)_j,    h_i(x) = sign(k(x) . a_i),

    and for l labelled films with kernels K (l, m) and similarities S, the vectors a_1 ... a_b minimise ``|1/b sum_i h_i
    h_i' - S|^2`` one after the other: with the residue ``R = b S - sum_{t < i} h_t h_t'``, a_i maximises ``h_i' R
    h_i``. First without signs, as the leading solution of ``K' R K a = c K' K a`` with ``|K a|^2 = l``; from there by
    the gradient of ``phi(K a)' R phi(K a)``, ``phi(t) = 2 / (1 + exp(-t)) - 1``. Of the two, the one with the larger
    ``h' R h`` is kept.

    Parameters
    ----------
    n_bits
        Any number.
    seed
        Of anchors and labelled films.
    n_anchors
        m, at most as many as there are codes are taken (300 in the paper).
    n_labeled
        l (1,000 in the paper).
    n_iterations
        Steps of the gradient at most, for every bit; 0 keeps the solution without signs.
    width
        s in mean squared distances between labelled films and anchors (1, as in the authors' code).

    Attributes
    ----------
    losses
        float64 (n_bits + 1,): ``|1/b sum h h' - S|^2 / l^2`` before the first bit and after each.

    Notes
    -----
    Departures: L-BFGS instead of Nesterov's method, so that there is no step size; a ridge of 1e-6 of its mean
    eigenvalue on K'K; pairs that are not known weigh nothing (their entries of R stay 0), where the paper pulls
    their inner products to 0. The mean mu is that of the labelled films. ``fit`` is O(n_bits (n_iterations l (l + m) +
    l^2 m + m^3)); encoding is two products, n d m and n m n_bits, and n m exponentials. Faiss does not have it.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels = generator.integers(0, 3, 150)
    >>> codes = (np.eye(8)[labels] + 0.3 * generator.normal(size=(150, 8))).astype(np.float32)
    >>> KSH(12, n_anchors=20).fit(codes, labels).transform(codes).shape
    (150, 2)
    """

    name: ClassVar[str] = "ksh"
    paper: ClassVar[str] = "Liu, Wang, Ji, Jiang, Chang, CVPR 2012"
    needs_labels: ClassVar[bool] = True

    def __init__(
        self,
        n_bits: int,
        *,
        seed: int = 0,
        n_anchors: int = 300,
        n_labeled: int = 1000,
        n_iterations: int = 30,
        width: float = 1.0,
    ) -> None:
        self.n_anchors = check_integer("n_anchors", n_anchors, 1)
        self.n_labeled = check_integer("n_labeled", n_labeled, 2)
        self.n_iterations = check_integer("n_iterations", n_iterations, 0)
        self.width = check_number("width", width, above=0)
        super().__init__(
            n_bits,
            seed=seed,
            n_anchors=self.n_anchors,
            n_labeled=self.n_labeled,
            n_iterations=self.n_iterations,
            width=self.width,
        )

    @property
    def losses(self) -> Float64Array:
        """``|1/b sum h h' - S|^2 / l^2`` before the first bit and after each."""
        return self._array("losses")

    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:
        generator = np.random.default_rng(self.seed)
        rows, signs = PairLabels(labels, len(codes)).sample(self.n_labeled, generator)
        chosen = np.sort(generator.choice(len(codes), size=min(self.n_anchors, len(codes)), replace=False))
        sample = np.asarray(codes[rows], np.float64)
        # where the origin is does not matter to distances, but to their rounding: their mean is near to all
        origin = np.asarray(codes[chosen], np.float64).mean(axis=0)
        anchors = np.asarray(codes[chosen], np.float64) - origin
        squares = np.einsum("ij,ij->i", anchors, anchors)
        distances = squares - 2.0 * (sample - origin) @ anchors.T
        distances += np.einsum("ij,ij->i", sample - origin, sample - origin)[:, None]
        scale = self.width * float(np.maximum(distances, 0.0).mean())
        if not scale > 0:
            raise CodesError("codes are all the same: a kernel needs distances between them")
        kernels = np.exp(-np.maximum(distances, 0.0) / (2.0 * scale))
        means = kernels.mean(axis=0)
        coefficients, losses = _greedy(kernels - means, signs.astype(np.float64), self.n_bits, self.n_iterations)
        # the exponent is x . anchor / s - |anchor|^2 / 2 s - |x|^2 / 2 s, all about the origin
        return {
            "origin": origin.astype(np.float32),
            "anchors": np.ascontiguousarray((anchors / scale).T, np.float32),
            "anchor_offsets": (-squares / (2.0 * scale)).astype(np.float32),
            "scale": np.array(scale),
            "coefficients": coefficients.astype(np.float32),
            "offsets": (-(means @ coefficients)).astype(np.float32),
            "losses": losses,
        }

    def _project_rows(self, codes: Codes) -> Float32Array:
        moved = codes - self._array("origin")
        kernels: Float32Array = moved @ self._array("anchors")
        kernels += self._array("anchor_offsets")
        kernels -= (np.einsum("ij,ij->i", moved, moved) / np.float32(2.0 * self._array("scale")))[:, None]
        np.minimum(kernels, np.float32(0), out=kernels)  # a distance is not negative, its rounding may be
        np.exp(kernels, out=kernels)
        values: Float32Array = kernels @ self._array("coefficients")
        values += self._array("offsets")
        return values


def _greedy(
    kernels: Float64Array, signs: Float64Array, n_bits: int, n_iterations: int
) -> tuple[Float64Array, Float64Array]:
    """Coefficients (m, n_bits) one bit after the other, and the loss before and after each."""
    from scipy.linalg import eigh
    from scipy.optimize import minimize

    size, n_anchors = kernels.shape
    known = signs != 0
    gram = kernels.T @ kernels
    ridge = RIDGE * np.trace(gram) / n_anchors
    ridged = gram + ridge * np.eye(n_anchors)
    residue = n_bits * signs
    coefficients = np.empty((n_anchors, n_bits))
    losses = [np.square(residue / n_bits).sum() / size**2]

    def smooth(a: Float64Array) -> tuple[float, Float64Array]:
        bits = np.tanh(0.5 * (kernels @ a))  # phi
        pulled = residue @ bits
        # scaled so that the stopping rule of L-BFGS does not depend on the number of films or bits
        unit = size**2 * n_bits
        return -float(bits @ pulled) / unit, -(kernels.T @ (pulled * (1.0 - bits**2))) / unit

    for bit in range(n_bits):
        start = eigh(kernels.T @ residue @ kernels, ridged, subset_by_index=[n_anchors - 1, n_anchors - 1])[1][:, 0]
        start *= np.sqrt(size / max(float(start @ gram @ start), np.finfo(np.float64).tiny))
        found = [start]
        if n_iterations:
            found.append(minimize(smooth, start, jac=True, method="L-BFGS-B", options={"maxiter": n_iterations}).x)
        cuts = [np.where(kernels @ a >= 0, 1.0, -1.0) for a in found]
        best = int(np.argmax([cut @ residue @ cut for cut in cuts]))
        coefficients[:, bit] = found[best]
        residue = residue - np.where(known, np.outer(cuts[best], cuts[best]), 0.0)
        losses.append(np.square(residue / n_bits).sum() / size**2)
    return coefficients, np.array(losses)
