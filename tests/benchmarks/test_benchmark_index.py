"""The steps of the index benchmarks: codes once, fresh builds, hashes that are compared."""

import copy

import pytest


@pytest.fixture(scope="module")
def built(script, simulated_codes, tmp_path_factory):
    work = tmp_path_factory.mktemp("work") / "index"
    script("build_index").prepare(work, 300, 5)
    return work, script("index_steps").build_step(work, n_threads=1, seed=0, name="index")


def test_codes_are_made_once_for_a_size(script, built, monkeypatch):
    build_index = script("build_index")
    made = []
    monkeypatch.setattr(build_index, "run_step", lambda step, work, **arguments: made.append(arguments))
    work, _ = built
    build_index.prepare(work, 300, 5)
    assert not made
    (work / "elsewhere").mkdir()
    (work / "elsewhere" / "codes.npy").write_bytes((work / "codes.npy").read_bytes()[:1000])  # cut short by a kill
    build_index.prepare(work / "elsewhere", 300, 5)
    assert made == [{"n": 300, "n_queries": 5}]


def test_a_build_says_its_stages_memory_and_hashes(built):
    _, build = built
    assert {"neighbors", "graph", "communities", "write"} <= set(build["stages_s"])
    assert sum(build["stages_s"].values()) <= build["seconds"]
    assert 0.05 < build["peak_memory_gb"] < 64
    assert build["counts"]["films"] == 300
    assert len(build["graph_sha256"]) == len(build["communities_sha256"]) == 64


def test_queries_are_timed_for_every_ranking_and_the_tables_are_made(script, built):
    work, build = built
    queries = script("index_steps").query_step(work, name="index")
    assert queries["n_queries"] == 5
    for by_ranking in queries["threads"].values():
        assert all(figures["median_ms"] > 0 for figures in by_ranking.values())
    environment = script("environment").environment()
    record = {"n": 300, "build": build, "queries": queries, "environment": environment}
    text = script("build_index").markdown(record)
    assert text.count("(default) |") == 2
    assert "build, seconds < 90" in text


def test_different_hashes_are_seen(script, built):
    _, build = built
    reproducible = script("reproducible")
    control = build | {"communities_sha256": "0" * 64, "seed": 1}
    assert all(reproducible.verdict([build, copy.deepcopy(build)], control).values())
    other = copy.deepcopy(build)
    other["files_sha256"]["codes.npy"] = "0" * 64
    assert not reproducible.verdict([build, other], control)["files_sha256"]
    assert not reproducible.verdict([build, build], build)["another seed: other partition"]
    record = {"n": 300, "builds": [build], "control": control, "verdict": {"graph_sha256": False}}
    assert "**no**" in reproducible.markdown(record | {"environment": script("environment").environment()})
