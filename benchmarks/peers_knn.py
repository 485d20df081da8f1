"""kNN tables by other libraries: one adapter a library, and the settings of each that are tried.

Every adapter takes unit rows float32 (n, d) in memory, k, and a number of threads, and returns ids (n, k) and cosines
(n, k) of all rows, without the row itself. Those that search an index ask for k + 1 and drop the row itself. Faiss's PCA
centres, which makes its inner products wrong: behind a PCA, L2 distances of unit vectors are searched instead.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TypeAlias

import numpy as np

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]
Method: TypeAlias = Callable[[np.ndarray, int, int], Pair]
"""(unit rows, k, threads) -> (ids (n, k), cosines (n, k))."""
PACKAGES = ("faiss-cpu", "faiss-gpu", "pynndescent", "hnswlib", "usearch")


def without_self(ids: np.ndarray, similarities: np.ndarray) -> Pair:
    """Drop every row's own id, or the last entry of a row that does not hold it; (n, k + 1) -> (n, k)."""
    n, width = ids.shape
    keep = ids != np.arange(n)[:, None]
    keep[keep.all(axis=1), -1] = False
    # A row may come twice under its own id only from a broken index: then its row is too short to be a table.
    if keep.sum() != n * (width - 1):
        raise ValueError("a row was found twice as its own neighbour")
    return ids[keep].reshape(n, width - 1), similarities[keep].reshape(n, width - 1)


def from_squares(squares: np.ndarray) -> np.ndarray:
    """Cosines of unit vectors from their squared distances."""
    return 1.0 - 0.5 * squares


def faiss_flat(unit: np.ndarray, k: int, threads: int) -> Pair:
    """Faiss IndexFlatIP: every product, exact."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    similarities, ids = index.search(unit, k + 1)
    return without_self(ids, similarities)


def faiss_factory(text: str, *, euclidean: bool = False, **settings: float) -> Method:
    """Make a method of an index that Faiss's factory names, with search settings as its ParameterSpace names them."""

    def run(unit: np.ndarray, k: int, threads: int) -> Pair:
        import faiss

        faiss.omp_set_num_threads(threads)
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(unit.shape[1], text, metric)
        index.train(unit)
        index.add(unit)
        for name, value in settings.items():
            faiss.ParameterSpace().set_index_parameter(index, name, value)
        scores, ids = index.search(unit, k + 1)
        return without_self(ids, from_squares(scores) if euclidean else scores)

    return run


def faiss_nn_descent(n_links: int, **settings: int) -> Method:
    """Make a method that reads the graph of Faiss's NN-descent itself, which is in no need of a search."""

    def run(unit: np.ndarray, k: int, threads: int) -> Pair:
        import faiss

        faiss.omp_set_num_threads(threads)
        index = faiss.IndexNNDescentFlat(unit.shape[1], n_links, faiss.METRIC_L2)
        for name, value in settings.items():
            setattr(index.nndescent, name, value)
        index.add(unit)
        links = faiss.vector_to_array(index.nndescent.final_graph).reshape(len(unit), n_links)  # nearest first
        ids = np.ascontiguousarray(links[:, :k], dtype=np.int64)
        similarities = np.empty(ids.shape, dtype=np.float32)
        pointer = faiss.swig_ptr
        faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]
            pointer(similarities), pointer(unit), pointer(unit), pointer(ids), unit.shape[1], len(unit), k
        )
        return ids, similarities

    return run


def py_nn_descent(n_neighbors: int, metric: str) -> Method:
    """Make a method of pynndescent's neighbour graph; numba compiles before the time is taken, on a few rows."""

    def run(unit: np.ndarray, k: int, threads: int) -> Pair:
        from pynndescent import NNDescent

        found = NNDescent(unit, metric=metric, n_neighbors=n_neighbors, random_state=0, n_jobs=threads)
        ids, distances = (part[:, : k + 1] for part in found.neighbor_graph)
        return without_self(ids, from_squares(distances**2) if metric == "euclidean" else 1.0 - distances)

    return run


def hnswlib_index(links: int, ef_construction: int, ef: int) -> Method:
    """Make a method of hnswlib's index."""

    def run(unit: np.ndarray, k: int, threads: int) -> Pair:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=unit.shape[1])
        index.init_index(max_elements=len(unit), M=links, ef_construction=ef_construction, random_seed=0)
        index.set_num_threads(threads)
        index.add_items(unit, num_threads=threads)
        index.set_ef(ef)
        ids, distances = index.knn_query(unit, k=k + 1, num_threads=threads)
        return without_self(ids.astype(np.int64), 1.0 - distances)

    return run


def usearch_index(dtype: str, links: int, expansion: int) -> Method:
    """Make a method of usearch's index, its vectors kept as ``dtype``."""

    def run(unit: np.ndarray, k: int, threads: int) -> Pair:
        from usearch.index import Index

        n, n_dimensions = unit.shape
        options = {"connectivity": links, "expansion_add": expansion, "expansion_search": expansion}
        index = Index(ndim=n_dimensions, metric="ip", dtype=dtype, **options)
        index.add(np.arange(n), unit, threads=threads)
        found = index.search(unit, k + 1, threads=threads)
        missing = np.arange(k + 1)[None, :] >= np.asarray(found.counts)[:, None]
        ids = np.where(missing, -1, np.asarray(found.keys).astype(np.int64))
        return without_self(ids, 1.0 - np.asarray(found.distances))

    return run


def _settings() -> dict[str, Method]:
    methods: dict[str, Method] = {"faiss-flat": faiss_flat}
    for cells, probes in ((256, (8, 16, 32)), (512, (8, 16, 32))):
        for nprobe in probes:
            methods[f"faiss-ivf{cells}-nprobe{nprobe}"] = faiss_factory(f"IVF{cells},Flat", nprobe=nprobe)
    for kept in (64, 96, 128):
        for factor in (2, 4):
            name = f"faiss-pca{kept}-flat-refine{factor}"
            methods[name] = faiss_factory(f"PCA{kept},Flat,RFlat", euclidean=True, k_factor_rf=factor)
    for nprobe in (16, 24, 32):
        name, text = f"faiss-pca64-ivf256-nprobe{nprobe}-refine4", "PCA64,IVF256,Flat,RFlat"
        methods[name] = faiss_factory(text, euclidean=True, nprobe=nprobe, k_factor_rf=4)
    for ef in (64, 128):
        methods[f"faiss-hnsw32-ef{ef}"] = faiss_factory("HNSW32,Flat", efSearch=ef)
    for n_links in (64, 96):
        methods[f"faiss-nndescent-{n_links}"] = faiss_nn_descent(n_links)
    for n_neighbors, metric in ((51, "cosine"), (51, "euclidean"), (60, "euclidean")):
        methods[f"pynndescent-{n_neighbors}-{metric}"] = py_nn_descent(n_neighbors, metric)
    for links, ef_construction, ef in ((16, 100, 100), (32, 200, 100)):
        methods[f"hnswlib-m{links}-ef{ef}"] = hnswlib_index(links, ef_construction, ef)
    for dtype, links, expansion in (("bf16", 16, 64), ("bf16", 16, 128), ("bf16", 32, 128), ("f32", 16, 128)):
        methods[f"usearch-{dtype}-m{links}-ef{expansion}"] = usearch_index(dtype, links, expansion)
    return methods


PEERS = _settings()
BRUTE_FORCE = "faiss-flat"


def peer_versions() -> dict[str, str]:
    """Say the versions of the peers that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
