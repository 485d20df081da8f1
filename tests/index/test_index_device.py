"""Queries, evaluations and tunings by a device of torch: those of exact search, to the bit."""

import gc
import weakref

import numpy as np
import pytest
import torch

import graphret
from graphret._errors import DeviceError, InvalidParameterError, UnknownNameError
from graphret.data import ImageTable
from graphret.neighbors.device_search import DeviceSearch
from graphret.neighbors.graph_search import GraphSearch
from graphret.tuning.candidates import Candidate

N = 900


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """An index with links to follow, and labels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (N, 3)).astype(np.int8)
    centres = rng.random((3, 12))
    codes = np.abs(labels @ centres + rng.normal(size=(N, 12)) * 0.5 + 0.2).astype(np.float32)
    films = ImageTable(
        ids=[f"film{row}" for row in range(N)],
        paths=[],
        labels=labels,
        label_names=("a", "b", "c"),
        patients=[f"patient{row % 300}" for row in range(N)],
        views=["PA" if row % 4 else "AP" for row in range(N)],
        splits=["test" if row % 9 == 0 else "train" for row in range(N)],
    )
    out = tmp_path_factory.mktemp("device") / "index"
    index = graphret.build(codes, films=films, out=out, k=10, tune=False, search="graph", search_recall=0.5)
    assert isinstance(index.archive.search, GraphSearch)
    return index


def assert_same(hits, expected):
    np.testing.assert_array_equal(hits.positions, expected.positions)
    np.testing.assert_array_equal(hits.similarities, expected.similarities)
    np.testing.assert_array_equal(hits.p_values, expected.p_values)


@pytest.mark.parametrize("ranking", ["nearest", "alpha_qe", "region_growing", "contextual"])
def test_hits_are_those_of_exact_search_although_there_are_links(linked, ranking):
    codes = np.random.default_rng(0).random((40, 12), dtype=np.float32)
    how = {"ranking": ranking, "where": {"view": "PA"}, "exclude": {"patient": ["patient7"] * 40}}
    expected = linked.query(codes, 20, search="exact", **how)
    assert_same(linked.query(codes, 20, device="cpu", **how), expected)


def test_the_device_is_what_is_asked(linked, monkeypatch):
    asked = []
    honest = DeviceSearch.search
    monkeypatch.setattr(DeviceSearch, "search", lambda self, *a, **k: asked.append(self) or honest(self, *a, **k))
    ids = linked.films.ids[:5].tolist()
    linked.query(ids)
    assert not asked
    assert_same(linked.query(ids, device="cpu"), linked.query(ids, search="exact"))
    linked.query_examples(ids[:2], k=3, device="cpu")
    linked.query(ids, device="cpu", ranking="label_aware")
    assert len(asked) >= 3
    assert len(set(map(id, asked))) == 1, "every search holds a copy of the codes"


def test_auto_gives_the_same_hits_on_every_machine(linked, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    codes = np.random.default_rng(1).random((200, 12), dtype=np.float32)
    expected = linked.query(codes, 30, search="exact")
    assert_same(linked.query(codes, 30, device="auto"), expected)
    followed = linked.query(codes, 30, search="graph")
    assert (followed.positions != expected.positions).any(), "else the test says nothing"


def test_wrong_calls_are_refused(linked, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidParameterError, match=r"device.*search='graph'.*every code"):
        linked.query("film0", search="graph", device="cpu")
    with pytest.raises(UnknownNameError, match="device"):
        linked.query("film0", device="gpu")
    for call in (
        lambda device: linked.query("film0", device=device),
        lambda device: graphret.tune(linked, device=device),
        lambda device: graphret.evaluate(linked, device=device),
    ):
        with pytest.raises(DeviceError, match="no CUDA device"):
            call("cuda")


def test_an_evaluation_is_that_of_exact_search(linked, tmp_path):
    exact = graphret.open(linked.path)
    followed, on_device = (graphret.evaluate(exact, device=device, n_resamples=20) for device in (None, "cpu"))
    batch = linked.films.splits == "test"
    lists = exact.query(
        np.asarray(exact.codes)[batch],
        on_device.rankings[0].positions.shape[1],
        search="exact",
        where={"split": "train"},
        exclude={"patient": linked.films.patients[batch].tolist()},
    )
    rows = np.flatnonzero(linked.films.labels[batch].any(axis=1))
    np.testing.assert_array_equal(on_device.rankings[0].positions, lists.positions[rows])
    assert followed.queries.ids.tolist() == on_device.queries.ids.tolist()


def test_a_tuning_is_that_of_exact_search(linked, monkeypatch):
    """Also in learned metrics, whose vectors are searched on the device."""
    metric = {"discriminant_share": 0.5, "ridge": 0.1, "dimensions": 4}
    candidates = [
        Candidate("nearest", {}),
        Candidate("alpha_qe", {"n": 3, "alpha": 1.0}),
        Candidate("contextual", {"learned": True, "n": 3}, metric),
    ]
    widths = []
    honest = DeviceSearch.search

    def spy(self, *args, **how):
        widths.append(self.codes.shape[1])
        return honest(self, *args, **how)

    monkeypatch.setattr(DeviceSearch, "search", spy)
    how = {"candidates": candidates, "n_queries": 60, "budget": None}
    on_device = graphret.tune(linked, device="cpu", **how)
    assert {12, 16} <= set(widths), "codes, and vectors of the metric, with zeros up to 16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    by_processor = graphret.tune(linked, device="auto", **how)
    for one, other in zip(on_device.trials, by_processor.trials, strict=True):
        assert (one.ranking, one.value, one.variety) == (other.ranking, other.value, other.variety)


def test_the_device_s_memory_goes_with_the_index(linked):
    index = graphret.open(linked.path)
    index.query("film0", device="cpu")
    held = weakref.ref(index._parts.rankings.archive_for("auto", labels=False, device="cpu").search)
    assert isinstance(held(), DeviceSearch)
    index.close()
    gc.collect()
    assert held() is None
