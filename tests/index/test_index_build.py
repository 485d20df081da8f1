"""Building: round trip, what every parameter changes, wrong calls that leave nothing, resuming."""

import dataclasses

import numpy as np
import pytest

import graphret
from graphret._errors import (
    CodesError,
    DataError,
    EncoderError,
    IndexLockedError,
    InvalidParameterError,
    UnknownNameError,
)
from graphret.cli.options import documented_parameters
from graphret.communities import louvain
from graphret.graph import similarity_graph
from graphret.index import BuildConfig, QueryConfig
from graphret.neighbors import nearest_neighbors


def hashes(index):
    return index.manifest["graph"]["sha256"], index.manifest["communities"]["sha256"]


def test_what_comes_back_is_what_went_in(codes, described, shared_index):
    index = graphret.open(shared_index.path)
    graph = similarity_graph(nearest_neighbors(codes, 6))
    assert len(index) == len(codes)
    assert np.array_equal(index.codes, codes)
    assert index.codes.dtype == np.float32
    assert index.graph.fingerprint == graph.fingerprint == index.manifest["graph"]["sha256"]
    assert index.graph.threshold == graph.threshold
    assert np.array_equal(index.communities, louvain(graph).labels)
    assert index.communities.dtype == np.int32
    assert index.films.to_arrow().equals(described.to_arrow())
    assert index.encoder is None
    assert index.source == {"spec": "", "spec_sha256": "", "root": "", "splits": {"test": 15, "train": 75}}


def test_films_are_encoded_in_their_order(film_table, film_index, make_encoder):
    encoder = make_encoder()
    expected = encoder.encode(np.stack([encoder.prepare(film_table.read(row)) for row in range(len(film_table))]))
    assert np.allclose(film_index.codes, expected, atol=1e-5)
    assert film_index.source == {"spec": "toy", "spec_sha256": "", "root": film_table.root, "splits": {"train": 40}}
    assert film_index.manifest["encoder"]["fingerprint"] == encoder.fingerprint
    assert film_index.encoder.fingerprint == encoder.fingerprint


def test_codes_need_no_description(codes, tmp_path):
    index = graphret.build(codes, out=tmp_path / "index", k=4)
    assert index.films.ids[:3].tolist() == ["0", "1", "2"]
    assert np.array_equal(index.films.patients, index.films.ids)
    assert index.films.label_names == ()


def test_codes_with_columns(codes, tmp_path):
    n = len(codes)
    index = graphret.build(
        codes,
        out=tmp_path / "index",
        k=4,
        ids=np.arange(n) + 1000,
        labels=np.arange(n * 2).reshape(n, 2) % 2 == 0,
        patients=[f"p{row // 2}" for row in range(n)],
        splits=["test"] * 10 + ["train"] * (n - 10),
    )
    assert index.films.ids[0] == "1000"
    assert index.films.label_names == ("label_0", "label_1")
    assert index.films.labels[0].tolist() == [1, 0]
    assert index.films.patients[3] == "p1"
    assert index.query("1003", 1).positions.shape == (1, 1)


def test_same_inputs_same_hashes(codes, tmp_path):
    first = graphret.build(codes, out=tmp_path / "a", k=5, n_threads=1)
    second = graphret.build(codes, out=tmp_path / "b", k=5, n_threads=2)
    again = graphret.build(codes, out=tmp_path / "a", config=BuildConfig(k=5))
    assert hashes(first) == hashes(second) == hashes(again)
    assert again.manifest["parent"] == first.manifest["generation"] == "gen-000001"


@pytest.mark.parametrize(
    "change",
    [
        {"k": 3},
        {"threshold": 0.99},
        {"threshold": None},
        {"edge_weights": "binary"},
        {"objective": "weighted_modularity"},
        {"resolution": 3.0},
        {"communities": "leiden"},
        {"communities": "igraph", "resolution": 0.2},
        {"method": "approximate"},
    ],
    ids=str,
)
def test_every_parameter_arrives(codes, tmp_path, change):
    if change.get("communities") in {"leiden", "igraph"}:
        pytest.importorskip("leidenalg")
    settings = {"k": 6, **change}
    index = graphret.build(codes, out=tmp_path / "index", **settings)
    base = BuildConfig(k=6)
    config = dataclasses.replace(base, **change)
    graph = similarity_graph(
        nearest_neighbors(codes, config.k, method=config.method),
        threshold=config.threshold,
        weights=config.edge_weights,
    )
    assert index.graph.fingerprint == graph.fingerprint
    assert index.manifest["parameters"] == config.to_json()
    # what was asked to be approximate may turn out to be proven
    assert index.manifest["graph"]["method"] in {"exact", config.method}
    plain = louvain(similarity_graph(nearest_neighbors(codes, 6)))
    if "resolution" in change:
        assert not np.array_equal(index.communities, plain.labels)


