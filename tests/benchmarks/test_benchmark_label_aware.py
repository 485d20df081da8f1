"""The label-aware study on a tiny set: chosen on validation, asked once, apart, with findings that become reliable."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "ranking"


@pytest.fixture(scope="module")
def study(script):
    script("record")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("label_aware_study")
    sys.path.remove(str(FOLDER))
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == FOLDER:
            del sys.modules[name]


@pytest.fixture
def sides(study, tmp_path, monkeypatch):
    """Both sides of a set of 2,600 films, so that some take no part in the calibration."""
    monkeypatch.setattr("ranking_study.FOLDER", tmp_path)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, 12)) * 0.7

    def films(n):
        labels = rng.random((n, 3)) < 0.3
        codes = labels @ directions + rng.normal(size=(n, 12)) * 0.7
        return codes.astype(np.float32), labels

    codes, labels = films(2600)
    patients = np.array([f"p{row % 1500}" for row in range(2600)])

    def side_of(name, part, data_root):
        asking, findings = films(90)
        asking, findings = asking[findings.any(axis=1)], findings[findings.any(axis=1)]
        own = np.array([f"{part} {row}" for row in range(len(asking))])
        from ranking_sets import Side

        return Side(codes, labels, patients, asking, findings, own)

    monkeypatch.setattr(study, "side_of", side_of)


def test_the_study_asks_once_and_reports_apart(study, sides, tmp_path, monkeypatch):
    few = [study.label_aware_candidates()[number] for number in (0, 9, 20)]
    monkeypatch.setattr(study, "label_aware_candidates", lambda: few)
    rows = study.Rows(tmp_path / "label_aware.jsonl", study.VERSION)
    study.study("nih", rows, tmp_path)
    row = rows.rows[0]
    assert row["chosen"]["options"] in [dict(candidate.options) for candidate in few]
    assert set(row["results"]) == {"nearest", "label_aware", "not calibrated", "prevalence only", "defaults"}
    assert [name for name, result in row["results"].items() if not result["uses_labels"]] == ["nearest"]
    assert row["results"]["label_aware"]["from_nearest"]["P@10"]["mean"] > 0.05
    assert row["results"]["label_aware"]["scores"]["P@10"] != row["results"]["prevalence only"]["scores"]["P@10"]
    parts = {name: row["results"][name]["from_nearest"]["P@10"]["mean"] for name in ("label_aware", "prevalence only")}
    added = row["results"]["label_aware"]["from_prevalence_only"]["P@10"]["mean"]
    assert added == pytest.approx(parts["label_aware"] - parts["prevalence only"])
    assert row["reliability"]["archive, after"]["n"] == 600
    before, after = (row["reliability"][f"archive, {when}"] for when in ("before", "after"))
    assert after["calibration_error"] < before["calibration_error"]
    kept = (tmp_path / "label_aware.jsonl").read_bytes()
    study.study("nih", study.Rows(tmp_path / "label_aware.jsonl", study.VERSION), tmp_path)
    assert (tmp_path / "label_aware.jsonl").read_bytes() == kept, "no figure is made twice"
    text = study.markdown({"rows": rows.rows, "environment": study.environment()})
    assert "Not to be compared with rankings that see codes only" in text
    assert f"{row['results']['label_aware']['scores']['P@10']['mean']:.3f}" in text


def test_the_calibration_error_is_that_of_the_definition(study):
    p = np.repeat([0.1, 0.4, 0.8], 500)
    truth = np.concatenate([np.tile(np.arange(5) < 5 * share, 100) for share in (0.2, 0.4, 0.6)])
    assert study.calibration_error(p, truth) == pytest.approx((0.1 + 0.0 + 0.2) / 3)
