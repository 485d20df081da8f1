"""Shards that were joined answer as one index of all films does, with every ranking."""

import json
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphret
from graphret._errors import DamagedIndexError, InvalidParameterError, NotAnIndexError, StaleFrontError, StoreError
from graphret.data import ImageTable
from graphret.index.manifest import read_signed, serialise
from graphret.retrieval.learned_metric import LabelScatter, LearnedMetric
from graphret.tuning.candidates import Candidate

N, CUTS, K = 60, (13, 40), 6


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One index, and the same films in three shards and joined; codes with ties."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, (N, 5)).astype(np.float32)
    codes[~codes.any(axis=1)] = 1
    table = ImageTable(
        ids=[f"film {row}" for row in range(N)],
        paths=[],
        labels=[["Mass"] if row % 3 == 0 else ["Edema"] if row % 3 == 1 else [] for row in range(N)],
        label_names=(),
        patients=[f"p{row % 23}" for row in range(N)],
        views=["PA" if row % 2 else "AP" for row in range(N)],
        columns={"age": rng.integers(20, 90, N)},
    )
    folder = tmp_path_factory.mktemp("joined")
    one = graphret.build(codes, films=table, out=folder / "all", k=K, tune=False)
    roots = []
    for number, rows in enumerate(np.split(np.arange(N), CUTS)):
        roots.append(folder / f"shard{number}")
        graphret.build(codes[rows], films=table.select(rows), out=roots[-1], k=4, tune=False)
    joined = graphret.join_shards(roots, out=folder / "front", k=K)
    return SimpleNamespace(codes=codes, one=one, joined=joined, roots=roots, folder=folder)


@pytest.fixture
def copied(built, tmp_path):
    """Shards and front in another place, to be changed."""
    for root in [*built.roots, built.folder / "front"]:
        shutil.copytree(root, tmp_path / root.name)
    return SimpleNamespace(
        front=tmp_path / "front", roots=[tmp_path / root.name for root in built.roots], one=tmp_path / "one"
    )


def assert_equal_hits(found, expected):
    for name in ("positions", "ids", "similarities", "scores", "sources", "communities", "p_values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert [of_query.reasons for of_query in found] == [of_query.reasons for of_query in expected]
    assert found.notes == expected.notes


WHERE = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "view": st.sampled_from(["PA", ["PA", "AP"]]),
        "age": st.builds(lambda low: {">=": low}, st.integers(20, 60)),
        "label": st.sampled_from(["Edema", "Mass"]),
    },
)


