"""The comparison of communities runs, and gives every method the same graph."""

import json

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


def test_the_script_writes_what_it_measured(script, simulated_codes, tmp_path, monkeypatch, capsys):
    pytest.importorskip("igraph")
    arguments = ["--films", "simulated", "--n", "400", "--k", "8", "--runs", "2"]
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    monkeypatch.setattr("sys.argv", ["communities.py", *arguments, *folders])
    script("communities").main()
    record = json.loads((tmp_path / "results" / "communities.json").read_text())
    (measured,) = record["sets"]
    assert [(row["seed"], row["order"]) for row in measured["runs"]] == [
        (seed, order) for seed in (0, 1) for order in ("as given", "permuted")
    ]
    assert all(row[name]["modularity"] > 0.1 for row in measured["runs"] for name in ("graphret", "igraph"))
    assert measured["graph"]["n_nodes"] == 400
    text = (tmp_path / "results" / "communities.md").read_text()
    assert "times faster than igraph" in text
    assert text in capsys.readouterr().out

    monkeypatch.setattr(script("communities"), "codes_of", None)  # the second run takes the graph it finds
    script("communities").main()
