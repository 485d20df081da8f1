"""Codes that several benchmarks share: real pixels, simulated NIH codes, codes of our own encoder, codes of any size.

    d1  Fashion-MNIST, training images: 60,000 x 784 pixels (Debian package dataset-fashion-mnist)
    d2  codes simulated from the real NIH labels, patients and views: 112,120 x 1024 (`simulated_codes`)
    d3  codes of our own DenseNet-121 on real films (Kermany's), replicated with noise: 50,000 x 1024

None is scaled to unit length. d2 and d3 are kept as .npy in the work folder.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
from record import WORK, kept
from simulated_codes import N_FILMS, simulate

FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
INDEX = WORK / "kermany" / "index-test"
CODES = WORK / "codes"
SIZES = {"d1": 60_000, "d2": N_FILMS, "d3": 50_000}
TITLES = {
    "d1": "Fashion-MNIST, pixels (d1)",
    "d2": "codes simulated from the real NIH labels (d2)",
    "d3": "codes of our encoder on Kermany's films, replicated with noise (d3)",
}
NOISE = 0.5
"""Length of the noise of d3, in distances of a film to its nearest film."""
LATENT, HIDDEN, GROUPS, BLOCK = 40, 512, 200, 65_536


def codes_of(name: str, n: int | None = None, *, work: Path = CODES, index: Path = INDEX) -> np.ndarray:
    """The first n codes of d1, d2 or d3 (all of them by default), float32 (n, d), in memory."""
    n = SIZES[name] if n is None else n
    if n > SIZES[name]:
        raise SystemExit(f"{name} has {SIZES[name]} codes, {n} were asked for")
    if name == "d1":
        return fashion_mnist()[:n]
    if name == "d2":
        return kept(work / f"simulated-{n}.npy", lambda: simulate(n).codes)
    films = codes_of_films(index)
    digest = hashlib.sha256(np.ascontiguousarray(films)).hexdigest()[:12]  # another training makes other codes
    return kept(work / f"replicated-{digest}-{n}.npy", lambda: replicated(films, n))


def fashion_mnist() -> np.ndarray:
    """Pixels of the 60,000 training images of Fashion-MNIST, float32 (60000, 784), 0 to 255."""
    if not FASHION.exists():
        raise SystemExit("d1 needs the Debian package dataset-fashion-mnist")
    with gzip.open(FASHION) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


def codes_of_films(index: Path = INDEX) -> np.ndarray:
    """Codes of the films of an index that `real_films.py` built, float32 (n, d)."""
    import graphret

    if not (index / "CURRENT").exists():
        raise SystemExit("d3 needs the index of real films: python benchmarks/real_films.py kermany --epochs 10")
    return np.array(graphret.open(index).codes)


def replicated(films: np.ndarray, n: int, *, noise: float = NOISE, seed: int = 0) -> np.ndarray:
    """Draw n films with replacement and add noise to each; float32 (n, d), never below 0.

    The noise is Gaussian, the same in every direction, and as long as ``noise`` times the distance of the film to its
    nearest other film (Euclidean, between codes as they are). Negative values become 0, as the encoder's last ReLU
    leaves none. So two copies of a film lie about as far apart as two similar films, a copy's neighbours are copies of its
    film and of those around it, and the noise gives the codes all dimensions, which an exact method has to pay for. A
    film that occurs twice in the archive has distance 0 to its nearest, and its copies are equal to the bit: ties.
    """
    generator = np.random.default_rng([seed, 1])
    chosen = generator.integers(len(films), size=n)
    scale = noise * _distances_to_nearest(films) / np.sqrt(films.shape[1])
    out = np.empty((n, films.shape[1]), dtype=np.float32)
    for first in range(0, n, 8192):
        rows = chosen[first : first + 8192]
        drawn = generator.standard_normal((len(rows), films.shape[1]), dtype=np.float32)
        out[first : first + 8192] = np.maximum(films[rows] + drawn * scale[rows, None].astype(np.float32), 0.0)
    return out


def generated(n: int, n_dimensions: int, *, seed: int = 0) -> np.ndarray:
    """Codes of any size without any file: a group's centre plus noise in R^40, through a random ReLU network.

    200 groups; the network is 40 -> 512 -> d as in `simulated_codes`. The first n codes are the same whatever n is.
    """
    generator = np.random.default_rng([seed, 0, n_dimensions])
    centres = 1.5 * generator.standard_normal((GROUPS, LATENT)).astype(np.float32)
    first = (generator.standard_normal((LATENT, HIDDEN)) / np.sqrt(LATENT)).astype(np.float32)
    second = (generator.standard_normal((HIDDEN, n_dimensions)) / np.sqrt(HIDDEN)).astype(np.float32)
    bias = (0.2 * generator.standard_normal(n_dimensions) - 0.3).astype(np.float32)
    codes = np.empty((n, n_dimensions), dtype=np.float32)
    for number, start in enumerate(range(0, n, BLOCK)):
        block = np.random.default_rng([seed, 1, number])
        z = centres[block.integers(GROUPS, size=BLOCK)] + block.standard_normal((BLOCK, LATENT), dtype=np.float32)
        z = z[: n - start]
        np.maximum(np.maximum(z @ first, 0.0) @ second + bias, 0.0, out=codes[start : start + BLOCK])
    return codes


def unit_rows(codes: np.ndarray) -> np.ndarray:
    """Every row divided by its length, float32 (n, d), a new array."""
    lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float64))
    return codes * (1.0 / lengths).astype(np.float32)[:, None]


def _distances_to_nearest(films: np.ndarray) -> np.ndarray:
    """Euclidean distance of every row to the nearest other row, float64 (n,)."""
    exact = films.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    out = np.empty(len(films))
    for first in range(0, len(films), 1024):
        last = min(first + 1024, len(films))
        distances = squares[first:last, None] + squares[None, :] - 2.0 * (exact[first:last] @ exact.T)
        distances[np.arange(last - first), np.arange(first, last)] = np.inf
        out[first:last] = np.sqrt(np.maximum(distances.min(axis=1), 0.0))
    return out
