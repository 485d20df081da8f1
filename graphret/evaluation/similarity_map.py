"""Where two films are similar: how much every place of each adds to the cosine of their codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphret._checks import unit_rows
from graphret._errors import EncoderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Float64Array
    from graphret.encoders import Encoder

__all__ = ["SimilarityMaps", "similarity_maps"]

_GRID = 7


class SimilarityMaps(NamedTuple):
    """What every place of two films has to do with their similarity.

    Parameters
    ----------
    first, second
        float64 (h, w), a grid over the whole of each film.
    kind
        "positions": the entries of each map sum to the cosine of the two codes. "attention": where the network looks,
        in [0, 1], whatever the other film is. "occlusion": how much the cosine falls when the place is covered with the
        mean grey of the film.
    """

    first: Float64Array
    second: Float64Array
    kind: str


def similarity_maps(encoder: Encoder, first: Float32Array, second: Float32Array) -> SimilarityMaps:
    """Say which places of two films make them similar to an encoder.

    A code that is the mean of features at all positions (DenseNet-121, ResNet-18) is taken apart: with features f_p of
    one film and the code c of the other, place p adds f_p . c / (P |f| |c|), which sums to the cosine (as class
    activation maps do for a class, Zhou et al. 2016). Networks with a spatial attention show that. Of any other, places
    are covered one after the other.

    Parameters
    ----------
    encoder
        Of both films.
    first, second
        float32 (size, size), of `Encoder.prepare`.

    Returns
    -------
    SimilarityMaps
        A map of each film, and what its entries mean.

    Raises
    ------
    InvalidParameterError
        Images of another shape or dtype.

    Notes
    -----
    One pass of the network; 100 where places are covered.

    Examples
    --------
    >>> from graphret.encoders import Encoder
    >>> encoder = Encoder.untrained("resnet18", ("Mass",), 32, 0)
    >>> films = np.random.default_rng(0).random((2, 32, 32), dtype=np.float32)
    >>> maps = similarity_maps(encoder, *films)
    >>> codes = unit_rows(encoder.encode(films))
    >>> maps.kind, bool(np.isclose(maps.first.sum(), codes[0] @ codes[1], atol=1e-4))
    ('positions', True)
    """
    images = np.stack([first, second])
    features = encoder.position_features(images)
    if features is not None:
        places = features.astype(np.float64)
        codes = places.mean(axis=(2, 3))
        scale = places[0, 0].size * max(float(np.linalg.norm(codes[0]) * np.linalg.norm(codes[1])), 1e-30)
        found = [np.einsum("dhw,d->hw", places[row], codes[1 - row]) / scale for row in range(2)]
        return SimilarityMaps(found[0], found[1], "positions")
    try:
        looked = encoder.saliency(images).astype(np.float64)
    except EncoderError:
        codes32 = encoder.encode(images)
        return SimilarityMaps(
            _covered(encoder, first, codes32[0], codes32[1]),
            _covered(encoder, second, codes32[1], codes32[0]),
            "occlusion",
        )
    return SimilarityMaps(looked[0], looked[1], "attention")


def _covered(encoder: Encoder, image: Float32Array, own: Float32Array, other: Float32Array) -> Float64Array:
    """How much the cosine to the other code falls when each place is covered."""
    edges = np.linspace(0, len(image), _GRID + 1).round().astype(int)
    covered: NDArray[np.float32] = np.repeat(image[None], _GRID * _GRID, axis=0)
    for place in range(_GRID * _GRID):
        row, column = divmod(place, _GRID)
        covered[place, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = image.mean()
    target = unit_rows(other[None])[0].astype(np.float64)
    cosines = unit_rows(np.vstack([own[None], encoder.encode(covered)])).astype(np.float64) @ target
    falls: Float64Array = (cosines[0] - cosines[1:]).reshape(_GRID, _GRID)
    return falls
