"""An index of shards answers as one index of all films does."""

import json
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphret
from graphret._errors import DataError, EncoderError, InvalidParameterError
from graphret.data import ImageTable
from graphret.index import describe_hits

N, CUTS = 60, (13, 40)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One index, and the same films in three shards; codes with ties, findings that only some shards know."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, (N, 5)).astype(np.float32)
    codes[~codes.any(axis=1)] = 1
    table = ImageTable(
        ids=[f"film {row}" for row in range(N)],
        paths=[],
        labels=[["Mass"] if row % 3 == 0 else ["Edema"] if row >= CUTS[1] and row % 3 == 1 else [] for row in range(N)],
        label_names=(),
        patients=[f"p{row % 23}" for row in range(N)],
        views=["PA" if row % 2 else "AP" for row in range(N)],
        columns={"age": rng.integers(20, 90, N)},
    )
    folder = tmp_path_factory.mktemp("shards")
    graphret.build(codes, films=table, out=folder / "all", k=6, tune=False)
    roots = []
    for number, rows in enumerate(np.split(np.arange(N), CUTS)):
        part = table.select(rows)
        known = part.labels.any(axis=0)
        part = ImageTable(
            **{name: getattr(part, name) for name in ("ids", "paths", "patients", "views", "columns")},
            labels=part.labels[:, known],
            label_names=tuple(name for name, there in zip(part.label_names, known, strict=True) if there),
        )
        roots.append(folder / f"shard{number}")
        graphret.build(codes[rows], films=part, out=roots[-1], k=6, tune=False)
    return SimpleNamespace(
        codes=codes, one=graphret.open(folder / "all"), shards=graphret.open(roots), roots=roots, folder=folder
    )