@given(
    st.lists(st.integers(0, N - 1), min_size=1, max_size=3),
    st.integers(1, 70),
    WHERE,
    st.sampled_from([None, "patient"]),
    st.sampled_from([None, "patient"]),
    st.sampled_from(graphret.list_rankings(with_labels=True)),
    st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_hits_are_those_of_one_index(built, rows, k, where, exclude, group_by, ranking, by_id):
    what = [f"film {row}" for row in rows] if by_id else [built.codes[row] + 0.25 for row in rows]
    how = {"where": where, "exclude": exclude, "group_by": group_by, "ranking": ranking, "search": "exact"}
    if exclude and not by_id:
        how["patients"] = [f"p{row}" for row in rows]
    assert_equal_hits(built.joined.query(what, k, **how), built.one.query(what, k, **how))


def test_graph_and_communities_are_those_of_one_index(built):
    for part in ("graph", "communities", "codes"):
        assert built.joined.manifest[part] == built.one.manifest[part]
    np.testing.assert_array_equal(built.joined.communities, built.one.communities)
    assert (built.joined.graph.to_scipy() != built.one.graph.to_scipy()).nnz == 0
    home = np.repeat([0, 1, 2], np.diff([0, *CUTS, N]))
    assert len(np.unique(home[built.joined.communities == 0])) > 1  # a community of films of several shards
    names = {path.name for path in (built.folder / "front").rglob("*.npy")}
    assert names == {"graph-indptr.npy", "graph-indices.npy", "graph-weights.npy", "communities.npy"}


@settings(deadline=None, max_examples=3)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_any_division_into_shards_gives_the_same(built, seed, cut):
    """Codes of few values, so that ties abound, cut anywhere."""
    folder, codes = built.folder / f"{seed}-{cut}", np.random.default_rng(seed).integers(0, 2, (40, 4))
    codes = np.where(codes.any(axis=1, keepdims=True), codes, 1).astype(np.float32)
    options = {"k": 4, "tune": False, "search": "exact", "n_starts": 1}
    one = graphret.build(codes, out=folder / "one", **options)
    roots = []
    for number, rows in enumerate(np.split(np.arange(40), [cut + 3])):
        roots.append(folder / str(number))
        graphret.build(codes[rows], out=roots[-1], ids=[str(row) for row in rows], **options)
    joined = graphret.join_shards(roots, out=folder / "front", k=4, n_starts=1)
    for ranking in ("region_growing", "contextual"):
        assert_equal_hits(joined.query(codes[:5], 9, ranking=ranking), one.query(codes[:5], 9, ranking=ranking))
    shutil.rmtree(folder)


@pytest.mark.parametrize("learned", [False, True])
def test_the_tuned_ranking_is_that_of_one_index(built, copied, learned):
    labels = built.one.films.relevance()
    metric = LearnedMetric.fit(LabelScatter.of(built.codes, labels, np.zeros(5)), discriminant_share=0.5, ridge=0.1)
    chosen = {"ranking": "contextual", "options": {"n": 20, "context": 0.5, **({"learned": True} if learned else {})}}
    if learned:
        chosen["metric"] = metric.to_record()
    indexes = graphret.open(copied.front), graphret.open(shutil.copytree(built.folder / "all", copied.one))
    for index in indexes:
        index.record_tuning(chosen)
    joined, one = graphret.open(copied.front), graphret.open(copied.one)
    assert joined.default_ranking == "contextual"
    assert_equal_hits(joined.query("film 3", 20), one.query("film 3", 20))
    joined.forget_tuning()
    assert graphret.open(copied.front).default_ranking == "nearest"


def test_tuning_itself_finds_the_same(built):
    options = {
        "n_queries": 20,
        "budget": None,
        "candidates": [Candidate("nearest", {}), Candidate("region_growing", {})],
    }
    found, expected = (graphret.tune(index, **options) for index in (built.joined, built.one))
    assert [(trial.ranking, trial.scores) for trial in found.trials] == [
        (trial.ranking, trial.scores) for trial in expected.trials
    ]


def test_measures_and_map_are_those_of_one_index(built):
    queries = (built.codes[:20] + 0.25, built.one.films.labels[:20])
    found, expected = (graphret.evaluate(index, queries, measures=["P@10"]) for index in (built.joined, built.one))
    assert found.rankings[0].scores == expected.rankings[0].scores
    np.testing.assert_array_equal(graphret.archive_map(built.joined), graphret.archive_map(built.one))
    assert graphret.community_summaries(built.joined) == graphret.community_summaries(built.one)


def test_films_that_went_make_it_stale(copied):
    graphret.open(copied.roots[1]).remove("film 20")
    with pytest.raises(
        StaleFrontError, match=r"front is out of date: the films of .*shard1 .*join-shards .* --out .*front"
    ):
        graphret.open(copied.front)
    joined = graphret.join_shards(copied.roots, out=copied.front, k=K)
    assert len(joined) == N - 1
    assert len(graphret.open(copied.front)) == N - 1
    assert "film 20" not in joined.query("film 3", N).ids[0].tolist()


def test_patients_and_labels_may_change(built, copied):
    before = graphret.open(copied.front)
    graphret.open(copied.roots[0]).update_labels(["film 3"], [["Mass", "Edema"]])
    after = graphret.open(copied.front)
    assert after.films.label_texts(3) != before.films.label_texts(3)
    assert after.generation != before.generation
    np.testing.assert_array_equal(after.graph.indices, before.graph.indices)
    # searched for anew, over the shards, and not read from the manifest
    np.testing.assert_array_equal(after.novelty.similarities, built.one.novelty.similarities)


def test_it_is_changed_by_its_shards_only(built, copied):
    joined = graphret.open(copied.front)
    for change in (lambda: joined.remove("film 3"), joined.rebuild):
        with pytest.raises(NotAnIndexError, match="it joins shards: ask it, or change the shards"):
            change()
    with pytest.raises(NotAnIndexError, match="pack each of them"):
        graphret.pack(joined, copied.front.parent / "front.tar")
    assert joined.shards == copied.roots
    assert_equal_hits(graphret.open(copied.front).query("film 3"), built.one.query("film 3"))
    assert_equal_hits(pickle.loads(pickle.dumps(joined)).query("film 3"), built.one.query("film 3"))  # noqa: S301 - ours


def test_a_folder_of_something_else_is_refused(built, copied):
    with pytest.raises(InvalidParameterError, match="an index is there, and stays as it is"):
        graphret.join_shards(copied.roots, out=copied.roots[0], k=K)
    (copied.front / "front.json").rename(copied.front / "notes.txt")
    with pytest.raises(InvalidParameterError, match="holds something else"):
        graphret.join_shards(copied.roots, out=copied.front, k=K)
    with pytest.raises(InvalidParameterError, match=r"holds something else: .*front\.json"):
        graphret.build(
            built.codes, out=shutil.copytree(built.folder / "front", copied.front.parent / "again"), tune=False
        )
    other = copied.front.parent / "other"
    graphret.build(np.eye(6, dtype=np.float32), out=other, ids=list("abcdef"), k=3, tune=False)
    with pytest.raises(graphret.CodesError, match="dimensions"):
        graphret.join_shards([copied.roots[0], other], out=copied.front.parent / "new", k=K)
    assert not (copied.front.parent / "new").exists()


def test_damage_is_found(copied):
    content = read_signed(copied.front / "front.json")

    def write(**changed):
        (copied.front / "front.json").write_bytes(serialise(content | changed))

    for changed, message in (
        ({"format": "x"}, "format 'x'"),
        ({"shards": []}, "'shards' is missing"),
        ({"shards": [{"path": 3}]}, "'shards' is missing"),
        ({"films_sha256": None}, "how near the films are"),
        ({"generation": "../front"}, "does not name a folder"),
        ({"generation": "joined-000009"}, "joined-000009, which is not there"),
        ({"files": {}}, "does not list the files"),
        ({"counts": content["counts"] | {"films": N - 1}}, "it has shape"),
    ):
        write(**changed)
        with pytest.raises(DamagedIndexError, match=message):
            graphret.open(copied.front)
    write(schema_version=2)
    with pytest.raises(StoreError, match="join the shards again with this one"):
        graphret.open(copied.front)
    write()
    assert graphret.open(copied.front).verify(deep=True)["edges_checked"] > 0
    path = copied.front / "joined-000001" / "communities.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\xff\xff\xff\xff")
    with pytest.raises(DamagedIndexError, match=r"communities\.npy: its sha256"):
        graphret.open(copied.front)


