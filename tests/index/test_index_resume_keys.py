"""A build that goes on with other parameters does again what depends on them, and nothing else."""

import pytest

import graphret
from graphret.index import build

STAGES = {"nearest_neighbors": "neighbors", "build_graph_search": "search", "partition": "communities"}
EVERYTHING = {"neighbors", "search", "communities"}


class Killed(Exception):
    pass


@pytest.fixture
def stages_done_again(build_module, codes, tmp_path, monkeypatch):
    """Build up to the last stage, go on with a change, and return the stages whose work was done a second time."""

    def before_writing(stage, _done, _total):
        if stage == "write":
            raise Killed

    def counted(name, seen):
        work = getattr(build_module, name)

        def count(first, *rest, **options):
            size = first.n_nodes if name == "partition" else 0 if name == "build_graph_search" else len(first)
            if size != 3:  # three nodes show that the backends are there
                seen.add(STAGES[name])
            return work(first, *rest, **options)

        return count

    def call(**change):
        settings = {"out": tmp_path / "index", "k": 6, "search": "graph"}
        with pytest.raises(Killed):
            build(codes, progress=before_writing, **settings)
        seen = set()
        for name in STAGES:
            monkeypatch.setattr(build_module, name, counted(name, seen))
        build(codes, **{**settings, **change})
        return seen

    return call


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, set()),
        ({"n_threads": 1}, set()),
        ({"k": 5}, EVERYTHING),
        ({"seed": 1}, EVERYTHING),
        ({"method": "approximate"}, {"neighbors", "search"}),
        ({"backend": "faiss"}, {"neighbors", "search"}),
        ({"search_recall": 0.9}, {"search"}),
        ({"search": "auto"}, {"search"}),
        ({"threshold": None}, {"communities"}),
        ({"edge_weights": "binary"}, {"communities"}),
        ({"objective": "weighted_modularity"}, {"communities"}),
        ({"resolution": 2.0}, {"communities"}),
        ({"n_starts": 2}, {"communities"}),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_what_a_change_does_again(stages_done_again, change, again):
    assert stages_done_again(**change) == again


def test_another_method_divides_again(stages_done_again):
    pytest.importorskip("igraph")
    assert stages_done_again(communities="igraph") == {"communities"}


def test_what_goes_on_with_other_parameters_is_what_starts_with_them(codes, tmp_path, stages_done_again):
    change = {"resolution": 2.0, "n_starts": 3, "search_recall": 0.8, "seed": 1}
    stages_done_again(**change)
    resumed = graphret.open(tmp_path / "index")
    fresh = build(codes, out=tmp_path / "fresh", k=6, search="graph", **change)
    for part in ("graph", "communities", "search"):
        assert resumed.manifest[part] == fresh.manifest[part]