def assert_equal_hits(found, expected):
    for name in ("positions", "ids", "similarities", "scores", "sources"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(found.p_values, expected.p_values)
    assert found.queries == expected.queries


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
    st.integers(1, 80),
    WHERE,
    st.sampled_from([None, "patient"]),
    st.sampled_from([None, "patient", "view"]),
    st.sampled_from(["nearest", "alpha_qe:n=4"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_hits_are_those_of_one_index(built, rows, k, where, exclude, group_by, ranking, by_id):
    what = [f"film {row}" for row in rows] if by_id else [built.codes[row] + 0.25 for row in rows]
    how = {"where": where, "exclude": exclude, "group_by": group_by, "ranking": ranking, "search": "exact"}
    if exclude and not by_id:
        how["patients"] = [f"p{row}" for row in rows]
    assert_equal_hits(built.shards.query(what, k, **how), built.one.query(what, k, **how))


def test_examples_and_default_search_are_those_of_one_index(built):
    assert_equal_hits(built.shards.query("film 20"), built.one.query("film 20"))
    examples = (["film 1", "film 50", built.codes[7]], ["film 30"])
    assert_equal_hits(built.shards.query_examples(*examples, k=9), built.one.query_examples(*examples, k=9))


def test_the_command_line_and_the_service_say_the_same(built, run, tmp_path):
    from fastapi.testclient import TestClient

    from graphret.serve import ServeConfig
    from graphret.serve.app import create_app

    further = [word for root in built.roots[1:] for word in ("--shard", root)]
    done = run("query", built.roots[0], "--id", "film 3", "-k", "20", "--search", "exact", "--json", *further)
    assert done.status == 0, done.err
    document = json.loads(done.out)
    expected = built.one.query("film 3", 20, search="exact")
    assert [hit["id"] for hit in document["queries"][0]["hits"]] == expected.ids[0].tolist()
    assert document["shards"] == list(map(str, built.roots[1:]))
    config = ServeConfig(lists=tmp_path / "lists.sqlite", as_shards=True)
    roots = [shutil.copytree(root, tmp_path / root.name) for root in built.roots]
    with TestClient(create_app(roots, config), base_url="http://127.0.0.1") as client:
        (about,) = client.get("/api/v1/indexes").json()
        assert (about["name"], about["counts"]["films"]) == ("shard0", N)
        assert about["rankings"] == ["nearest", "alpha_qe"]
        found = client.post("/api/v1/query", json={"id": "film 3", "k": 20, "search": "exact"}).json()
        assert [hit["id"] for hit in found["hits"]] == expected.ids[0].tolist()
        assert [hit["why"] for hit in found["hits"]] == [hit["why"] for hit in document["queries"][0]["hits"]]
        assert found["generation"] == "gen-000001+gen-000001+gen-000001"
        refused = client.get("/api/v1/map")
        assert (refused.status_code, "answers queries only" in refused.text) == (422, True)
        assert client.post("/hits", data={"id": "film 50", "k": "5"}).text.count('class="film"') == 5
        assert client.get("/").status_code == 200
        graphret.open(roots[1]).remove("film 20")
        found = client.post("/api/v1/query", json={"id": "film 3", "k": 60}).json()
        assert found["generation"] == "gen-000001+gen-000002+gen-000001"
        assert "film 20" not in {hit["id"] for hit in found["hits"]}


def test_the_table_is_that_of_all_films(built):
    films, expected = built.shards.films, built.one.films
    assert films.ids.tolist() == expected.ids.tolist()
    assert sorted(films.label_names) == sorted(expected.label_names)
    for row in range(N):
        assert films.label_texts(row) == expected.label_texts(row)
    assert (len(built.shards), built.shards.n_films) == (N, N)
    assert built.shards.manifest["counts"]["films"] == N
    assert built.shards.manifest["counts"]["patients"] == 23


def test_a_community_lies_in_one_shard(built):
    communities, home = built.shards.communities, np.repeat([0, 1, 2], np.diff([0, *CUTS, N]))
    for number, root in enumerate(built.roots):
        own = communities[home == number]
        np.testing.assert_array_equal(own - own.min(), graphret.open(root).communities)
        assert not set(own.tolist()) & set(communities[home != number].tolist())
    hits = built.shards.query("film 3", 9)
    np.testing.assert_array_equal(hits.communities[0], communities[hits.positions[0]])


def test_reasons_are_those_of_the_shards(built):
    hits = built.shards.query(built.codes[3] + 0.25, 20, search="exact")
    document = describe_hits(built.shards, hits)
    assert any("none joins films of two shards" in note for note in document["notes"])
    json.dumps(document)
    opened = [graphret.open(root) for root in built.roots]
    starts = [0, *CUTS]
    edges = 0
    for place, hit in enumerate(hits[0]):
        number = np.searchsorted(starts, hit.position, side="right") - 1
        graph = opened[number].graph.to_scipy().toarray()
        before = [other for other in hits.positions[0][:place].tolist() if 0 <= other - starts[number] < len(graph)]
        row = graph[hit.position - starts[number]]
        expected = [(f"film {other}", row[other - starts[number]]) for other in before if row[other - starts[number]]]
        assert [identity for identity, _ in hit.why.earlier] == [identity for identity, _ in expected]
        assert np.allclose([weight for _, weight in hit.why.earlier], [weight for _, weight in expected])
        edges += len(expected)
        alone = {one.id: one.why.query_edge for one in opened[number].query(built.codes[3] + 0.25, 60)[0]}
        assert hit.why.query_edge == alone[hit.id]
    assert edges
    copy = pickle.loads(pickle.dumps(hits))  # noqa: S301 - our own
    assert copy[0].reasons == hits[0].reasons


def test_what_shards_cannot_answer_is_refused_by_name(built):
    for ranking in ("region_growing", "diffusion", "contextual", "hamming", "label_aware"):
        with pytest.raises(InvalidParameterError, match=f"{ranking}.*nearest, alpha_qe for shards"):
            built.shards.query("film 3", ranking=ranking)
    with pytest.raises(InvalidParameterError, match="not tuned"):
        built.shards.query("film 3", ranking="tuned")
    with pytest.raises(InvalidParameterError, match="no edges between films of different shards"):
        _ = built.shards.graph
    with pytest.raises(InvalidParameterError, match="answers queries only"):
        graphret.report(built.shards)


def test_shards_that_do_not_fit_together_are_refused(built, tmp_path):
    graphret.build(built.codes[:9], out=tmp_path / "twice", ids=[f"film {row}" for row in range(9)], k=3, tune=False)
    with pytest.raises(DataError, match=r"'film 0' is in .*shard0 and in .*twice"):
        graphret.open([*built.roots, tmp_path / "twice"])
    graphret.build(np.eye(6, dtype=np.float32), out=tmp_path / "other", ids=list("abcdef"), k=3, tune=False)
    with pytest.raises(graphret.CodesError, match=r"\[5, 6\] dimensions"):
        graphret.open([built.roots[0], tmp_path / "other"])
    with pytest.raises(InvalidParameterError, match="at least one"):
        graphret.open([])
    assert isinstance(graphret.open(built.roots[:1]), graphret.Index)


def test_shards_of_two_encoders_are_refused(built, monkeypatch):
    opened = graphret.open(built.roots[:2])
    monkeypatch.setitem(
        opened._parts.shards[1].generation.manifest, "encoder", {"name": "resnet18", "fingerprint": "ab" * 32}
    )
    with pytest.raises(EncoderError, match="cannot be compared"):
        type(opened._parts)(opened._parts.shards)


def test_a_pickled_index_of_shards_opens_them_again(built):
    copy = pickle.loads(pickle.dumps(built.shards))  # noqa: S301 - our own
    assert_equal_hits(copy.query("film 9"), built.one.query("film 9"))
