"""The archives that `queries.py` asks, and what is kept of each in the work folder: index, queries, truth, peers."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_codes import FASHION, codes_of, generated, unit_rows
from peers_search import PEERS, Peer
from record import kept, say
from simulated_codes import simulate

HITS, EDGES, ENOUGH = 10, 50, 0.99
EFS = (10, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 256, 288, 320, 384, 448, 512, 768, 1024)
CHOSEN_BY = 0.5
"""Share of the queries that choose a peer's ef; its recall is that of the others."""


@dataclass(frozen=True)
class Archive:
    """Codes and queries of a data set, and where what is made of them is kept.

    Parameters
    ----------
    data
        "d1", "d2", or "generated".
    n, d
        Films, dimensions.
    n_queries
        Queries; none of them is in the archive.
    work
        Folder.
    threads
        Of what is made.
    """

    data: str
    n: int
    d: int
    n_queries: int
    work: str
    threads: int = 2

    @property
    def folder(self) -> Path:
        """Of our index."""
        return Path(self.work) / f"{self.data}-{self.n}-{self.d}-{EDGES}"

    def file(self, suffix: str) -> Path:
        """Of something else that is made of the same codes."""
        return self.folder.with_name(f"{self.folder.name}.{suffix}")

    def codes(self) -> np.ndarray:
        """Codes of the films, float32 (n, d)."""
        return generated(self.n, self.d) if self.data == "generated" else codes_of(self.data, self.n)

    def queries(self) -> np.ndarray:
        """Codes of the queries, float32 (q, d)."""
        return kept(self.file(f"queries-{self.n_queries}.npy"), self._make_queries)

    def _make_queries(self) -> np.ndarray:
        if self.data == "d1":
            with gzip.open(FASHION.with_name("t10k-images-idx3-ubyte.gz")) as file:
                pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, self.d)
            return pixels[: self.n_queries].astype(np.float32)
        if self.data == "d2":
            return simulate(self.n_queries, exposure=1).codes
        return generated(self.n + self.n_queries, self.d)[self.n :]

    def truth(self) -> np.ndarray:
        """The 50 nearest films of every query by comparing it with every code, int32 (q, 50)."""
        return kept(self.file(f"truth-{self.n_queries}.npy"), self._make_truth)

    def _make_truth(self) -> np.ndarray:
        from graphret.neighbors import ExactSearch

        found = ExactSearch(self.codes()).search(self.queries(), EDGES, n_threads=self.threads)
        return found.neighbors

    def index(self) -> Any:
        """Our index, built where it is not there yet."""
        import graphret

        if not (self.folder / "CURRENT").exists():
            say(f"{self.folder.name}: building the index")
            graphret.build(self.codes(), out=self.folder, k=EDGES, n_threads=self.threads, method="auto")
        return graphret.open(self.folder)

    def peer(self, name: str) -> tuple[Peer, dict[str, Any]]:
        """A peer's index with its ef set, and what was found when that was chosen."""
        file, chosen = self.file(name), self.file(f"{name}-{self.n_queries}.json")
        if not file.exists():
            say(f"{self.folder.name}: building {name}")
            partial = file.with_name(f"partial-{file.name}")
            PEERS[name].build(unit_rows(self.codes()), partial)
            partial.replace(file)
        peer: Peer = PEERS[name](file, self.n, self.d)
        if not chosen.exists():
            say(f"{self.folder.name}: choosing the ef of {name}")
            chosen.write_text(json.dumps(choose_ef(peer, unit_rows(self.queries()), self.truth()[:, :HITS])))
        about: dict[str, Any] = json.loads(chosen.read_text(encoding="utf-8"))
        peer.set_ef(about["ef"])
        return peer, about


def choose_ef(peer: Peer, queries: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Find the smallest ef with enough recall on the first part of the queries; its recall there and on the others."""
    part = int(CHOSEN_BY * len(queries))

    def recall(ef: int, rows: slice) -> float:
        peer.set_ef(ef)
        return share_found(peer.search(queries[rows], HITS), truth[rows])

    low, high = 0, len(EFS) - 1
    while low < high:
        middle = (low + high) // 2
        if recall(EFS[middle], slice(0, part)) >= ENOUGH:
            high = middle
        else:
            low = middle + 1
    ef = EFS[low]
    return {"ef": ef, "validation_recall": recall(ef, slice(0, part)), "recall": recall(ef, slice(part, None))}


def share_found(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours that were found."""
    return float((truth[:, :, None] == found[:, None, :]).any(axis=2).mean())
