"""An index with links for graph search: its files, its queries, and indexes without them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError, InvalidParameterError, StoreError
from graphret.index.manifest import serialise
from graphret.neighbors import ExactSearch
from graphret.neighbors.beam_width import shares_found

GRAPH_SEARCH_FILES = [
    "search-codes.npy",
    "search-directions.npy",
    "search-entry-points.npy",
    "search-indices.npy",
    "search-indptr.npy",
]
N, D, K = 1500, 16, 10


@pytest.fixture(scope="module")
def many_codes():
    rng = np.random.default_rng(5)
    centres = rng.random((25, D)) * 3
    return np.abs(centres[rng.integers(25, size=N + 40)] + rng.normal(size=(N + 40, D)) * 0.6).astype(np.float32)


@pytest.fixture(scope="module")
def linked(many_codes, tmp_path_factory):
    """An index that no test changes."""
    return graphret.build(many_codes[:N], out=tmp_path_factory.mktemp("graph") / "index", k=K, search="graph")


@pytest.fixture
def copied(linked, tmp_path):
    shutil.copytree(linked.path, tmp_path / "index")
    return tmp_path / "index"


def test_files_and_manifest(linked):
    about = linked.manifest["search"]
    assert about["method"] == "graph"
    assert about["recall"] >= about["recall_target"] == 0.99
    assert about["k"] == K
    assert 0 < about["expanded_share"] <= 1
    assert linked.archive.search.structure.expanded_share == about["expanded_share"]
    assert sorted(name for name in linked.manifest["files"] if name.startswith("search-")) == GRAPH_SEARCH_FILES
    assert set(GRAPH_SEARCH_FILES) <= set(linked.manifest["arrays"])
    assert linked.info()["search"] == about
    assert linked.verify()["n_files"] == len(linked.manifest["files"]) + 1


def test_a_small_index_is_scanned(shared_index):
    assert shared_index.manifest["search"] == {"method": "exact"}
    assert not [name for name in shared_index.manifest["files"] if name.startswith("search-")]
    hits = shared_index.query("film003", k=3)
    assert hits.counts.compared.tolist() == [len(shared_index)]
    with pytest.raises(InvalidParameterError, match='build it with search="graph"'):
        shared_index.query("film003", search="graph")


@pytest.mark.parametrize("ranking", graphret.list_rankings())
def test_graph_search_finds_what_scans_find(linked, many_codes, ranking):
    queries = many_codes[N:]
    searched = linked.query(queries, K, ranking=ranking, search="graph")
    scanned = linked.query(queries, K, ranking=ranking, search="exact")
    assert shares_found(searched.positions, scanned.positions).mean() >= 0.95
    assert (searched.counts.visited > 0).all()
    assert (scanned.counts.visited == 0).all()
    if ranking != "contextual":  # whose pool of 400 is a large part of these films
        assert (searched.counts.compared < scanned.counts.compared).all()
    alone = linked.query(queries[7], K, ranking=ranking, search="graph", n_threads=1)
    assert alone.positions[0].tolist() == searched.positions[7].tolist()
    assert alone.scores[0].tobytes() == searched.scores[7].tobytes()


def test_alpha_qe_counts_both_searches(linked, many_codes):
    once = linked.query(many_codes[N:], 3, search="exact").counts.compared
    twice = linked.query(many_codes[N:], 3, search="exact", ranking="alpha_qe").counts.compared
    assert (twice == 2 * once).all()


def test_auto_scans_where_that_is_faster(linked, many_codes):
    exact = ExactSearch(many_codes[:N]).search(many_codes[N:], K)
    hits = linked.query(many_codes[N:], K)
    assert hits.positions.tolist() == exact.neighbors.tolist()
    assert (hits.counts.visited == 0).all()


def test_filters_and_own_patient(linked):
    hits = linked.query(["3", "700"], K, search="graph", exclude={"id": {"4", "5"}})
    assert not {"3", "4", "5"} & set(hits.ids[0].tolist())
    assert "700" not in hits.ids[1].tolist()
    assert (hits.positions >= 0).all()


@pytest.mark.parametrize("name", GRAPH_SEARCH_FILES)
def test_a_changed_or_missing_file_is_named(copied, name):
    path = copied / "gen-000001" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    check_ignored(copied, name)
    path.unlink()
    check_ignored(copied, name)


def check_ignored(root, name):
    """Verification names the file; queries scan the codes, which is said, and asking for graph search is refused."""
    index = graphret.open(root)
    hits = index.query(["3", "700"], K)
    assert (hits.counts.compared == N).all()
    assert index.info()["search"] == {"method": "exact", "damaged": str(root / "gen-000001" / name)}
    with pytest.raises(DamagedIndexError, match=name):
        index.query("3", K, search="graph")
    with pytest.raises(DamagedIndexError, match=name):
        index.verify()


def rewritten(root, change):
    path = root / "gen-000001/manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_bytes(serialise(manifest))


def test_an_index_of_the_first_format_is_refused(copied):
    rewritten(copied, lambda manifest: manifest.update(schema_version=1))
    with pytest.raises(StoreError, match=r"schema version 1.*build the index again"):
        graphret.open(copied)


def test_a_manifest_that_does_not_list_the_files(copied):
    rewritten(copied, lambda manifest: manifest["files"].pop("search-entry-points.npy"))
    with pytest.raises(DamagedIndexError, match=r"does not list search-entry-points\.npy"):
        graphret.open(copied)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("search-codes.npy", np.zeros((N - 1, 8), np.int8)),
        ("search-directions.npy", np.zeros((D, 3), np.float32)),
        ("search-entry-points.npy", np.zeros(4, np.int64)),
        ("search-indptr.npy", np.zeros(N + 1, np.int64)),
    ],
)
def test_arrays_that_do_not_fit_each_other(copied, name, array):
    np.save(copied / "gen-000001" / name, array)
    content = (copied / "gen-000001" / name).read_bytes()

    def change(manifest):
        import hashlib

        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest["arrays"][name] = {"dtype": array.dtype.str, "shape": list(array.shape)}

    rewritten(copied, change)
    check_ignored(copied, name)


def test_the_stage_is_kept(many_codes, tmp_path, build_module, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    out = tmp_path / "index"
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "partition", lambda graph, **options: killed() if graph.n_nodes > 3 else None)
        with pytest.raises(KeyboardInterrupt):
            graphret.build(many_codes[:N], out=out, k=K, search="graph")
    stages = []
    monkeypatch.setattr(build_module, "build_graph_search", killed)
    index = graphret.build(
        many_codes[:N], out=out, k=K, search="graph", progress=lambda stage, *_: stages.append(stage)
    )
    assert index.manifest["search"]["method"] == "graph"
    assert list(dict.fromkeys(stages)) == ["graph", "search", "communities", "write"]


def test_same_files_with_any_number_of_threads(linked, many_codes, tmp_path):
    again = graphret.build(many_codes[:N], out=tmp_path / "index", k=K, search="graph", n_threads=1)
    for name in GRAPH_SEARCH_FILES:
        assert again.manifest["files"][name] == linked.manifest["files"][name]
    assert again.manifest["search"] == linked.manifest["search"]


@pytest.mark.parametrize(("search", "recall"), [("exact", 0.99), ("auto", 0.5)])
def test_parameters_of_the_build(many_codes, tmp_path, search, recall):
    index = graphret.build(many_codes[:N], out=tmp_path / "index", k=K, search=search, search_recall=recall)
    assert index.manifest["search"] == {"method": "exact"}
    assert index.manifest["parameters"]["search_recall"] == recall


def test_a_lower_recall_takes_a_narrower_beam(linked, many_codes, tmp_path):
    index = graphret.build(many_codes[:N], out=tmp_path / "index", k=K, search="graph", search_recall=0.8)
    assert index.manifest["search"]["beam"] < linked.manifest["search"]["beam"]


@pytest.mark.parametrize("values", [{"search": "quick"}, {"search_recall": 1.0}])
def test_values_that_are_not_allowed(many_codes, tmp_path, values):
    with pytest.raises(InvalidParameterError, match=f"{next(iter(values))}="):
        graphret.build(many_codes[:N], out=tmp_path / "index", **values)
    with pytest.raises(InvalidParameterError, match="search='quick' is not allowed"):
        graphret.index.QueryConfig(search="quick")
