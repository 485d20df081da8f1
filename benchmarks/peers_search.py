"""Indexes of other libraries, asked one query at a time: made once and kept in the work folder, ef chosen by the caller."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

LINKS, EF_CONSTRUCTION = 32, 200


class Peer(Protocol):
    """An index over unit rows."""

    def set_ef(self, ef: int) -> None: ...
    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Ids int (q, k), best first, by one thread."""
        ...


class FaissHnsw:
    """faiss.IndexHNSWFlat, inner product."""

    package, title = "faiss", "Faiss HNSW (M 32)"

    def __init__(self, unit: np.ndarray, file: Path) -> None:
        import faiss

        if not file.exists():
            index = faiss.IndexHNSWFlat(unit.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = EF_CONSTRUCTION
            index.add(unit)
            faiss.write_index(index, str(file))
        self.index = faiss.read_index(str(file))

    def set_ef(self, ef: int) -> None:
        self.index.hnsw.efSearch = ef

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        import faiss

        faiss.omp_set_num_threads(1)
        return self.index.search(queries, k)[1]


class Hnswlib:
    """hnswlib.Index, space "ip"."""

    package, title = "hnswlib", "hnswlib (M 32)"

    def __init__(self, unit: np.ndarray, file: Path) -> None:
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=unit.shape[1])
        if file.exists():
            self.index.load_index(str(file), max_elements=len(unit))
        else:
            self.index.init_index(max_elements=len(unit), M=LINKS, ef_construction=EF_CONSTRUCTION, random_seed=0)
            self.index.add_items(unit)
            self.index.save_index(str(file))

    def set_ef(self, ef: int) -> None:
        self.index.set_ef(ef)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.knn_query(queries, k=k, num_threads=1)[0]


class Usearch:
    """usearch.Index, metric "ip", vectors as float32."""

    package, title = "usearch", "usearch (float32, connectivity 32)"

    def __init__(self, unit: np.ndarray, file: Path) -> None:
        from usearch.index import Index

        options = {"connectivity": LINKS, "expansion_add": EF_CONSTRUCTION}
        self.index = Index(ndim=unit.shape[1], metric="ip", dtype="f32", **options)
        if file.exists():
            self.index.load(str(file))
        else:
            self.index.add(np.arange(len(unit)), unit)
            self.index.save(str(file))

    def set_ef(self, ef: int) -> None:
        self.index.expansion_search = ef

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = np.asarray(self.index.search(queries, k, threads=1).keys)
        return found.reshape(len(queries), k).astype(np.int64)


PEERS: dict[str, Any] = {"faiss-hnsw": FaissHnsw, "hnswlib": Hnswlib, "usearch": Usearch}


def installed(peer: Any) -> bool:
    """Whether the library of a peer is there."""
    return importlib.util.find_spec(peer.package) is not None


class FaissFlat:
    """faiss.IndexFlatIP: exhaustive, in batches."""

    title = "Faiss IndexFlatIP"

    def __init__(self, unit: np.ndarray) -> None:
        import faiss

        self.index = faiss.IndexFlatIP(unit.shape[1])
        self.index.add(unit)

    def search(self, queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        import faiss

        faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k)[1]
