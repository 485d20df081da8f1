"""The ranking study on a tiny set: chosen on validation, asked once, resumed; its baselines beside naive versions."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from graphret.retrieval import RankingChoice
from graphret.tuning import Candidate

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "ranking"
N_FILMS, N_QUERIES = 260, 40


@pytest.fixture(scope="module")
def study(script):
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("ranking_study")
    sys.path.remove(str(FOLDER))
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == FOLDER:
            del sys.modules[name]


@pytest.fixture(scope="module")
def side(study):
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.zeros((3, 8)), rng.normal(size=(3, 8))], axis=1)

    def films(n):
        labels = rng.random((n, 3)) < 0.4
        labels[~labels.any(axis=1), 0] = True
        noise = rng.normal(size=(n, 16)) * np.repeat([1.2, 0.3], 8)  # large where no finding shows
        codes = labels @ directions * 0.6 + noise
        return np.maximum(codes + 1, 0.01).astype(np.float32), labels

    codes, labels = films(N_FILMS)
    query_codes, query_labels = films(N_QUERIES)
    patients = np.array([f"p{row % 200}" for row in range(N_FILMS)])
    return study.Side(
        codes, labels, patients, query_codes, query_labels, np.array([f"p{row}" for row in range(N_QUERIES)])
    )


@pytest.fixture
def task(study, side):
    bench = study.Bench("tiny", "validation", side)
    table = study.nearest_neighbors(side.codes, 50)
    return study.Task(bench.side, table.neighbors, table.similarities)


def unit(codes):
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def best(scores, side, k=100):
    for row, own in enumerate(side.forbidden):
        scores[row, own] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def test_no_method_returns_films_of_the_querys_patient(study, task, side):
    assert [len(own) for own in side.forbidden] == [2] * N_QUERIES, "rows 0 to 59 and 200 to 259 share patients"
    for method, run in study.OWN.items():
        for options in study.METHODS[method][:2]:
            lists = run(task, **options)
            assert lists.shape == (N_QUERIES, 100)
            for hits, own in zip(lists.tolist(), side.forbidden, strict=True):
                assert len(set(hits)) == 100
                assert not set(hits) & set(own.tolist())


def test_augmentation_is_the_naive_sum(study, task, side):
    codes = unit(side.codes.astype(np.float64))
    augmented = codes.copy()
    for film in range(N_FILMS):
        for other in task.neighbors[film, :3]:
            augmented[film] += (codes[film] @ codes[other]) * codes[other]
    expected = best(unit(side.query_codes.astype(np.float64)) @ unit(augmented).T, side)
    found = study.OWN["dba"](task, n=3, alpha=1.0, queries_too=False)
    assert (found == expected).mean() > 0.98, "but for ties that float32 rounds apart"


def test_whitening_of_power_0_only_centres(study, task, side):
    codes, queries = unit(side.codes.astype(np.float64)), unit(side.query_codes.astype(np.float64))
    mean = codes.mean(axis=0)
    found = study.OWN["pca_whitening"](task, power=0.0, ridge=1.0)
    assert (found == best(unit(queries - mean) @ unit(codes - mean).T, side)).mean() > 0.98


def test_reciprocal_re_ranking_with_all_weight_on_cosine_is_nearest(study, task, side):
    plain = best(unit(side.query_codes) @ unit(side.codes).T, side)
    assert (study.OWN["k_reciprocal"](task, k1=10, k2=3, share=1.0) == plain).mean() > 0.98
    assert (study.OWN["k_reciprocal"](task, k1=10, k2=3, share=0.3) == plain).mean() < 0.9


def test_the_study_chooses_on_validation_asks_once_and_goes_on(study, side, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    short = {
        "nearest": [{}],
        "alpha_qe": [{"n": 3, "alpha": 1.0}, {"n": 20, "alpha": 1.0}],
        "dba": study.METHODS["dba"][:1],
    }
    monkeypatch.setattr(study, "METHODS", short)
    few = [Candidate("contextual", {"n": n, "context": 0.5}) for n in (3, 20)]
    learned = Candidate(
        "contextual", {"learned": True, "n": 0, "context": 0.0}, {"discriminant_share": 0.5, "ridge": 0.1}
    )
    monkeypatch.setattr(
        "graphret.tuning.contest.default_candidates",
        lambda **asked: [Candidate("nearest", {}), *few, *([learned] if asked.get("learned") else [])],
    )
    rows = study.Rows(tmp_path / "ranking.jsonl")
    bench = study.Bench("nih", "validation", side)
    with pytest.raises(study.OutOfTimeError):
        study.validate(bench, rows, stop=0.0)
    study.validate(bench, rows, stop=np.inf)
    study.test(study.Bench("nih", "test", side), rows, stop=np.inf)
    tried = rows.all(part="validation", method="alpha_qe")
    chosen = max(tried, key=lambda row: row["value"])["options"]
    results = rows.all(part="test")[0]["results"]
    assert results["alpha_qe"]["options"] == chosen
    assert set(results) >= {"nearest", "alpha_qe", "dba", "default", "default, nothing learned"}
    assert results["default"]["options"]["learned"], "its findings show in the codes"
    assert "learned" not in results["default, nothing learned"]["options"]
    assert results["default"]["promise"]["promised"]["low"] > 0
    study.permute(study.Bench("nih", "test", side), rows, 2, stop=np.inf)
    assert [row["ranking"] for row in rows.all(part="permuted")] == ["nearest", "nearest"]
    kept = (tmp_path / "ranking.jsonl").read_bytes()
    again = study.Rows(tmp_path / "ranking.jsonl")
    study.validate(bench, again, stop=0.0)
    study.test(study.Bench("nih", "test", side), again, stop=0.0)
    study.permute(study.Bench("nih", "test", side), again, 2, stop=0.0)
    assert (tmp_path / "ranking.jsonl").read_bytes() == kept, "no figure is made twice"
    text = study.markdown({"rows": again.rows, "environment": study.environment()})
    assert f"{results['default']['scores']['P@10']['mean']:.3f}" in text
    assert "against the best baseline, of 3 figures" in text
    assert "| nih | 2 | 2 |" in text


def test_the_large_set_tries_what_is_near_the_best_of_the_small_one(study, tmp_path):
    rows = study.Rows(tmp_path / "ranking.jsonl")
    with pytest.raises(SystemExit, match="sim20k comes first"):
        study._grids("sim107k", rows)
    best = {"alpha_qe": {"n": 100, "alpha": 1.0}, "region_growing": {"edges": 30}}
    for method, grid in study.METHODS.items():
        for options in grid:
            row = {"set": "sim20k", "part": "validation", "method": method, "options": options}
            rows.add(row | {"value": float(options == best.get(method, grid[0]))})
    assert study._grids("nih", rows) == study.METHODS
    near = study._grids("sim107k", rows)
    assert near["nearest"] == [{}]
    assert near["region_growing"] == study.METHODS["region_growing"]
    assert [tuple(options.values()) for options in near["alpha_qe"]] == [
        (30, 0.0), (30, 1.0), (30, 3.0), (100, 0.0), (100, 1.0), (100, 3.0)
    ]  # fmt: skip


def test_region_terms_of_no_weight_change_nothing(study, side, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    terms = importlib.import_module("region_terms")
    monkeypatch.setattr(terms, "WEIGHTS", (0.0, 1.0))
    monkeypatch.setattr(terms, "FUSED", (0.0, 1.0))
    bench = study.Bench("nih", "validation", side)
    monkeypatch.setattr(
        terms.graphret, "tune", lambda index, **_: SimpleNamespace(choice=RankingChoice("alpha_qe", {"n": 3}))
    )
    rows = terms.rows_of(bench)
    assert len(rows) == 1 + 3 * 5
    for start in (1, 6, 11):
        alone, unweighted, weighted, unfused, fused = (
            {m: row[m] for m in study.MEASURES} for row in rows[start : start + 5]
        )
        assert alone == unweighted == unfused
        assert weighted != alone != fused
    assert "| nearest | alone |" in terms.markdown({"rows": rows, "environment": study.environment()})
