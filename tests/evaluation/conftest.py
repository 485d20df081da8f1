"""A small archive in memory with the face that `evaluate` needs of an index, searched by brute force."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphret.data import ImageTable, write_png
from graphret.index.tuned import TunedRankings
from graphret.retrieval import Nearest, RankingChoice
from graphret.retrieval.registry import RANKINGS

LABELS = ("Edema", "Mass", "Pleural_Thickening")


@dataclass
class BruteForceIndex:
    """Cosine by brute force, with the filters and exclusions of ``Index.query``; "reversed" is backwards, and fills."""

    films: ImageTable
    codes: np.ndarray
    encoder: Any = None
    source: dict[str, str] = field(default_factory=lambda: {"spec": "", "root": ""})
    tuning: dict[str, Any] | None = None
    obey: bool = True
    n_found: int = 1000
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def manifest(self):
        about = self.encoder
        return {"encoder": None if about is None else {"name": about.name, "fingerprint": about.fingerprint}}

    def choose(self, ranking=None, options=None):
        return TunedRankings(self.tuning).resolve(None if ranking is None else RankingChoice.of(ranking, options))

    def query(self, what, k=10, *, ranking="nearest", where=None, exclude=None, fill=True, device=None, n_threads=None):
        self.calls.append({"ranking": str(ranking), "where": where, "exclude": exclude, "k": k, "fill": fill})
        unit = self.codes / np.linalg.norm(self.codes, axis=1, keepdims=True)
        cosine = (what / np.linalg.norm(what, axis=1, keepdims=True)) @ unit.T
        possible = np.ones(cosine.shape, dtype=bool)
        for column, values in (where or {}).items():
            possible &= np.isin(self.films.column(column), values)[None, :]
        if self.obey:
            for column, values in (exclude or {}).items():
                assert len(values) == len(what)
                possible &= self.films.column(column)[None, :] != np.asarray(values)[:, None]
        order = np.argsort(cosine if ranking.name == "reversed" else -cosine, axis=1, kind="stable")
        positions = np.full((len(what), k), -1, dtype=np.int32)
        similarities = np.zeros((len(what), k), dtype=np.float32)
        for row, films in enumerate(order):
            kept = films[possible[row, films]][:k]
            positions[row, : len(kept)] = kept
            similarities[row, : len(kept)] = cosine[row, kept]
        sources = np.where(positions >= 0, "search", "")
        if ranking.name == "reversed":
            sources[:, self.n_found :] = np.where(positions[:, self.n_found :] >= 0, "fill", "")
        return SimpleNamespace(positions=positions, similarities=similarities, sources=sources, notes=())


def labels_and_codes(n, rng):
    labels = (rng.random((n, len(LABELS))) < 0.35).astype(np.int8)
    labels[rng.random(labels.shape) < 0.05] = -1
    codes = np.abs(labels) @ rng.normal(size=(len(LABELS), 8)) * 0.8 + rng.normal(size=(n, 8))
    return labels, codes.astype(np.float32)


@pytest.fixture(autouse=True)
def backwards():
    """The name of a ranking that only `BruteForceIndex` knows how to do."""
    RANKINGS.register("reversed", Nearest)
    yield
    RANKINGS.unregister("reversed")


@pytest.fixture
def make_index():
    def make(n=240, seed=0, splits=(0.8, 0.2), **changes):
        rng = np.random.default_rng(seed)
        labels, codes = labels_and_codes(n, rng)
        films = ImageTable(
            ids=np.array([f"film{i:04}" for i in range(n)]),
            paths=[],
            labels=labels,
            label_names=LABELS,
            patients=np.array([f"patient{i // 3:03}" for i in range(n)]),
            splits=rng.choice(["train", "test"], n, p=splits),
        )
        return BruteForceIndex(films, codes, **changes)

    return make


@pytest.fixture
def outside():
    """Codes and table of queries that are not in the archive; some of its patients are."""
    rng = np.random.default_rng(9)
    labels, codes = labels_and_codes(30, rng)
    labels[:4] = 0
    table = ImageTable(
        ids=np.array([f"query {i}" for i in range(30)]),
        paths=[],
        labels=labels,
        label_names=LABELS,
        patients=np.array([f"patient{i:03}" for i in range(30)]),
    )
    return codes, table


@pytest.fixture
def film_folder(tmp_path):
    """Twelve small films whose grey level is their number, one of them missing and one broken."""
    paths = []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        film = np.full((40, 30), number / 12, dtype=np.float32)
        film[::4] = 1.0
        write_png(path, film)
        paths.append(str(path))
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_bytes(b"no picture")
    return paths
