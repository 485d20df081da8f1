"""The kNN benchmarks: judges that can not be fooled, adapters that are right, rows that survive, tables from rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest


def codes(n=400, d=24, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def brute_force(rows, k):
    exact = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    cosines = exact @ exact.T
    np.fill_diagonal(cosines, -np.inf)
    ids = np.argsort(-cosines, axis=1)[:, :k]
    return ids, np.take_along_axis(cosines, ids, axis=1)


def test_truth_is_the_kth_similarity(script, monkeypatch):
    module = script("knn_truth")
    rows = codes()
    monkeypatch.setattr(module, "TILE", 70)
    truth = module.Truth.of(rows, 7, sample=50)
    np.testing.assert_allclose(truth.kth, brute_force(rows, 7)[1][truth.rows, -1], atol=1e-12)
    assert len(np.unique(truth.rows)) == 50


def test_a_judge_counts_only_what_is_right(script, tmp_path):
    module = script("knn_truth")
    rows = codes()
    module.Truth.of(rows, 10).save(tmp_path / "truth.npz")
    truth = module.Truth.load(tmp_path / "truth.npz")
    ids, cosines = brute_force(rows, 10)
    assert truth.judge(rows, ids, cosines) == {"recall": 1.0, "similarity_error": pytest.approx(0.0, abs=1e-12)}
    repeated = np.repeat(ids[:, :1], 10, axis=1)
    assert truth.judge(rows, repeated, cosines)["recall"] == pytest.approx(0.1)
    themselves = np.hstack([np.arange(400)[:, None], ids[:, :9]])
    assert truth.judge(rows, themselves, cosines)["recall"] == pytest.approx(0.9)
    assert truth.judge(rows, np.where(ids == ids[:, 9:], -1, ids), cosines)["recall"] == pytest.approx(0.9)
    assert truth.judge(rows, ids, cosines + 0.25)["similarity_error"] == pytest.approx(0.25)
    rows[200:] = rows[:200]  # every similarity twice: which of the two is found does not matter
    ids, cosines = brute_force(rows, 9)
    assert module.Truth.of(rows, 9).judge(rows, (ids + 200) % 400, cosines)["recall"] > 0.85


def test_without_self(script):
    drop = script("peers_knn").without_self
    ids = np.array([[0, 2, 1], [2, 0, 1], [0, 1, -1]])
    scores = np.array([[1.0, 0.5, 0.4], [0.9, 0.8, 0.7], [0.6, 0.5, 0.0]])
    kept, kept_scores = drop(ids, scores)
    assert kept.tolist() == [[2, 1], [2, 0], [0, 1]]
    assert kept_scores.tolist() == [[0.5, 0.4], [0.9, 0.8], [0.6, 0.5]]
    with pytest.raises(ValueError, match="twice"):
        drop(np.array([[0, 0, 1]]), scores[:1])


@pytest.mark.parametrize(
    ("method", "package", "recall"),
    [
        ("faiss-flat", "faiss", 1.0),
        ("faiss-pca64-flat-refine4", "faiss", 0.95),
        ("faiss-ivf256-nprobe32", "faiss", 0.5),
        ("faiss-hnsw32-ef128", "faiss", 0.95),
        ("faiss-nndescent-64", "faiss", 0.95),
        ("hnswlib-m16-ef100", "hnswlib", 0.95),
        ("usearch-f32-m16-ef128", "usearch", 0.95),
    ],
)
def test_adapters_give_neighbours_and_their_cosines(script, method, package, recall):
    pytest.importorskip(package)
    rows = script("benchmark_codes").unit_rows(np.maximum(codes(700, 8) @ codes(8, 96, 1), 0.0))
    ids, cosines = script("peers_knn").PEERS[method](rows, 10, 1)
    judged = script("knn_truth").Truth.of(rows, 10).judge(rows, ids, cosines)
    assert ids.shape == cosines.shape == (700, 10)
    assert judged["recall"] >= recall
    assert judged["similarity_error"] < 1e-5


def test_replicated_codes_lie_near_their_films(script):
    module = script("benchmark_codes")
    films = np.maximum(codes(60, 200), 0.0)
    films[1] = films[0]
    made = module.replicated(films, 500)
    distances = np.sqrt(((made[:, None].astype(np.float64) - films[None]) ** 2).sum(axis=2))
    chosen = distances.argmin(axis=1)
    scale = module._distances_to_nearest(films)[chosen]
    assert (made >= 0).all()
    assert len(np.unique(chosen)) >= 58
    # half of the noise on zeros is cut: between a half and the whole of its length is left
    relative = distances.min(axis=1)[scale > 0] / scale[scale > 0]
    assert 0.5 * module.NOISE < relative.mean() < module.NOISE
    assert (distances.min(axis=1)[scale == 0] == 0).all()
    np.testing.assert_array_equal(made, module.replicated(films, 500))


def test_generated_codes_do_not_depend_on_how_many(script, monkeypatch):
    module = script("benchmark_codes")
    monkeypatch.setattr(module, "BLOCK", 64)
    np.testing.assert_allclose(module.generated(200, 32)[:100], module.generated(100, 32), rtol=1e-5, atol=1e-5)
    assert not np.array_equal(module.generated(100, 32), module.generated(100, 32, seed=1))


def test_codes_are_kept_and_size_is_checked(script, simulated_codes, tmp_path, monkeypatch):
    module = script("benchmark_codes")
    first = module.codes_of("d2", 50, work=tmp_path)
    monkeypatch.setattr(module, "simulate", None)  # a second call reads the file
    np.testing.assert_array_equal(module.codes_of("d2", 50, work=tmp_path), first)
    with pytest.raises(SystemExit, match="d1 has 60000 codes"):
        module.codes_of("d1", 60_001)
    with pytest.raises(SystemExit, match="real_films"):
        module.codes_of("d3", 5, index=tmp_path)


@pytest.fixture
def job(script, simulated_codes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))  # for where graphret is not installed
    run = script("knn_graph_run")
    rows = script("benchmark_codes").codes_of("d2", 300, work=tmp_path)
    script("knn_truth").Truth.of(rows, 5).save(tmp_path / "truth.npz")
    return run.Job("d2", "faiss-flat", 5, 1, n=300, truth=str(tmp_path / "truth.npz"), work=str(tmp_path))


def test_a_run_in_a_process_of_its_own(script, job):
    run = script("knn_graph_run")
    found = run.run_in_process(replace(job, method="graphret-exact", options={"seed": 3}))
    assert found["status"] == "measured"
    assert (found["n"], found["d"], found["recall"]) == (300, 1024, 1.0)
    assert found["table"]["method"] == "exact"
    assert len(found["table_sha256"]) == 64
    assert found["seconds"] > 0
    failed = run.run_in_process(replace(job, method="graphret-exact", options={"metric": "l1"}))
    assert failed["status"] == "failed"
    assert "metric" in failed["reason"]


def test_a_run_is_stopped_when_its_time_is_over(script, job):
    run = script("knn_graph_run")
    found = run.run_in_process(replace(job, method="graphret-exact", seconds_allowed=1e-4))
    assert found == {"status": "out of time", "reason": "stopped after 0 s"}


def row(method, seconds, recall=1.0, *, run=0, session="s", status="measured", kind="race", **more):
    figures = {
        "seconds": seconds,
        "processor_seconds": seconds,
        "recall": recall,
        "similarity_error": 1e-7,
        "peak_growth_gb": 0.1,
    }
    ours = {"table": {"method": "exact", "recall": None}, "table_sha256": "0"} if method.startswith("graphret") else {}
    about = {
        "kind": kind,
        "session": session,
        "data": "d1",
        "n": 60_000,
        "d": 784,
        "k": 50,
        "threads": 2,
        "method": method,
    }
    return (
        about
        | {"run": run, "status": status, "reason": "too slow | here"}
        | (figures | ours if status == "measured" else {})
        | more
    )


def test_ratios_are_taken_run_by_run_within_the_last_session(script):
    tables = script("knn_graph_tables")
    environment = script("environment").environment()
    heads = [{"kind": "race", "session": name, "environment": environment} for name in ("old", "s")]
    rows = [heads[0], row("faiss-flat", 1000.0, session="old"), row("graphret-exact", 1.0, session="old"), heads[1]]
    for run, (flat, quick, rough, ours) in enumerate([(10, 4, 1, 2), (20, 5, 1, 2), (30, 60, 1, 3)]):
        rows += [
            row("faiss-flat", flat, run=run),
            row("faiss-ivf256-nprobe32", quick, 0.995, run=run),
            row("faiss-ivf256-nprobe8", rough, 0.95 if run == 1 else 0.999, run=run),
            row("graphret-exact", ours, run=run),
            row("graphret-approximate", ours, 0.98, run=run),
        ]
    rows.append(row("faiss-hnsw32-ef64", 0, run=0, status="failed"))
    record = tables.race_record(rows)
    (measured,) = record["sets"]
    assert measured["runs"] == 3
    assert measured["ratios"]["graphret-exact"] == {"runs": [5.0, 10.0, 10.0], "compared_with": ["faiss-flat"]}
    # the peer whose recall fell below 0.99 in one run is nobody's peer; the flat index is one
    assert measured["ratios"]["graphret-approximate"]["runs"] == [2.0, 2.5, 10.0]
    text = tables.race_markdown(json.loads(json.dumps(record)))
    assert (
        "| graphret-exact: times faster than faiss-flat, median of the runs (5.00 to 10.00), floor >= 2 | 10 | yes |"
        in text
    )
    assert "| graphret-approximate: recall >= 0.99 | 0.98 | **no** |" in text
    assert "the same bits in every run" in text
    assert "faiss-hnsw32-ef64, run 0: failed" in text
    rows[-2]["table_sha256"] = "1"
    assert "different bits" in tables.race_markdown(tables.race_record(rows))


def test_the_race_takes_the_fastest_of_the_survey(script, tmp_path):
    knn_graph = script("knn_graph")
    rows = [
        row("faiss-ivf256-nprobe8", 1.0, 0.95, kind="survey"),
        row("faiss-ivf256-nprobe16", 9.0, 0.995, kind="survey"),
        row("faiss-ivf256-nprobe32", 2.0, 0.999, kind="survey"),
        row("faiss-hnsw32-ef64", 3.0, 0.991, kind="survey", session="later"),
        row("faiss-hnsw32-ef128", 0, kind="survey", status="skipped"),
        row("faiss-ivf256-nprobe16", 2.5, 0.995, kind="survey", session="later"),
        row("faiss-flat", 0.5, kind="survey"),
        row("faiss-ivf512-nprobe32", 0.1, 0.999, kind="survey", threads=1),
    ]
    options = knn_graph.parse(["--results", str(tmp_path), "--data", "d1"])
    assert knn_graph.choose(rows, "d1", options) == ["faiss-ivf256-nprobe32", "faiss-ivf256-nprobe16"]
    with pytest.raises(SystemExit, match="--survey first"):
        knn_graph.choose(rows, "d3", options)
    text = script("knn_graph_tables").survey_markdown([{"environment": script("environment").environment()}, *rows])
    assert "| **faiss-flat** | 0.50 |" in text
    assert "| faiss-hnsw32-ef128 | skipped | too slow \\| here |" in text


def test_rows_survive_a_kill_and_the_report_needs_only_them(script, tmp_path, capsys):
    knn_graph = script("knn_graph")
    file = tmp_path / "knn_graph.jsonl"
    environment = script("environment").environment()
    for entry in (
        {"kind": "race", "session": "s", "environment": environment},
        row("faiss-flat", 10.0),
        row("graphret-exact", 2.0),
    ):
        knn_graph.append(file, entry)
    with file.open("a") as lines:
        lines.write('{"kind": "race", "sess')
    knn_graph.main(["--report", "--results", str(tmp_path)])
    assert "floor >= 2 | 5 | yes |" in capsys.readouterr().out
    assert json.loads((tmp_path / "knn_graph.json").read_text())["sets"][0]["runs"] == 1
    with pytest.raises(SystemExit, match="no rows"):
        knn_graph.main(["--report", "--results", str(tmp_path / "elsewhere")])


def test_a_setting_without_hope_is_skipped_and_said(script, job, tmp_path, monkeypatch):
    knn_graph = script("knn_graph")
    asked = []

    def pretended(part):
        asked.append(part)
        return {"status": "measured", "seconds": 6.0 if part.n == 100 else 30.0, "recall": 1.0}

    monkeypatch.setattr(knn_graph, "run_in_process", pretended)
    shared = {"kind": "survey", "session": "s", "data": "d2", "n": 800, "d": 1024}
    knn_graph.try_setting(job, shared, 30.0, tmp_path / "rows.jsonl")
    knn_graph.try_setting(job, shared, 40.0, tmp_path / "rows.jsonl")
    skipped, measured = script("record").read_rows(tmp_path / "rows.jsonl")
    assert (skipped["status"], measured["status"]) == ("skipped", "measured")
    assert skipped["reason"] == "slower than faiss-flat (30.0 s): on 1/8 of the codes 6.0 s"
    assert [(part.n, part.seconds_allowed) for part in asked] == [(100, 10.0), (100, 10.0), (300, 60.0)]


def test_plain_says_any_field(script):
    plain = script("knn_graph_run").plain
    value = {"a": np.float32(0.5), "b": (1, None), "c": np.zeros((2, 3), np.int8), "d": {1}, "e": np.float64("nan")}
    assert json.loads(json.dumps(plain(value))) == {
        "a": 0.5,
        "b": [1, None],
        "c": "int8 (2, 3)",
        "d": "{1}",
        "e": "nan",
    }


@pytest.mark.parametrize("tile", [64, 100, 1000])
def test_brute_force_of_the_gpu_script_over_several_tiles(script, tile):
    rows = codes(517, 16)
    ids, cosines = script("gpu").brute_force(rows, 20, "cpu", queries_at_once=90, tile=tile)
    expected, values = brute_force(rows, 20)
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(cosines, values, atol=1e-6)


def test_the_gpu_script_without_a_device(script, tmp_path, capsys, monkeypatch):
    import torch

    gpu = script("gpu")
    monkeypatch.setattr(gpu, "RATE_SECONDS", 0.01)
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="needs a CUDA device"):
            gpu.main([])
    gpu.main(
        ["--device", "cpu", "--n", "400", "--k", "10", "--runs", "1", "--sizes", "1000x32", "--results", str(tmp_path)]
    )
    text = (tmp_path / "gpu_cpu_400.md").read_text()
    assert "## 400 x 32, k = 10" in text
    assert "| torch brute force |" in text
    assert "| graphret exact, faiss |" in text
    with pytest.raises(SystemExit):
        gpu.main(["--sizes", "1000"])
