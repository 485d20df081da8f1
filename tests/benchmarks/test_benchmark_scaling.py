"""Planted graphs are graphs, exponents are found again, and what is carried on follows from them."""

import json
from pathlib import Path

import numpy as np
import pytest

from graphret.graph import Graph
from graphret.index.build_memory import BuildMemory
from graphret.neighbors import join_plan

SIZES = (10_000, 100_000, 1_000_000)


@pytest.fixture(scope="module")
def tables(script):
    return script("scaling_tables")


def rows_of(script, exponent):
    """Rows as `scaling.py` writes them, of a method that grows with a known exponent."""
    rows = [
        {"session": "a", "part": "session", "environment": script("environment").environment() | {"memory_gb": 32.0}}
    ]
    for n in SIZES:
        seconds = 3e-7 * (30 * n) ** exponent
        run = {"seed": 0, "seconds": seconds, "processor_seconds": seconds, "modularity": 0.5, "communities": 9}
        row = {"n_nodes": n, "n_edges": 30 * n, "csr_bytes": 488 * n, "extra_bytes": 1000 + 480 * n, "runs": [run]}
        planted = {"planted_modularity": 0.4, "planted_communities": 8}
        rows.append({"session": "a", "part": "communities", "method": "louvain", "threads": 1, **row, **planted})
    for n in SIZES:
        about = {"session": "a", "part": "neighbors", "method": "exact", "threads": 2, "n": n, "d": 256, "k": 50}
        if n == SIZES[-1]:
            rows.append(about | {"skipped": True, "predicted_seconds": 1234.0})
            continue
        run = {"seconds": 1e-8 * n**2, "processor_seconds": 1.0, "recall": 1.0, "graph_seconds": 0.1, "n_edges": 30 * n}
        rows.append(about | {"skipped": False, "extra_bytes": 1000 * n, "graph_extra_bytes": 800 * n, "runs": [run]})
    return rows


def test_a_planted_graph_is_a_graph(script):
    planted_graph = script("planted_graph").planted_graph
    graph, planted = planted_graph(900, edges_per_node=8, seed=1)
    checked = Graph.from_scipy(graph.to_scipy())  # refuses what is not symmetric, and sorts
    assert np.array_equal(checked.indptr, graph.indptr)
    assert np.array_equal(checked.indices, graph.indices)
    assert np.array_equal(checked.weights, graph.weights)
    assert graph.n_edges == 7200
    rows = np.repeat(np.arange(900), np.diff(graph.indptr))
    inside = planted[rows] == planted[graph.indices]
    sizes = np.bincount(planted)
    assert inside.mean() > 2 * (sizes / 900) @ (sizes / 900)  # what chance would put inside
    assert graph.weights[inside].mean() > graph.weights[~inside].mean()
    assert planted_graph(900, edges_per_node=8, seed=1)[0].fingerprint == graph.fingerprint
    assert planted_graph(900, edges_per_node=8, seed=2)[0].fingerprint != graph.fingerprint
    with pytest.raises(SystemExit, match="fewer edges"):
        planted_graph(20, edges_per_node=19)


def test_an_exponent_is_found_again(tables):
    constant, exponent = tables.fitted([1e4, 1e5, 1e6], [2e-6 * size**1.3 for size in (1e4, 1e5, 1e6)])
    assert (constant, exponent) == (pytest.approx(2e-6), pytest.approx(1.3))
    assert tables.fitted([1, 2], [1, 2]) is None


def test_what_is_carried_on_follows_from_the_largest_size(script, tables, tmp_path):
    record = tables.record_of(rows_of(script, 1.05), tmp_path)
    archives = record["archives"]
    step = archives["steps"]["communities, louvain"]
    assert step["power"] == pytest.approx(1.05)
    edges = archives["density"]["edges"]
    assert edges == 40  # 80 % of k = 50, as no graph was measured
    assert step["seconds"]["10000000"] == pytest.approx(3e-7 * (1e7 * edges) ** 1.05)
    assert 3e-7 * (step["films_in_a_day"] * edges) ** 1.05 == pytest.approx(86_400)
    assert "kNN, exact" not in archives["steps"]  # two sizes are no fit
    # 480 bytes a node are 16 an edge; the graph beside it has 8 + 16 an edge
    assert archives["peak_bytes_per_film"]["communities, louvain"] == pytest.approx(16 * edges + 8 + 16 * edges)

    graph = {"n_nodes": 50_000, "n_edges": 1_250_000, "k": 50}
    (tmp_path / "communities.json").write_text(json.dumps({"sets": [{"graph": graph}]}))
    assert tables.record_of(rows_of(script, 1.05), tmp_path)["archives"]["density"]["edges"] == 25


def test_the_tables_say_what_does_not_hold_and_what_was_skipped(script, tables, tmp_path):
    good = tables.markdown(tables.record_of(rows_of(script, 1.05), tmp_path))
    assert "1234 s predicted" in good
    assert "**no**" not in good
    assert "**no**" in tables.markdown(tables.record_of(rows_of(script, 1.2), tmp_path))


def test_the_steeper_power_is_carried_on(tables):
    fit = {"exponent": 1.0, "last_exponent": 1.4}
    assert tables.power_of("communities, louvain", fit) == 1.4
    assert tables.power_of("communities, louvain", fit | {"last_exponent": 0.7}) == 1.0
    assert tables.power_of("kNN, exact", fit) == 2.0


@pytest.mark.parametrize("rows", [[], [{"session": "a", "part": "session", "environment": {}}]], ids=["none", "begun"])
def test_a_report_of_nothing_says_so(script, tmp_path, rows):
    for row in rows:
        script("record").append(tmp_path / "trial.jsonl", row)
    with pytest.raises(SystemExit, match=r"nothing is measured yet in .*trial\.jsonl: run without --report"):
        script("scaling").main(["--report", "--name", "trial", "--results", str(tmp_path)])
    assert not (tmp_path / "trial.md").exists()


def test_the_plan_of_the_page_is_the_one_of_the_record(script):
    """Figures of docs/scaling.md follow from the record; `scaling_plan.py --write docs/scaling.md` puts them there."""
    plan = script("scaling_plan")
    record = json.loads((Path(plan.RESULTS) / "scaling.json").read_text())
    page = (Path(plan.RESULTS).parents[1] / "docs" / "scaling.md").read_text()
    assert plan.tables(record) in page


def test_the_plan_computes_as_the_build_does(script):
    plan = script("scaling_plan")
    constants = {name: getattr(join_plan, name) for name in ("BLOCK_ROWS", "FEWEST_BLOCKS", "BLOCK_WIDTH", "MARGIN")}
    assert {name: getattr(plan, name) for name in constants} == constants
    record = json.loads((Path(plan.RESULTS) / "scaling.json").read_text())
    for n in plan.ARCHIVES:
        found = plan.plan(n, record)
        memory = BuildMemory(n, plan.D, plan.K, plan.SHARE, graph_search=True, stored=True, starts_at_once=1)
        stages = {name: n_bytes - (128 << 20) for name, n_bytes in memory.stages().items()}
        assert found["blocks"] == pytest.approx(-(-n // join_plan.BLOCK_ROWS))
        for name, n_bytes in stages.items():
            if name != "neighbors" or n > 1_000_000:  # below, two blocks take more than the samples of the plan
                assert found[f"head_{name}"] == pytest.approx(n_bytes, rel=0.01)