def test_what_the_division_is_told(build_module, codes, tmp_path, monkeypatch):
    seen = []
    real = build_module.partition
    monkeypatch.setattr(build_module, "partition", lambda graph, **how: seen.append(how) or real(graph, **how))
    graphret.build(codes, out=tmp_path / "index", k=4, seed=7, n_starts=3, n_threads=2)
    told = {"method": "louvain", "objective": "modularity", "resolution": 1.0, "seed": 7, "n_starts": 3, "n_threads": 2}
    assert seen[-1] == told


@pytest.mark.parametrize("objective", ["modularity", "weighted_modularity"])
def test_the_record_says_what_every_start_reached(codes, tmp_path, objective):
    about = {}
    for n_threads in (1, 2):
        settings = {"k": 6, "objective": objective, "n_starts": 3, "n_threads": n_threads}
        index = graphret.build(codes, out=tmp_path / f"index-{n_threads}", **settings)
        about[n_threads] = index.manifest["communities"]
    assert about[1] == about[2]
    graph = similarity_graph(nearest_neighbors(codes, 6))
    expected = louvain(graph, objective=objective, n_starts=3)
    assert about[1]["n_starts"] == 3
    assert about[1]["start_qualities"] == list(expected.start_qualities)
    assert about[1]["quality"] == expected.quality >= max(expected.start_qualities)
    assert index.manifest["parameters"]["n_starts"] == 3


def test_more_neighbours_than_films(tmp_path):
    index = graphret.build(np.eye(3, dtype=np.float32) + 0.2, out=tmp_path / "index", k=50)
    assert index.graph.n_edges == 3
    hits = index.query("0", 10)
    assert hits.positions.shape == (1, 10)
    assert sorted(hits.positions[0, :2].tolist()) == [1, 2]
    assert (hits.positions[0, 2:] == -1).all()


def test_one_film(tmp_path):
    index = graphret.build(np.ones((1, 4), np.float32), out=tmp_path / "index")
    assert index.query(np.ones(4, np.float32), 1).ids.tolist() == [["0"]]
    assert index.query("0", 1).positions.tolist() == [[-1]]


WRONG = {
    "k": ({"k": 0}, InvalidParameterError, "k=0 is not allowed"),
    "threshold": ({"threshold": 1.5}, InvalidParameterError, "threshold=1.5"),
    "threshold word": ({"threshold": "high"}, InvalidParameterError, "'auto' or None"),
    "edge_weights": ({"edge_weights": "cosines"}, UnknownNameError, "did you mean 'cosine'"),
    "method": ({"method": "exakt"}, UnknownNameError, "approximate, auto, exact"),
    "backend": ({"backend": "annoy"}, UnknownNameError, "backend='annoy'"),
    "communities": ({"communities": "walktrap"}, UnknownNameError, "igraph, leiden, louvain"),
    "objective": ({"objective": "q"}, UnknownNameError, "objective='q'"),
    "objective of another method": (
        {"communities": "leiden", "objective": "weighted_modularity"},
        InvalidParameterError,
        "'leiden' knows no other",
    ),
    "resolution": ({"resolution": 0}, InvalidParameterError, "resolution=0"),
    "n_starts": ({"n_starts": 0}, InvalidParameterError, "n_starts=0"),
    "seed": ({"seed": -1}, InvalidParameterError, "seed=-1"),
    "batch_size": ({"batch_size": 0}, InvalidParameterError, "batch_size=0"),
    "shard_rows": ({"shard_rows": 0}, InvalidParameterError, "shard_rows=0"),
    "n_workers": ({"n_workers": 0}, InvalidParameterError, "n_workers=0"),
    "decoders": ({"decoders": "fork"}, UnknownNameError, "auto, processes, threads"),
    "n_threads": ({"n_threads": 1.5}, InvalidParameterError, "n_threads=1.5"),
    "precision": ({"precision": "float8"}, UnknownNameError, "bfloat16, float32"),
    "unknown": ({"neighbours": 5}, UnknownNameError, "edge_weights, .*k, .*threshold"),
    "ids short": ({"ids": ["a"]}, InvalidParameterError, "1 rows.*90 rows"),
    "ids twice": ({"ids": ["a"] * 90}, DataError, "'a' occurs more than once"),
    "labels short": ({"labels": [[1]]}, InvalidParameterError, "labels="),
    "labels of one text": ({"labels": "Edema"}, InvalidParameterError, "labels='Edema'.*one class a film"),
    "labels values": ({"labels": [[2]] * 90}, DataError, "1 \\(positive\\), 0"),
    "label names": (
        {"labels": [[1]] * 90, "label_names": ["a", "b"]},
        InvalidParameterError,
        "1 names, one for every column",
    ),
    "patients short": ({"patients": ["a"]}, InvalidParameterError, "patients="),
    "splits": ({"splits": ["holdout"] * 90}, DataError, "train, valid, test"),
    "encoder name": ({"encoder": "densenet121"}, InvalidParameterError, "load_encoder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_write_nothing(codes, tmp_path, name):
    arguments, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        graphret.build(codes, out=tmp_path / "deep" / "index", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda codes: codes.__setitem__((5, 2), np.nan), "1 rows hold NaN or infinity, first row 5"),
        (lambda codes: codes.__setitem__(7, 0), "1 rows are all zeros, first row 7"),
    ],
)
def test_bad_codes_name_their_rows(codes, tmp_path, spoil, message):
    spoilt = codes.copy()
    spoil(spoilt)
    with pytest.raises(CodesError, match=message):
        graphret.build(spoilt, out=tmp_path / "index")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("codes", [np.ones((3, 4), np.int64), np.ones(4, np.float32), "codes.npy", np.empty((0, 3))])