def test_a_join_goes_on(built, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("graphret.index.joining.divide_films", stop)
        with pytest.raises(KeyboardInterrupt):
            graphret.join_shards(built.roots, out=tmp_path / "front", k=K)
    with pytest.raises(NotAnIndexError, match="its build has not finished"):
        graphret.open(tmp_path / "front")
    monkeypatch.setattr("graphret.index.build_stages.nearest_neighbors", stop)
    monkeypatch.setattr("graphret.index.joining.check_backends", lambda _: None)
    joined = graphret.join_shards(built.roots, out=tmp_path / "front", k=K)
    assert joined.manifest["graph"] == built.one.manifest["graph"]
    assert sorted(path.name for path in (tmp_path / "front").iterdir()) == ["LOCK", "front.json", "joined-000001"]
    for _ in range(2):
        monkeypatch.undo()
        graphret.join_shards(built.roots, out=tmp_path / "front", k=K)
    assert sorted(path.name for path in (tmp_path / "front").glob("joined-*")) == ["joined-000002", "joined-000003"]
    assert len(joined.query("film 3").ids[0]) == 10  # what it opened was removed meanwhile


def test_the_command_line_says_the_same(built, run, tmp_path):
    front = tmp_path / "front"
    done = run("join-shards", *built.roots, "--out", front, "-k", str(K), "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["graph"] == built.one.manifest["graph"]
    assert document["shards"] == list(map(str, built.roots))
    asked = ("--id", "film 3", "-k", "20", "--ranking", "region_growing", "--json")
    found, expected = (json.loads(run("query", root, *asked).out) for root in (front, built.folder / "all"))
    assert found["queries"] == expected["queries"]
    assert "each shard as it was built" in run("info", front).out
    verified = json.loads(run("verify", front, "--json").out)
    assert verified["intact"]
    assert (verified["unused"], verified["unfinished"]) == ([], False)
    (built.roots[1] / ".build").mkdir()
    assert ".build holds work" in run("verify", front).out
    (built.roots[1] / ".build").rmdir()
    assert "no tuning" in run("tune", front, "--reset").out


def test_the_service_asks_shards_without_communities_while_they_are_stale(built, copied, tmp_path):
    from fastapi.testclient import TestClient

    from graphret.serve import ServeConfig
    from graphret.serve.app import create_app

    config = ServeConfig(lists=tmp_path / "lists.sqlite")
    with TestClient(create_app([copied.front], config), base_url="http://127.0.0.1") as client:
        asked = {"id": "film 3", "k": 20, "ranking": "region_growing", "search": "exact"}
        found = client.post("/api/v1/query", json=asked).json()
        expected = built.one.query("film 3", 20, ranking="region_growing", search="exact")
        assert [hit["id"] for hit in found["hits"]] == expected.ids[0].tolist()
        assert client.get("/api/v1/map").json()["films"] == N
        graphret.open(copied.roots[1]).remove("film 20")
        refused = client.post("/api/v1/query", json=asked)
        assert (refused.status_code, "graphret join-shards" in refused.text) == (422, True)
        found = client.post("/api/v1/query", json={"id": "film 3", "k": N}).json()
        assert (found["ranking"], len(found["hits"])) == ("nearest", N - 2)
        (about,) = client.get("/api/v1/health").json()["indexes"]
        assert "is out of date" in about["problem"]
        assert str(tmp_path) not in about["problem"]
        graphret.join_shards(copied.roots, out=copied.front, k=K)
        found = client.post("/api/v1/query", json=asked).json()
        assert found["hits"][0]["id"] == expected.ids[0][0]
        (about,) = client.get("/api/v1/health").json()["indexes"]
        assert "problem" not in about
