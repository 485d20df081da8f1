"""What a query does not need is not read: the graph, the table of the films, their other columns."""

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError
from graphret.index.generation import Generation
from graphret.index.held import HeldFiles
from graphret.index.stored_archive import StoredArchive

N, D = 60, 8


@pytest.fixture
def built(tmp_path):
    codes = np.random.default_rng(3).random((N, D), dtype=np.float32)
    ids = [f"film {number} é" for number in range(N)]
    return graphret.build(codes, out=tmp_path / "index", ids=ids, k=5), codes


@pytest.fixture
def reads(monkeypatch):
    """Names of what was read of a generation."""
    seen = []
    for name in ("read_graph", "read_films", "read_ids"):
        monkeypatch.setattr(Generation, name, _noting(getattr(Generation, name), seen))
    return seen


def _noting(read, seen):
    def note(self):
        seen.append(read.__name__)
        return read(self)

    return note


def test_a_code_asks_for_the_ids_alone(built, reads):
    index = graphret.open(built[0].path)
    assert index.query(built[1][7], 2).ids[0, 0] == "film 7 é"
    index.query(built[1][8], 2)
    assert reads == ["read_ids"]


def test_other_questions_read_more_and_only_once(built, reads):
    index = graphret.open(built[0].path)
    for _ in range(2):
        index.query(built[1][7], 2, ranking="region_growing")
        index.query(built[1][7], 2, ranking="region_growing", search="exact")
        index.query("film 9 é", 2)
        index.query(built[1][7], 2, exclude={"patient": "nobody"})
    assert sorted(reads) == ["read_films", "read_graph", "read_ids"]


def test_the_archive_is_the_same_with_any_search(built):
    index, _ = built
    archive = index.archive
    assert isinstance(archive, StoredArchive)
    other = archive.with_parts(search=archive.search)
    assert other.graph is archive.graph is index.graph
    assert other.n_films == archive.n_films == N
    assert (other.k, other.codes is archive.codes, other.communities is archive.communities) == (5, True, True)


def test_ids_of_another_table_are_refused(built, monkeypatch):
    index = graphret.open(built[0].path)
    monkeypatch.setattr(HeldFiles, "read", lambda *_: b"nothing")
    with pytest.raises(DamagedIndexError, match=r"films\.parquet"):
        index.query(built[1][7], 2)


def test_opening_and_its_description_read_none_of_it(tmp_path, monkeypatch):
    codes = np.random.default_rng(3).random((N, D), dtype=np.float32)
    graphret.build(codes, out=tmp_path / "index", k=5, search="graph").record_tuning(
        {"ranking": "alpha_qe", "options": {"n": 3}}
    )
    for name in ("read_graph", "read_films", "read_ids", "read_graph_search", "read_encoder"):
        monkeypatch.setattr(Generation, name, lambda *_: pytest.fail("read"))
    index = graphret.open(tmp_path / "index")
    assert index.info()["ranking"] == {"name": "alpha_qe", "options": {"n": 3}, "promise": None, "tried": None}