def test_codes_of_another_kind(tmp_path, codes):
    with pytest.raises(CodesError, match="float32"):
        graphret.build(codes, out=tmp_path / "index")


def test_films_need_an_encoder_and_files(film_table, described, codes, tmp_path, make_encoder):
    with pytest.raises(InvalidParameterError, match="films need one"):
        graphret.build(film_table, out=tmp_path / "index")
    with pytest.raises(DataError, match="no film of the table has a file"):
        graphret.build(described, make_encoder(), out=tmp_path / "index")
    with pytest.raises(DataError, match="the table has no film"):
        graphret.build(film_table.select([]), make_encoder(), out=tmp_path / "index")
    with pytest.raises(InvalidParameterError, match="the table of films says it already"):
        graphret.build(film_table, make_encoder(), out=tmp_path / "index", ids=["a"])
    with pytest.raises(InvalidParameterError, match="films says it already"):
        graphret.build(codes, films=described, ids=described.ids, out=tmp_path / "index")
    with pytest.raises(InvalidParameterError, match=r"40 films.*90 films"):
        graphret.build(codes, films=film_table, out=tmp_path / "index")
    with pytest.raises(EncoderError, match="the codes have 8 dimensions, those of the encoder fake have 12"):
        graphret.build(codes, make_encoder(), out=tmp_path / "index")
    assert not list(tmp_path.iterdir())


def test_codes_may_come_with_their_encoder(film_table, film_index, tmp_path, make_encoder):
    index = graphret.build(np.array(film_index.codes), make_encoder(), films=film_table, out=tmp_path / "index", k=6)
    assert hashes(index) == hashes(film_index)
    assert index.query([film_table.read(3)], 1).ids.tolist() == [["film03"]]


