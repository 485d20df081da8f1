"""The comparison of communities runs, and gives every method the same graph."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from graphret.communities import louvain, modularity
from graphret.graph import Graph


def test_another_order_is_the_same_graph(script):
    communities = script("communities")
    matrix = scipy.sparse.random_array((60, 60), density=0.1, rng=np.random.default_rng(0))
    graph = Graph.from_scipy(scipy.sparse.csr_array(scipy.sparse.triu(matrix, 1) + scipy.sparse.triu(matrix, 1).T))
    shuffled = communities.permuted(graph, 3)
    order = np.random.default_rng(3).permutation(60)
    assert (shuffled.indices != graph.indices).any()
    labels = louvain(graph).labels
    assert modularity(shuffled, labels[order]) == pytest.approx(modularity(graph, labels))


@pytest.mark.slow
def test_the_script_writes_what_it_measured(script, simulated_codes, tmp_path, monkeypatch, capsys):
    pytest.importorskip("igraph")
    arguments = ["--data", "d2", "--n", "400", "--k", "8", "--runs", "2", "--methods", "igraph"]
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    # a process of its own measures memory, and graphret may not be installed there
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    script("communities").main([*arguments, *folders])
    (record,) = json.loads((tmp_path / "results" / "communities_400.json").read_text())["sets"]
    assert record["graph"]["n_nodes"] == 400
    assert record["methods"].keys() >= {"graphret", "graphret-starts", "igraph"}
    one, several = (record["methods"][name]["orders"]["as given"] for name in ("graphret", "graphret-starts"))
    assert several["modularity"]["median"] >= one["modularity"]["median"]
    assert record["promises"]["graphret"]["partitions"] == 1
    for method in record["methods"].values():
        assert method["runs"] == 4
        assert all(order["modularity"]["median"] > 0.1 for order in method["orders"].values())
    rows = [json.loads(line) for line in (tmp_path / "results" / "communities_400.jsonl").read_text().splitlines()]
    assert {(row["run"], row["order"]) for row in rows if row["kind"] == "run"} == {
        (run, order) for run in (0, 1) for order in ("as given", "permuted")
    }
    assert all(row["connected"] == 1.0 for row in rows if row.get("method") == "graphret" and row["kind"] == "run")
    text = (tmp_path / "results" / "communities_400.md").read_text()
    assert text in capsys.readouterr().out


def test_connected_communities_are_told_from_others(script):
    path = scipy.sparse.diags_array([np.ones(3), np.ones(3)], offsets=[-1, 1])
    graph = Graph.from_scipy(scipy.sparse.csr_array(path))
    share_connected = script("communities").share_connected
    assert share_connected(graph, np.array([0, 0, 1, 1])) == 1.0
    assert share_connected(graph, np.array([0, 1, 1, 0])) == 0.5


@pytest.mark.slow
def test_quality_is_asked_of_every_method_once_a_seed(script, simulated_codes, tmp_path):
    pytest.importorskip("igraph")
    arguments = ["--data", "d2", "--n", "400", "--k", "8", "--seeds", "2", "--methods", "igraph"]
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    script("communities_quality").main([*arguments, *folders])
    script("communities_quality").main([*arguments, *folders])  # all is there
    file = tmp_path / "results" / "communities_quality.jsonl"
    runs = [row for row in map(json.loads, file.read_text().splitlines()) if row["kind"] == "run"]
    assert [(row["method"], row["seed"]) for row in runs] == [
        (name, seed) for name in ("graphret", "igraph") for seed in (0, 1)
    ]
    assert all(0.1 < row["quality"] < 1 for row in runs)


def test_the_difference_of_medians_decides(script):
    def row(method, seed, quality):
        about = {"kind": "run", "data": "d2", "n_nodes": 9, "n_edges": 9, "communities": 3, "connected": 1.0}
        return {**about, "method": method, "seed": seed, "quality": quality}

    quality = script("communities_quality")
    rows = [row("graphret", seed, value) for seed, value in enumerate((0.1, 0.4, 0.9))]
    rows += [row("leidenalg-10", seed, value) for seed, value in enumerate((0.2, 0.5, 0.6))]
    rows.append({"kind": "session", "environment": quality.environment()})
    (line,) = [line for line in quality.markdown(quality.record_of(rows)).splitlines() if "**no**" in line]
    assert line.startswith("| d2 | leidenalg, 10 iterations | -0.10000 | 3, 3 |")
