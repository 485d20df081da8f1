"""Indexes of other libraries, asked one query at a time: made once into a file of the work folder, then only read."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

LINKS, EF_CONSTRUCTION = 32, 200


class Peer(Protocol):
    """An index over unit rows."""

    def __init__(self, file: Path, n: int, d: int) -> None:
        """Read what `build` wrote."""

    @staticmethod
    def build(unit: np.ndarray, file: Path) -> None:
        """Index unit rows float32 (n, d) and write the file."""

    def set_ef(self, ef: int) -> None:
        """Take this many candidates."""

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Ids int (q, k), best first, by one thread."""
        ...


class FaissHnsw:
    """faiss.IndexHNSWFlat, inner product."""

    package, title = "faiss", "Faiss HNSW (M 32)"

    def __init__(self, file: Path, n: int, d: int) -> None:  # noqa: ARG002 - the file says them
        import faiss

        self.index = faiss.read_index(str(file))

    @staticmethod
    def build(unit: np.ndarray, file: Path) -> None:
        import faiss

        index = faiss.IndexHNSWFlat(unit.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        index.add(unit)
        faiss.write_index(index, str(file))

    def set_ef(self, ef: int) -> None:
        self.index.hnsw.efSearch = ef  # type: ignore[attr-defined]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1]


class Hnswlib:
    """hnswlib.Index, space "ip"."""

    package, title = "hnswlib", "hnswlib (M 32)"

    def __init__(self, file: Path, n: int, d: int) -> None:
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=d)
        self.index.load_index(str(file), max_elements=n)

    @staticmethod
    def build(unit: np.ndarray, file: Path) -> None:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=unit.shape[1])
        index.init_index(max_elements=len(unit), M=LINKS, ef_construction=EF_CONSTRUCTION, random_seed=0)
        index.add_items(unit)
        index.save_index(str(file))

    def set_ef(self, ef: int) -> None:
        self.index.set_ef(ef)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.knn_query(queries, k=k, num_threads=1)[0].astype(np.int64)


class Usearch:
    """usearch.Index, metric "ip", vectors as float32."""

    package, title = "usearch", "usearch (float32, connectivity 32)"

    def __init__(self, file: Path, n: int, d: int) -> None:  # noqa: ARG002 - the file says n
        self.index = self._empty(d)
        self.index.load(str(file))

    @staticmethod
    def _empty(d: int) -> Any:
        from usearch.index import Index

        return Index(ndim=d, metric="ip", dtype="f32", connectivity=LINKS, expansion_add=EF_CONSTRUCTION)

    @staticmethod
    def build(unit: np.ndarray, file: Path) -> None:
        index = Usearch._empty(unit.shape[1])
        index.add(np.arange(len(unit)), unit)
        index.save(str(file))

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