def test_a_missing_backend_is_found_before_the_work(codes, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(graphret.DeviceError, match="needs a CUDA device"):
        graphret.build(codes, out=tmp_path / "index", backend="torch")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_things_is_refused(codes, tmp_path, snapshot):
    (tmp_path / "thesis.tex").write_text("years of work")
    before = snapshot(tmp_path)
    with pytest.raises(InvalidParameterError, match=r"it holds something else: thesis\.tex"):
        graphret.build(codes, out=tmp_path)
    with pytest.raises(InvalidParameterError, match="it is a file"):
        graphret.build(codes, out=tmp_path / "thesis.tex")
    assert snapshot(tmp_path) == before


class Stop(Exception):
    pass


def stopper(stage, done=None):
    def progress(name, so_far, _total):
        if name == stage and (done is None or so_far >= done):
            raise Stop

    return progress


@pytest.mark.parametrize(
    ("stage", "done", "encoded_again"),
    [("encode", 20, 24), ("neighbors", None, 0), ("communities", 0, 0), ("write", 0, 0)],
)
def test_a_stopped_build_goes_on(film_table, film_index, tmp_path, make_encoder, stage, done, encoded_again):
    settings = {"out": tmp_path / "index", "k": 6, "shard_rows": 8, "batch_size": 4}
    with pytest.raises(Stop):
        graphret.build(film_table, make_encoder(), progress=stopper(stage, done), **settings)
    assert (tmp_path / "index" / ".build").is_dir()
    with pytest.raises(graphret.NotAnIndexError, match="has not finished"):
        graphret.open(tmp_path / "index")
    encoder = make_encoder()
    index = graphret.build(film_table, encoder, **settings)
    assert encoder.n_encoded == encoded_again
    assert hashes(index) == hashes(film_index)
    assert not (tmp_path / "index" / ".build").exists()


@pytest.fixture
def searched(build_module, monkeypatch):
    """Numbers of codes whose neighbours were searched, one a call."""
    calls: list[int] = []
    real = build_module.nearest_neighbors

    def counted(codes, *rest, **how):
        calls.append(len(codes))
        return real(codes, *rest, **how)

    monkeypatch.setattr(build_module, "nearest_neighbors", counted)
    return calls


def test_finished_stages_are_not_done_again(searched, codes, tmp_path):
    with pytest.raises(Stop):
        graphret.build(codes, out=tmp_path / "index", k=6, progress=stopper("write"))
    searched.clear()
    graphret.build(codes, out=tmp_path / "index", k=6)
    assert searched == [3]  # only the three nodes that show that the backend is there


@pytest.mark.parametrize("change", [{"k": 5}, {"resume": False}], ids=str)
def test_other_parameters_or_no_resume_start_afresh(searched, codes, tmp_path, change):
    with pytest.raises(Stop):
        graphret.build(codes, out=tmp_path / "index", k=6, progress=stopper("write"))
    searched.clear()
    graphret.build(codes, out=tmp_path / "index", **{"k": 6, **change})
    assert searched == [3, len(codes)]


def test_a_build_that_came_to_nothing_leaves_nothing(codes, tmp_path):
    with pytest.raises(Stop):
        graphret.build(codes, out=tmp_path / "index", k=6, progress=stopper("neighbors"))
    assert not list(tmp_path.iterdir())


def test_progress_names_the_stages(film_table, tmp_path, make_encoder):
    seen = []
    graphret.build(
        film_table, make_encoder(), out=tmp_path / "index", k=3, progress=lambda *step: seen.append(step), batch_size=7
    )
    stages = ["encode", "neighbors", "graph", "search", "communities", "write"]
    assert list(dict.fromkeys(name for name, _, _ in seen)) == stages
    for stage in {name for name, _, _ in seen}:
        done = [step for name, step, _ in seen if name == stage]
        assert done == sorted(done)
        assert all(step <= total for name, step, total in seen if name == stage)
        assert done[-1] == next(total for name, _, total in seen if name == stage)


def test_a_locked_index_is_refused(codes, tmp_path):
    refused = []

    def progress(stage, _done, _total):
        if stage == "write" and not refused:
            with pytest.raises(IndexLockedError, match=r"being written by process \d+ on .* since 2"):
                graphret.build(codes, out=tmp_path / "index", k=4)
            refused.append(stage)

    index = graphret.build(codes, out=tmp_path / "index", k=4, progress=progress)
    assert refused
    assert len(index) == len(codes)


def test_configs_check_and_override():
    assert BuildConfig.of(BuildConfig(k=5), {"seed": 3}) == BuildConfig(k=5, seed=3)
    assert BuildConfig(k=np.int64(5), threshold=np.float32(0.5)).to_json()["threshold"] == 0.5
    assert QueryConfig.of(None, {"k": 3}).k == 3
    for config in (BuildConfig, QueryConfig):
        documented = documented_parameters(config)
        assert all(len(documented[field.name]) > 10 for field in dataclasses.fields(config))
    with pytest.raises(UnknownNameError, match="query parameter='top'"):
        QueryConfig.of(None, {"top": 3})
    with pytest.raises(UnknownNameError, match="ranking='neares'"):
        QueryConfig(ranking="neares")
    with pytest.raises(InvalidParameterError, match="fill='yes'"):
        QueryConfig(fill="yes")
