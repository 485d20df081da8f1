"""Codes in the plane, by t-SNE or UMAP: neighbours stay together, distances between groups say little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError, MissingDependencyError
from graphret.index import as_index
from graphret.plotting.groups import draw_points, groups_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import Float32Array, Float64Array
    from graphret.plotting.drawn import Plot

__all__ = ["tsne", "umap"]

_FEWEST = 5
_PERPLEXITY = 30.0
_NEIGHBORS = 15


def tsne(source: Any, *, colour: str = "community", n_films: int = 3000, seed: int = 0) -> Plot:
    """T-SNE of the codes at length one (van der Maaten and Hinton 2008); larger archives by a sample of films."""
    return _embedded("tsne", source, colour, n_films, seed, _tsne_places)


def umap(source: Any, *, colour: str = "community", n_films: int = 3000, seed: int = 0) -> Plot:
    """UMAP of the codes by cosine (McInnes et al. 2018), where umap-learn is installed; larger archives by a sample."""
    return _embedded("umap", source, colour, n_films, seed, _umap_places)


def _embedded(
    kind: str,
    source: Any,
    colour: str,
    n_films: int,
    seed: int,
    place: Callable[[Float32Array, int], tuple[Float64Array, str]],
) -> Plot:
    check_integer("n_films", n_films, _FEWEST)
    check_integer("seed", seed, 0)
    index = as_index(source)
    groups = groups_of(index, colour)
    n = len(index.films)
    if n < _FEWEST:
        raise InvalidParameterError("source", f"an index of {n} films", f"at least {_FEWEST} films")
    generator = np.random.default_rng(seed)
    chosen = np.arange(n) if n <= n_films else np.sort(generator.choice(n, n_films, replace=False))
    codes = np.asarray(index.codes[chosen], dtype=np.float32)
    places, words = place(codes / np.linalg.norm(codes, axis=1, keepdims=True), seed)
    sampled = (f"{len(chosen):,} of {n:,} films, drawn at random",) if len(chosen) < n else ()
    return draw_points(kind, chosen, places, groups, colour, (words, *sampled))


def _tsne_places(codes: Float32Array, seed: int) -> tuple[Float64Array, str]:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "", "t-SNE") from error
    perplexity = min(_PERPLEXITY, (len(codes) - 1) / 3)
    init = "pca" if codes.shape[1] > 1 else "random"
    places = TSNE(n_components=2, perplexity=perplexity, init=init, random_state=seed, n_jobs=1).fit_transform(codes)
    return np.asarray(places, dtype=np.float64), f"t-SNE, perplexity {perplexity:g}, seed {seed}"


def _umap_places(codes: Float32Array, seed: int) -> tuple[Float64Array, str]:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingDependencyError("umap-learn", "", "UMAP") from error
    neighbors = min(_NEIGHBORS, len(codes) - 1)
    places = UMAP(n_neighbors=neighbors, metric="cosine", random_state=seed, n_jobs=1).fit_transform(codes)
    return np.asarray(places, dtype=np.float64), f"UMAP, {neighbors} neighbours, seed {seed}"
