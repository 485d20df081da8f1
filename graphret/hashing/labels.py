"""Which pairs of films are similar, dissimilar, or not known to be either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret._labels import read_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float32Array, Int64Array

__all__ = ["PairLabels", "PairSampler"]


class PairLabels:
    """Similarity of films by their labels: +1 they share a positive one, -1 they certainly share none, 0 unknown.

    A label that is unknown (-1) can be shared with a film where it is positive or unknown too; such a pair is unknown
    unless the two share another label.

    Parameters
    ----------
    labels
        Bool or int8 (n, L), values 1, 0, -1; or int (n,), a class >= 0 for every film, -1 unknown; or any other form
        that `graphret.build` takes, where a film without a label has none for certain.
    n_films
        n, which the labels must have.

    Raises
    ------
    InvalidParameterError
        Another shape, other values, or no two films that are known to be similar, or to be dissimilar.

    Examples
    --------
    >>> PairLabels([[1, 0], [1, 1], [0, 1], [0, -1]], 4).signs(np.arange(4), np.arange(4)).astype(int).tolist()
    [[1, 1, -1, -1], [1, 1, 1, 0], [-1, 1, 1, 0], [-1, 0, 0, 0]]
    """

    def __init__(self, labels: Any, n_films: int) -> None:
        array = _as_numbers(labels)
        if array.shape[:1] != (n_films,) or array.ndim > 2 or array.dtype.kind not in "biu":
            raise InvalidParameterError(
                "labels",
                f"{array.dtype} {array.shape}",
                f"bool or int8 ({n_films}, L) of 1, 0, -1, or int ({n_films},), one class a film",
            )
        if array.ndim == 2:
            if array.size and (array.min() < -1 or array.max() > 1):
                wrong = array[(array < -1) | (array > 1)][0]
                raise InvalidParameterError("labels", int(wrong), "1 positive, 0 negative, -1 unknown")
            self.positive: BoolArray = array == 1
            self.possible: BoolArray = array != 0
        else:
            if array.dtype.kind == "b" or (array.size and array.min() < -1):
                raise InvalidParameterError("labels", array.dtype.name, "classes >= 0, -1 where unknown")
            classes = np.unique(array[array >= 0])
            self.positive = array[:, None] == classes
            self.possible = self.positive | (array[:, None] < 0)

    def known_rows(self) -> Int64Array:
        """Films with a label that is known to be positive or negative."""
        return np.flatnonzero((self.positive | ~self.possible).any(axis=1))

    def signs(self, rows: Int64Array, columns: Int64Array) -> Float32Array:
        """Similarity of every film of ``rows`` with every one of ``columns``, float32; O(rows columns L)."""
        shared = self.positive[rows].astype(np.float32) @ self.positive[columns].T.astype(np.float32)
        maybe = self.possible[rows].astype(np.float32) @ self.possible[columns].T.astype(np.float32)
        return np.where(shared > 0, np.float32(1), np.where(maybe > 0, np.float32(0), np.float32(-1)))

    def sign_of_pairs(self, first: Int64Array, second: Int64Array) -> NDArray[np.int8]:
        """Similarity of given pairs, int8 (p,); O(p L)."""
        shared = (self.positive[first] & self.positive[second]).any(axis=1)
        maybe = (self.possible[first] & self.possible[second]).any(axis=1)
        return np.where(shared, 1, np.where(maybe, 0, -1)).astype(np.int8)

    def sample(self, size: int, generator: np.random.Generator) -> tuple[Int64Array, Float32Array]:
        """Draw at most ``size`` films with known labels, and return them with their similarities (size, size).

        Raises
        ------
        InvalidParameterError
            Not both similar and dissimilar pairs among them: nothing can be learnt from such labels.
        """
        known = self.known_rows()
        rows = np.sort(generator.choice(known, size=min(size, known.size), replace=False)) if known.size else known
        signs = self.signs(rows, rows)
        np.fill_diagonal(signs, 0.0)
        if not ((signs > 0).any() and (signs < 0).any()):
            raise InvalidParameterError(
                "labels", f"{known.size} labelled films", "labels with similar and dissimilar pairs of films"
            )
        np.fill_diagonal(signs, 1.0)
        return rows, signs


def _as_numbers(labels: Any) -> NDArray[Any]:
    try:
        array = np.asarray(labels)
    except ValueError:  # lists of different lengths
        return read_labels(labels).matrix
    return array if array.dtype.kind in "biu" else read_labels(labels).matrix


class PairSampler:
    """Draws pairs of films of which half are similar and half dissimilar, as far as the labels know them.

    A similar pair is a film, one of its positive labels, and another film that has it. O(p L) a draw of p pairs.
    """

    def __init__(self, labels: PairLabels) -> None:
        self.labels = labels
        self.films, self.label_of = np.nonzero(labels.positive)  # (film, label) entries, sorted by film
        by_label = np.argsort(self.label_of, kind="stable")
        self.film_by_label = self.films[by_label]
        self.starts = np.searchsorted(self.label_of[by_label], np.arange(labels.positive.shape[1] + 1))

    def draw(self, n_pairs: int, generator: np.random.Generator) -> tuple[Int64Array, Int64Array, NDArray[np.int8]]:
        """Return (first, second, similarity) of n_pairs pairs; fewer where a draw met itself or an unknown pair."""
        n_similar = n_pairs // 2
        entries = generator.integers(self.films.size, size=n_similar)
        label = self.label_of[entries]
        low, high = self.starts[label], self.starts[label + 1]
        partner = self.film_by_label[low + (generator.random(n_similar) * (high - low)).astype(np.int64)]
        n_films = len(self.labels.positive)
        strangers = generator.integers(n_films, size=(2, 4 * (n_pairs - n_similar)))
        # of four times as many random pairs the first dissimilar ones are kept: common labels make few of them
        apart = np.flatnonzero(self.labels.sign_of_pairs(*strangers) < 0)[: n_pairs - n_similar]
        first = np.concatenate([self.films[entries], strangers[0, apart]])
        second = np.concatenate([partner, strangers[1, apart]])
        kept = first != second
        first, second = first[kept], second[kept]
        return first, second, self.labels.sign_of_pairs(first, second)
